//! One project floods the queue: others are served all the same, and those who ask get an answer.

use std::process::Command;
use std::time::{Duration, Instant};

use domain::phase::Phase;
use operations::Page;
use operations::environments::{Create, CreateRequest};
use operations::queue::Entry;
use plimsoll_tests::flow::active;
use plimsoll_tests::{App, Server, wait_for};

const MANY: usize = 100_000;
/// Who takes turns with them, and not with their project, waits for a hundred.
const ENVIRONMENTS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_of_one_project_keep_nobody_else_waiting() {
    // As many as a project may have at work by default: those of the crowd take all slots that become free, if they are let.
    let server = Server::start_with(&["--workers", "2"], &[]).await;
    let (server, _repo, _) = crate::on(server, "hello").await;
    let (mut server, other, _) = crate::on(server, "quiet").await;
    for n in 1..ENVIRONMENTS {
        let environment = format!("place-{n}").parse().unwrap();
        let request = CreateRequest { app: "hello".parse().unwrap(), environment, host: None };
        server.client().call::<Create>(&request).await.unwrap();
    }
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
    // Of a build that is not optimized, on a machine that others use.
    assert!(shown < Duration::from_secs(60), "the queue is shown after {shown:?}, {took:?} for the other");
    assert!(page.next.is_some(), "{} on one page", page.items.len());
    let waits = first.estimate.as_ref().map(|estimate| estimate.start.at);
    assert!(waits.is_some() && first.app.as_str() == "hello", "{first:?}");
    // Its own turn comes too.
    let id = first.deployment.clone();
    wait_for("the crowd to go on", Duration::from_secs(60), async || {
        (server.deployment(&id).await.phase != Phase::Queued).then_some(())
    })
    .await;
}
