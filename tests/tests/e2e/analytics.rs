//! How deployments went, what is kept of them, and those that come to a stand.

use std::time::{Duration, SystemTime};

use domain::DeploymentId;
use domain::deployment::DeploymentKind;
use domain::event::EventKind;
use domain::failure::Cause;
use domain::phase::Phase;
use operations::analytics::{Show, ShowRequest};
use operations::diagnosis::{DeploymentState, Diagnose, DiagnoseRequest, SetLimits, SetLimitsRequest};
use operations::error::ErrorKind;
use operations::overview::{self, Need};
use operations::retention::{self, SetRequest};
use operations::{deployments, releases};
use plimsoll_tests::flow::{active, refused};
use plimsoll_tests::{App, Server, wait_for};

use crate::{on, with_app};

/// Good, failed, taken back and rolled back: each is told as what it was.
#[tokio::test(flavor = "multi_thread")]
async fn figures_are_of_what_happened() {
    let (server, repo, first) = with_app("hello").await;
    let show = async |app: Option<&str>| {
        let since = "7d".parse().unwrap();
        let request = ShowRequest { app: app.map(|app| app.parse().unwrap()), environment: None, since };
        server.client().call::<Show>(&request).await.unwrap()
    };
    let one = show(Some("hello")).await;
    assert_eq!((one.changes.total, one.changes.active, one.dora.lead_time.count), (1, 1, 1));
    assert_eq!(one.changes.success_rate, Some(1.0));

    repo.commit(App::new("v2").build("exit 1").files(), "v2");
    let broken = server.deploy_to_end("hello").await;
    assert_eq!(broken.phase, Phase::Failed);
    let overview = async || server.client().call::<overview::Show>(&overview::ShowRequest::default()).await.unwrap();
    let seen = overview().await;
    let Need::Failed(trouble) = &seen.needs_you[0] else { panic!("{:?}", seen.needs_you) };
    assert_eq!((&trouble.deployment, trouble.app.as_str()), (&broken.id, "hello"));
    let production = &seen.apps[0].environments[0];
    assert_eq!(
        production.active.as_ref().map(|active| &active.deployment),
        Some(&first.id),
        "the one before serves on"
    );
    assert_eq!((production.working.as_ref(), production.queued, production.urls.len()), (None, 0, 1));
    assert!(production.instances.as_ref().is_some_and(|instances| instances.len() == 1));
    repo.commit(App::new("v3").files(), "v3");
    let second = server.deploy_well("hello").await;
    assert!(second.metadata.switched_at.is_some());
    assert!(second.release.is_some() && second.metadata.switched_to == second.release);
    assert_eq!(second.metadata.previous_release, first.release);
    assert_eq!(overview().await.needs_you, [], "it is well again");
    let back = server.rollback("hello", None).await.unwrap();
    active(server.end(&back.id).await);
    // The same commit again is no new change.
    server.deploy_well("hello").await;

    let found = show(Some("hello")).await;
    assert_eq!((found.changes.total, found.changes.active, found.changes.failed), (4, 3, 1));
    assert_eq!((found.rollbacks.active, found.changes.success_rate), (1, Some(0.75)));
    let point = &found.failures[0];
    assert_eq!((point.phase, point.cause, point.count), (Phase::Building, Cause::Build, 1));
    assert_eq!(point.last, broken.id);
    assert_eq!((found.dora.failed_changes, found.dora.lead_time.count), (1, 2));
    assert!((found.dora.change_failure_rate.unwrap() - 1.0 / 3.0).abs() < 1e-9);
    let building = found.phases.iter().find(|figures| figures.phase == Phase::Building).unwrap();
    assert_eq!((building.good.count, building.failed.count), (3, 1));
    // What is told is what the records say.
    let of_record = |d: &domain::deployment::Deployment| {
        let times = d.phases.iter().find(|times| times.phase == Phase::HealthCheck).unwrap();
        (times.finished_at.unwrap() - times.started_at).num_milliseconds() as f64
    };
    let health = found.phases.iter().find(|figures| figures.phase == Phase::HealthCheck).unwrap();
    assert_eq!(health.good.count, 4);
    assert!(health.good.p95_ms.unwrap() * 1.06 >= of_record(&first).min(of_record(&second)));
    assert_eq!(
        found.kinds.iter().map(|figures| figures.kind).collect::<Vec<_>>(),
        [DeploymentKind::Deploy, DeploymentKind::Rollback]
    );
    assert_eq!(show(None).await.changes, found.changes, "there is no other app");

    // The page's figures are the same, and its days add up to them.
    server.assert_serves("hello", "/", "v3").await;
    let page = server.cli_json(&["figures", "--app", "hello", "--since", "7d", "--json"]);
    let told = server.cli_json(&["analytics", "--app", "hello", "--since", "7d", "--json"]);
    for part in ["since", "changes", "rollbacks", "kinds", "phases", "failures"] {
        assert_eq!(page["analytics"][part], told[part], "{part}");
    }
    let sum =
        |of: &str| page["days"].as_array().unwrap().iter().map(|day| day["changes"][of].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("total"), sum("active"), sum("failed")), (4, 3, 1));
    assert_eq!((page["running"].as_u64(), page["queued"].as_u64()), (Some(0), Some(0)));
    let releases = page["releases"].as_array().unwrap();
    let serving: Vec<_> = releases.iter().filter(|release| release["active"] == true).collect();
    assert_eq!(serving.len(), 1, "{releases:?}");
    assert!(serving[0]["requests"].as_u64().unwrap() > 0 && serving[0]["error_rate"] == 0.0, "{releases:?}");
    let long = server.cli(&["figures", "--since", "2y"]);
    assert_eq!(long.status.code(), Some(9), "{long:?}");

    // It outlives a restart, and is told on the command line.
    let table = server.cli(&["analytics", "--app", "hello"]);
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    for part in ["75.0 %", "change failure rate", "33.3 %", "building"] {
        assert!(text.contains(part), "{text}");
    }
    let json = server.cli_json(&["analytics", "--app", "hello", "--env", "production", "--since", "1d", "--json"]);
    assert_eq!(json["changes"]["active"], 3);
    let unknown =
        ShowRequest { app: None, environment: Some("production".parse().unwrap()), since: "1d".parse().unwrap() };
    let error = refused(server.client().call::<Show>(&unknown).await);
    assert_eq!(error.code, ErrorKind::Unprocessable);

    // The lists find what is looked for.
    let find = async |request: deployments::ListRequest| {
        let found = server.client().call::<deployments::List>(&request).await.unwrap().items;
        found.into_iter().map(|d| d.id).collect::<Vec<_>>()
    };
    let word = |word: &str| deployments::ListRequest { search: Some(word.to_owned()), ..Default::default() };
    let commit = &first.metadata.commit.as_ref().unwrap().sha;
    assert_eq!(find(word(&commit[..9])).await, [back.id.clone(), first.id.clone()]);
    assert_eq!(find(word(broken.id.as_str())).await, std::slice::from_ref(&broken.id));
    assert!(find(word("nothing-like-it")).await.is_empty());
    let until = deployments::ListRequest { until: Some(second.created_at), ..Default::default() };
    assert_eq!(find(until).await, [broken.id.clone(), first.id.clone()]);
    let nobody = deployments::ListRequest { requested_by: Some("nobody".into()), ..Default::default() };
    assert_eq!(find(nobody).await, []);
    let bad = server.client().call::<deployments::List>(&word("a\nb")).await;
    assert_eq!(refused(bad).code, ErrorKind::Unprocessable);
}

