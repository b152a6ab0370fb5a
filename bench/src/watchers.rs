//! A thousand people watch one deployment that prints a thousand lines a second.

mod client;
mod socket_io;
mod sse;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Outcome;
use crate::figure::{Figure, Goal, quantile};
use crate::many::cpu_seconds;
use crate::rest::pss_kib;
use client::Crowd;

/// Who watches, and of them every so manieth is asked when each line came.
const WATCHERS: usize = 1_000;
const SAMPLED: usize = 50;
/// Lines a second, and for how long.
const RATE: u32 = 1_000;
const SECONDS: u32 = 60;
/// In which the last lines may come.
const GRACE: Duration = Duration::from_secs(2);

/// Three servers, one after the other, with the same lines, each with the time at which it was made, and the same raw client:
/// ours with its messages of many lines, ours with a message a line, and Socket.IO with a message a line. Lines that came in
/// time, the time that they took, and what that cost the server.
pub(crate) async fn run() -> Outcome {
    client::allow_files(u64::try_from(WATCHERS * 2 + 500).unwrap());
    let batched = sse::measure(sse::Messages::Batches).await?;
    let single = sse::measure(sse::Messages::Lines).await?;
    let peer = socket_io::measure().await;
    if let Err(why) = &peer {
        eprintln!("without Socket.IO: {why}");
    }
    let mut figures = Vec::new();
    for (name, ours) in [("batched", &batched), ("a message a line", &single)] {
        figures.extend(rows(name, ours, peer.as_ref().ok()));
    }
    Ok(figures)
}

/// What was measured of one server.
struct Measured {
    /// Lines that came, of all watchers together.
    delivered: u64,
    /// Watchers that got each line, up to the last one.
    whole: usize,
    /// Milliseconds from the line to a watcher.
    latencies: Vec<f64>,
    /// Of the server, in seconds.
    cpu: f64,
    /// Of the server at its most, in megabytes.
    memory: f64,
}

fn rows(name: &str, ours: &Measured, peer: Option<&Measured>) -> Vec<Figure> {
    let name = format!("watchers, {name}");
    let figure = |what: &str, of: fn(&Measured) -> f64, unit: &'static str, goal: Goal| {
        let figure =
            Figure::new(format!("{name}: {what}"), of(ours), unit, if peer.is_some() { goal } else { Goal::Shown });
        peer.into_iter().fold(figure, |figure, peer| figure.against("socket.io", of(peer)))
    };
    vec![
        figure("lines delivered", |m| m.delivered as f64 / f64::from(SECONDS), "/s", Goal::RatioAtLeast(1.0)),
        figure("p50", |m| quantile(&m.latencies, 0.5), "ms", Goal::Shown),
        figure("p99", |m| quantile(&m.latencies, 0.99), "ms", Goal::RatioAtMost(1.0)),
        figure("CPU of a million lines", |m| m.cpu / (m.delivered as f64 / 1e6), "s", Goal::RatioAtMost(1.0)),
        Figure::new(format!("{name}: cores"), ours.cpu / f64::from(SECONDS), "", Goal::Shown),
        figure("server's memory", |m| m.memory, "MB", Goal::RatioAtMost(1.0)),
        Figure::new(format!("{name}: got every line"), ours.whole as f64, "watchers", Goal::Is(WATCHERS as f64)),
    ]
}

/// Watches a server while the lines are printed: `crowd` is connected, `open` lets the printer go.
async fn watch(crowd: Crowd, pid: i32, open: impl FnOnce()) -> Result<Measured, String> {
    let cpu = cpu_seconds(pid);
    let begun = tokio::time::Instant::now();
    open();
    let deadline = begun + Duration::from_secs(SECONDS.into()) + GRACE;
    let mut memory: f64 = 0.0;
    while tokio::time::Instant::now() < deadline && !crowd.is_done() {
        memory = memory.max(pss_kib(pid) * 1024.0 / 1e6);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let cpu = cpu_seconds(pid) - cpu;
    let told = crowd.leave()?;
    let last = u64::from(RATE * SECONDS);
    Ok(Measured {
        delivered: told.iter().map(|one| one.lines).sum(),
        whole: told.iter().filter(|one| one.lines == last && one.last == last).count(),
        latencies: told.into_iter().flat_map(|one| one.latencies).collect(),
        cpu,
        memory,
    })
}

/// The program that prints, with its arguments: it waits for the file `gate`.
fn printer(gate: &Path) -> [String; 3] {
    [gate.display().to_string(), RATE.to_string(), SECONDS.to_string()]
}

/// What it consists of.
const PRINTER: &str = include_str!("watchers/printer.py");

fn gate(dir: &Path) -> PathBuf {
    dir.join("gate")
}
