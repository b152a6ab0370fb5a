//! Benchmarks of Plimsoll against the bare steps, the disk and its peers, in one run. `README.md` says how to read them.
//!
//!     bench [NAME…]
//!
//! Prints a table and writes `target/bench.json`. It measures the `plimsoll` beside it.
// A program for people's terminals, that stops with a word at whatever is amiss.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod alone;
mod cutovers;
mod deploy;
mod failover;
mod figure;
mod history;
mod kills;
mod many;
mod page;
mod passes;
mod peer;
mod proxy;
mod queue;
mod rest;
mod sign_in;
mod site;
mod start;
mod steps;
mod stolen;
mod switch;
mod table;
mod ui;
mod upstream;
mod watchers;

use futures::FutureExt;
use futures::future::LocalBoxFuture;

use figure::{Figure, Goal};

/// A benchmark gives its figures, or says in a word why it was skipped.
type Outcome = Result<Vec<Figure>, String>;

struct Benchmark {
    name: &'static str,
    run: fn() -> LocalBoxFuture<'static, Outcome>,
}

const ALL: [Benchmark; 15] = [
    Benchmark { name: "rest", run: || rest::run().boxed_local() },
    Benchmark { name: "deploy", run: || deploy::run().boxed_local() },
    Benchmark { name: "steps", run: || steps::run().boxed_local() },
    Benchmark { name: "queue", run: || queue::run().boxed_local() },
    Benchmark { name: "start", run: || start::run().boxed_local() },
    Benchmark { name: "failover", run: || failover::run().boxed_local() },
    Benchmark { name: "switch", run: || switch::run().boxed_local() },
    Benchmark { name: "proxy", run: || proxy::run().boxed_local() },
    Benchmark { name: "cutovers", run: || cutovers::run().boxed_local() },
    Benchmark { name: "many", run: || many::run().boxed_local() },
    Benchmark { name: "history", run: || history::run().boxed_local() },
    Benchmark { name: "watchers", run: || watchers::run().boxed_local() },
    Benchmark { name: "sign-in", run: || sign_in::run().boxed_local() },
    Benchmark { name: "ui", run: || ui::run().boxed_local() },
    Benchmark { name: "kills", run: || kills::run().boxed_local() },
];

#[tokio::main]
async fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    if chosen == ["upstream"] {
        return upstream::serve().await;
    }
    if chosen == ["queue-worker"] {
        return queue::work().await;
    }
    let unknown: Vec<_> = chosen.iter().filter(|name| ALL.iter().all(|b| b.name != **name)).cloned().collect();
    if !unknown.is_empty() {
        let known: Vec<_> = ALL.iter().map(|b| b.name).collect();
        eprintln!("there is no benchmark {}; there are: {}", unknown.join(", "), known.join(", "));
        std::process::exit(2);
    }
    let mut figures: Vec<Figure> = Vec::new();
    for benchmark in ALL.iter().filter(|b| chosen.is_empty() || chosen.iter().any(|name| name == b.name)) {
        eprintln!("{} …", benchmark.name);
        let before = stolen::ticks();
        match (benchmark.run)().await {
            Ok(found) => {
                figures.extend(found);
                figures.extend(
                    before.zip(stolen::ticks()).map(|(then, now)| quiet(benchmark.name, now.share_since(then))),
                );
            }
            Err(why) => eprintln!("{} skipped: {why}", benchmark.name),
        }
    }
    table::print(&figures);
    table::write_json(&figures);
    if figures.iter().any(|figure| !figure.is_met()) {
        std::process::exit(1);
    }
}

/// A row that says how far the others of this benchmark are to be believed.
fn quiet(name: &str, share: f64) -> Figure {
    Figure::new(format!("{name}: of the processors, taken by the host"), share * 100.0, "%", Goal::Shown)
}