/// A build needs none of the releases that are there: what is old goes meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn old_files_go_while_something_is_built() {
    let (server, repo, _) = with_app("hello").await;
    for version in ["v2", "v3"] {
        repo.commit(App::new(version).files(), version);
        server.deploy_well("hello").await;
    }
    server.settle("hello").await;
    let request = SetRequest { app: Some("hello".parse().unwrap()), releases: Some(2), ..SetRequest::default() };
    server.client().call::<retention::Set>(&request).await.unwrap();
    let go = server.shared().join("go");
    let build = format!("until [ -e {} ]; do sleep 0.05; done", go.display());
    repo.commit(App::new("v4").build(&build).files(), "v4");
    let slow = server.deploy("hello").await;
    server.reach(&slow.id, Phase::Building).await;
    let ran = server.cli_json(&["retention", "run", "--json"]);
    assert_eq!((ran["releases"].as_u64(), ran["busy_apps"].as_u64()), (Some(1), Some(0)), "{ran}");
    std::fs::write(&go, "").unwrap();
    active(server.end(&slow.id).await);
    server.assert_serves("hello", "/", "v4").await;
}

/// Old files go, what serves and the way back stay; a release without files says so.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_goes_and_what_is_needed_stays() {
    let (server, repo, first) = with_app("hello").await;
    for version in ["v2", "v3"] {
        repo.commit(App::new(version).build("echo building").files(), version);
        server.deploy_well("hello").await;
    }
    server.settle("hello").await;
    let set = async |request: SetRequest| server.client().call::<retention::Set>(&request).await;
    let none = SetRequest { releases: Some(0), ..SetRequest::default() };
    assert!(set(none).await.is_err(), "nothing to serve is no policy");
    assert!(set(SetRequest::default()).await.is_err());
    let app: domain::Name = "hello".parse().unwrap();
    let policy = set(SetRequest { app: Some(app.clone()), releases: Some(2), ..SetRequest::default() }).await.unwrap();
    assert_eq!((policy.keep.releases, policy.set.outputs), (2, None));

    // Somebody looked away for a month.
    let output = server.data().join("outputs").join(format!("{}.ndjson", first.id));
    let long_ago = SystemTime::now() - Duration::from_secs(30 * 86_400);
    std::fs::File::options().write(true).open(&output).unwrap().set_modified(long_ago).unwrap();

    let plan = server.cli_json(&["retention", "run", "--dry-run", "--json"]);
    assert_eq!((plan["releases"].as_u64(), plan["outputs"].as_u64()), (Some(1), Some(1)), "{plan}");
    assert!(plan["release_bytes"].as_u64().unwrap() > 0);
    assert!(output.exists(), "a plan changes nothing");
    let ran = server.cli_json(&["retention", "run", "--json"]);
    assert_eq!(
        (&ran["releases"], &ran["outputs"], &ran["deployments"]),
        (&plan["releases"], &plan["outputs"], &0.into())
    );
    assert!(!output.exists());
    let again = server.cli_json(&["retention", "run", "--json"]);
    assert_eq!((again["releases"].as_u64(), again["outputs"].as_u64()), (Some(0), Some(0)));

    let all = server.releases("hello").await;
    let folders: Vec<_> = std::fs::read_dir(server.data().join("releases")).unwrap().flatten().collect();
    let kept = std::fs::read_dir(folders[0].path()).unwrap().count();
    assert_eq!((all.len(), kept), (3, 2));
    let gone: Vec<_> = all.iter().filter(|r| r.release.files_gone_at.is_some()).map(|r| r.release.number).collect();
    assert_eq!(gone, [1]);
    let to_gone = refused(server.rollback("hello", Some(1)).await);
    assert!(to_gone.detail.contains("not kept any more"), "{to_gone:?}");
    let shown = server.cli(&["releases", "show", "--app", "hello", "v1"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("not kept any more"));

    let back = server.rollback("hello", Some(2)).await.unwrap();
    active(server.end(&back.id).await);
    // The source of v1 again makes its files again.
    let reference = first.metadata.commit.unwrap().sha;
    let anew = server.try_deploy("hello", Some(&reference)).await.unwrap();
    let anew = active(server.end(&anew.id).await);
    assert_eq!(anew.release_number, Some(1));
    server.assert_serves("hello", "/", "v1").await;
    let request = releases::GetRequest { app, number: 1 };
    let release = server.client().call::<releases::Get>(&request).await.unwrap().release;
    assert_eq!(release.files_gone_at, None);
}

