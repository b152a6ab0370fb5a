//! From a repository to a URL that answers.

use domain::phase::Phase;
use plimsoll_tests::{App, Repo, Server};

use crate::{load, with_app};

/// The phases that every deployment of a process passes; others may stand between them.
const PASSED: [Phase; 7] = [
    Phase::Queued,
    Phase::PullingSource,
    Phase::Building,
    Phase::CopyingFiles,
    Phase::UpdatingRoutes,
    Phase::HealthCheck,
    Phase::Active,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_process_from_git_is_built_routed_and_replaced_without_loss() {
    let server = Server::start().await;
    let repo = Repo::new();
    repo.commit([("README.md", "hello\n")], "begin");
    let first = repo.commit(App::new("v1").files(), "the first version");
    server.create_app("hello", repo.source()).await;
    let deployed = server.deploy_well("hello").await;
    server.assert_serves("hello", "/", "v1").await;

    let commit = deployed.metadata.commit.clone().unwrap();
    assert_eq!(
        (commit.sha.as_str(), commit.summary.as_str(), commit.author.as_str()),
        (&*first, "the first version", "Tester")
    );
    assert_eq!(deployed.release_number, Some(1));
    assert!(deployed.metadata.urls.iter().any(|url| url.contains("hello.localhost")), "{:?}", deployed.metadata);
    assert_eq!(deployed.progress, 100);
    let phases = server.phases(&deployed.id).await;
    assert!(phases.is_sorted(), "{phases:?}");
    assert!(PASSED.iter().all(|phase| phases.contains(phase)), "{phases:?}");
    assert!(deployed.phases.iter().all(|p| p.finished_at.is_some_and(|end| end >= p.started_at)), "{deployed:#?}");

    let load = load(&server, "hello");
    load.go_on(10).await;
    repo.commit(App::new("v2").files(), "v2");
    let second = server.deploy_well("hello").await;
    load.go_on(20).await;
    let tally = load.stop();
    tally.assert_none_lost();
    assert_eq!(tally.distinct(), ["v1", "v2"]);
    assert!(second.generation > deployed.generation);

    // The same commit again is the same release.
    let again = server.deploy_well("hello").await;
    assert_eq!(again.release, second.release);
    let by_commit = server.try_deploy("hello", Some(&first)).await.unwrap();
    let by_commit = plimsoll_tests::flow::active(server.end(&by_commit.id).await);
    assert_eq!(by_commit.release, deployed.release);
    server.assert_serves("hello", "/", "v1").await;

    let releases = server.releases("hello").await;
    assert_eq!(releases.iter().map(|r| r.release.number).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(releases[1].active_in.iter().map(ToString::to_string).collect::<Vec<_>>(), ["production"]);
    assert!(releases[0].active_in.is_empty());
    // Both have served there, and can be gone back to; there is no other place.
    assert!(releases.iter().all(|r| r.served_in.iter().map(ToString::to_string).eq(["production"])));
    let list = |served_in: &str| operations::releases::ListRequest {
        app: "hello".parse().unwrap(),
        served_in: Some(served_in.parse().unwrap()),
        cursor: None,
        limit: 1,
    };
    let page = server.client().call::<operations::releases::List>(&list("production")).await.unwrap();
    assert_eq!((page.items.as_slice(), page.next.as_deref()), (&releases[..1], Some("2")));
    let nowhere = server.client().call::<operations::releases::List>(&list("staging")).await.unwrap_err();
    assert!(nowhere.to_string().contains("staging"), "{nowhere}");
    assert_ne!(releases[0].release.digest, releases[1].release.digest);

    let environment = server.environment("hello").await;
    assert_eq!(environment.active.unwrap().release_number, 1);
    assert!(environment.in_progress.is_empty());
    assert!(environment.traffic.iter().map(|t| t.requests).sum::<u64>() >= 30, "{:?}", environment.traffic);
    server.settle("hello").await;
    assert_eq!(server.apps(), server.pids("hello").await.into_values().collect::<Vec<_>>(), "one process is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_site_goes_live_by_the_command_line_alone() {
    let server = Server::start().await;
    let repo = Repo::new();
    repo.commit([("index.html", "<h1>one</h1>")], "one");
    repo.commit([("index.html", "<h1>two</h1>"), ("about/index.html", "about")], "two");
    let git = repo.path().display().to_string();
    let deployed = server.cli(&["deploy", "site", "--git", &git]);
    let told = String::from_utf8_lossy(&deployed.stdout).into_owned() + &String::from_utf8_lossy(&deployed.stderr);
    assert!(deployed.status.success(), "{told}");
    assert!(told.contains("site.localhost"), "{told}");
    server.assert_serves("site", "/", "<h1>two</h1>").await;
    server.assert_serves("site", "/about/", "about").await;
    assert_eq!(server.get("site", "/nothing-here").await.unwrap().0, 404);

    let load = load(&server, "site");
    repo.commit([("index.html", "<h1>three</h1>")], "three");
    assert!(server.cli(&["deploy", "site"]).status.success());
    load.go_on(20).await;
    let tally = load.stop();
    tally.assert_none_lost();
    assert_eq!(tally.distinct(), ["<h1>two</h1>", "<h1>three</h1>"]);

    let status = server.cli_json(&["status", "--json"]).to_string();
    assert!(status.contains("\"site\"") && status.contains("site.localhost"), "{status}");
    let releases = server.cli_json(&["releases", "list", "--app", "site", "--json"]).to_string();
    assert!(releases.contains("\"number\":2") && releases.contains("\"number\":1"), "{releases}");
}

#[tokio::test(flavor = "multi_thread")]
async fn environments_of_an_app_stand_apart_and_end_apart() {
    let (server, repo, _) = with_app("hello").await;
    assert!(server.cli(&["envs", "create", "--app", "hello", "staging"]).status.success());
    repo.commit(App::new("v2").files(), "v2");
    let staged = server.cli(&["deploy", "hello", "--env", "staging"]);
    assert!(staged.status.success(), "{}", String::from_utf8_lossy(&staged.stderr));
    server.assert_serves("hello", "/", "v1").await;
    server.assert_serves("hello-staging", "/", "v2").await;

    server.settle("hello").await;
    let gone = server.cli(&["apps", "delete", "hello", "--yes"]);
    assert!(gone.status.success(), "{}", String::from_utf8_lossy(&gone.stderr));
    for host in ["hello", "hello-staging"] {
        assert_eq!(server.get(host, "/").await.unwrap().0, 404, "{host}");
    }
    assert!(server.apps().is_empty(), "{:?}", server.apps());
}
