//! Deployments for later, again and again, and at times at which nothing may be deployed.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use domain::event::EventKind;
use domain::phase::Phase;
use domain::queue::Priority;
use domain::schedule::{LastRun, Missed, RunOutcome};
use operations::Page;
use operations::diagnosis::{Diagnose, DiagnoseRequest};
use operations::queue::{Ahead, Entry, Reschedule, RescheduleRequest};
use operations::schedules::{Create, CreateRequest, Get, Schedule, ScheduleRequest, Update, UpdateRequest};
use operations::windows::{Bypass, Window};
use plimsoll_tests::flow::{active, refused};
use plimsoll_tests::{Server, wait_for};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::people::{invited, secret, with};
use crate::upgrade::sql;
use crate::with_app;

const LIMIT: Duration = Duration::from_secs(90);

fn json<T: DeserializeOwned>(server: &Server, args: &[&str]) -> T {
    serde_json::from_value(server.cli_json(&[args, &["--json"]].concat())).unwrap()
}

/// What a command that must fail says.
fn said(server: &Server, args: &[&str]) -> String {
    let output = server.cli(args);
    assert!(!output.status.success(), "{args:?} worked");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn queue(server: &Server) -> Vec<Entry> {
    json::<Page<Entry>>(server, &["queue"]).items
}

/// When a deployment began to work.
fn began(deployment: &domain::deployment::Deployment) -> DateTime<Utc> {
    deployment.phases.iter().find(|times| times.phase != Phase::Queued).unwrap().started_at
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_for_later_waits_says_so_and_begins_at_its_time() {
    let (server, _repo, _) = with_app("hello").await;
    let asked = Utc::now();
    let started: domain::deployment::Deployment = json(&server, &["deploy", "hello", "--at", "in 15s", "--detach"]);
    assert_eq!(started.phase, Phase::Queued);
    let waiting = queue(&server);
    assert_eq!(waiting.len(), 1);
    let at = waiting[0].not_before.unwrap();
    assert!(at >= asked + TimeDelta::seconds(15), "{at}");
    assert_eq!(waiting[0].estimate.as_ref().unwrap().start.at, at);
    let ahead: Ahead = json(&server, &["queue", "timeline"]);
    assert!(ahead.spans.iter().any(|span| span.from == at), "{ahead:?}");
    let drawn = String::from_utf8(server.cli(&["queue", "timeline"]).stdout).unwrap();
    assert!(drawn.contains("hello/production starts") && drawn.contains('█'), "{drawn}");

    let ended = active(server.end(&started.id).await);
    let late = began(&ended) - at;
    assert!(late >= TimeDelta::zero() && late < TimeDelta::seconds(30), "{late} after its time");
    assert!(queue(&server).is_empty());

    // Its time is its own until somebody says another one, or that it goes now.
    let later: domain::deployment::Deployment = json(&server, &["deploy", "hello", "--at", "in 1h", "--detach"]);
    let at = queue(&server)[0].not_before;
    let reschedule = ["queue", "reschedule", later.id.as_str()];
    let change = |what: &[&str]| json::<Entry>(&server, &[&reschedule[..], what].concat());
    let urgent = change(&["--priority", "high"]);
    assert!(at.is_some());
    assert_eq!((urgent.not_before, urgent.priority), (at, Priority::High));
    let both = RescheduleRequest { deployment: later.id.clone(), not_before: at, now: true, priority: None };
    let error = refused(server.client().call::<Reschedule>(&both).await);
    assert!(error.detail.contains("contradict"), "{error:?}");
    // Now is its time: what was deployed since it was ordered is older.
    let between = server.deploy_well("hello").await;
    assert!(between.generation > later.generation);
    let now = change(&["--now"]);
    assert_eq!((now.not_before, now.priority), (None, Priority::High));
    let ended = active(server.end(&later.id).await);
    assert!(ended.generation > between.generation, "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_runs_once_at_its_time_and_not_while_it_is_disabled() {
    let (mut server, _repo, _) = with_app("hello").await;
    // Made for another time, and then changed.
    let made: Schedule = json(&server, &["deploy", "hello", "--cron", "0 6 1 1 * UTC", "--schedule", "often"]);
    // So that its minute does not come before it was looked at.
    wait_for("the first half of a minute", LIMIT, async || (Utc::now().second() < 35).then_some(())).await;
    let often = ["schedules", "change", "often", "--cron", "* * * * * UTC", "--missed", "skip"];
    let changed: Schedule = json(&server, &often);
    assert_eq!((&changed.id, changed.cron.to_string().as_str()), (&made.id, "* * * * * UTC"));
    assert_eq!((made.missed, changed.missed, &changed.order), (Missed::RunOnce, Missed::Skip, &made.order));
    let told = String::from_utf8(server.cli(&["events", "--app", "hello", "--limit", "500"]).stdout).unwrap();
    assert!(told.contains("schedule often changed by") && told.contains("cron * * * * * UTC, missed skip"), "{told}");
    let first = changed.upcoming[0];
    assert!(first > Utc::now() && first < Utc::now() + TimeDelta::seconds(61));
    // It is the same after a restart.
    server.stop();
    server.restart().await;
    let yearly: Schedule = json(&server, &["deploy", "hello", "--cron", "30 2 28 3 * Europe/Berlin"]);
    assert_eq!((yearly.name.as_str(), yearly.upcoming.len()), ("production", 5));
    let ahead: Ahead = json(&server, &["queue", "timeline", "--hours", "1"]);
    assert!(ahead.spans.iter().any(|span| span.from == first), "{ahead:?}");

    let often = ScheduleRequest { schedule: "often".into() };
    let ran = wait_for("the schedule to run", LIMIT, async || {
        let schedule = server.client().call::<Get>(&often).await.unwrap();
        schedule.last_run.filter(|run| run.planned_at >= first)
    })
    .await;
    let _: Schedule = json(&server, &["schedules", "disable", "often"]);
    let RunOutcome::Deployed { deployment } = ran.outcome.clone() else { panic!("{ran:?}") };
    assert!(ran.at - ran.planned_at < TimeDelta::seconds(10), "{ran:?}");
    let ended = active(server.end(&deployment).await);
    assert_eq!(ended.requested_by, "schedule often");

    let all: Page<domain::deployment::Deployment> = json(&server, &["deployments", "list"]);
    let own: Vec<_> = all.items.iter().filter(|d| d.requested_by == "schedule often").collect();
    // A second one only if its minute came before it was disabled.
    let runs = 1 + usize::from(Utc::now() >= ran.planned_at + TimeDelta::seconds(60) && own.len() == 2);
    assert_eq!(own.len(), runs);
    let disabled: Schedule = json(&server, &["schedules", "show", "often"]);
    assert!(!disabled.enabled && disabled.upcoming.is_empty());
    let enabled: Schedule = json(&server, &["schedules", "enable", "often"]);
    assert!(enabled.upcoming[0] > Utc::now() - TimeDelta::seconds(30));
    assert!(server.cli(&["schedules", "delete", "often", "--yes"]).status.success());
    assert!(said(&server, &["schedules", "show", "often"]).contains("plimsoll schedules list"));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_missed_while_no_server_ran_are_made_up_for_by_one_or_skipped() {
    let (mut server, _repo, _) = with_app("hello").await;
    // Each day half a day from now, so that none comes by itself.
    let cron = (Utc::now() + TimeDelta::hours(12)).format("%-M %-H * * * UTC").to_string();
    let mut plan = None;
    for (name, missed) in [("once", "run_once"), ("never", "skip")] {
        let args = ["deploy", "hello", "--cron", &cron, "--schedule", name, "--missed", missed];
        let made: Schedule = json(&server, &args);
        plan = Some(made.upcoming[0]);
    }
    server.stop();
    // As if it had been stopped three days ago: as many runs were missed.
    sql(&server, "UPDATE schedules SET next_at = next_at - 3 * 86400 * 1000000");
    server.restart().await;

    let came = async |name: &str| {
        let wanted = ScheduleRequest { schedule: name.into() };
        wait_for("something to come of the schedule", LIMIT, async || {
            let Schedule { last_run, upcoming, .. } = server.client().call::<Get>(&wanted).await.unwrap();
            last_run.map(|run| (run, upcoming.first().copied()))
        })
        .await
    };
    let (once, never) = (came("once").await, came("never").await);
    let RunOutcome::Deployed { deployment } = &once.0.outcome else { panic!("{once:?}") };
    assert!(matches!(&never.0.outcome, RunOutcome::Skipped { why } if why.contains("missed")), "{never:?}");
    for (LastRun { planned_at, .. }, next) in [&once, &never] {
        assert_eq!((Some(*planned_at), *next), (plan.map(|plan| plan - TimeDelta::days(3)), plan));
    }
    active(server.end(deployment).await);
    // Nothing comes of the other two.
    assert_eq!((&came("once").await, &came("never").await), (&once, &never));
    let all: Page<domain::deployment::Deployment> = json(&server, &["deployments", "list"]);
    let scheduled = all.items.iter().filter(|d| d.requested_by.starts_with("schedule "));
    assert_eq!(scheduled.map(|d| &d.id).collect::<Vec<_>>(), [deployment]);
}

/// What comes of a schedule's next run, whose time is made to be now: a minute is long.
async fn ran(server: &Server, name: &str) -> RunOutcome {
    let now = Utc::now();
    sql(server, &format!("UPDATE schedules SET next_at = {} WHERE name = '{name}'", now.timestamp_micros()));
    // Any change has the leader look at what is due.
    let nudge = ["tokens", "create", &format!("nudge-{}", now.timestamp_micros())];
    assert!(server.cli(&nudge).status.success());
    let wanted = ScheduleRequest { schedule: name.into() };
    let run = wait_for("the schedule to run", LIMIT, async || {
        let schedule = server.client().call::<Get>(&wanted).await.unwrap();
        schedule.last_run.filter(|run| run.planned_at.timestamp_micros() >= now.timestamp_micros())
    });
    run.await.outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_refused_is_given_up_and_is_in_nobodys_way() {
    let (server, repo, _) = with_app("hello").await;
    let policy = ["approval-policies", "set", "--app", "hello", "--env", "production", "--required", "1"];
    let set = server.cli(&[&policy[..], &["--role", "admin"]].concat());
    assert!(set.status.success(), "{set:?}");
    // As many wait as one may ask for.
    for _ in 0..10 {
        assert!(server.deploy("hello").await.metadata.approval.is_some());
    }
    let more = refused(server.try_deploy("hello", None).await);
    assert!(more.status == 409 && more.detail.contains("10 deployments of yours"), "{more:?}");
    let order = |source| operations::schedules::Template { source, ..Default::default() };
    let folder = domain::source::Source::Directory { path: repo.path().to_owned() };
    for (name, order) in [("folder", order(Some(folder))), ("full", order(None))] {
        let request = CreateRequest {
            app: "hello".parse().unwrap(),
            environment: "production".parse().unwrap(),
            name: Some(name.parse().unwrap()),
            cron: "* * * * * UTC".into(),
            missed: Default::default(),
            order,
        };
        server.client().call::<Create>(&request).await.unwrap();
    }
    for (name, words) in [("full", "wait for approval already"), ("folder", "wait for approval already")] {
        let outcome = ran(&server, name).await;
        assert!(matches!(&outcome, RunOutcome::Failed { why } if why.contains(words)), "{name}: {outcome:?}");
    }
    // With room for it, nobody can approve of a folder.
    let waiting = queue(&server);
    for entry in waiting {
        server.cancel(&entry.deployment).await.unwrap();
    }
    let outcome = ran(&server, "folder").await;
    assert!(matches!(&outcome, RunOutcome::Failed { why } if why.contains("nobody can approve of it")), "{outcome:?}");
    assert!(matches!(ran(&server, "full").await, RunOutcome::Deployed { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_ends_with_the_token_that_it_was_made_with() {
    let (server, _repo, _) = with_app("hello").await;
    let ann = invited(&server, "ann@example.org", "owner").await;
    let zoe = invited(&server, "zoe@example.org", "deployer").await;
    let made = ann.ask(Method::POST, "tokens", json!({ "name": "laptop", "for": "me" })).await;
    let (laptop, token) = (with(&server, &secret(&made)), made.1["token"]["id"].as_str().unwrap().to_owned());
    let request: CreateRequest = serde_json::from_value(json!({
        "app": "hello", "environment": "production", "name": "often", "cron": "* * * * * UTC",
        "order": { "priority": "critical" }
    }))
    .unwrap();
    laptop.call::<Create>(&request).await.unwrap();
    assert!(server.cli(&["tokens", "revoke", &token, "--yes"]).status.success());
    let outcome = ran(&server, "often").await;
    let RunOutcome::Failed { why } = &outcome else { panic!("{outcome:?}") };
    assert!(why.contains("revoked") && why.contains("plimsoll schedules enable"), "{why}");

    // Who has it run takes it over, with what they may do themselves. Anybody may stop it.
    let path = "schedules/often";
    for change in [json!({ "enabled": true }), json!({ "cron": "0 6 * * * UTC" }), json!({ "missed": "skip" })] {
        let (status, said) = zoe.ask(Method::PUT, path, change).await;
        assert!(status == 403 && said.to_string().contains("critical"), "{said}");
    }
    let (status, said) = zoe.ask(Method::PUT, path, json!({ "enabled": false })).await;
    assert_eq!((status, &said["created_by"]), (200, &json!("ann")), "{said}");
    let eve = invited(&server, "eve@example.org", "admin").await;
    let (status, said) = eve.ask(Method::PUT, path, json!({ "enabled": true })).await;
    assert_eq!((status, &said["created_by"]), (200, &json!("eve")), "{said}");
    let outcome = ran(&server, "often").await;
    assert!(matches!(outcome, RunOutcome::Deployed { .. }), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_holds_all_but_rollbacks_and_a_critical_one_with_a_reason() {
    let (server, repo, _) = with_app("hello").await;
    repo.commit(plimsoll_tests::App::new("v2").files(), "v2");
    server.deploy_well("hello").await;
    let freeze: Window =
        json(&server, &["windows", "freeze", "--env", "production", "--until", "in 1h", "--reason", "big sale"]);
    assert!(freeze.now && freeze.changes_at.is_some());
    let held: domain::deployment::Deployment = json(&server, &["deploy", "hello", "--detach"]);
    let entry = queue(&server).remove(0);
    assert!(entry.waiting_for.contains("big sale"), "{entry:?}");
    assert_eq!(Some(entry.estimate.unwrap().start.at), freeze.changes_at);
    let diagnoses = server.client().call::<Diagnose>(&DiagnoseRequest { limit: 10 }).await.unwrap();
    let told = diagnoses.items.into_iter().find(|item| item.deployment == held.id).unwrap();
    assert!(told.waits_for.as_ref().is_some_and(|why| why.contains("big sale")), "{told:?}");

    // Going back is always possible.
    active(server.end(&server.rollback("hello", None).await.unwrap().id).await);
    server.assert_serves("hello", "/", "v1").await;
    let refused = said(&server, &["deploy", "hello", "--bypass-window", "outage", "--priority", "high"]);
    assert!(refused.contains("critical"), "{refused}");
    let urgent = server.cli(&["deploy", "hello", "--bypass-window", "outage", "--priority", "critical"]);
    assert!(urgent.status.success(), "{urgent:?}");
    server.assert_serves("hello", "/", "v2").await;
    assert_eq!(server.deployment(&held.id).await.phase, Phase::Queued);

    let records: Page<Bypass> = json(&server, &["windows", "bypasses"]);
    let reasons: Vec<&str> = records.items.iter().map(|bypass| bypass.reason.as_str()).collect();
    assert_eq!(reasons, ["outage", "a rollback is not held by windows"]);
    let record = &records.items[0];
    assert_eq!((record.window.as_ref(), record.approved_by.as_ref()), (Some(&freeze.id), None));
    assert!(record.rule.as_ref().unwrap().contains("big sale") && !record.requested_by.is_empty());
    let events = String::from_utf8(server.cli(&["events", "--deployment", record.deployment.as_str()]).stdout).unwrap();
    assert!(events.contains("windows do not hold it"), "{events}");

    // Without the freeze the one that waits begins by itself. What serves is newer than it, so that it ends.
    assert!(server.cli(&["windows", "delete", freeze.id.as_str(), "--yes"]).status.success());
    assert!(server.end(&held.id).await.phase.is_end());
    assert!(queue(&server).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_waits_is_not_held_by_a_freeze_that_comes() {
    let (server, repo, _) = with_app("hello").await;
    repo.commit(plimsoll_tests::App::new("v2").files(), "v2");
    server.deploy_well("hello").await;
    let gate = server.shared().join("go");
    let build = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
    repo.commit(plimsoll_tests::App::new("v3").build(&build).files(), "v3");
    let at_work = server.deploy("hello").await;
    server.reach(&at_work.id, Phase::Building).await;
    let held = server.deploy("hello").await;
    let back = server.rollback("hello", Some(1)).await.unwrap();
    let records = || json::<Page<Bypass>>(&server, &["windows", "bypasses"]).items;
    assert_eq!(records(), []);

    let freeze: Window =
        json(&server, &["windows", "freeze", "--app", "hello", "--until", "in 1h", "--reason", "big sale"]);
    let waits = |id| queue(&server).into_iter().find(|entry| entry.deployment == id).unwrap().waiting_for;
    assert!(waits(held.id.clone()).contains("big sale"));
    let behind = waits(back.id.clone());
    assert!(behind.contains(at_work.id.as_str()), "{behind}");
    std::fs::write(gate, "").unwrap();
    active(server.end(&at_work.id).await);
    active(server.end(&back.id).await);
    server.assert_serves("hello", "/", "v1").await;
    assert_eq!(server.deployment(&held.id).await.phase, Phase::Queued);
    // It is on record like one that was asked for in the freeze.
    let records = records();
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!((&records[0].deployment, records[0].window.as_ref()), (&back.id, Some(&freeze.id)));
    assert_eq!(records[0].reason, "a rollback is not held by windows");
    assert!(server.events(&back.id).await.iter().any(|e| matches!(e.kind, EventKind::WindowBypassed { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_its_windows_an_environment_waits_for_the_next_one() {
    let (server, _repo, _) = with_app("hello").await;
    // Two hours that are not now.
    let from = Utc::now() + TimeDelta::hours(6);
    let (begin, end) = (from.format("%H:%M").to_string(), (from + TimeDelta::hours(2)).format("%H:%M").to_string());
    let args =
        ["windows", "deploy", "--app", "hello", "--days", "daily", "--from", &begin, "--to", &end, "--zone", "UTC"];
    let window: Window = json(&server, &args);
    assert!(!window.now && window.changes_at.is_some());
    let held: domain::deployment::Deployment = json(&server, &["deploy", "hello", "--detach"]);
    let entry = queue(&server).remove(0);
    assert_eq!(Some(entry.estimate.unwrap().start.at), window.changes_at);
    assert!(entry.waiting_for.contains("deploy windows"), "{}", entry.waiting_for);
    let all = server.cli(&["windows", "list"]);
    assert!(String::from_utf8(all.stdout).unwrap().contains("closed"));
    assert!(server.cli(&["windows", "delete", window.id.as_str(), "--yes"]).status.success());
    active(server.end(&held.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_times_say_what_is_wrong_and_what_is_right() {
    let (server, _repo, _) = with_app("hello").await;
    for (args, words) in [
        (vec!["deploy", "hello", "--at", "tomorrow"], "in 2h"),
        (vec!["deploy", "hello", "--at", "2026-12-01 09:30"], "time zone"),
        (vec!["deploy", "hello", "--at", "2027-02-30 09:30 UTC"], "exists"),
        (vec!["deploy", "hello", "--at", "2027-12-01 09:30 Europe/Berlln"], "did you mean `Europe/Berlin`"),
        (vec!["deploy", "hello", "--at", "2020-01-01 09:30 UTC"], "past"),
        (vec!["deploy", "hello", "--priority", "urgent"], "critical, high, normal or low"),
        (vec!["deploy", "hello", "--cron", "0 6 * * MON-FRI"], "time zone is missing"),
        (vec!["deploy", "hello", "--cron", "61 6 * * * UTC"], "minute `61`"),
        (vec!["deploy", "hello", "--cron", "0 0 30 2 * UTC"], "never comes"),
        (vec!["deploy", "hello", "--cron", "0 6 * * * Londn"], "not a time zone"),
        (vec!["deploy", "hello", "--cron", "0 6 * * * UTC", "--missed", "maybe"], "run_once or skip"),
        (vec!["schedules", "change", "nightly"], "--cron"),
        (vec!["schedules", "change", "nightly", "--cron", "61 6 * * * UTC"], "minute `61`"),
        (vec!["schedules", "change", "nightly", "--missed", "maybe"], "run_once or skip"),
        (vec!["schedules", "change", "nightly", "--cron", "0 6 * * * UTC"], "plimsoll schedules list"),
        (vec!["queue", "timeline", "--hours", "0"], "1 to 168"),
        (vec!["queue", "reschedule", "dep_01hf7yat00000000000000002a"], "--at"),
        (vec!["queue", "list", "--limit", "0"], "1 to 500"),
        (vec!["windows", "freeze", "--until", "in 1h", "--reason", " "], "reason"),
        (vec!["windows", "freeze", "--from", "in 2h", "--until", "in 1h", "--reason", "x"], "before it begins"),
        (vec!["windows", "freeze", "--app", "nobody", "--reason", "x"], "nobody"),
        (
            vec!["windows", "deploy", "--days", "someday", "--from", "09:00", "--to", "17:00", "--zone", "UTC"],
            "names no days",
        ),
        (vec!["windows", "deploy", "--days", "mon", "--from", "9h", "--to", "17:00", "--zone", "UTC"], "time of day"),
    ] {
        let told = said(&server, &args);
        assert!(told.contains(words), "{args:?}: {told}");
    }
    // The API says the same.
    let request = CreateRequest {
        app: "hello".parse().unwrap(),
        environment: "production".parse().unwrap(),
        name: None,
        cron: "0 6 * * *".into(),
        missed: Default::default(),
        order: Default::default(),
    };
    let wrong = refused(server.client().call::<Create>(&request).await);
    assert!(wrong.status == 422 && wrong.detail.contains("time zone is missing"), "{wrong:?}");
    for (cron, words) in [(Some("0 0 30 2 * UTC"), "never comes"), (None, "nothing says")] {
        let cron = cron.map(str::to_owned);
        let request = UpdateRequest { schedule: "nightly".into(), enabled: None, cron, missed: None };
        let wrong = refused(server.client().call::<Update>(&request).await);
        assert!(wrong.status == 422 && wrong.detail.contains(words), "{wrong:?}");
    }
    assert!(queue(&server).is_empty());
}
