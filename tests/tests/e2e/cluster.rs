//! Several servers on one PostgreSQL, on one machine and as if on two.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use domain::DeploymentId;
use domain::deployment::Deployment;
use domain::phase::Phase;
use domain::queue::Waiting;
use nix::sys::signal::Signal;
use operations::cluster::{Cluster, Show, ShowRequest, Standing};
use operations::deployments::{Abandon, Cancel, Deploy, DeployRequest, DeploymentRequest, Get, Resume};
use operations::queue::Entry;
use operations::{Client, Page, environments, plans};
use plimsoll_tests::flow::{active, refused};
use plimsoll_tests::postgres::{Postgres, Shutdown};
use plimsoll_tests::server::signal;
use plimsoll_tests::{App, Peer, Repo, Server, http, processes, wait_for};
use serde_json::{Value, json};

use crate::abandon;

/// Seconds.
const LEASE: u64 = 8;
const LIMIT: Duration = Duration::from_secs(60);

struct World {
    first: Server,
    second: Peer,
    repo: Repo,
}

/// Two servers that share a data folder, and an app that serves.
async fn two(name: &str) -> World {
    let url = Postgres::shared().create_database();
    let lease = format!("{LEASE}s");
    let first = Server::start_with(&["--lease", &lease], &[("PLIMSOLL_DATABASE_URL", &url)]).await;
    let token = first.lasting_token().await;
    let second = first.peer(&token).await;
    let (first, repo, _) = crate::on(first, name).await;
    idle(second.client()).await;
    World { first, second, repo }
}

/// A server with a data folder of its own, the host `two`, and the first one's database and key.
async fn on_another_host(first: &Server, url: &str) -> Server {
    let lease = format!("{LEASE}s");
    let mut second = Server::stopped(&["--host", "two", "--lease", &lease], &[("PLIMSOLL_DATABASE_URL", url)]);
    std::fs::create_dir_all(second.data()).unwrap();
    std::fs::copy(first.data().join("master.key"), second.data().join("master.key")).unwrap();
    second.restart().await;
    second
}

/// Two servers on a host each, and an app that serves on the second one's, where its environment `staging` lives.
async fn on_two_hosts() -> (Server, Server, Repo, Deployment) {
    on_two_hosts_of(&Postgres::shared().create_database()).await
}

async fn on_two_hosts_of(url: &str) -> (Server, Server, Repo, Deployment) {
    let lease = format!("{LEASE}s");
    let first = Server::start_with(&["--host", "one", "--lease", &lease], &[("PLIMSOLL_DATABASE_URL", url)]).await;
    let second = on_another_host(&first, url).await;
    let repo = Repo::new();
    repo.commit(App::new("v1").files(), "v1");
    first.create_app("hello", repo.source()).await;
    create_environment(first.client(), "staging", Some("two")).await;
    let deployment = first.client().call::<Deploy>(&order("staging")).await.unwrap();
    let deployment = active(first.end(&deployment.id).await);
    idle(first.client()).await;
    (first, second, repo, deployment)
}

/// A server that stands still until this is dropped.
struct Paused(i32);

impl Paused {
    fn new(server: &Server) -> Self {
        signal(server.pid(), Signal::SIGSTOP);
        Self(server.pid())
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.0), Signal::SIGCONT);
    }
}

/// Waits until a deployment is told to wait for a server of the host `two`.
async fn missed(server: &Server, id: &DeploymentId) {
    wait_for("its host to be missed", LIMIT, async || {
        let waits = server.deployment(id).await.metadata.waiting_for;
        (waits.as_deref() == Some("a server: host two has no live server")).then_some(())
    })
    .await;
}

/// What visitors of `staging` get.
async fn staging(second: &Server) -> Result<(u16, String), String> {
    http::get(second.ingress(), "hello-staging.localhost", "/").await
}

/// The source of the app `hello` as it is.
fn order(environment: &str) -> DeployRequest {
    DeployRequest {
        app: "hello".parse().unwrap(),
        environment: environment.parse().unwrap(),
        source: None,
        reference: None,
        plan: None,
        tags: Vec::new(),
        metadata: Default::default(),
        priority: Default::default(),
        not_before: None,
        bypass_window: None,
    }
}

