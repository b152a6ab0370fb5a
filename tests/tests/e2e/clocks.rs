//! Servers whose clocks differ: one is an hour ahead.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::phase::Phase;
use operations::deployments::{Deploy, DeployRequest};
use operations::environments::{Create, CreateRequest};
use plimsoll_tests::postgres::Postgres;
use plimsoll_tests::{App, Repo, Server, can_test, wait_for};

const LIMIT: Duration = Duration::from_secs(120);

/// Debian's libfaketime, which gives a process another clock.
fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|library| library.exists())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ordered_for_later_begins_by_the_clock_that_all_share() {
    let library = faketime();
    if !can_test(library.is_some(), "servers whose clocks differ: there is no libfaketime") {
        return;
    }
    let library = library.unwrap_or_default();
    let url = Postgres::shared().create_database();
    let database = ("PLIMSOLL_DATABASE_URL", url.as_str());
    let first = Server::start_with(&["--host", "one"], &[database]).await;
    let ahead = [
        database,
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME", "+1h"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ];
    let mut second = Server::stopped(&["--host", "two"], &ahead);
    std::fs::create_dir_all(second.data()).unwrap();
    std::fs::copy(first.data().join("master.key"), second.data().join("master.key")).unwrap();
    second.restart().await;
    assert!(second.log().contains("ahead of the database's"), "{}", second.log());

    let repo = Repo::new();
    repo.commit(App::new("v1").files(), "v1");
    first.create_app("hello", repo.source()).await;
    let (app, environment) = ("hello".parse().unwrap(), "staging".parse().unwrap());
    let request = CreateRequest { app, environment, host: Some("two".to_owned()) };
    second.client().call::<Create>(&request).await.unwrap();

    // Only the one ahead can begin it, whoever has taken the order.
    let before = Utc::now();
    let due = before + TimeDelta::seconds(20);
    let order = DeployRequest {
        app: "hello".parse().unwrap(),
        environment: "staging".parse().unwrap(),
        source: None,
        reference: None,
        plan: None,
        tags: Vec::new(),
        metadata: Default::default(),
        priority: Default::default(),
        not_before: Some(due),
        bypass_window: None,
    };
    let id = second.client().call::<Deploy>(&order).await.unwrap().id;
    let begun = wait_for("it to begin", LIMIT, async || {
        let deployment = first.deployment(&id).await;
        (deployment.phase != Phase::Queued).then(|| (deployment, Utc::now()))
    });
    let (deployment, at) = begun.await;
    assert!(at >= due, "it began {} s early", (due - at).num_seconds());
    let ordered = deployment.created_at;
    assert!(before - TimeDelta::seconds(2) <= ordered && ordered <= at, "{ordered} is no time of ours");
    let ended = first.end(&id).await;
    assert_eq!(ended.phase, Phase::Active, "{ended:#?}");
    let end = ended.finished_at.unwrap();
    assert!(due <= end && end <= Utc::now() + TimeDelta::seconds(2), "{end} is no time of ours");
}
