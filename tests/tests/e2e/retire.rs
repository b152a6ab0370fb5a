//! A deployment that is active, and can't clean up behind itself: it is told of like any other that goes on no more.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use domain::phase::Phase;
use operations::ErrorKind;
use operations::deployments::{Cancel, DeploymentRequest};
use operations::diagnosis::{DeploymentState, Diagnose, DiagnoseRequest};
use plimsoll_tests::flow::{active, refused};
use plimsoll_tests::server::free_address;
use plimsoll_tests::{App, Repo, Server, http, wait_for};

use crate::upgrade::begun_by;

const LIMIT: Duration = Duration::from_secs(60);

/// An app that goes on when it is told to stop, until `go` is there.
fn that_stays(go: &Path) -> Vec<(&'static str, String)> {
    let stay = format!(
        "target=lambda: (any(time.sleep(0.05) for _ in iter(Path({:?}).exists, True)), server.shutdown())",
        go.display().to_string()
    );
    let staying = |text: String| {
        text.replace("target=server.shutdown", &stay).replace("stop_timeout = \"5s\"", "stop_timeout = \"10m\"")
    };
    App::new("v1").files().into_iter().map(|(name, text)| (name, staying(text))).collect()
}

async fn metric(at: SocketAddr, name: &str) -> Option<f64> {
    let (_, text) = http::get(at, "x", "/metrics").await.unwrap();
    let of_it = |line: &str| line.rsplit_once(' ').filter(|(found, _)| *found == name)?.1.parse().ok();
    text.lines().find_map(of_it)
}

fn said(server: &Server, args: &[&str]) -> (Option<i32>, String) {
    let output = server.cli(args);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_active_and_stuck_in_cleaning_up_is_told_of_and_can_be_ended() {
    let beside = free_address();
    let mut server = Server::start_with(&["--metrics-listen", &beside.to_string()], &[]).await;
    let repo = Repo::new();
    let go = server.shared().join("go");
    repo.commit(that_stays(&go), "v1");
    server.create_app("hello", repo.source()).await;
    server.deploy_well("hello").await;
    repo.commit(App::new("v2").files(), "v2");
    let second = server.deploy_well("hello").await;

    // It cleans up, which is no trouble.
    let found = wait_for("it to clean up", LIMIT, async || {
        let all = server.client().call::<Diagnose>(&DiagnoseRequest { limit: 50 }).await.unwrap().items;
        let stage = |step: &operations::diagnosis::LastStep| step.stage.as_deref() == Some("retire");
        all.into_iter().find(|item| item.last_step.as_ref().is_some_and(stage) && item.heard_of_at.is_some())
    })
    .await;
    assert_eq!((&found.deployment, found.phase), (&second.id, Phase::Active));
    assert_eq!((found.state, &found.command), (DeploymentState::Working, &None));
    let (code, told) = said(&server, &["doctor"]);
    assert!(code == Some(0) && told.contains("active, cleaning up for"), "{told}");
    assert_eq!(metric(beside, r#"plimsoll_deployments_open{phase="active"}"#).await, Some(1.0));
    assert_eq!(metric(beside, "plimsoll_deployments_stuck").await, Some(0.0));
    let overview = server.cli_json(&["overview", "--json"]);
    assert_eq!((overview["running"].as_u64(), overview["needs_you"].as_array().map(Vec::len)), (Some(0), Some(0)));

    // It can't go on any more: the server that is started next does not know its steps.
    server.kill9();
    begun_by(&server, &second.id, 99);
    server.restart().await;
    let id = second.id.as_str();
    let stuck = wait_for("it to be stuck", LIMIT, async || server.deployment(&second.id).await.stuck).await;
    assert!(stuck.contains("version 99"), "{stuck}");
    assert_eq!(server.deployment(&second.id).await.phase, Phase::Active, "it serves");
    let (code, told) = said(&server, &["doctor", "--json"]);
    assert_eq!(code, Some(10), "{told}");
    for part in ["active, stuck in cleaning up", &format!("plimsoll resume {id}"), &format!("plimsoll abandon {id}")] {
        assert!(told.contains(part), "`{part}` is not in {told}");
    }
    assert_eq!(metric(beside, "plimsoll_deployments_stuck").await, Some(1.0));
    let overview = server.cli_json(&["overview", "--json"]);
    let need = &overview["needs_you"][0];
    assert_eq!((need["kind"].as_str(), need["deployment"].as_str()), (Some("stuck"), Some(id)), "{overview:#}");
    let (_, list) = said(&server, &["deployments", "list"]);
    assert!(list.contains("stuck"), "{list}");
    let cancelled = server.client().call::<Cancel>(&DeploymentRequest { deployment: second.id.clone() }).await;
    let cancelled = refused(cancelled);
    assert!(cancelled.code == ErrorKind::Conflict && cancelled.detail.contains("is stuck"), "{cancelled:?}");

    // Nothing is taken away that can't be taken away whole.
    let before = server.apps();
    assert_eq!(before.len(), 2, "v1 stays");
    for delete in
        [&["apps", "delete", "hello", "--yes"][..], &["envs", "delete", "production", "--app", "hello", "--yes"]]
    {
        let (code, told) = said(&server, delete);
        assert!(code == Some(4) && told.contains(&format!("plimsoll abandon {id}")), "{told}");
        server.assert_serves("hello", "/", "v2").await;
        assert_eq!(server.apps(), before);
    }

    // Its environment is the next one's once somebody has ended it.
    repo.commit(App::new("v3").files(), "v3");
    let next = server.deploy("hello").await;
    assert_eq!(server.deployment(&next.id).await.metadata.waiting_for, Some(format!("{id} to finish")));
    fs::write(go, "").unwrap();
    let (code, told) = said(&server, &["abandon", id, "--yes"]);
    assert!(code == Some(0) && told.contains("it is active now"), "{told}");
    let ended = server.deployment(&second.id).await;
    assert_eq!((ended.phase, &ended.stuck), (Phase::Active, &None), "{ended:#?}");
    assert_eq!(ended.metadata.abandoned.unwrap().by, "local");
    assert_eq!(metric(beside, "plimsoll_deployments_stuck").await, Some(0.0));
    active(server.end(&next.id).await);
    server.assert_serves("hello", "/", "v3").await;
    server.settle("hello").await;
    wait_for("nothing to be at work", LIMIT, async || {
        let all = server.client().call::<Diagnose>(&DiagnoseRequest { limit: 50 }).await.unwrap().items;
        all.is_empty().then_some(())
    })
    .await;
}
