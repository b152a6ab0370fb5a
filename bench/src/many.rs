//! Many apps on one host, at rest.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use plimsoll_tests::Server;

use crate::figure::{Figure, Goal};
use crate::{Outcome, site};

const APPS: usize = 200;
const AT_ONCE: usize = 8;
/// Two rounds of the reconciler's health checks.
const WATCHED: Duration = Duration::from_secs(60);

/// CPU time of the server over a minute in which nothing happens but its own looking after 200 apps.
pub(crate) async fn run() -> Outcome {
    let server = Server::start_with(&["--workers", "8"], &[]).await;
    let repo = site::repository();
    site::version(&repo, 1);
    stream::iter(0..APPS)
        .for_each_concurrent(AT_ONCE, async |n| {
            let name = format!("app{n}");
            server.create_app(&name, repo.source()).await;
            server.deploy_well(&name).await;
        })
        .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (before, began) = (cpu_seconds(server.pid()), Instant::now());
    tokio::time::sleep(WATCHED).await;
    let share = (cpu_seconds(server.pid()) - before) / began.elapsed().as_secs_f64() * 100.0;
    Ok(vec![Figure::new("reconcile 200 apps at rest, of one core", share, "%", Goal::Below(2.0))])
}

/// User and system time of a process so far.
pub(crate) fn cpu_seconds(pid: i32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    // `USER_HZ` is 100 on every Linux that Rust runs on.
    ticks / 100.0
}