/// An environment of the app `hello`.
async fn create_environment(client: &Client, name: &str, host: Option<&str>) {
    let (app, environment) = ("hello".parse().unwrap(), name.parse().unwrap());
    let request = environments::CreateRequest { app, environment, host: host.map(str::to_owned) };
    client.call::<environments::Create>(&request).await.unwrap();
}

async fn cluster(client: &Client) -> Cluster {
    client.call::<Show>(&ShowRequest {}).await.unwrap()
}

/// Process of the server that drives a deployment.
async fn driver(client: &Client, id: &DeploymentId) -> Option<i32> {
    let servers = cluster(client).await.servers;
    servers.into_iter().find(|server| server.deployments.contains(id)).map(|server| server.pid)
}

/// Waits until no server drives anything: the last record of a journal comes a moment after the last thing that is to be seen,
/// and until then the next deployment waits, for whichever server is quicker.
async fn idle(client: &Client) {
    wait_for("nothing to be at work", LIMIT, async || {
        let servers = cluster(client).await.servers;
        servers.iter().all(|server| server.deployments.is_empty()).then_some(())
    })
    .await;
}

async fn driven_by(client: &Client, id: &DeploymentId, pid: i32) {
    wait_for("a server to drive it", LIMIT, async || (driver(client, id).await == Some(pid)).then_some(())).await;
}

impl World {
    /// A version whose build waits until it is let go, at work on the first server.
    async fn at_work(&self, version: &str) -> Deployment {
        let gate = self.first.shared().join("go");
        let build = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
        self.repo.commit(App::new(version).build(&build).files(), version);
        loop {
            let deployment = self.first.deploy("hello").await;
            self.first.reach(&deployment.id, Phase::Building).await;
            if driver(self.second.client(), &deployment.id).await == Some(self.first.pid()) {
                return deployment;
            }
            // The other one was quicker, as it may be: once more.
            self.first.cancel(&deployment.id).await.unwrap();
            self.first.end(&deployment.id).await;
        }
    }

    fn let_go(&self) {
        std::fs::write(self.first.shared().join("go"), "").unwrap();
    }

