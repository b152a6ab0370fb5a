//! One project floods the queue: others are served all the same, and those who ask get an answer.

use std::process::Command;
use std::time::{Duration, Instant};

use domain::deployment::Deployment;
use domain::failure::Cause;
use domain::phase::Phase;
use domain::timeline::Span;
use operations::Page;
use operations::environments::{Create, CreateRequest};
use operations::queue::{Ahead, Entry};
use operations::windows::Window;
use plimsoll_tests::flow::active;
use plimsoll_tests::{App, Server, wait_for};

const MANY: usize = 100_000;
/// More than end in one transaction, and than in two.
const OLDER: usize = 250;
/// Who takes turns with them, and not with their project, waits for a hundred.
const ENVIRONMENTS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_of_one_project_keep_nobody_else_waiting() {
    // As many as a project may have at work by default: those of the crowd take all slots that become free, if they are let.
    let server = Server::start_with(&["--workers", "2"], &[]).await;
    let (server, _repo, _) = crate::on(server, "hello").await;
    let begun = Instant::now();
    let (mut server, other, _) = crate::on(server, "quiet").await;
    let alone = begun.elapsed();
    for n in 1..ENVIRONMENTS {
        let environment = format!("place-{n}").parse().unwrap();
        let request = CreateRequest { app: "hello".parse().unwrap(), environment, host: None };
        server.client().call::<Create>(&request).await.unwrap();
    }
    server.cli_json(&["deploy", "hello", "--at", "in 1h", "--detach", "--json"]);
    server.stop();
    fill(&server, MANY);
    server.restart().await;
    let asked = Instant::now();
    other.commit(App::new("v2").files(), "v2");
    active(server.deploy_to_end("quiet").await);
    let took = asked.elapsed();
    // Behind a hundred others it would be fifty times as long as alone.
    assert!(
        took < Duration::from_secs(20) + alone * 15,
        "{took:?}, {alone:?} alone: who came later waited for all before"
    );
    let asked = Instant::now();
    let page: Page<Entry> = serde_json::from_value(server.cli_json(&["queue", "list", "--json"])).unwrap();
    let (shown, first) = (asked.elapsed(), &page.items[0]);
    // Of a build that is not optimized, on a machine that others use.
    assert!(shown < Duration::from_secs(300), "the queue is shown after {shown:?}, {took:?} for the other");
    assert!(page.next.is_some(), "{} on one page", page.items.len());
    let waits = first.estimate.as_ref().map(|estimate| estimate.start.at);
    assert!(waits.is_some() && first.app.as_str() == "hello", "{first:?}");
    // Who asks for one app or one environment hears of nothing else, however many others wait.
    let ahead = |args: &[&str]| -> Ahead {
        let args = [&["queue", "timeline", "--json"][..], args].concat();
        serde_json::from_value(server.cli_json(&args)).unwrap()
    };
    let named = |span: &Span| span.app.iter().chain(&span.environment).map(ToString::to_string).collect::<Vec<_>>();
    // What was foreseen of a long queue may be of a moment ago, when it was at work.
    let quiet = ahead(&["--app", "quiet"]);
    assert!(quiet.spans.len() <= 1 && quiet.spans.iter().all(|span| named(span)[0] == "quiet"), "{:?}", quiet.spans);
    let place = ahead(&["--app", "hello", "--env", "place-7"]);
    assert!(!place.spans.is_empty() && place.spans.iter().all(|span| named(span) == ["hello", "place-7"]));
    // Its own turn comes too.
    let id = first.deployment.clone();
    wait_for("the crowd to go on", Duration::from_secs(60), async || {
        (server.deployment(&id).await.phase != Phase::Queued).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_one_ends_a_crowd_of_its_branch_little_by_little() {
    let (mut server, repo, _) = crate::with_app("hello").await;
    let set = server.cli(&["envs", "set-supersede", "production", "skip_queued", "--app", "hello"]);
    assert!(set.status.success(), "{set:?}");
    let freeze = server.cli_json(&["windows", "freeze", "--app", "hello", "--reason", "sale", "--json"]);
    let freeze: Window = serde_json::from_value(freeze).unwrap();
    repo.commit(App::new("v2").files(), "v2");
    let later = server.cli_json(&["deploy", "hello", "--at", "in 1h", "--detach", "--json"]);
    server.stop();
    fill(&server, OLDER);
    server.restart().await;
    let before = waiting(&server);
    assert_eq!(before.len(), OLDER + 1, "with the one for later, of which they were made");
    let newest = server.deploy("hello").await;
    let left = waiting(&server);
    assert_eq!(left.len(), before.len() + 1 - 100, "who orders it ends some, as nobody can write meanwhile");
    assert!(left.contains(&newest.id.to_string()));

    // A server that is killed has nothing to take up: what is left is superseded all the same.
    server.kill9();
    server.restart().await;
    assert_eq!(server.deployment(&newest.id).await.phase, Phase::Queued);
    assert!(server.cli(&["windows", "delete", freeze.id.as_str(), "--yes"]).status.success());
    active(server.end(&newest.id).await);
    server.assert_serves("hello", "/", "v2").await;
    assert_eq!(waiting(&server), [later["id"].as_str().unwrap()], "what was ordered for a time of its own is meant");
    let failed = server.cli_json(&["deployments", "list", "--phase", "failed", "--limit", "500", "--json"]);
    let failed: Page<Deployment> = serde_json::from_value(failed).unwrap();
    let superseded = |one: &Deployment| one.failure.as_ref().is_some_and(|why| why.cause == Cause::Superseded);
    assert!(failed.items.iter().all(superseded), "{:#?}", failed.items);
    assert_eq!(failed.items.len(), OLDER);
}

/// All that wait.
fn waiting(server: &Server) -> Vec<String> {
    let page = server.cli_json(&["queue", "list", "--limit", "500", "--json"]);
    let page: Page<Entry> = serde_json::from_value(page).unwrap();
    page.items.iter().map(|entry| entry.deployment.to_string()).collect()
}

/// Makes so many deployments of the one that waits, while no server runs.
fn fill(server: &Server, count: usize) {
    let fill = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/crowd/fill.py");
    let database = server.data().join("plimsoll.db");
    let filled = Command::new("python3").arg(fill).arg(&database).arg(count.to_string()).output().unwrap();
    assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
}
