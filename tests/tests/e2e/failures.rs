//! A deployment that fails: the version before serves on as if nothing had been.

use domain::deployment::Deployment;
use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use domain::queue::Priority;
use operations::deployments::{Deploy, DeployRequest};
use plimsoll_tests::flow::active;
use plimsoll_tests::{App, Repo, Server};

use crate::{load, with_app};

/// Deploys `bad` over a version that serves, under load, and checks what must hold after any failure.
async fn fails(bad: App, phase: Phase, said: &str, in_hand: usize) -> (Deployment, Failure) {
    let (server, repo, good) = with_app("hello").await;
    let pids = server.pids("hello").await;
    let load = load(&server, "hello");
    load.go_on(5).await;
    repo.commit(bad.files(), "bad");
    let failed = server.deploy_to_end("hello").await;
    load.go_on(20).await;
    let tally = load.stop();

    assert!(matches!(failed.phase, Phase::Failed | Phase::RolledBack), "{failed:#?}");
    let failure = failed.failure.clone().unwrap_or_else(|| panic!("it says nothing: {failed:#?}"));
    assert_eq!(failure.phase, phase, "{failure:#?}");
    assert!(failure.output.iter().any(|line| line.contains(said)), "`{said}` is not in {failure:#?}");
    assert!(failure.output.len() <= 20 && !failure.message.is_empty() && !failure.hint.is_empty(), "{failure:#?}");
    assert_eq!(server.phases(&failed.id).await.last(), Some(&failed.phase), "the last event is the end");

    // What a process had in hand when it died can't be saved, and nothing else is lost with it.
    assert!(tally.lost().len() <= in_hand, "{tally}");
    let answered = tally.versions();
    match failed.phase {
        Phase::RolledBack => assert_eq!((answered.first(), answered.last()), (Some(&"v1"), Some(&"v1")), "{tally}"),
        _ => assert_eq!(answered, ["v1"], "{tally}"),
    }
    assert_eq!(server.pids("hello").await, pids, "the version before is the same process");
    assert_eq!(server.environment("hello").await.active.unwrap().deployment, good.id);
    server.assert_nothing_left("hello", &failed.id).await;

    // And the next good one works.
    repo.commit(App::new("v3").files(), "good");
    server.deploy_well("hello").await;
    server.assert_serves("hello", "/", "v3").await;
    (failed, failure)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails() {
    let bad = App::new("v2").build("echo hoisting; echo no sail in the locker >&2; exit 7");
    let (failed, failure) = fails(bad, Phase::Building, "no sail in the locker", 0).await;
    assert_eq!((failure.cause, failed.phase), (Cause::Build, Phase::Failed));
    assert!(failure.message.contains('7'), "{failure:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_command_that_fails() {
    let bad = App::new("v2").release("echo table ships is locked >&2; exit 4");
    let (failed, failure) = fails(bad, Phase::Migrating, "table ships is locked", 0).await;
    assert_eq!((failure.cause, failed.phase), (Cause::ReleaseCommand, Phase::Failed));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_does_not_start() {
    let (failed, failure) =
        fails(App::new("v2").env("EXIT_AT_START", "1"), Phase::HealthCheck, "can't find the moon", 0).await;
    assert_eq!((failure.cause, failed.phase), (Cause::Start, Phase::Failed));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_does_not_become_healthy() {
    let (failed, failure) =
        fails(App::new("v2").env("UNHEALTHY", "1").grace("15s"), Phase::HealthCheck, "version v2 listens", 0).await;
    assert_eq!((failure.cause, failed.phase), (Cause::HealthCheck, Phase::Failed));
    assert!(failure.message.contains("500"), "{failure:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_crashes_between_two_requests_after_the_cutover() {
    let bad = App::new("v2").env("CRASH", "quietly");
    let (failed, failure) = fails(bad, Phase::HealthCheck, "the mast is broken", 0).await;
    assert_eq!((failure.cause, failed.phase), (Cause::Start, Phase::RolledBack), "{failure:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_crashes_in_the_middle_of_a_request_after_the_cutover() {
    let bad = App::new("v2").env("CRASH", "loudly");
    let (failed, failure) = fails(bad, Phase::HealthCheck, "the mast is broken", 3).await;
    assert_eq!((failure.cause, failed.phase), (Cause::Start, Phase::RolledBack), "{failure:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_deployment_of_all_fails_and_the_command_line_says_why() {
    let server = plimsoll_tests::Server::start().await;
    let repo = plimsoll_tests::Repo::new();
    repo.commit(App::new("v1").build("echo no sail in the locker >&2; exit 7").files(), "bad");
    server.create_app("hello", repo.source()).await;
    let output = server.cli(&["deploy", "hello"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{told}");
    for part in ["no sail in the locker", "build", "try:"] {
        assert!(told.contains(part), "`{part}` is not in\n{told}");
    }
    assert_eq!(server.get("hello", "/").await.unwrap().0, 404);
    let listed = server.cli_json(&["deployments", "--json", "list"]);
    let id = listed["items"][0]["id"].as_str().unwrap().parse().unwrap();
    server.assert_nothing_left("hello", &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_let_go_first_and_failed_takes_nobody_along() {
    let (server, repo, _) = with_app("hello").await;
    let gate = server.shared().join("go");
    let waits = App::new("v2").build(&format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display()));
    let at_work = order(&server, &repo.commit(waits.files(), "v2"), Priority::Normal).await;
    // In the order of asking; the last one goes first, comes as far as its start, and fails there.
    let mut good = Vec::new();
    for version in ["v3", "v4"] {
        good.push(order(&server, &repo.commit(App::new(version).files(), version), Priority::Normal).await);
    }
    let bad = App::new("v5").env("UNHEALTHY", "1").grace("1s");
    let bad = order(&server, &repo.commit(bad.files(), "v5"), Priority::High).await;
    std::fs::write(gate, "").unwrap();
    active(server.end(&at_work.id).await);
    assert_eq!(server.end(&bad.id).await.phase, Phase::Failed);
    for deployment in &good {
        active(server.end(&deployment.id).await);
    }
    server.assert_serves("hello", "/", "v4").await;
    server.settle("hello").await;
    assert_eq!(server.apps().len(), 1);
    // Whoever comes now is newer than all of them; and what is brought back is what serves.
    repo.commit(App::new("v6").files(), "v6");
    server.deploy_well("hello").await;
    server.assert_serves("hello", "/", "v6").await;
}

async fn order(server: &Server, commit: &str, priority: Priority) -> Deployment {
    let request = DeployRequest {
        app: "hello".parse().unwrap(),
        environment: "production".parse().unwrap(),
        source: None,
        reference: Some(commit.to_owned()),
        tags: Vec::new(),
        metadata: Default::default(),
        priority,
        not_before: None,
        bypass_window: None,
        plan: None,
    };
    server.client().call::<Deploy>(&request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_app_answers_where_people_call_the_server() {
    let server = Server::start_with(&["--public-url", "https://deploy.example.org"], &[]).await;
    let repo = plimsoll_tests::Repo::new();
    let routed =
        |host: &str| format!("[components.web]\nkind = \"static\"\nroutes = [{{ host = \"{host}\", path = \"/\" }}]\n");
    repo.commit([("index.html", "<h1>one</h1>".to_owned()), ("plimsoll.toml", routed("localhost"))], "begin");
    server.create_app("shop", repo.source()).await;
    for host in ["localhost", "127.0.0.1", "deploy.example.org"] {
        repo.commit([("plimsoll.toml", routed(host)), ("why", host.to_owned())], "there");
        let failed = server.deploy_to_end("shop").await;
        let failure = failed.failure.unwrap_or_else(|| panic!("{host} was taken"));
        assert_eq!((failure.cause, failure.phase), (Cause::Configuration, Phase::UpdatingRoutes), "{failure:#?}");
        assert!(failure.message.contains(host) && failure.hint.contains("another host"), "{failure:#?}");
    }
    repo.commit([("plimsoll.toml", routed("shop.deploy.example.org"))], "below");
    server.deploy_well("shop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_would_become_too_large() {
    let server = Server::start_with(&["--max-unpacked", "8MiB"], &[]).await;
    let repo = Repo::new();
    repo.commit(App::new("v1").files(), "v1");
    server.create_app("hello", repo.source()).await;
    server.deploy_well("hello").await;
    let zeros = vec![0_u8; 1 << 20];
    repo.commit((0..20).map(|n| (format!("copies/{n}"), &zeros)), "one blob under twenty names");
    let failed = server.deploy_to_end("hello").await;
    let failure = failed.failure.clone().unwrap();
    assert_eq!(
        (failed.phase, failure.phase, failure.cause),
        (Phase::Failed, Phase::PullingSource, Cause::Source),
        "{failure:#?}"
    );
    assert!(failure.message.contains("where 8MiB are allowed"), "{failure:#?}");
    assert!(failure.hint.contains("raise the limit"), "{failure:#?}");
    server.assert_nothing_left("hello", &failed.id).await;
    server.assert_serves("hello", "/", "v1").await;
}