    /// The deployment ends well with the second server alone, and everything is as if there had been one server.
    async fn ends_well(&mut self, id: &DeploymentId, version: &str) {
        self.let_go();
        self.first.speak_to(&self.second);
        active(self.first.end(id).await);
        self.first.assert_serves("hello", "/", version).await;
        assert!(self.first.phases(id).await.is_sorted());
        self.first.settle("hello").await;
        assert_eq!(self.first.apps().len(), 1, "one process serves");
        idle(self.second.client()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_goes_on_when_the_owner_is_killed() {
    let mut world = two("hello").await;
    let deployment = world.at_work("v2").await;
    let leader = cluster(world.second.client()).await.servers.into_iter().find(|s| s.leader).unwrap();
    assert_eq!(leader.pid, world.first.pid());
    world.first.kill9();
    let killed = Instant::now();
    driven_by(world.second.client(), &deployment.id, world.second.pid()).await;
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(2 * LEASE), "another one went on after {took:?}");
    world.ends_well(&deployment.id, "v2").await;
    // Who was killed is forgotten, and the other one leads.
    let left = wait_for("a new leader", LIMIT, async || {
        let servers = cluster(world.second.client()).await.servers;
        servers.iter().any(|s| s.leader && s.pid == world.second.pid()).then_some(servers)
    })
    .await;
    assert_eq!(left.len(), 1, "{left:#?}");
    // It looks after the machine, too: an app whose supervisor dies is started again, an ingress as well.
    let ingress = world.first.ingress_pid();
    signal(ingress, Signal::SIGKILL);
    wait_for("the ingress to be back", LIMIT, async || {
        let served = world.first.get("hello", "/").await;
        (served == Ok((200, "v2".to_owned())) && !world.first.ingresses().contains(&ingress)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_paused_does_no_harm_when_it_goes_on() {
    let mut world = two("hello").await;
    let deployment = world.at_work("v2").await;
    let paused = world.first.pid();
    signal(paused, Signal::SIGSTOP);
    let stopped = Instant::now();
    driven_by(world.second.client(), &deployment.id, world.second.pid()).await;
    let took = stopped.elapsed();
    assert!(took > Duration::from_secs(1), "nobody is given up so soon: {took:?}");
    assert!(took < Duration::from_secs(3 * LEASE), "another one went on after {took:?}");
    // It was ended before anybody acted in its place: to go on comes too late.
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(paused), Signal::SIGCONT);
    assert!(!world.first.reap().success());
    world.ends_well(&deployment.id, "v2").await;
    assert_eq!(world.first.releases("hello").await.len(), 2);
    let left = processes::marked(deployment.id.as_str());
    // Supervisor and app of what serves, no build of either server.
    assert!(left.iter().all(|p| !p.command.contains("sleep 0.05")), "{left:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_hands_over_at_once() {
    let mut world = two("hello").await;
    let deployment = world.at_work("v2").await;
    world.first.stop();
    let stopped = Instant::now();
    driven_by(world.second.client(), &deployment.id, world.second.pid()).await;
    assert!(stopped.elapsed() < Duration::from_secs(LEASE / 2), "after {:?}", stopped.elapsed());
    world.ends_well(&deployment.id, "v2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_database_that_is_away() {
    let postgres = Postgres::start();
    let url = postgres.create_database();
    let server = Server::start_with(&[], &[("PLIMSOLL_DATABASE_URL", &url)]).await;
    let (mut server, repo, _) = crate::on(server, "hello").await;
    let gate = server.shared().join("go");
    let build = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
    repo.commit(App::new("v2").build(&build).files(), "v2");
    let deployment = server.deploy("hello").await;
    server.reach(&deployment.id, Phase::Building).await;

    postgres.stop(Shutdown::Fast);
    let client = server.client().clone();
    let asked = tokio::spawn(async move { client.call::<Show>(&ShowRequest {}).await });
    // Said after five seconds, so that the question is waiting by then.
    let ready = http::get(server.api(), "localhost", "/readyz").await.unwrap();
    assert_eq!(ready.0, 503, "{ready:?}");
    assert!(!asked.is_finished(), "it waits for the database to come back");
    let told = Instant::now();
    // With the status 0, as ever.
    server.stop();
    let took = told.elapsed();
    // Two seconds for the database to answer, and five for what is at work; none of the ten for requests.
    assert!(took < Duration::from_secs(15), "it ended after {took:?}");
    assert!(asked.await.unwrap().is_err());
    assert!(server.log().contains("the database is away"), "{}", server.log());
    // Nobody's request was concerned, and what was at work goes on once both are back.
    server.assert_serves("hello", "/", "v1").await;
    postgres.resume();
    server.restart().await;
    std::fs::write(gate, "").unwrap();
    active(server.end(&deployment.id).await);
    server.assert_serves("hello", "/", "v2").await;
    assert_eq!(cluster(server.client()).await.servers.len(), 1, "who could not say so is forgotten all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_server_cancels_what_runs_or_waits_on_another() {
    let world = two("hello").await;
    let running = world.at_work("v2").await;
    let client = world.second.client();
    // The next one waits for it, whoever is asked.
    let waiting = client.call::<Deploy>(&order("production")).await.unwrap();
    let seen = client.call::<Get>(&DeploymentRequest { deployment: waiting.id.clone() }).await.unwrap();
    assert_eq!(seen.phase, Phase::Queued);
    assert_eq!(seen.metadata.waiting_for.as_deref(), Some(format!("{} to finish", running.id).as_str()));

    let ended = client.call::<Cancel>(&DeploymentRequest { deployment: waiting.id.clone() }).await.unwrap();
    assert_eq!(ended.phase, Phase::Cancelled, "what waits ends at once");
    let asked = client.call::<Cancel>(&DeploymentRequest { deployment: running.id.clone() }).await.unwrap();
    assert!(asked.cancelling || asked.phase == Phase::Cancelled, "{asked:#?}");
    assert_eq!(world.first.end(&running.id).await.phase, Phase::Cancelled);
    world.first.assert_serves("hello", "/", "v1").await;
    world.first.assert_nothing_left("hello", &running.id).await;
    let late = client.call::<Cancel>(&DeploymentRequest { deployment: running.id.clone() }).await;
    assert_eq!(refused(late).status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_folder_is_another_host() {
    let url = Postgres::shared().create_database();
    let env = [("PLIMSOLL_DATABASE_URL", url.as_str())];
    let first = Server::start_with(&["--host", "one"], &env).await;
    let second = Server::stopped(&["--host", "one"], &env);
    let refused = second.server_command().output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{said}");
    // Its key is another one, which is told first.
    assert!(said.contains("master.key") || said.contains("key file"), "{said}");
    std::fs::copy(first.data().join("master.key"), second.data().join("master.key")).unwrap();
    let refused = second.server_command().output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("--host"), "{said}");
    drop(second);
    let mut second = on_another_host(&first, &url).await;
    let seen = cluster(second.client()).await;
    assert_eq!(
        seen.hosts.iter().map(|h| (h.name.as_str(), h.live)).collect::<Vec<_>>(),
        [("one", true), ("two", true)]
    );
    assert!(seen.servers.iter().all(|s| s.standing == Standing::Live));

    // What is to run on a host whose servers have all gone waits for one, says so, and runs when it is back.
    let repo = Repo::new();
    repo.commit(App::new("v1").files(), "v1");
    first.create_app("hello", repo.source()).await;
    create_environment(first.client(), "staging", Some("two")).await;
    second.stop();
    let deployment = first.client().call::<Deploy>(&order("staging")).await.unwrap();
    wait_for("the host to be missed", LIMIT, async || {
        let page: Page<Entry> = serde_json::from_value(first.cli_json(&["queue", "list", "--json"])).unwrap();
        assert_eq!(page.items[0].deployment, deployment.id);
        (page.items[0].waiting == Waiting::NoServer { host: "two".to_owned() }).then_some(())
    })
    .await;
    let told = first.deployment(&deployment.id).await.metadata.waiting_for;
    assert_eq!(told.as_deref(), Some("a server: host two has no live server"));
    let hosts = cluster(first.client()).await.hosts;
    assert_eq!(hosts.iter().map(|h| h.live).collect::<Vec<_>>(), [true, false]);
    second.restart().await;
    active(second.end(&deployment.id).await);
    assert_eq!((first.apps().len(), second.apps().len()), (0, 1), "it runs where its environment lives");
}

/// They may hold what everybody waits for.
#[tokio::test(flavor = "multi_thread")]
async fn connections_of_a_paused_server_are_ended_though_that_fails_at_first() {
    let postgres = Postgres::shared();
    let url = postgres.create_database();
    let database = url.rsplit('/').next().unwrap();
    let lease = format!("{LEASE}s");
    let first = Server::start_with(&["--host", "one", "--lease", &lease], &[("PLIMSOLL_DATABASE_URL", &url)]).await;
    // Each server's connections have a name of their own.
    let asked = format!(
        "SELECT DISTINCT application_name FROM pg_stat_activity \
         WHERE datname = '{database}' AND backend_type = 'client backend'"
    );
    let names = || -> BTreeSet<String> { postgres.sql("postgres", &asked).lines().map(str::to_owned).collect() };
    let before = names();
    let second = on_another_host(&first, &url).await;
    let of_second: Vec<String> = names().difference(&before).cloned().collect();
    assert!(before.len() == 1 && of_second.len() == 1, "{before:?} {of_second:?}");

    let paused = Paused::new(&second);
    // Whoever is connected stays so; a new connection, such as that by which others are ended, is refused.
    let allow = |yes: bool| {
        postgres.sql("postgres", &format!("ALTER DATABASE {database} ALLOW_CONNECTIONS {yes}"));
    };
    allow(false);
    let failed = "its connections can't be ended";
    wait_for("the failure to be told", LIMIT, async || first.log().contains(failed).then_some(())).await;
    assert!(names().contains(&of_second[0]));
    allow(true);
    wait_for("them to be ended", LIMIT, async || (!names().contains(&of_second[0])).then_some(())).await;

    drop(paused);
    wait_for("both to live", LIMIT, async || {
        let servers = cluster(first.client()).await.servers;
        servers.iter().all(|server| server.standing == Standing::Live).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_at_work_on_a_host_whose_server_is_paused_waits_for_it_and_says_so() {
    let (first, second, repo, before) = on_two_hosts().await;
    let gate = second.shared().join("go");
    let build = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
    repo.commit(App::new("v2").build(&build).files(), "v2");
    let id = first.client().call::<Deploy>(&order("staging")).await.unwrap().id;
    first.reach(&id, Phase::Building).await;
    let paused = Paused::new(&second);

    missed(&first, &id).await;
    let shown = String::from_utf8(first.cli(&["deployments", "show", id.as_str()]).stdout).unwrap();
    assert!(shown.contains("waits for  a server: host two has no live server"), "{shown}");
    let doctor = String::from_utf8(first.cli(&["doctor", "--json"]).stdout).unwrap();
    for part in ["waits for a server: host two", &format!("{id} of hello/staging: waiting in building")] {
        assert!(doctor.contains(part), "`{part}` is not in {doctor}");
    }
    // The other one has its own work, and leaves this alone: it can't know what its server still does.
    let told = first.events(&id).await;
    let v1 = before.metadata.commit.unwrap().sha;
    let elsewhere = first.try_deploy("hello", Some(&v1)).await.unwrap();
    active(first.end(&elsewhere.id).await);
    assert_eq!(driver(first.client(), &id).await, Some(second.pid()));
    assert_eq!(first.events(&id).await, told);
    let request = DeploymentRequest { deployment: id.clone() };
    let no = refused(first.client().call::<Abandon>(&request).await);
    assert!(no.status == 409 && no.detail.contains("not stuck"), "{no:?}");
    assert_eq!(staging(&second).await, Ok((200, "v1".to_owned())), "nobody needs a server to be served");

    drop(paused);
    std::fs::write(gate, "").unwrap();
    let done = active(first.end(&id).await);
    assert_eq!(done.metadata.waiting_for, None);
    assert!(first.phases(&id).await.is_sorted());
    assert_eq!(staging(&second).await, Ok((200, "v2".to_owned())));
    wait_for("v2 to serve alone", LIMIT, async || (second.apps().len() == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_late_does_nothing_of_what_was_abandoned() {
    let (first, second, repo, before) = on_two_hosts().await;
    let (app, environment) = ("hello".parse().unwrap(), "staging".parse().unwrap());
    let request = environments::EnvironmentRequest { app, environment };
    let environment = first.client().call::<environments::Get>(&request).await.unwrap();
    // Neither made nor taken back: it is stuck.
    std::fs::create_dir_all(abandon::link(&second, &environment, before.generation + 1)).unwrap();
    repo.commit(abandon::with_pages(App::new("v2")), "v2");
    let id = first.client().call::<Deploy>(&order("staging")).await.unwrap().id;
    wait_for("it to be stuck", LIMIT, async || first.deployment(&id).await.stuck).await;
    idle(first.client()).await;
    repo.commit(App::new("v3").files(), "v3");
    let next = first.client().call::<Deploy>(&order("staging")).await.unwrap().id;

    let paused = Paused::new(&second);
    missed(&first, &next).await;
    // Its server finds the wish when it is back, and then that it comes too late.
    let request = DeploymentRequest { deployment: id.clone() };
    let kept = refused(first.client().call::<Resume>(&request).await);
    assert!(kept.status == 503 && kept.detail.contains("is kept for it"), "{kept:?}");
    let ended = first.client().call::<Abandon>(&request).await.unwrap();
    let message = ended.failure.clone().unwrap().message;
    assert!(ended.phase == Phase::Failed && message.ends_with(abandon::LEFT), "{ended:#?}");
    let told = first.events(&id).await;

    drop(paused);
    active(first.end(&next).await);
    assert_eq!(staging(&second).await, Ok((200, "v3".to_owned())));
    wait_for("v3 to serve alone", LIMIT, async || (second.apps().len() == 1).then_some(())).await;
    assert_eq!(first.deployment(&id).await, ended);
    assert_eq!(first.events(&id).await, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_host_is_backed_up_by_itself() {
    let url = Postgres::shared().create_database();
    let (first, second, _repo, _) = on_two_hosts_of(&url).await;
    first.deploy_well("hello").await;
    idle(first.client()).await;
    let shelf = tempfile::tempdir().unwrap();
    let at = |name: &str| shelf.path().join(name).display().to_string();
    std::fs::copy(first.data().join("master.key"), at("key")).unwrap();
    for (server, name, environment, host) in [(&first, "one", "staging", "two"), (&second, "two", "production", "one")]
    {
        let file = at(name);
        let create = ["backup", "create", "--without-keys", "--json", "--output", &file];
        let made = server.command().args(create).env("PLIMSOLL_DATABASE_URL", &url).output().unwrap();
        assert!(made.status.success(), "{name}: {}", String::from_utf8_lossy(&made.stderr));
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let elsewhere = json!([{ "app": "hello", "environment": environment, "host": host, "kept": false }]);
        assert_eq!(made["manifest"]["elsewhere"], elsewhere, "{made:#}");
        let releases = made["manifest"]["releases"].as_array().unwrap();
        let kept = releases.iter().filter(|r| r["active"] == true && r["kept"] == true).count();
        assert_eq!((releases.len(), kept), (2, 1), "{made:#}");
    }

    // From one of them: what served on its host is back by itself, the other is named and deployed again.
    drop((first, second));
    let mut restored = Server::stopped(&[], &[]);
    let said = restored.cli(&["restore", &at("one"), "--key-file", &at("key")]);
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success() && text.contains("hello/staging served on the host two"), "{text}");
    restored.restart().await;
    wait_for("v1 to serve", LIMIT, async || {
        restored.get("hello", "/").await.ok().filter(|answer| *answer == (200, "v1".to_owned()))
    })
    .await;
    let again = restored.client().call::<Deploy>(&order("staging")).await.unwrap();
    active(restored.end(&again.id).await);
    assert_eq!(staging(&restored).await, Ok((200, "v1".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_keep_the_limit_of_an_app_together() {
    let world = two("hello").await;
    let clients = [world.first.client(), world.second.client()];
    let places = ["production", "a", "b", "c"];
    let gate = |place: &str| world.first.shared().join(format!("go-{place}"));
    let mut ids = Vec::new();
    for (n, place) in places.into_iter().enumerate() {
        if n > 0 {
            create_environment(clients[0], place, None).await;
        }
        let build = format!("while [ ! -e {} ]; do sleep 0.05; done", gate(place).display());
        let commit = world.repo.commit(App::new(place).build(&build).files(), place);
        // Who is asked begins at once where it may: each server one. Either would have slots for all four.
        let request = DeployRequest { reference: Some(commit), ..order(place) };
        ids.push(clients[n % 2].call::<Deploy>(&request).await.unwrap().id);
    }
    driven_by(clients[0], &ids[0], world.first.pid()).await;
    driven_by(clients[0], &ids[1], world.second.pid()).await;
    for id in &ids[2..] {
        let waiting = world.first.deployment(id).await.metadata.waiting_for;
        assert_eq!(waiting.as_deref(), Some("the app's other deployments: 2 may be at work"));
    }
    // When one ends, both look for the next, and one more begins.
    std::fs::write(gate(places[0]), "").unwrap();
    world.first.reach(&ids[2], Phase::Building).await;
    assert_eq!(world.first.deployment(&ids[3]).await.phase, Phase::Queued);
    for place in &places[1..] {
        std::fs::write(gate(place), "").unwrap();
    }
    let mut spans = Vec::new();
    for id in &ids {
        let done = active(world.first.end(id).await);
        let began = done.phases.iter().find(|times| times.phase != Phase::Queued).unwrap().started_at;
        spans.push((began, done.finished_at.unwrap()));
    }
    let at_work = spans.iter().map(|(at, _)| spans.iter().filter(|(began, ended)| began <= at && at < ended).count());
    assert_eq!(at_work.max(), Some(2), "{spans:?}");
    idle(clients[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_made_where_its_environment_lives_and_carried_out_by_whoever_is_asked() {
    let url = Postgres::shared().create_database();
    let first = Server::start_with(&["--host", "one"], &[("PLIMSOLL_DATABASE_URL", &url)]).await;
    let (first, repo, _) = crate::on(first, "hello").await;
    repo.commit(App::new("v2").files(), "v2");
    let request = plans::CreateRequest {
        app: "hello".parse().unwrap(),
        environment: "production".parse().unwrap(),
        source: None,
        reference: None,
        rollback: None,
    };
    let plan = first.client().call::<plans::Create>(&request).await.unwrap();
    let second = on_another_host(&first, &url).await;
    let elsewhere = refused(second.client().call::<plans::Create>(&request).await);
    assert!(elsewhere.status == 409 && elsewhere.detail.contains("lives on the host one"), "{elsewhere:?}");

    let request = DeployRequest { plan: Some(plan.digest.as_str().parse().unwrap()), ..order("production") };
    let started = second.client().call::<Deploy>(&request).await.unwrap();
    let done = active(second.end(&started.id).await);
    assert_eq!(done.metadata.plan.as_ref(), Some(&plan.digest));
    first.assert_serves("hello", "/", "v2").await;
    // What is in the database is held against the plan there, too.
    let late = refused(second.client().call::<Deploy>(&request).await);
    assert!(late.status == 409 && late.detail.contains("v2 serves now"), "{late:?}");
}
