//! Smoke tests: before the cutover, after it, on demand; and nobody notices when they fail.

use domain::event::EventKind;
use domain::failure::Cause;
use domain::phase::Phase;
use domain::smoke::{Moment, Outcome, SmokeResult};
use operations::smoke_tests::{Run, RunRequest, SmokeReport};
use plimsoll_tests::flow::{active, host, refused};
use plimsoll_tests::server::free_address;
use plimsoll_tests::{App, Server, processes, wait_for};

use crate::edge::Pair;
use crate::{load, on, with_app};

const GOOD: &str = r#"
[[smoke_tests]]
name = "it says which version it is"
expect = { status = 200, contains = "v2", headers = { Content-Type = "text/plain" } }
retries = 2
[[smoke_tests]]
name = "a script can ask"
command = """
python3 -c "import os, urllib.request as r
q = r.Request(os.environ['PLIMSOLL_URL'] + '/env/GREETING', headers={'Host': os.environ['PLIMSOLL_HOST']})
assert r.urlopen(q).read() == b'ahoy\\n', 'no greeting'"
"""
"#;

/// Names, moments and outcomes.
fn seen(results: &[SmokeResult]) -> Vec<(&str, Moment, &'static str)> {
    let outcome = |result: &SmokeResult| match result.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed(_) => "failed",
        Outcome::Skipped { .. } => "skipped",
    };
    results.iter().map(|r| (r.name.as_str(), r.moment, outcome(r))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_test_is_reported_and_can_be_run_again() {
    let (server, repo, _) = with_app("hello").await;
    let (one, two) = ("it says which version it is", "a script can ask");
    repo.commit(App::new("v2").env("GREETING", "ahoy").configured(GOOD).files(), "v2");
    let deployed = server.deploy_well("hello").await;
    let passed: Vec<_> =
        [Moment::Before, Moment::After].into_iter().flat_map(|m| [(one, m, "passed"), (two, m, "passed")]).collect();
    assert_eq!(seen(&deployed.metadata.smoke_tests), passed);
    let mut told: Vec<SmokeResult> = Vec::new();
    for event in server.events(&deployed.id).await {
        if let EventKind::SmokeTested { results } = event.kind {
            told.extend(results);
        }
    }
    assert_eq!(seen(&told), passed);
    let output = server.cli(&["deployments", "output", deployed.id.as_str()]);
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.contains(&format!("smoke test `{one}` (before the cutover): passed")), "{output}");

    let run = server.cli_json(&["smoke-tests", "run", "--app", "hello", "--json"]);
    let report: SmokeReport = serde_json::from_value(run).unwrap();
    assert!(report.passed && seen(&report.results) == passed, "{report:#?}");

    // A rollback runs none, and says so.
    repo.commit(App::new("v3").env("GREETING", "ahoy").files(), "v3");
    server.deploy_well("hello").await;
    let none = server.cli(&["smoke-tests", "run", "--app", "hello"]);
    assert_eq!(none.status.code(), Some(4), "{none:?}");
    let back = server.rollback("hello", None).await.unwrap();
    let back = active(server.end(&back.id).await);
    assert!(seen(&back.metadata.smoke_tests).iter().all(|(.., outcome)| *outcome == "skipped"));
    assert_eq!(back.metadata.smoke_tests.len(), 4);

    // What can't be run is told with its place.
    let lost = "[[smoke_tests]]\nname = \"a\"\ncomponent = \"wev\"\n";
    repo.commit(App::new("v4").configured(lost).files(), "v4");
    let refused = server.deploy_to_end("hello").await.failure.unwrap();
    assert_eq!(refused.cause, Cause::Configuration);
    assert!(refused.message.contains("plimsoll.toml, line ") && refused.hint.contains("`web`"), "{refused:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_test_leaves_the_visitors_with_the_old_version() {
    let (server, repo, _) = with_app("hello").await;
    server.set_variables("hello", &[("GREETING", "hunter22-is-secret")]).await;
    let load = load(&server, "hello");

    // Before the cutover: nothing is switched.
    let wrong = "[[smoke_tests]]\nname = \"greets\"\npath = \"/env/GREETING\"\nexpect = { contains = \"bonjour\" }\n\
                 [[smoke_tests]]\nname = \"answers\"\n";
    repo.commit(App::new("v2").configured(wrong).files(), "v2");
    let failed = server.deploy_to_end("hello").await;
    let failure = failed.failure.clone().unwrap();
    assert_eq!((failed.phase, failure.cause), (Phase::Failed, Cause::SmokeTest), "{failed:#?}");
    for part in ["`greets`", "before the cutover", "expected `bonjour` in the body from GET /env/GREETING"] {
        assert!(failure.message.contains(part), "{failure:#?}");
    }
    assert_eq!(failure.output.first().map(String::as_str), Some("[secret]"), "{failure:#?}");
    assert!(!serde_json::to_string(&failed).unwrap().contains("hunter22"));
    let expected = [
        ("greets", Moment::Before, "failed"),
        ("answers", Moment::Before, "passed"),
        ("greets", Moment::After, "skipped"),
        ("answers", Moment::After, "skipped"),
    ];
    assert_eq!(seen(&failed.metadata.smoke_tests), expected);
    server.assert_serves("hello", "/", "v1").await;
    server.assert_nothing_left("hello", &failed.id).await;

    // After it: the traffic comes back.
    let late = "[[smoke_tests]]\nname = \"slow\"\ncommand = \"echo on its way; sleep 30\"\ntimeout = \"300ms\"\n\
                when = \"after\"\nretries = 1\n";
    repo.commit(App::new("v3").configured(late).files(), "v3");
    let back = server.deploy_to_end("hello").await;
    let failure = back.failure.clone().unwrap();
    assert_eq!((back.phase, failure.cause), (Phase::RolledBack, Cause::SmokeTest), "{back:#?}");
    assert!(failure.message.contains("the command to end within 0.3 s"), "{failure:#?}");
    assert_eq!(back.metadata.smoke_tests[0].attempts, 2);
    server.assert_serves("hello", "/", "v1").await;
    server.assert_nothing_left("hello", &back.id).await;
    load.go_on(10).await;
    let tally = load.stop();
    tally.assert_none_lost();
    assert_eq!(tally.distinct(), ["v1", "v3"]);
}

/// The redirect to HTTPS is the ingress's own answer: it says nothing about the release.
#[tokio::test(flavor = "multi_thread")]
async fn behind_a_redirect_the_release_itself_is_asked() {
    let https = free_address().to_string();
    let args = ["--ingress-https-listen", https.as_str(), "--ingress-https-redirect"];
    let (server, repo, _) = on(Server::start_with(&args, &[]).await, "hello").await;
    let pair = Pair::new(&[&host("hello")], 90);
    let mut files = Default::default();
    server.cli_json(&[&pair.add(&mut files, &[])[..], &["--json"]].concat());
    assert_eq!(server.get("hello", "/").await.unwrap().0, 308);

    // The app knows no POST, and answers with 501.
    let tests = |method: &str| {
        format!(
            "[[smoke_tests]]\nname = \"asked\"\nwhen = \"after\"\nmethod = \"{method}\"\n\
             [[smoke_tests]]\nname = \"told to ask\"\nwhen = \"after\"\n\
             command = 'curl -fsS -o /dev/null -X {method} -H \"Host: $PLIMSOLL_HOST\" \"$PLIMSOLL_URL/\"'\n"
        )
    };
    repo.commit(App::new("v2").configured(&tests("POST")).files(), "v2");
    let back = server.deploy_to_end("hello").await;
    let failure = back.failure.clone().unwrap();
    assert_eq!((back.phase, failure.cause), (Phase::RolledBack, Cause::SmokeTest), "{back:#?}");
    assert!(failure.message.contains("got status 501"), "{failure:#?}");
    let both = [("asked", Moment::After, "failed"), ("told to ask", Moment::After, "failed")];
    assert_eq!(seen(&back.metadata.smoke_tests), both);

    repo.commit(App::new("v3").configured(&tests("GET")).files(), "v3");
    let deployed = server.deploy_well("hello").await;
    let both = both.map(|(name, moment, _)| (name, moment, "passed"));
    assert_eq!(seen(&deployed.metadata.smoke_tests), both);
}

/// Nobody would hear how they went.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_by_hand_ends_when_its_client_leaves_and_has_no_twin() {
    let (server, repo, _) = with_app("hello").await;
    let (slow, began) = (server.shared().join("slow"), server.shared().join("began"));
    let command = format!("if [ -e {} ]; then touch {}; sleep 1234; fi", slow.display(), began.display());
    let test =
        format!("[[smoke_tests]]\nname = \"slow\"\ntimeout = \"60s\"\nwhen = \"before\"\ncommand = '{command}'\n");
    repo.commit(App::new("v2").configured(&test).files(), "v2");
    server.deploy_well("hello").await;
    std::fs::write(&slow, "").unwrap();
    let request = || RunRequest { app: "hello".parse().unwrap(), environment: "production".parse().unwrap() };
    let first = tokio::spawn({
        let (client, request) = (server.client().clone(), request());
        async move { client.call::<Run>(&request).await }
    });
    let limit = std::time::Duration::from_secs(20);
    wait_for("the command to begin", limit, async || began.exists().then_some(())).await;
    let twin = refused(server.client().call::<Run>(&request()).await);
    assert!(twin.detail.contains("are being run already"), "{twin:?}");

    first.abort();
    std::fs::remove_file(&slow).unwrap();
    let sleeping = || processes::with_argument("sleep 1234").len();
    wait_for("the command to be ended", limit, async || (sleeping() == 0).then_some(())).await;
    let again =
        wait_for("the run to be over", limit, async || server.client().call::<Run>(&request()).await.ok()).await;
    assert!(again.passed, "{again:#?}");
}
