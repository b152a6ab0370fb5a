//! One project floods the queue: others are served all the same, and those who ask get an answer.

use std::process::Command;
use std::time::{Duration, Instant};

use domain::phase::Phase;
use operations::Page;
use operations::queue::Entry;
use plimsoll_tests::flow::active;
use plimsoll_tests::{App, wait_for};

use crate::with_app;

const MANY: usize = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_of_one_project_keep_nobody_else_waiting() {
    let (server, _repo, _) = with_app("hello").await;
    let (mut server, other, _) = crate::on(server, "quiet").await;
    server.cli_json(&["deploy", "hello", "--at", "in 1h", "--detach", "--json"]);
    server.stop();
    let fill = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/crowd/fill.py");
    let database = server.data().join("plimsoll.db");
    let filled = Command::new("python3").arg(fill).arg(&database).arg(MANY.to_string()).output().unwrap();
    assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
    server.restart().await;
    let asked = Instant::now();
    other.commit(App::new("v2").files(), "v2");
    active(server.deploy_to_end("quiet").await);
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}: who came later waited for all before");
    let asked = Instant::now();
    let page: Page<Entry> = serde_json::from_value(server.cli_json(&["queue", "list", "--json"])).unwrap();
    let (shown, first) = (asked.elapsed(), &page.items[0]);
    println!("served after {took:?}; the queue is shown after {shown:?}");
    assert!(shown < Duration::from_secs(20) && page.next.is_some(), "the queue is shown after {shown:?}");
    let waits = first.estimate.as_ref().map(|estimate| estimate.start.at);
    assert!(waits.is_some() && first.app.as_str() == "hello", "{first:?}");
    // Its own turn comes too.
    let id = first.deployment.clone();
    wait_for("the crowd to go on", Duration::from_secs(60), async || {
        (server.deployment(&id).await.phase != Phase::Queued).then_some(())
    })
    .await;
}