/// A release command that hangs is noticed, explained, and ended by policy.
#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_is_told_and_ended_by_policy() {
    let server = Server::start().await;
    let (server, repo, _) = on(server, "hello").await;
    let limit = |seconds: u64| format!("{seconds}s").parse().unwrap();
    let set = async |request: SetLimitsRequest| server.client().call::<SetLimits>(&request).await;
    let short = SetLimitsRequest { silence: Some(limit(1)), ..SetLimitsRequest::default() };
    assert_eq!(refused(set(short).await).code, ErrorKind::Unprocessable);
    let ten = SetLimitsRequest { silence: Some(limit(10)), ..SetLimitsRequest::default() };
    assert!(set(ten).await.unwrap().own);

    repo.commit(App::new("v2").release("echo waiting for a lock; sleep 600").files(), "v2");
    let hanging = server.deploy("hello").await;
    let found = wait_for("the stall to be noticed", Duration::from_secs(90), async || {
        let request = DiagnoseRequest { limit: 50 };
        let all = server.client().call::<Diagnose>(&request).await.unwrap().items;
        all.into_iter().find(|item| item.deployment == hanging.id && item.state == DeploymentState::Stalled)
    })
    .await;
    assert_eq!(found.phase, Phase::Migrating);
    assert_eq!(found.last_step.unwrap().stage.as_deref(), Some("release_command"));
    assert!(found.last_output.unwrap().text.contains("waiting for a lock"));
    assert!(found.reason.unwrap().contains("no step and no output"));
    assert_eq!(found.command, Some(format!("plimsoll cancel {}", hanging.id)));
    let told = server.events(&hanging.id).await;
    assert!(told.iter().any(|event| matches!(event.kind, EventKind::DeploymentStalled { .. })), "{told:#?}");
    let doctor = server.cli(&["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    for part in ["stalled in migrating", "waiting for a lock", &format!("plimsoll cancel {}", hanging.id)] {
        assert!(text.contains(part), "{text}");
    }
    // The command that it names helps.
    let cancelled = server.cli(&["cancel", hanging.id.as_str()]);
    assert!(cancelled.status.success(), "{}", String::from_utf8_lossy(&cancelled.stderr));

    let fail = server.cli(&["stalls", "set", "--app", "hello", "--then", "fail"]);
    assert!(fail.status.success(), "{}", String::from_utf8_lossy(&fail.stderr));
    let ended = server.deploy_to_end("hello").await;
    let failure = ended.failure.clone().unwrap();
    assert_eq!((ended.phase, failure.cause, failure.phase), (Phase::Failed, Cause::Timeout, Phase::Migrating));
    server.assert_serves("hello", "/", "v1").await;
    server.assert_nothing_left("hello", &ended.id).await;
}

