//! An ingress without a server.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use domain::{DeploymentId, EnvironmentId, Name, ReleaseId};
use ingress::{Client, EnvironmentRoutes, Gate, Route, RouteLimits, Target};
use plimsoll_tests::server::{binary, free_address};
use plimsoll_tests::wait_for;
use ulid::Ulid;

pub(crate) const HOST: &str = "site.localhost";

/// `plimsoll ingress` on a folder of its own, with one environment. Ended with the value.
pub(crate) struct Alone {
    child: Child,
    dir: tempfile::TempDir,
    pub(crate) client: Client,
    pub(crate) listen: SocketAddr,
    environment: EnvironmentId,
    generation: u64,
}

impl Alone {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listen = free_address();
        let child = Command::new(binary())
            .args(["ingress", "--listen", &listen.to_string(), "--dir"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let client = Client::new(dir.path());
        wait_for("the ingress", Duration::from_secs(10), async || client.status().await.ok()).await;
        Self { child, dir, client, listen, environment: EnvironmentId::from_ulid(Ulid::generate()), generation: 0 }
    }

    /// Sends all traffic to `upstream`, once that answers.
    pub(crate) async fn cutover(&mut self, upstream: SocketAddr) -> Result<(), String> {
        self.generation += 1;
        let name = |text: &str| -> Name { text.parse().unwrap() };
        let gate = Gate::Http { path: "/".to_owned(), timeout: Duration::from_secs(2) };
        let routes = EnvironmentRoutes {
            environment: self.environment.clone(),
            app: name("site"),
            environment_name: name("production"),
            generation: self.generation,
            deployment: DeploymentId::from_ulid(Ulid::generate()),
            release: ReleaseId::from_ulid(Ulid::generate()),
            routes: vec![Route {
                host: HOST.parse().unwrap(),
                path: "/".parse().unwrap(),
                component: name("web"),
                target: Target::Upstreams { upstreams: vec![upstream], standby: Vec::new(), gate },
                limits: RouteLimits::default(),
            }],
        };
        self.client.cutover(routes).await.map(drop).map_err(|e| e.to_string())
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Whatever it has started to hold its sockets goes, too.
        plimsoll_tests::processes::kill_marked(&self.dir.path().display().to_string());
    }
}
