//! `kill -9` of each process at the worst of times.

use std::time::Duration;

use domain::phase::Phase;
use plimsoll_tests::flow::active;
use plimsoll_tests::{App, Repo, Server, load::Tally, processes, wait_for};

use crate::{load, on};

/// All that a deployment with a release command goes through.
const EVERY: [Phase; 9] = [
    Phase::Queued,
    Phase::PullingSource,
    Phase::Building,
    Phase::Migrating,
    Phase::CopyingFiles,
    Phase::CreatingSymlinks,
    Phase::UpdatingRoutes,
    Phase::HealthCheck,
    Phase::Active,
];

/// Enough files that pulling and copying them can be met.
fn bulk(repo: &Repo) {
    repo.commit((0..600).map(|n| (format!("bulk/{n}.txt"), format!("{n}\n").repeat(200))), "bulk");
}

/// Each version answered from one process alone, and the versions came in order.
fn assert_one_process_each(tally: &Tally, versions: usize) {
    let names: Vec<&str> = tally.distinct().iter().map(|body| body.split(' ').next().unwrap()).collect();
    let expected: Vec<String> = (1..=versions).map(|n| format!("v{n}")).collect();
    assert_eq!(names, expected, "{:?}", tally.distinct());
}

/// Kills the server as soon as a deployment is seen in each of the phases, under load.
async fn server_dies_in(phases: &[Phase]) {
    let mut server = Server::start().await;
    let repo = Repo::new();
    bulk(&repo);
    repo.commit(App::new("v1").release("true").env("SHOW_PID", "1").files(), "v1");
    server.create_app("hello", repo.source()).await;
    server.deploy_well("hello").await;
    let load = load(&server, "hello");
    load.go_on(5).await;
    for (n, phase) in phases.iter().enumerate() {
        let version = format!("v{}", n + 2);
        repo.commit(App::new(&version).slow_in(*phase).env("SHOW_PID", "1").files(), &version);
        let deployment = server.deploy("hello").await;
        let met = server.reach(&deployment.id, *phase).await;
        server.kill9();
        // The others are so short that the kill may come in the next one; it is a kill at another place then.
        assert!(met == *phase || !App::LONG.contains(phase), "{phase} was over before it was met: {met}");
        // Nobody is there, and nobody notices.
        load.go_on(15).await;
        server.restart().await;
        let ended = active(server.end(&deployment.id).await);
        load.go_on(5).await;
        let (_, body) = server.get("hello", "/").await.unwrap();
        assert_eq!(body.split(' ').next(), Some(&*version), "killed in {met}: {ended:#?}");
        assert!(server.phases(&deployment.id).await.is_sorted(), "killed in {met}");
        assert_eq!(server.environment("hello").await.active.unwrap().deployment, deployment.id);
        server.settle("hello").await;
        assert_eq!(server.apps().len(), 1, "killed in {met}");
    }
    let tally = load.stop();
    tally.assert_none_lost();
    assert_one_process_each(&tally, phases.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_server_before_there_is_a_release() {
    server_dies_in(&[Phase::Queued, Phase::PullingSource, Phase::Building, Phase::Migrating]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_server_while_a_release_gets_the_traffic() {
    server_dies_in(&[
        Phase::CopyingFiles,
        Phase::CreatingSymlinks,
        Phase::UpdatingRoutes,
        Phase::HealthCheck,
        Phase::Active,
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_server_with_a_queue_a_failure_and_a_cancel_on_its_way() {
    let (mut server, repo, _) = on(Server::start_with(&["--workers", "1"], &[]).await, "hello").await;
    let other = Repo::new();
    other.commit(App::new("w1").build("sleep 2; exit 5").files(), "w1");
    server.create_app("other", other.source()).await;
    let failing = server.deploy("other").await;
    server.reach(&failing.id, Phase::Building).await;
    repo.commit(App::new("v2").files(), "v2");
    let queued = server.deploy("hello").await;
    assert_eq!(server.deployment(&queued.id).await.phase, Phase::Queued);
    let load = load(&server, "hello");
    server.kill9();
    load.go_on(10).await;
    server.restart().await;
    assert_eq!(server.end(&failing.id).await.phase, Phase::Failed);
    active(server.end(&queued.id).await);
    server.assert_nothing_left("other", &failing.id).await;

    repo.commit(App::new("v3").build("sleep 60").files(), "v3");
    let cancelled = server.deploy("hello").await;
    server.reach(&cancelled.id, Phase::Building).await;
    server.cancel(&cancelled.id).await.unwrap();
    server.kill9();
    server.restart().await;
    let cancelled = server.end(&cancelled.id).await;
    assert_eq!(cancelled.phase, Phase::Cancelled, "a promised cancel is kept: {cancelled:#?}");
    server.assert_nothing_left("hello", &cancelled.id).await;
    load.go_on(10).await;
    let tally = load.stop();
    tally.assert_none_lost();
    assert_eq!(tally.distinct(), ["v1", "v2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_ingress_at_rest_and_in_each_phase() {
    let (mut server, repo, _) = on(Server::start().await, "hello").await;
    let site = Repo::new();
    site.commit([("index.html", "a site")], "one");
    server.create_app("site", site.source()).await;
    server.deploy_well("site").await;

    let dies = async |server: &Server| {
        let pid = server.ingress_pid();
        processes::kill9(pid);
        wait_for("the ingress to come back", Duration::from_secs(30), async || {
            let site = server.get("site", "/").await;
            (site == Ok((200, "a site".to_owned())) && !server.ingresses().contains(&pid)).then_some(())
        })
        .await;
        let (status, _) = server.get("hello", "/").await.unwrap();
        assert_eq!(status, 200, "the whole table is back");
    };
    dies(&server).await;
    server.assert_serves("hello", "/", "v1").await;

    for (n, phase) in EVERY.iter().enumerate() {
        let version = format!("v{}", n + 2);
        repo.commit(App::new(&version).slow_in(*phase).files(), &version);
        let deployment = server.deploy("hello").await;
        server.reach(&deployment.id, *phase).await;
        dies(&server).await;
        active(server.end(&deployment.id).await);
        server.assert_serves("hello", "/", &version).await;
    }

    // With nobody there to bring it back, the next server does.
    server.kill9();
    processes::kill9(server.ingress_pid());
    server.restart().await;
    server.assert_serves("site", "/", "a site").await;
    server.assert_serves("hello", "/", &format!("v{}", EVERY.len() + 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_app_that_serves_in_each_phase() {
    let (server, repo, _) = on(Server::start().await, "hello").await;
    for (n, phase) in EVERY.iter().enumerate() {
        let version = format!("v{}", n + 2);
        let serving = server.pids("hello").await["web"];
        repo.commit(App::new(&version).slow_in(*phase).files(), &version);
        let deployment = server.deploy("hello").await;
        let met = server.reach(&deployment.id, *phase).await;
        if processes::is_alive(serving) {
            processes::kill9(serving);
        }
        active(server.end(&deployment.id).await);
        server.assert_serves("hello", "/", &version).await;
        server.settle("hello").await;
        assert_eq!(server.apps().len(), 1, "the serving app was killed in {met}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_app_and_of_its_supervisor() {
    let (server, repo, _) = on(Server::start().await, "hello").await;
    let restarted = async |server: &Server, old: i32| {
        wait_for("a new process", Duration::from_secs(30), async || {
            let answer = server.get("hello", "/pid").await;
            answer.ok().filter(|(status, pid)| *status == 200 && *pid != old.to_string())
        })
        .await;
    };
    let pid = server.pids("hello").await["web"];
    processes::kill9(pid);
    restarted(&server, pid).await;
    let instances = server.environment("hello").await.instances;
    assert!(instances.len() == 1 && instances[0].restarts >= 1, "{instances:#?}");

    // The version before dies while the next one is made: it is started again, and the next one wins as ever.
    repo.commit(App::new("v2").build("sleep 2").env("START_DELAY", "1").files(), "v2");
    let deployment = server.deploy("hello").await;
    for phase in [Phase::Building, Phase::HealthCheck] {
        server.reach(&deployment.id, phase).await;
        if let Some(pid) = server.pids("hello").await.get("web") {
            processes::kill9(*pid);
        }
    }
    // What was killed in the second round may have been either version; the deployment tells which.
    let ended = server.end(&deployment.id).await;
    let serving = if ended.phase == Phase::Active { "v2" } else { "v1" };
    wait_for("the version that the outcome tells", Duration::from_secs(30), async || {
        (server.get("hello", "/").await == Ok((200, serving.to_owned()))).then_some(())
    })
    .await;

    let pid = server.pids("hello").await["web"];
    let supervisor = parent(pid);
    processes::kill9(supervisor);
    restarted(&server, pid).await;
    wait_for("the end of the process without a supervisor", Duration::from_secs(30), async || {
        (!processes::is_alive(pid)).then_some(())
    })
    .await;
    server.assert_serves("hello", "/", serving).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_everything_at_once_as_a_power_cut_does() {
    let (mut server, _repo, _) = on(Server::start().await, "hello").await;
    server.kill9();
    processes::kill_marked(&server.data().display().to_string());
    server.restart().await;
    wait_for("the app to be back", Duration::from_secs(30), async || {
        (server.get("hello", "/").await == Ok((200, "v1".to_owned()))).then_some(())
    })
    .await;
}

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap()
}
