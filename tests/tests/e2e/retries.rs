//! What may pass by itself is tried again, what is wrong with the app is not.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use domain::DeploymentId;
use domain::deployment::Deployment;
use domain::event::EventKind;
use domain::failure::Cause;
use domain::phase::Phase;
use domain::source::Source;
use plimsoll_tests::{App, Repo, Server};

use crate::with_app;

/// A repository behind a web server that has troubles of its own.
struct Remote {
    child: Child,
    source: Source,
}

impl Remote {
    /// The first `away` requests are answered with 503. An attempt that gets one makes no other.
    fn start(repo: &Repo, away: u32) -> Self {
        // Plain files are all that it serves: git finds its way by what this writes.
        repo.git(&["update-server-info"]);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/retries/away.py");
        let mut child = Command::new("python3")
            .args([script, &away.to_string()])
            .current_dir(repo.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let url = format!("http://127.0.0.1:{}/.git", port.trim());
        Self { child, source: Source::Git { url, reference: Some("main".to_owned()) } }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the events say of failed steps: the phase, and whether the step is tried again.
async fn failed_steps(server: &Server, id: &DeploymentId) -> Vec<(Phase, bool)> {
    let events = server.events(id).await;
    events
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::StepFailed { phase, will_retry, .. } => Some((phase, will_retry)),
            _ => None,
        })
        .collect()
}

/// The one deployment there is.
async fn only(server: &Server) -> Deployment {
    let listed = server.cli_json(&["deployments", "--json", "list"]);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    server.deployment(&listed["items"][0]["id"].as_str().unwrap().parse().unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_back_before_the_last_attempt_is_deployed() {
    let server = Server::start().await;
    let repo = Repo::new();
    repo.commit(App::new("v1").files(), "v1");
    let remote = Remote::start(&repo, 2);
    server.create_app("hello", remote.source.clone()).await;
    let output = server.cli(&["deploy", "hello"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(told.matches("trying again").count(), 2, "{told}");
    assert!(told.contains("can't be reached") && told.contains("503"), "{told}");
    let deployment = only(&server).await;
    assert_eq!((deployment.phase, deployment.failure), (Phase::Active, None));
    let expected = [(Phase::PullingSource, true), (Phase::PullingSource, true)];
    assert_eq!(failed_steps(&server, &deployment.id).await, expected);
    server.assert_serves("hello", "/", "v1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_stays_away_is_given_up_after_the_third_attempt() {
    let server = Server::start().await;
    let repo = Repo::new();
    repo.commit(App::new("v1").files(), "v1");
    let remote = Remote::start(&repo, u32::MAX);
    server.create_app("hello", remote.source.clone()).await;
    let deployment = server.deploy_to_end("hello").await;
    assert_eq!(deployment.phase, Phase::Failed, "{deployment:#?}");
    let failure = deployment.failure.unwrap();
    assert_eq!((failure.cause, failure.phase), (Cause::Source, Phase::PullingSource), "{failure:#?}");
    assert!(failure.message.contains("can't be reached"), "{failure:#?}");
    let pulling = Phase::PullingSource;
    let expected = [(pulling, true), (pulling, true), (pulling, false)];
    assert_eq!(failed_steps(&server, &deployment.id).await, expected);
    server.assert_nothing_left("hello", &deployment.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_tried_once() {
    let (server, repo, _) = with_app("hello").await;
    let tries = server.shared().join("tries");
    let build = format!("echo one >> {}; exit 7", tries.display());
    repo.commit(App::new("v2").build(&build).files(), "bad");
    let deployment = server.deploy_to_end("hello").await;
    assert_eq!(deployment.failure.map(|failure| failure.cause), Some(Cause::Build));
    assert_eq!(failed_steps(&server, &deployment.id).await, [(Phase::Building, false)]);
    assert_eq!(std::fs::read_to_string(tries).unwrap(), "one\n", "the command ran once");
    server.assert_serves("hello", "/", "v1").await;
}
