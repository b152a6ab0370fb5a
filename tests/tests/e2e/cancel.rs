//! A cancel takes a deployment back, wherever it is.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use domain::DeploymentId;
use domain::failure::Cause;
use domain::phase::Phase;
use domain::source::Source;
use operations::deployments::{Deploy, DeployRequest};
use operations::error::ErrorKind;
use plimsoll_tests::flow::refused;
use plimsoll_tests::{App, RawLoad, Repo, Server};

use crate::{load, on, with_app};

/// Cancels a deployment of `hello` that is in `phase`, and checks that nothing of it is left.
async fn cancelled_in(server: &Server, load: RawLoad, id: &DeploymentId, phase: Phase) {
    assert_eq!(server.reach(id, phase).await, phase);
    let began = Instant::now();
    server.cancel(id).await.unwrap();
    let ended = server.end(id).await;
    assert!(began.elapsed() < Duration::from_secs(45), "it took {:?}", began.elapsed());
    assert_eq!(ended.phase, Phase::Cancelled, "{ended:#?}");
    let failure = ended.failure.clone();
    assert!(failure.as_ref().is_none_or(|failure| failure.cause == Cause::Cancelled), "{failure:#?}");
    load.go_on(10).await;
    let tally = load.stop();
    tally.assert_none_lost();
    assert_eq!(tally.distinct(), ["v1"]);
    server.assert_nothing_left("hello", id).await;
    assert_eq!(refused(server.cancel(id).await).code, ErrorKind::Conflict, "it has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_queue() {
    let (server, _repo, _) = on(Server::start_with(&["--workers", "1"], &[]).await, "hello").await;
    let other = Repo::new();
    other.commit(App::new("slow").build("sleep 60").files(), "slow");
    server.create_app("slow", other.source()).await;
    let slow = server.deploy("slow").await;
    server.reach(&slow.id, Phase::Building).await;

    let load = load(&server, "hello");
    let waiting = server.deploy("hello").await;
    cancelled_in(&server, load, &waiting.id, Phase::Queued).await;
    // The one at work is not touched by it, and goes as fast when it is told to.
    assert_eq!(server.deployment(&slow.id).await.phase, Phase::Building);
    server.cancel(&slow.id).await.unwrap();
    assert_eq!(server.end(&slow.id).await.phase, Phase::Cancelled);
    server.assert_nothing_left("slow", &slow.id).await;

    // Apps take turns, but for what was moved to the first place.
    let slow = server.deploy("slow").await;
    server.reach(&slow.id, Phase::Building).await;
    let deploy_to = |name: &str| -> DeploymentId {
        assert!(server.cli(&["envs", "create", "--app", "slow", name]).status.success());
        let told = server.cli_json(&["deploy", "slow", "--env", name, "--detach", "--json"]);
        told["id"].as_str().unwrap().parse().unwrap()
    };
    let (first, second) = (deploy_to("staging"), deploy_to("qa"));
    let hello = server.deploy("hello").await;
    server.cancel(&slow.id).await.unwrap();
    server.reach(&first, Phase::Building).await;
    let moved = server.cli(&["queue", "move", second.as_str(), "--first"]);
    assert!(moved.status.success(), "{moved:?}");
    server.cancel(&first).await.unwrap();
    assert_eq!(server.reach(&second, Phase::Building).await, Phase::Building);
    assert_eq!(server.deployment(&hello.id).await.phase, Phase::Queued);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_source_is_pulled() {
    let (server, _repo, _) = with_app("hello").await;
    // A remote that accepts connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/hello.git", silent.local_addr().unwrap());
    let request = DeployRequest {
        app: "hello".parse().unwrap(),
        environment: "production".parse().unwrap(),
        source: Some(Source::Git { url, reference: None }),
        reference: None,
        plan: None,
        tags: Vec::new(),
        metadata: Default::default(),
        priority: Default::default(),
        not_before: None,
        bypass_window: None,
    };
    let load = load(&server, "hello");
    let pulling = server.client().call::<Deploy>(&request).await.unwrap();
    cancelled_in(&server, load, &pulling.id, Phase::PullingSource).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_built() {
    in_phase(App::new("v2").build("sleep 60 & sleep 60"), Phase::Building).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_its_release_command() {
    in_phase(App::new("v2").release("trap '' TERM; sleep 60; sleep 60"), Phase::Migrating).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_not_healthy_yet() {
    in_phase(App::new("v2").env("UNHEALTHY", "1").grace("60s"), Phase::HealthCheck).await;
}

async fn in_phase(slow: App, phase: Phase) {
    let (server, repo, _) = with_app("hello").await;
    repo.commit(slow.files(), "slow");
    let load = load(&server, "hello");
    let deployment = server.deploy("hello").await;
    cancelled_in(&server, load, &deployment.id, phase).await;
    // The way is free for the next one.
    repo.commit(App::new("v3").files(), "v3");
    server.deploy_well("hello").await;
    server.assert_serves("hello", "/", "v3").await;
}
