//! Another binary takes the place of the one that runs.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use domain::DeploymentId;
use domain::event::EventKind;
use domain::phase::Phase;
use operations::deployments::{Abandon, DeploymentRequest, Resume};
use plimsoll_tests::flow::{active, refused};
use plimsoll_tests::server::binary;
use plimsoll_tests::{App, Repo, Server, processes, wait_for};

use crate::load;

const LIMIT: Duration = Duration::from_secs(60);

/// The version of Plimsoll's own steps by which a deployment goes, in what the stopped server has written.
pub(crate) fn begun_by(server: &Server, deployment: &DeploymentId, version: u32) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/upgrade/begun_by.py");
    let mut python = Command::new("python3");
    python.arg(script).arg(server.data().join("plimsoll.db")).args([deployment.as_str(), &version.to_string()]);
    let done = python.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Runs a statement on the database of the stopped server.
pub(crate) fn sql(server: &Server, statement: &str) {
    let script = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as c: c.execute(sys.argv[2])";
    let database = server.data().join("plimsoll.db");
    let done = Command::new("python3").args(["-c", script]).arg(database).arg(statement).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_binary_takes_over_and_apps_notice_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let installed = dir.path().join("plimsoll");
    fs::copy(binary(), &installed).unwrap();
    let mut server = Server::stopped(&[], &[]);
    server.use_binary(installed.clone());
    server.restart().await;
    let repo = Repo::new();
    repo.commit(App::new("v1").files(), "v1");
    server.create_app("shop", repo.source()).await;
    server.deploy_well("shop").await;
    let (apps, visitors) = (server.apps(), load(&server, "shop"));
    visitors.go_on(20).await;

    // As a package manager does it: a new file takes the name of the old one, which runs on.
    let next = dir.path().join("plimsoll.new");
    fs::copy(binary(), &next).unwrap();
    fs::File::options().append(true).open(&next).unwrap().write_all(b"of another build").unwrap();
    fs::rename(&next, &installed).unwrap();
    server.stop();
    server.restart().await;
    visitors.go_on(20).await;
    let tally = visitors.stop();
    tally.assert_none_lost();
    assert_eq!(tally.distinct(), ["v1"], "{tally}");
    assert_eq!(server.apps(), apps, "the same processes");
    let running = fs::read_link(format!("/proc/{}/exe", server.pid())).unwrap();
    assert_eq!(running, installed, "and not the deleted one");

    // The old supervisors are the new server's.
    processes::kill9(apps[0]);
    wait_for("the app to be started again", LIMIT, async || {
        server.apps().first().filter(|pid| **pid != apps[0]).map(drop)
    })
    .await;
    repo.commit(App::new("v2").files(), "v2");
    server.deploy_well("shop").await;
    server.assert_serves("shop", "/", "v2").await;
    server.settle("shop").await;
    let versions = server.cli_json(&["version", "--json"]);
    assert_eq!(versions["version"], versions["server"]["version"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_another_version_has_begun_is_stuck_until_that_one_is_back() {
    let (mut server, repo, _) = crate::with_app("hello").await;
    let gate = server.shared().join("go");
    let build = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
    repo.commit(App::new("v2").build(&build).files(), "v2");
    let id = server.deploy("hello").await.id;
    server.reach(&id, Phase::Building).await;
    server.stop();
    begun_by(&server, &id, 99);
    server.restart().await;

    let stuck = wait_for("it to be stuck", LIMIT, async || server.deployment(&id).await.stuck).await;
    assert!(stuck.contains("this version of Plimsoll") && stuck.contains("version 99"), "{stuck}");
    let told = server.events(&id).await;
    assert_eq!(told.iter().filter(|event| matches!(event.kind, EventKind::DeploymentStuck { .. })).count(), 1);
    let doctor = String::from_utf8(server.cli(&["doctor", "--json"]).stdout).unwrap();
    for command in ["resume", "abandon"] {
        assert!(doctor.contains(&format!("plimsoll {command} {id}")), "{doctor}");
    }
    let resume = DeploymentRequest { deployment: id.clone() };
    let again = refused(server.client().call::<Resume>(&resume).await);
    assert!(again.status == 409 && again.detail.contains("version 99"), "{again:?}");
    server.assert_serves("hello", "/", "v1").await;

    server.stop();
    begun_by(&server, &id, 1);
    server.restart().await;
    assert!(server.deployment(&id).await.stuck.is_some(), "it waits for an operator");
    server.client().call::<Resume>(&resume).await.unwrap();
    fs::write(gate, "").unwrap();
    active(server.end(&id).await);
    server.assert_serves("hello", "/", "v2").await;

    // Where that version does not come back, one that it has begun is abandoned, and the next has the environment for itself.
    repo.commit(App::new("v3").build("sleep 600").files(), "v3");
    let id = server.deploy("hello").await.id;
    server.reach(&id, Phase::Building).await;
    server.stop();
    begun_by(&server, &id, 99);
    server.restart().await;
    wait_for("it to be stuck", LIMIT, async || server.deployment(&id).await.stuck).await;
    let told = server.cli(&["abandon", id.as_str(), "--yes"]);
    assert!(told.status.success(), "{told:?}");
    let ended = server.deployment(&id).await;
    assert_eq!((ended.phase, &ended.stuck), (Phase::Failed, &None), "{ended:#?}");
    assert!(ended.failure.unwrap().message.contains("abandoned by"));
    server.assert_serves("hello", "/", "v2").await;
    let again = refused(server.client().call::<Abandon>(&DeploymentRequest { deployment: id }).await);
    assert!(again.status == 409 && again.detail.contains("not stuck"), "{again:?}");
    repo.commit(App::new("v4").files(), "v4");
    server.deploy_well("hello").await;
    server.assert_serves("hello", "/", "v4").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_does_not_start_on_the_tables_of_a_newer_one() {
    let (mut server, _repo, _) = crate::with_app("hello").await;
    server.stop();
    sql(&server, "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 0)");
    let refused = server.server_command().output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(8), "{said}");
    assert!(said.contains("newer Plimsoll") && said.contains("m9999_future"), "{said}");
    // Apps are none of its business then.
    server.assert_serves("hello", "/", "v1").await;
    sql(&server, "DELETE FROM seaql_migrations WHERE version = 'm9999_future'");
    server.restart().await;
    server.assert_serves("hello", "/", "v1").await;
}
