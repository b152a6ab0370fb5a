//! Another binary takes the place of the one that runs.

use std::fs;
use std::io::Write;

use plimsoll_tests::server::binary;
use plimsoll_tests::{App, Repo, Server, processes};

use crate::load;

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
    plimsoll_tests::wait_for("the app to be started again", std::time::Duration::from_secs(30), async || {
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
