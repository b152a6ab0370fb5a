//! Back to an earlier release, and never back by accident.

use std::time::{Duration, Instant};

use domain::deployment::DeploymentKind;
use domain::failure::Cause;
use domain::phase::Phase;
use operations::error::ErrorKind;
use plimsoll_tests::flow::{active, refused};
use plimsoll_tests::{App, Repo, Server};

use crate::{load, with_app};

/// Three versions with a variable that changed, a failed one, and back: to the last good one, then to a named one.
pub(crate) async fn there_and_back(server: &Server) {
    let repo = Repo::new();
    server.create_app("hello", repo.source()).await;
    for version in ["v1", "v2", "v3"] {
        // A build that can't go on is noticed if a rollback builds.
        repo.commit(App::new(version).build("sleep 1").files(), version);
        server.set_variables("hello", &[("GREETING", &format!("ahoy from {version}"))]).await;
        server.deploy_well("hello").await;
    }
    repo.commit(App::new("v4").build("exit 1").files(), "v4");
    assert_eq!(server.deploy_to_end("hello").await.phase, Phase::Failed);
    server.assert_serves("hello", "/env/GREETING", "ahoy from v3").await;

    let load = load(server, "hello");
    for (release, version) in [(None, "v2"), (Some(1), "v1"), (Some(3), "v3")] {
        let began = Instant::now();
        let rollback = server.rollback("hello", release).await.unwrap();
        assert_eq!(rollback.kind, DeploymentKind::Rollback);
        let rollback = active(server.end(&rollback.id).await);
        assert!(began.elapsed() < Duration::from_secs(60), "it took {:?}", began.elapsed());
        assert!(!server.phases(&rollback.id).await.contains(&Phase::Building));
        server.assert_serves("hello", "/", version).await;
        server.assert_serves("hello", "/env/GREETING", &format!("ahoy from {version}")).await;
        let number: u32 = version[1..].parse().unwrap();
        assert_eq!(rollback.release_number, Some(number));
        assert_eq!(server.environment("hello").await.active.unwrap().release_number, number);
        load.go_on(5).await;
    }
    let tally = load.stop();
    tally.assert_none_lost();
    assert_eq!(tally.distinct(), ["v3", "v2", "v1"]);
    assert_eq!(server.releases("hello").await.len(), 3, "nothing was built, and the failed one left none");
    assert_eq!(refused(server.rollback("hello", Some(99)).await).code, ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_brings_code_and_variables_back_without_building() {
    let server = Server::start().await;
    there_and_back(&server).await;
    let back = server.cli(&["rollback", "--app", "hello", "v1"]);
    assert!(back.status.success(), "{}", String::from_utf8_lossy(&back.stderr));
    server.assert_serves("hello", "/", "v1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_nothing_before_the_first_release() {
    let (server, _repo, _) = with_app("hello").await;
    assert_eq!(refused(server.rollback("hello", None).await).code, ErrorKind::Conflict);
    server.assert_serves("hello", "/", "v1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_deployment_whose_turn_comes_later_does_not_win() {
    let (server, repo, _) = with_app("hello").await;
    let load = load(&server, "hello");
    let gate = server.shared().join("gate");
    repo.commit(
        App::new("slow").build(&format!("while [ ! -e {} ]; do sleep 0.1; done", gate.display())).files(),
        "slow",
    );
    let slow = server.deploy("hello").await;
    server.reach(&slow.id, Phase::Building).await;
    repo.commit(App::new("v2").files(), "v2");
    // Both wait for the one at work; the newer one matters more.
    let older = server.deploy("hello").await;
    let newer = server.cli_json(&["deploy", "hello", "--priority", "critical", "--detach", "--json"]);
    let newer = server.deployment(&newer["id"].as_str().unwrap().parse().unwrap()).await;
    assert!(newer.generation > older.generation);
    let waits = |id: &domain::DeploymentId| Some(format!("{id} to finish"));
    assert_eq!(server.deployment(&older.id).await.metadata.waiting_for, waits(&slow.id));
    let queue = server.cli_json(&["queue", "list", "--json"]);
    let order: Vec<_> = queue["items"].as_array().unwrap().iter().map(|e| e["deployment"].as_str().unwrap()).collect();
    assert_eq!(order, [newer.id.as_str(), older.id.as_str()]);

    std::fs::write(gate, "").unwrap();
    active(server.end(&slow.id).await);
    active(server.end(&newer.id).await);
    let older = server.end(&older.id).await;
    let failure = older.failure.clone().unwrap();
    assert_eq!((older.phase, failure.cause), (Phase::Failed, Cause::Superseded), "{failure:#?}");
    assert_eq!(server.phases(&older.id).await, [Phase::Queued, Phase::Failed], "it was not begun");
    load.go_on(20).await;
    let tally = load.stop();
    tally.assert_none_lost();
    assert_eq!(tally.distinct(), ["v1", "slow", "v2"]);
    assert_eq!(server.environment("hello").await.active.unwrap().deployment, newer.id);
    server.assert_nothing_left("hello", &older.id).await;
}
