//! What Plimsoll costs when nothing happens.

use std::time::{Duration, Instant};

use plimsoll_tests::Server;

use crate::Outcome;
use crate::figure::{Figure, Goal, quantile};

const STARTS: usize = 5;

/// From the start of the process until the API answers a request with its token; then, with nothing to do for five seconds, the
/// proportional set size of server and ingress.
pub(crate) async fn run() -> Outcome {
    let mut server = Server::start().await;
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        server.kill9();
        let began = Instant::now();
        server.restart().await;
        starts.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let pids = server.ingresses().into_iter().chain([server.pid()]);
    let kib: f64 = pids.map(pss_kib).sum();
    Ok(vec![
        Figure::new("start to ready", quantile(&starts, 0.5), "ms", Goal::Below(300.0)),
        // A megabyte is 1,000,000 bytes.
        Figure::new("memory at rest, server + ingress", kib * 1024.0 / 1e6, "MB", Goal::Below(60.0)),
    ])
}

/// The proportional set size of a process.
pub(crate) fn pss_kib(pid: i32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
