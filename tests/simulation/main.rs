//! Deterministic simulation: servers, their database, machines and clocks as models, driven by a seed; the saga engine, the order of
//! the queue, the judgement of peers and that of missed runs are the real ones.
//!
//! Each run has its troubles (kills, pauses, jumps of clocks, a database that is away, answers and notifications that get lost, writes
//! that arrive after their sender died, steps that fail, what only an operator gets past, two servers who both think they lead), and
//! after every step of it the invariants of [`verdict`] and [`order`] must hold. A seed that fails prints the command that repeats it.
//!
//!     make simulate                                   as CI runs it: 10,000 seeds
//!     make simulate seeds=1000000 [from=10000]        many more
//!     make simulate seed=42                           one of them, told step by step

// A run that is repeated is told on the standard output.
#![allow(clippy::print_stdout)]

mod chance;
mod clock;
mod database;
mod deployment;
mod host;
mod journal;
mod order;
mod process;
mod server;
mod signal;
mod verdict;
mod world;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use world::{Mutation, run};

/// What fits into CI beside everything else; `SIMULATE_SEEDS` for more, from `SIMULATE_FROM` on.
const SEEDS: u64 = 10_000;
/// So many seeds must be enough to notice that the engine is broken.
const SEEDS_FOR_A_MUTATION: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`, and should be a number")))
}

/// The first of the seeds that finds something wrong, and what.
fn first_wrong(seeds: Range<u64>, mutation: Option<Mutation>) -> Option<(u64, Vec<String>)> {
    let next = AtomicU64::new(seeds.start);
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return None;
            }
            let wrong = run(seed, mutation, false);
            if !wrong.is_empty() {
                next.store(seeds.end, Ordering::Relaxed);
                return Some((seed, wrong));
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok().flatten()).min_by_key(|(seed, _)| *seed)
    })
}

#[test]
fn every_seed_keeps_the_promises() {
    if let Some(seed) = number("SIMULATE_SEED") {
        let wrong = run(seed, None, true);
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
        return;
    }
    let (from, seeds) = (number("SIMULATE_FROM").unwrap_or(0), number("SIMULATE_SEEDS").unwrap_or(SEEDS));
    assert!(seeds > 0, "SIMULATE_SEEDS is 0: nothing would be tried");
    let began = Instant::now();
    let found = first_wrong(from..from.saturating_add(seeds), None);
    if let Some((seed, wrong)) = found {
        panic!("seed {seed}: {wrong:#?}\nrepeat it: make simulate seed={seed}");
    }
    println!("{seeds} seeds from {from} on keep the promises; {:.0} s", began.elapsed().as_secs_f64());
}

#[test]
fn a_seed_tells_the_same_story_each_time() {
    for seed in 0..20 {
        assert_eq!(world::story(seed), world::story(seed), "seed {seed}");
    }
}

#[test]
fn a_broken_engine_is_noticed() {
    for mutation in Mutation::ALL {
        let found = first_wrong(0..SEEDS_FOR_A_MUTATION, Some(mutation));
        let (seed, wrong) = found.unwrap_or_else(|| panic!("{SEEDS_FOR_A_MUTATION} seeds did not notice {mutation:?}"));
        let noticed = wrong.iter().any(|what| what.contains(mutation.noticed_by()));
        assert!(noticed, "{mutation:?}: seed {seed} says something else: {wrong:#?}");
        println!("{mutation:?}: seed {seed}: {}", wrong.first().map(String::as_str).unwrap_or_default());
    }
}
