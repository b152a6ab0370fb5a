//! Plans: looked at, simulated, and carried out exactly or not at all.

use domain::deployment::{Deployment, DeploymentKind};
use domain::failure::Cause;
use domain::phase::Phase;
use domain::plan::{Action, Plan, Simulation};
use domain::promotion::FindingCode;
use domain::queue::{Priority, Waiting};
use operations::Page;
use operations::client::CallError;
use operations::deployments::{Deploy, DeployRequest};
use operations::error::ErrorKind;
use operations::plans::{Create, CreateRequest, List, ListRequest};
use operations::queue::Entry;
use operations::windows::{Bypass, Window};
use plimsoll_tests::archive::{tar, write_tree, zst};
use plimsoll_tests::flow::{active, refused};
use plimsoll_tests::{App, Repo, Server};

use crate::with_app;

/// By the CLI; the plan and the exit code.
fn planned(server: &Server, args: &[&str]) -> (Option<i32>, Plan) {
    let output = server.cli(&[&["plan", "hello", "--json"], args].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    (output.status.code(), serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {output:?}")))
}

fn plan(server: &Server, args: &[&str]) -> Plan {
    let (code, plan) = planned(server, args);
    assert_eq!(code, Some(0), "{plan:#?}");
    plan
}

async fn try_carry_out(server: &Server, plan: &str) -> Result<Deployment, CallError> {
    let request = DeployRequest {
        app: "hello".parse().unwrap(),
        environment: "production".parse().unwrap(),
        source: None,
        reference: None,
        plan: Some(plan.parse().unwrap()),
        tags: Vec::new(),
        metadata: Default::default(),
        priority: Default::default(),
        not_before: None,
        bypass_window: None,
    };
    server.client().call::<Deploy>(&request).await
}

async fn carry_out(server: &Server, plan: &Plan) -> Deployment {
    let started = try_carry_out(server, plan.digest.as_str()).await.unwrap();
    let deployment = server.end(&started.id).await;
    assert_eq!(deployment.metadata.plan.as_ref(), Some(&plan.digest));
    server.settle("hello").await;
    deployment
}

/// The message of a plan that does not hold any more.
async fn broken(server: &Server, plan: &Plan) -> String {
    let error = refused(try_carry_out(server, plan.digest.as_str()).await);
    assert_eq!(error.code, ErrorKind::Conflict, "{error:?}");
    assert!(error.hint.unwrap().contains("plimsoll plan"));
    error.detail
}

fn action(plan: &Plan, stage: &str) -> Action {
    plan.steps.iter().find(|step| step.stage == stage).unwrap_or_else(|| panic!("no step {stage}: {plan:#?}")).action
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_planned_is_what_is_done() {
    let server = Server::start().await;
    let repo = Repo::new();
    let one = repo.commit(App::new("v1").build("true").files(), "one");
    server.create_app("hello", repo.source()).await;
    server.set_variables("hello", &[("GREETING", "ahoy-4711"), ("OLD", "gone-4711")]).await;

    let first = plan(&server, &[]);
    assert_eq!((first.live.as_ref(), first.duration), (None, None), "nothing was measured, and nothing is made up");
    assert!(first.steps.iter().all(|step| step.duration.is_none()));
    assert_eq!((action(&first, "build"), action(&first, "release_command")), (Action::Run, Action::Skip));
    assert_eq!(first.differences.variables.added, ["GREETING", "OLD"]);
    assert_eq!(first.digest, plan(&server, &[]).digest, "the same world gives the same plan");
    assert!(server.environment("hello").await.active.is_none() && server.releases("hello").await.is_empty());
    let done = active(carry_out(&server, &first).await);
    assert_eq!(done.metadata.commit.unwrap().sha, one);
    assert_eq!(server.releases("hello").await[0].release.digest, first.release.digest);
    server.assert_serves("hello", "/", "v1").await;

    // What serves already.
    let again = plan(&server, &[]);
    assert!(again.nothing_to_do.as_ref().is_some_and(|why| why.contains("v1 serves already")), "{again:#?}");
    assert_eq!((action(&again, "build"), action(&again, "create_release")), (Action::Skip, Action::Skip));
    assert!(again.differences.variables.is_empty() && again.differences.components.is_empty());

    // A branch that moves is no reason to refuse: the plan has its commit.
    let two = repo.commit(App::new("v2").build("true").files(), "two");
    let second = plan(&server, &["--ref", "main"]);
    assert_eq!(second.duration.unwrap().samples, 1);
    assert!(second.steps.iter().all(|step| step.duration.is_some()), "{second:#?}");
    assert_eq!(second.reference.as_deref(), Some("main"));
    let brings: Vec<_> = second.differences.commits.added.iter().map(|c| c.summary.as_str()).collect();
    assert_eq!(brings, ["two"]);
    repo.commit(App::new("v3").build("true").files(), "three");
    let done = active(carry_out(&server, &second).await);
    assert_eq!(done.metadata.commit.unwrap().sha, two);
    server.assert_serves("hello", "/", "v2").await;

    // Variables: by name, never by value, and a change is a reason to refuse.
    server.set_variables("hello", &[("GREETING", "howdy-4711"), ("NEW", "new-4711")]).await;
    assert!(server.cli(&["env", "unset", "OLD", "--app", "hello", "--yes"]).status.success());
    let third = plan(&server, &[]);
    let changes = &third.differences.variables;
    assert_eq!(
        (&*changes.added, &*changes.removed, &*changes.changed),
        (&["NEW".to_owned()][..], &["OLD".to_owned()][..], &["GREETING".to_owned()][..])
    );
    let text = server.cli(&["plans", "show", third.digest.short()]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("variables: added NEW; removed OLD; changed GREETING"), "{text}");
    assert!(!text.contains("4711") && !serde_json::to_string(&third).unwrap().contains("4711"), "{text}");
    server.set_variables("hello", &[("GREETING", "hello-4711")]).await;
    let why = broken(&server, &third).await;
    assert!(why.ends_with("the variables of the environment have changed"), "{why}");
    // Back again, and all holds again.
    server.set_variables("hello", &[("GREETING", "howdy-4711")]).await;
    assert_eq!(plan(&server, &[]).digest, third.digest);

    // Somebody else deploys in between.
    server.deploy_well("hello").await;
    server.settle("hello").await;
    let why = broken(&server, &third).await;
    assert!(why.contains("v3 serves now") && why.contains("it was v2"), "{why}");
    server.assert_serves("hello", "/", "v3").await;

    // A rollback, planned and carried out.
    let back = plan(&server, &["--rollback", "v1"]);
    assert_eq!((back.kind, back.release.number), (DeploymentKind::Rollback, Some(1)));
    assert_eq!(back.steps[0].stage, "claim", "{back:#?}");
    assert_eq!(back.differences.commits.removed.len(), 2);
    let done = server.cli(&["deploy", "--plan", back.digest.short()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    server.assert_serves("hello", "/", "v1").await;
    server.assert_serves("hello", "/env/GREETING", "ahoy-4711").await;
    let last = server.environment("hello").await.active.unwrap().deployment;
    let last = server.deployment(&last).await;
    assert_eq!((last.kind, last.metadata.plan.as_ref()), (DeploymentKind::Rollback, Some(&back.digest)));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_plans_are_refused_with_the_reason() {
    let (server, _repo, _) = with_app("hello").await;
    let code = |args: &[&str]| server.cli(args).status.code();
    assert_eq!(code(&["deploy", "--plan", "latest"]), Some(2));
    assert_eq!(code(&["deploy", "--plan", "0123abcd"]), Some(3));
    assert_eq!(code(&["simulate", "--plan", "0123abcd"]), Some(3));
    let unknown = refused(try_carry_out(&server, &"0".repeat(64)).await);
    assert!(unknown.code == ErrorKind::NotFound && unknown.hint.unwrap().contains("kept for a day"));
    assert_eq!(code(&["plan", "--app", "nobody"]), Some(3));
    assert_eq!(code(&["plan", "hello", "--env", "nowhere"]), Some(3));
    assert_eq!(code(&["plan", "hello", "--rollback", "99"]), Some(3));
    assert_eq!(code(&["plan", "hello", "--ref", "nowhere"]), Some(9));

    // Of another environment.
    assert!(server.cli(&["envs", "create", "staging", "--app", "hello"]).status.success());
    let staging = plan(&server, &["--env", "staging"]);
    let other = refused(try_carry_out(&server, staging.digest.as_str()).await);
    assert!(other.detail.contains("is of hello/staging, not of hello/production"), "{other:?}");
    let both = DeployRequest {
        app: "hello".parse().unwrap(),
        environment: "staging".parse().unwrap(),
        source: None,
        reference: Some("main".to_owned()),
        plan: Some(staging.digest.as_str().parse().unwrap()),
        tags: Vec::new(),
        metadata: Default::default(),
        priority: Default::default(),
        not_before: None,
        bypass_window: None,
    };
    assert_eq!(refused(server.client().call::<Deploy>(&both).await).code, ErrorKind::Unprocessable);
    let both = CreateRequest {
        app: "hello".parse().unwrap(),
        environment: "production".parse().unwrap(),
        source: None,
        reference: Some("main".to_owned()),
        rollback: Some(1),
    };
    assert_eq!(refused(server.client().call::<Create>(&both).await).code, ErrorKind::Unprocessable);
    let list = ListRequest { app: None, environment: None, cursor: None, limit: 500 };
    let kept = server.client().call::<List>(&list).await.unwrap().items;
    assert_eq!(kept.iter().map(|p| &p.digest).collect::<Vec<_>>(), [&staging.digest]);
    // A plan goes with its environment, and none leaves a folder behind.
    assert!(server.cli(&["envs", "delete", "staging", "--app", "hello", "--yes"]).status.success());
    assert!(server.client().call::<List>(&list).await.unwrap().items.is_empty());
    server.settle("hello").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_changed_are_noticed_before_anything_is_touched() {
    let (server, _repo, _) = with_app("hello").await;
    let dir = tempfile::tempdir().unwrap();
    let log = server.shared().join("log");
    let version = |text: &str| App::new(text).build(&format!("umask 0; echo built >> {}", log.display())).files();
    write_tree(dir.path(), version("from a folder"));
    let path = dir.path().to_str().unwrap();

    let stale = plan(&server, &["--dir", path]);
    write_tree(dir.path(), [("VERSION", "changed\n")]);
    let failed = carry_out(&server, &stale).await;
    let failure = failed.failure.clone().unwrap();
    assert_eq!((failed.phase, failure.cause), (Phase::Failed, Cause::PlanChanged), "{failure:#?}");
    assert!(failure.message.ends_with("the files of the source have changed"), "{}", failure.message);
    assert!(!log.exists(), "nothing was built");
    server.assert_nothing_left("hello", &failed.id).await;
    server.assert_serves("hello", "/", "v1").await;

    // As it was planned, however it comes: a folder, or the same files as an archive.
    let fresh = plan(&server, &["--dir", path]);
    assert_ne!(fresh.digest, stale.digest);
    let done = active(carry_out(&server, &fresh).await);
    assert_eq!(done.release_number, Some(2));
    assert_eq!(server.releases("hello").await[0].release.digest, fresh.release.digest);
    server.assert_serves("hello", "/", "changed").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), zst(&tar(dir.path()))).unwrap();
    let archive = plan(&server, &["--archive", file.path().to_str().unwrap()]);
    assert_eq!((archive.release.number, action(&archive, "build")), (Some(2), Action::Skip));
    assert_eq!(active(carry_out(&server, &archive).await).release_number, Some(2));
    let text = std::fs::read_to_string(&log).unwrap();
    assert_eq!(text, "built\n", "built once");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_carry_out_one_plan_the_second_is_refused() {
    let (server, repo, _) = with_app("hello").await;
    let log = server.shared().join("log");
    let app = App::new("v2").build("sleep 1").release(&format!("umask 0; echo migrated >> {}", log.display()));
    repo.commit(app.files(), "two");
    let plan = plan(&server, &[]);
    let digest = plan.digest.as_str();
    let (one, other) = tokio::join!(try_carry_out(&server, digest), try_carry_out(&server, digest));
    let (one, other) = (server.end(&one.unwrap().id).await, server.end(&other.unwrap().id).await);
    let (good, bad) = if one.phase == Phase::Active { (one, other) } else { (other, one) };
    assert_eq!(good.phase, Phase::Active, "{good:#?}");
    let cause = bad.failure.as_ref().map(|failure| failure.cause);
    // The older one of the two may also find that the newer one serves.
    assert!(cause == Some(Cause::PlanChanged) || cause == Some(Cause::Superseded), "{bad:#?}");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "migrated\n", "the second one ran no release command");
    server.settle("hello").await;
    server.assert_nothing_left("hello", &bad.id).await;
    server.assert_serves("hello", "/", "v2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_that_are_another_apps_are_told_before() {
    let (server, repo, _) = with_app("hello").await;
    let free = plan(&server, &[]);
    let other = Repo::new();
    let route = "[[components.web.routes]]\nhost = \"taken.localhost\"\n";
    other.commit(App::new("other").configured(route).files(), "other");
    server.create_app("other", other.source()).await;

    repo.commit(App::new("v2").configured(route).files(), "two");
    let open = plan(&server, &[]);
    assert!(open.differences.routes.iter().any(|r| r.route == "taken.localhost/" && r.live.is_none()), "{open:#?}");
    server.deploy_well("other").await;
    let why = broken(&server, &open).await;
    assert!(why.contains("its routes can't be had") && why.contains("other/production"), "{why}");

    let (code, blocked) = planned(&server, &[]);
    assert_eq!((code, blocked.findings[0].code), (Some(4), FindingCode::RoutesRefused), "{blocked:#?}");
    // Another plan is not concerned.
    active(carry_out(&server, &free).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_touches_nothing_and_tells_what_happens_then() {
    let (server, repo, first) = with_app("hello").await;
    server.settle("hello").await;
    let log = server.shared().join("log");
    let app =
        App::new("v2").release(&format!("umask 0; echo migrated >> {}", log.display())).env("EXIT_AT_START", "yes");
    repo.commit(app.files(), "two");
    let before = (server.environment("hello").await, server.apps());
    let simulation: Simulation = serde_json::from_value(server.cli_json(&["simulate", "hello", "--json"])).unwrap();
    let after = (server.environment("hello").await, server.apps());
    assert_eq!(serde_json::to_value(&before.0).unwrap(), serde_json::to_value(&after.0).unwrap());
    assert_eq!(before.1, after.1);
    assert_eq!(server.releases("hello").await.len(), 1);
    assert!(!log.exists());

    let run = |stage: Option<&str>| simulation.runs.iter().find(|run| run.fails_at.as_deref() == stage).unwrap();
    assert_eq!((run(None).ends, run(None).stuck), (Phase::Active, false));
    assert_eq!((run(Some("start")).ends, run(Some("start")).serves.as_str()), (Phase::Failed, "v1 keeps serving"));
    assert_eq!(run(Some("activate")).ends, Phase::RolledBack);
    assert_eq!((run(Some("retire")).ends, run(Some("retire")).stuck), (Phase::Active, true));
    let text = server.cli(&["simulate", "--plan", simulation.plan.short()]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("if start fails: failed; v1 keeps serving"), "{text}");

    // It fails at its start: as it was told.
    let failed = server.deploy_to_end("hello").await;
    assert_eq!(failed.phase, run(Some("start")).ends, "{failed:#?}");
    server.assert_serves("hello", "/", "v1").await;
    server.assert_nothing_left("hello", &failed.id).await;
    assert_eq!(server.environment("hello").await.active.unwrap().deployment, first.id);
    assert_eq!(std::fs::read_to_string(&log).unwrap_or_default().lines().count(), 1, "and what stays was said, too");
    assert!(run(Some("start")).left.iter().any(|left| left.contains("echo migrated")), "{:?}", run(Some("start")).left);
}

/// A deployment that is at work until the file `go` is there, and then fails: it changes nothing of what serves.
async fn in_the_way(server: &Server, repo: &Repo) -> (Deployment, std::path::PathBuf) {
    let go = server.shared().join("go");
    let build = format!("until [ -e {} ]; do sleep 0.05; done; exit 1", go.display());
    repo.commit(App::new("slow").build(&build).files(), "slow");
    let slow = server.deploy("hello").await;
    server.reach(&slow.id, Phase::Building).await;
    (slow, go)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_carried_out_takes_its_turn_in_the_queue() {
    let (server, repo, first) = with_app("hello").await;
    server.settle("hello").await;
    let free = plan(&server, &[]);
    assert!(free.start.waiting.is_none() && free.start.ahead == 0 && free.findings.is_empty(), "{free:#?}");
    let (slow, go) = in_the_way(&server, &repo).await;
    let two = repo.commit(App::new("v2").files(), "two");

    // The plan tells who goes first, and is the same plan with and without.
    let held = plan(&server, &["--ref", "main"]);
    assert_eq!(held.start.waiting, Some(Waiting::BehindInEnvironment { by: slow.id.clone() }), "{:#?}", held.start);
    assert!(held.start.estimate.is_some_and(|start| start.at > held.created_at), "{:#?}", held.start);
    let first_there = held.findings.iter().find(|finding| finding.code == FindingCode::OthersFirst);
    assert!(first_there.is_some_and(|finding| finding.message.contains(slow.id.as_str())), "{:#?}", held.findings);
    let text = String::from_utf8(server.cli(&["plans", "show", held.digest.short()]).stdout).unwrap();
    assert!(text.contains(&format!("it waits for {} to finish", slow.id)), "{text}");

    // Its place is by its priority: it is behind an ordinary one that came first, and still goes before it.
    repo.commit(App::new("v3").files(), "three");
    let ordinary = server.deploy("hello").await;
    let args = ["deploy", "--plan", held.digest.short(), "--priority", "high", "--detach", "--json"];
    let planned: Deployment = serde_json::from_value(server.cli_json(&args)).unwrap();
    assert_eq!((planned.phase, planned.metadata.plan.as_ref()), (Phase::Queued, Some(&held.digest)));
    let queue: Page<Entry> = serde_json::from_value(server.cli_json(&["queue", "list", "--json"])).unwrap();
    let order: Vec<_> = queue.items.iter().map(|entry| (&entry.deployment, entry.priority)).collect();
    assert_eq!(order, [(&planned.id, Priority::High), (&ordinary.id, Priority::Normal)]);
    // A third one is of the same world, and will find that it is not any more.
    let late = try_carry_out(&server, held.digest.as_str()).await.unwrap();

    std::fs::write(&go, "").unwrap();
    assert_eq!(server.end(&slow.id).await.phase, Phase::Failed);
    // What went first has changed nothing: the plan holds, though the branch has moved.
    let done = active(server.end(&planned.id).await);
    assert_eq!(done.metadata.commit.unwrap().sha, two);
    assert_eq!(done.metadata.reference.as_deref(), Some("main"));
    // An older one than what serves is not run; the later one is, and keeps to its plan.
    let ordinary = server.end(&ordinary.id).await;
    assert_eq!(ordinary.failure.map(|failure| failure.cause), Some(Cause::Superseded));
    let late = server.end(&late.id).await;
    let failure = late.failure.clone().unwrap();
    assert_eq!(failure.cause, Cause::PlanChanged, "{failure:#?}");
    server.settle("hello").await;
    server.assert_nothing_left("hello", &late.id).await;
    server.assert_serves("hello", "/", "v2").await;
    assert_ne!(server.environment("hello").await.active.unwrap().deployment, first.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_one_of_its_branch_ends_what_carries_out_a_plan_but_not_the_other_way_round() {
    let (server, repo, _) = with_app("hello").await;
    let made = server.cli(&["envs", "set-supersede", "production", "skip_queued", "--app", "hello"]);
    assert!(made.status.success(), "{made:?}");
    server.settle("hello").await;
    let (slow, go) = in_the_way(&server, &repo).await;
    let two = repo.commit(App::new("v2").files(), "two");
    let other = plan(&server, &["--ref", &two]);
    repo.commit(App::new("v3").files(), "three");
    let main = plan(&server, &["--ref", "main"]);
    let cause = async |id| server.deployment(id).await.failure.map(|failure| failure.cause);

    // Whoever carries out a plan takes nobody's newer commit away.
    let branch = server.try_deploy("hello", Some("main")).await.unwrap();
    let planned = try_carry_out(&server, main.digest.as_str()).await.unwrap();
    let unconcerned = try_carry_out(&server, other.digest.as_str()).await.unwrap();
    assert_eq!(server.deployment(&branch.id).await.phase, Phase::Queued);

    // A newer one of the branch ends both that were of it, and not the plan of something else.
    let newer = server.try_deploy("hello", Some("main")).await.unwrap();
    assert_eq!(cause(&branch.id).await, Some(Cause::Superseded));
    assert_eq!(cause(&planned.id).await, Some(Cause::Superseded));
    assert_eq!(server.deployment(&unconcerned.id).await.phase, Phase::Queued);

    std::fs::write(&go, "").unwrap();
    assert_eq!(server.end(&slow.id).await.phase, Phase::Failed);
    active(server.end(&unconcerned.id).await);
    active(server.end(&newer.id).await);
    server.settle("hello").await;
    server.assert_serves("hello", "/", "v3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_holds_what_is_planned_but_no_planned_rollback() {
    let (server, repo, _) = with_app("hello").await;
    repo.commit(App::new("v2").files(), "two");
    server.deploy_well("hello").await;
    server.settle("hello").await;
    repo.commit(App::new("v3").files(), "three");
    let freeze = ["windows", "freeze", "--env", "production", "--until", "in 1h", "--reason", "big sale", "--json"];
    let freeze: Window = serde_json::from_value(server.cli_json(&freeze)).unwrap();
    let held = plan(&server, &[]);
    let why = held.start.waiting_for.as_deref().unwrap_or_default();
    assert!(why.contains("big sale") && matches!(held.start.waiting, Some(Waiting::Window(_))), "{:#?}", held.start);
    assert_eq!(held.start.estimate.map(|start| start.at), freeze.changes_at);

    let back = plan(&server, &["--rollback", "v1"]);
    assert!(back.start.waiting.is_none(), "{:#?}", back.start);
    let code = |args: &[&str]| server.cli(args).status.code();
    assert_eq!(code(&["deploy", "--plan", back.digest.short(), "--at", "in 1h", "--detach"]), Some(9));
    assert_eq!(code(&["deploy", "--plan", held.digest.short(), "--bypass-window", "outage"]), Some(9));
    let bypass = ["deploy", "--plan", held.digest.short(), "--priority", "critical", "--bypass-window", "outage"];
    assert_eq!(code(&bypass), Some(0));
    server.assert_serves("hello", "/", "v3").await;
    let bypasses: Page<Bypass> = serde_json::from_value(server.cli_json(&["windows", "bypasses", "--json"])).unwrap();
    assert_eq!(bypasses.items.iter().map(|bypass| bypass.reason.as_str()).collect::<Vec<_>>(), ["outage"]);

    // The world has changed for the plan of the way back; a new one goes through.
    broken(&server, &back).await;
    server.settle("hello").await;
    let back = plan(&server, &["--rollback", "v1"]);
    active(carry_out(&server, &back).await);
    server.assert_serves("hello", "/", "v1").await;
}