/// Waits until an event of a deployment is as it should be.
async fn told(server: &Server, id: &DeploymentId, what: &str, is: fn(&EventKind) -> bool) {
    wait_for(what, Duration::from_secs(90), async || {
        let events = server.events(id).await;
        events.iter().any(|event| is(&event.kind)).then_some(())
    })
    .await;
}

/// A release command that hangs at its first run is run again, as the policy says or because somebody asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_once_is_run_again_and_goes_on() {
    let server = Server::start().await;
    let (server, policy, _) = on(server, "policy").await;
    let (server, hand, _) = on(server, "hand").await;
    for change in [&["--phase", "migrating=10s"][..], &["--app", "policy", "--then", "resume"]] {
        let set = server.cli(&[&["stalls", "set"][..], change].concat());
        assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    }
    let mut started = Vec::new();
    for (app, repo) in [("policy", &policy), ("hand", &hand)] {
        let file = |name: &str| server.shared().join(format!("{app}-{name}"));
        let (hung, seen) = (file("hung"), file("seen"));
        // Only the first run makes the folder. The second one prints until it was seen to go on.
        let hangs = format!("if mkdir {}; then echo waiting for a lock; sleep 600; fi", hung.display());
        let goes_on = format!("while [ ! -e {} ]; do echo going on; sleep 0.2; done", seen.display());
        repo.commit(App::new("v2").release(&format!("{hangs}; {goes_on}")).files(), "v2");
        started.push((app, server.deploy(app).await.id, seen));
    }
    for (_, id, _) in &started {
        told(&server, id, "the stall", |kind| matches!(kind, EventKind::DeploymentStalled { .. })).await;
    }
    let (_, by_hand, _) = &started[1];
    let resumed = server.cli(&["resume", by_hand.as_str(), "--detach"]);
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    for (app, id, seen) in started {
        told(&server, &id, "it to go on", |kind| matches!(kind, EventKind::DeploymentRecovered { .. })).await;
        std::fs::write(seen, "").unwrap();
        active(server.end(&id).await);
        server.assert_serves(app, "/", "v2").await;
    }
}
