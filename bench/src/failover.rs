//! How long a deployment stands still whose server is gone.

use std::time::{Duration, Instant};

use domain::DeploymentId;
use domain::phase::Phase;
use nix::sys::signal::Signal;
use operations::Client;
use operations::cluster::{Show, ShowRequest};
use plimsoll_tests::postgres::Postgres;
use plimsoll_tests::server::signal;
use plimsoll_tests::{App, Repo, Server, wait_for};
use secrecy::SecretString;
use store::sagas::{self, SagaRow};
use store::{DatabaseUrl, Store};

use crate::Outcome;
use crate::figure::{Figure, Goal, quantile};

const APP: &str = "hello";
const ROUNDS: usize = 5;
/// Each takes a lease.
const PAUSES: usize = 2;
/// Seconds; the server's own default.
const LEASE: f64 = 10.0;
const LIMIT: Duration = Duration::from_secs(60);

/// Two real servers on one machine and one PostgreSQL, with the default lease of 10 s. The one that drives a deployment, in the
/// middle of its build, is killed with `kill -9`; or it stands still (`kill -STOP`), so that only its lease tells; or it is stopped
/// with TERM. The time ends with the first record that another one adds to the journal under its own epoch.
pub(crate) async fn run() -> Outcome {
    let postgres = Postgres::start_durable();
    let url = postgres.create_database();
    let parsed: DatabaseUrl = url.parse().map_err(|e| format!("{e}"))?;
    let first = Server::start_with(&[], &[("PLIMSOLL_DATABASE_URL", &url)]).await;
    let token = first.lasting_token().await;
    let repo = Repo::new();
    repo.commit(App::new("v0").files(), "v0");
    first.create_app(APP, repo.source()).await;
    first.deploy_well(APP).await;
    let store = Store::open(&parsed).await.map_err(|e| e.to_string())?;
    let mut world = World { first, token, repo, store, versions: 0 };
    let mut figures = Vec::new();
    for (name, how, rounds, limit) in [
        ("fail-over after kill -9", Signal::SIGKILL, ROUNDS, LEASE + 1.0),
        ("fail-over of one that stands still", Signal::SIGSTOP, PAUSES, LEASE + 1.0),
        ("hand-over after TERM", Signal::SIGTERM, ROUNDS, 1.0),
    ] {
        let mut took = Vec::new();
        for _ in 0..rounds {
            took.push(world.round(how).await?);
        }
        figures.push(Figure::new(
            format!("{name}, slowest of {rounds}"),
            quantile(&took, 1.0),
            "s",
            Goal::Below(limit),
        ));
    }
    world.store.close().await;
    Ok(figures)
}

struct World {
    first: Server,
    token: SecretString,
    repo: Repo,
    /// To look at the journal with.
    store: Store,
    versions: usize,
}

impl World {
    /// Seconds in which nobody went on with a deployment whose server met with `how`.
    async fn round(&mut self, how: Signal) -> Result<f64, String> {
        let peer = self.first.peer(&self.token).await;
        let id = self.at_work(peer.client()).await;
        let before = self.saga(&id).await?;
        let began = Instant::now();
        signal(self.first.pid(), how);
        let took = loop {
            let now = self.saga(&id).await?;
            if now.fence > before.fence && now.seq > before.seq {
                break began.elapsed();
            }
            if began.elapsed() > LIMIT {
                return Err(format!("nobody has gone on with {id} after {} s", LIMIT.as_secs()));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        self.first.reap();
        std::fs::write(self.gate(), "").map_err(|e| e.to_string())?;
        self.first.speak_to(&peer);
        self.first.end(&id).await;
        idle(peer.client()).await;
        // The next round begins with the first one alone again. It comes after the other has gone, or clients of this machine
        // would be told of that one.
        let mut peer = peer;
        peer.stop();
        self.first.restart().await;
        idle(self.first.client()).await;
        std::fs::remove_file(self.gate()).map_err(|e| e.to_string())?;
        Ok(took.as_secs_f64())
    }

    /// A deployment whose build waits until it is let go, at work on the first server.
    async fn at_work(&mut self, client: &Client) -> DeploymentId {
        let build = format!("while [ ! -e {} ]; do sleep 0.05; done", self.gate().display());
        loop {
            self.versions += 1;
            let version = format!("v{}", self.versions);
            self.repo.commit(App::new(&version).build(&build).files(), &version);
            idle(client).await;
            let deployment = self.first.deploy(APP).await;
            self.first.reach(&deployment.id, Phase::Building).await;
            if driver(client, &deployment.id).await == Some(self.first.pid()) {
                return deployment.id;
            }
            // The other one was quicker, as it may be: once more.
            self.first.cancel(&deployment.id).await.unwrap();
            self.first.end(&deployment.id).await;
        }
    }

    async fn saga(&self, id: &DeploymentId) -> Result<SagaRow, String> {
        sagas::get(&self.store, id.as_str()).await.map_err(|e| e.to_string())
    }

    fn gate(&self) -> std::path::PathBuf {
        self.first.shared().join("go")
    }
}

/// Process of the server that drives a deployment.
async fn driver(client: &Client, id: &DeploymentId) -> Option<i32> {
    let servers = client.call::<Show>(&ShowRequest {}).await.unwrap().servers;
    servers.into_iter().find(|server| server.deployments.contains(id)).map(|server| server.pid)
}

/// Until then the next deployment waits, for whichever server is quicker.
async fn idle(client: &Client) {
    wait_for("nothing to be at work", LIMIT, async || {
        let servers = client.call::<Show>(&ShowRequest {}).await.ok()?.servers;
        servers.iter().all(|server| server.deployments.is_empty()).then_some(())
    })
    .await;
}
