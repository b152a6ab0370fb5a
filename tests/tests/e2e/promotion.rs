//! From staging to production: the very same files, with production's variables.

use std::time::Duration;

use domain::deployment::{Deployment, DeploymentKind};
use domain::failure::Cause;
use domain::phase::Phase;
use domain::promotion::{Comparison, FindingCode, PromotionReport};
use operations::client::CallError;
use operations::promotions::{Promote, PromoteRequest};
use plimsoll_tests::flow::{active, refused};
use plimsoll_tests::{App, RawLoad, Repo, Server, http, wait_for};

use crate::load;

const HELLO: &str = "hello-staging.localhost";

/// A build that gives other files each time, a release command that leaves a trace, and smoke tests.
fn app(log: &std::path::Path, more: &str) -> App {
    App::new("not yet built")
        .build("od -An -N16 -tx1 /dev/urandom | tr -d ' \\n' > VERSION")
        .release(&format!("umask 0; echo \"$GREETING\" >> {}", log.display()))
        .configured("[[smoke_tests]]\nname = \"it answers\"\n")
        .configured(more)
}

async fn deploy_to_staging(server: &Server) -> String {
    let done = server.cli(&["deploy", "hello", "--env", "staging"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    staging(server).await
}

async fn staging(server: &Server) -> String {
    let (status, body) = http::get(server.ingress(), HELLO, "/").await.unwrap();
    assert_eq!(status, 200, "{body}");
    body
}

fn plan(server: &Server) -> (Option<i32>, PromotionReport) {
    let output = server.cli(&["promote", "staging", "production", "--app", "hello", "--dry-run", "--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for secret in ["a-token-of-staging", "a-token-of-production"] {
        assert!(!text.contains(secret), "{text}");
    }
    (output.status.code(), serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {output:?}")))
}

async fn promote(server: &Server) -> Result<Deployment, CallError> {
    let request = PromoteRequest {
        app: "hello".parse().unwrap(),
        environment: "production".parse().unwrap(),
        from: "staging".parse().unwrap(),
        release: None,
        force: None,
        priority: Default::default(),
    };
    server.client().call::<Promote>(&request).await
}

fn codes(report: &PromotionReport) -> Vec<FindingCode> {
    report.findings.iter().map(|finding| finding.code).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_very_same_files_go_from_staging_to_production() {
    let server = Server::start().await;
    let repo = Repo::new();
    let log = server.shared().join("log");
    repo.commit(app(&log, "").files(), "one");
    server.create_app("hello", repo.source()).await;
    let cli = |args: &[&str]| {
        let done = server.cli(args);
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    cli(&["envs", "create", "staging", "--app", "hello"]);
    assert!(refused(promote(&server).await).detail.contains("nothing serves in hello/staging"));
    let set = |environment: &str, variables: &[&str]| {
        cli(&[&["env", "set", "--app", "hello", "--env", environment], variables].concat());
    };
    set("staging", &["GREETING=ahoy staging", "API_TOKEN=a-token-of-staging", "SAME=same"]);
    let built = deploy_to_staging(&server).await;

    // Production lacks what the release was built with, then has a secret of staging's.
    let (code, report) = plan(&server);
    assert_eq!((code, codes(&report)), (Some(4), vec![FindingCode::MissingVariables]));
    assert_eq!(report.findings[0].variables, ["API_TOKEN", "GREETING", "SAME"]);
    assert!(refused(promote(&server).await).detail.contains("API_TOKEN, GREETING, SAME"));
    set("production", &["GREETING=ahoy production", "API_TOKEN=a-token-of-staging", "SAME=same", "MORE=more"]);
    let (code, report) = plan(&server);
    assert_eq!((code, codes(&report)), (Some(4), vec![FindingCode::SharedSecrets, FindingCode::BuiltWithOtherValues]));
    assert_eq!(report.findings[0].variables, ["API_TOKEN"]);
    set("production", &["API_TOKEN=a-token-of-production"]);
    let (code, report) = plan(&server);
    assert_eq!((code, codes(&report)), (Some(0), vec![FindingCode::BuiltWithOtherValues]));
    let compared: Vec<_> = report.variables.iter().map(|v| (v.name.as_str(), v.comparison)).collect();
    let expected = [
        ("API_TOKEN", Comparison::Different),
        ("GREETING", Comparison::Different),
        ("MORE", Comparison::OnlyInTarget),
        ("SAME", Comparison::Same),
    ];
    assert_eq!(compared, expected);
    assert!(server.get("hello", "/").await.unwrap().0 >= 400, "nothing was promoted yet");

    // Nothing is built, the release command runs with production's variables, the smoke tests run.
    let promoted = promote(&server).await.unwrap();
    assert_eq!(promoted.kind, DeploymentKind::Promotion);
    let promoted = active(server.end(&promoted.id).await);
    server.assert_serves("hello", "/", &built).await;
    server.assert_serves("hello", "/env/GREETING", "ahoy production").await;
    assert_eq!(staging(&server).await, built);
    let phases = server.phases(&promoted.id).await;
    assert!(!phases.contains(&Phase::PullingSource) && !phases.contains(&Phase::Building), "{phases:?}");
    assert!(phases.contains(&Phase::Migrating), "{phases:?}");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "ahoy staging\nahoy production\n");
    assert_eq!(promoted.metadata.smoke_tests.len(), 2);
    let releases = server.releases("hello").await;
    let (ours, origin) = (&releases[0].release, &releases[1].release);
    assert_eq!(
        (ours.artifact.clone(), ours.promoted_from.clone().unwrap().release),
        (origin.digest.clone(), origin.id.clone())
    );
    assert!(ours.digest != origin.digest && releases[0].variables.contains(&"MORE".to_owned()));
    assert_eq!(promoted.metadata.promotion.unwrap().number, origin.number);

    // The same again is nothing, unless somebody has a reason.
    let again = refused(promote(&server).await);
    assert!(again.detail.contains("has the same files and the same variables"), "{again:?}");
    cli(&["promote", "staging", "production", "--app", "hello", "--force", "to see it restart"]);
    let last = server.environment("hello").await.active.unwrap().deployment;
    let record = server.deployment(&last).await.metadata.promotion.unwrap();
    assert_eq!(record.forced.as_deref(), Some("to see it restart"));

    // A second version, promoted twice at the same time.
    repo.commit([("README.md", "two")], "two");
    repo.commit([("README.md", "three")], "three");
    let next = deploy_to_staging(&server).await;
    assert_ne!(next, built);
    let (code, report) = plan(&server);
    assert_eq!(code, Some(0));
    let added: Vec<_> = report.commits.added.iter().map(|c| c.summary.as_str()).collect();
    assert_eq!((added, report.commits.unknown), (vec!["three", "two"], None));
    let (one, other) = tokio::join!(promote(&server), promote(&server));
    let (one, other) = (server.end(&one.unwrap().id).await, server.end(&other.unwrap().id).await);
    let (older, newer) = if one.generation < other.generation { (one, other) } else { (other, one) };
    assert_eq!(newer.phase, Phase::Active, "{newer:#?}");
    let superseded = older.failure.as_ref().is_some_and(|f| f.cause == Cause::Superseded);
    assert!(older.phase == Phase::Active || superseded, "{older:#?}");
    server.assert_serves("hello", "/", &next).await;
    assert_eq!(server.releases("hello").await.len(), 4, "both made the same release");

    // Without the environment that it came from, what was promoted serves on and can be gone back to.
    server.settle("hello").await;
    cli(&["envs", "delete", "staging", "--app", "hello", "--yes"]);
    assert_eq!(server.cli(&["promote", "staging", "production", "--app", "hello"]).status.code(), Some(3));
    server.assert_serves("hello", "/", &next).await;
    cli(&["rollback", "--app", "hello"]);
    server.assert_serves("hello", "/", &built).await;
    server.assert_serves("hello", "/env/GREETING", "ahoy production").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_fails_leaves_nothing() {
    let server = Server::start().await;
    let repo = Repo::new();
    let log = server.shared().join("log");
    repo.commit(app(&log, "").files(), "one");
    server.create_app("hello", repo.source()).await;
    server.deploy_well("hello").await;
    let before = server.get("hello", "/").await.unwrap().1;
    assert!(server.cli(&["envs", "create", "staging", "--app", "hello"]).status.success());
    let test = "[[smoke_tests]]\nname = \"greets\"\npath = \"/env/GREETING\"\nexpect = { contains = \"staging\" }\n";
    repo.commit(app(&log, test).files(), "two");
    for (environment, value) in [("staging", "GREETING=staging"), ("production", "GREETING=production")] {
        assert!(server.cli(&["env", "set", "--app", "hello", "--env", environment, value]).status.success());
    }
    deploy_to_staging(&server).await;
    let report = plan(&server).1;
    let settings: Vec<_> = report.configuration.iter().map(|d| d.setting.as_str()).collect();
    assert!(settings.iter().all(|s| s.starts_with("smoke_tests/greets/")) && !settings.is_empty(), "{settings:?}");

    let failed = promote(&server).await.unwrap();
    let failed = server.end(&failed.id).await;
    assert_eq!(failed.failure.as_ref().map(|f| f.cause), Some(Cause::SmokeTest), "{failed:#?}");
    server.assert_serves("hello", "/", &before).await;
    server.assert_nothing_left("hello", &failed.id).await;
    assert_eq!(server.releases("hello").await.len(), 2, "the release that it would have been is gone");
    assert_eq!(staging(&server).await.len(), 32, "staging has its files still");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_waits_needs_the_environment_that_it_comes_from_no_more() {
    let (server, repo, _) = crate::with_app("hello").await;
    assert!(server.cli(&["envs", "create", "staging", "--app", "hello"]).status.success());
    let log = server.shared().join("log");
    repo.commit(App::new("v2").release(&format!("umask 0; echo migrated >> {}", log.display())).files(), "v2");
    assert_eq!(deploy_to_staging(&server).await, "v2");
    let gate = server.shared().join("go");
    let build = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
    repo.commit(App::new("v3").build(&build).files(), "v3");
    let before = server.deploy("hello").await;
    server.reach(&before.id, Phase::Building).await;
    let promotion = promote(&server).await.unwrap();
    assert_eq!(promotion.phase, Phase::Queued);

    // It is of staging alone: production's deployment is at work meanwhile.
    server.cli_json(&["envs", "delete", "staging", "--app", "hello", "--yes", "--json"]);
    std::fs::write(gate, "").unwrap();
    active(server.end(&before.id).await);
    let promoted = active(server.end(&promotion.id).await);
    server.assert_serves("hello", "/", "v2").await;
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "migrated\nmigrated\n", "once in each environment");
    assert_eq!(promoted.metadata.promotion.unwrap().from.as_str(), "staging");
    let gone = refused(promote(&server).await);
    assert!(gone.status == 404 && gone.detail.contains("staging"), "{gone:?}");
}

/// A promotion is begun, and its server killed once it is seen in `phase`, while visitors come; then there is a server again.
async fn server_dies_in(phase: Phase, server: &mut Server, load: &RawLoad) -> Deployment {
    let promotion = promote(server).await.unwrap();
    let met = server.reach(&promotion.id, phase).await;
    server.kill9();
    // The others are so short that the kill may come in the next one; it is a kill at another place then.
    assert!(met == phase || phase == Phase::Queued, "{phase} was over before it was met: {met}");
    load.go_on(15).await;
    server.restart().await;
    let ended = server.end(&promotion.id).await;
    assert_eq!(ended.kind, DeploymentKind::Promotion);
    assert!(server.phases(&promotion.id).await.is_sorted(), "killed in {met}");
    load.go_on(5).await;
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_a_promotion_brings_it_to_its_end() {
    let mut server = Server::start().await;
    let repo = Repo::new();
    let app = |version: &str| App::new(version).env("SHOW_PID", "1");
    repo.commit(app("v1").files(), "v1");
    server.create_app("hello", repo.source()).await;
    server.deploy_well("hello").await;
    assert!(server.cli(&["envs", "create", "staging", "--app", "hello"]).status.success());
    for environment in ["staging", "production"] {
        let place = format!("PLACE={environment}");
        assert!(server.cli(&["env", "set", "--app", "hello", "--env", environment, &place]).status.success());
    }
    let load = load(&server, "hello");
    load.go_on(5).await;
    let rounds = [("v2", Phase::Queued), ("v3", Phase::Migrating), ("v4", Phase::HealthCheck), ("v5", Phase::Active)];
    for (version, phase) in rounds {
        // There is nothing to build in a promotion.
        repo.commit(app(version).slow_in(phase.max(Phase::Migrating)).files(), version);
        deploy_to_staging(&server).await;
        let promoted = active(server_dies_in(phase, &mut server, &load).await);
        let body = server.get("hello", "/").await.unwrap().1;
        assert!(body.starts_with(version), "killed in {phase}: {body}");
        assert_eq!(server.environment("hello").await.active.unwrap().deployment, promoted.id);
        server.settle("hello").await;
        // One here and one in staging; nothing was started twice.
        wait_for("two processes", Duration::from_secs(30), async || (server.apps().len() == 2).then_some(())).await;
    }

    // One that can't end well ends as badly as without the kill.
    let test = "[[smoke_tests]]\nname = \"place\"\ncommand = \"sleep 1; test $PLACE = staging\"\nwhen = \"before\"\n";
    repo.commit(app("wrong").slow_in(Phase::HealthCheck).configured(test).files(), "wrong");
    deploy_to_staging(&server).await;
    let failed = server_dies_in(Phase::HealthCheck, &mut server, &load).await;
    assert_eq!(failed.failure.as_ref().map(|f| f.cause), Some(Cause::SmokeTest), "{failed:#?}");
    assert!(server.get("hello", "/").await.unwrap().1.starts_with("v5"));
    server.assert_nothing_left("hello", &failed.id).await;
    let tally = load.stop();
    tally.assert_none_lost();
    let versions: Vec<&str> = tally.distinct().iter().map(|body| body.split(' ').next().unwrap()).collect();
    assert_eq!(versions, ["v1", "v2", "v3", "v4", "v5"], "each from one process alone: {:?}", tally.distinct());
}
