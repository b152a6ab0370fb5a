//! Restarts, backoff, crash loops.

use std::fs;
use std::time::{Duration, Instant};

use domain::instance::InstanceState;
use runtime::{Backoff, RestartPolicy};

use crate::support::{Machine, NONE, alive, until};

const MS: fn(u64) -> Duration = Duration::from_millis;

#[tokio::test(flavor = "multi_thread")]
async fn waits_grow_until_it_is_a_crash_loop_with_slow_retries() {
    let machine = Machine::new();
    let mut spec = machine.spec("date +%s%N >> runs; exit 7");
    let loop_retry = Duration::from_secs(2);
    spec.restart = RestartPolicy::Always(Backoff { base: MS(400), loop_exits: 4, loop_retry, ..Backoff::default() });
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();

    until(|| machine.runtime.last_exit(&name).is_some(), "the first exit");
    let early = machine.runtime.status(&name).unwrap();
    assert!(early.restarts < 3, "the exit is to be seen at once: {early:?}");

    let state = || machine.runtime.status(&name).unwrap();
    until(|| matches!(state().state, InstanceState::CrashLoop { .. }), "the crash loop");
    let status = state();
    assert_eq!(status.restarts, 3);
    let InstanceState::CrashLoop { until: due, last_exit } = status.state else { panic!() };
    assert_eq!(last_exit, "exit status 7");
    assert!((due - chrono::Utc::now()).num_milliseconds() > 500);
    until(|| state().restarts == 4, "the slow retry");

    let runs = fs::read_to_string(machine.app().join("runs")).unwrap();
    let times: Vec<u64> = runs.lines().map(|l| l.parse::<u64>().unwrap() / 1_000_000).collect();
    let waits: Vec<u64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    for (wait, least) in waits.iter().zip([400, 800, 1600, 2000]) {
        assert!(*wait >= least, "{waits:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_during_a_wait_is_immediate() {
    let machine = Machine::new();
    let mut spec = machine.spec("echo run >> runs; exit 1");
    spec.restart = RestartPolicy::Always(Backoff { base: MS(30_000), ..Backoff::default() });
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    until(|| matches!(machine.runtime.status(&name).unwrap().state, InstanceState::Backoff { .. }), "the wait");
    let begin = Instant::now();
    assert_eq!(machine.runtime.stop(&name).await.unwrap().as_deref(), Some("exit status 1"));
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(machine.processes(), NONE);
    assert_eq!(fs::read_to_string(machine.app().join("runs")).unwrap(), "run\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crashed_app_leaves_is_killed_before_the_restart() {
    let machine = Machine::new();
    // Each run leaves a child that would hold its port, and says whether the one before is gone.
    let mut spec = machine.spec(
        "[ -f pid ] && { kill -0 $(cat pid) 2>/dev/null && echo old alive || echo old dead; }; \
         setsid sh -c 'trap \"\" TERM; sleep 1000' & echo $! > pid; echo left $!; exit 1",
    );
    spec.restart = RestartPolicy::Always(Backoff { base: MS(50), ..Backoff::default() });
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    machine.wait_for_line(&name, "old dead");
    let first = machine.text(&name).iter().find_map(|l| l.strip_prefix("left ")?.parse().ok()).unwrap();
    assert!(!alive(first));
    assert!(!machine.text(&name).contains(&"old alive".to_owned()));
    machine.runtime.stop(&name).await.unwrap();
    assert_eq!(machine.processes(), NONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_whose_folder_vanishes_is_tried_again() {
    let machine = Machine::new();
    let mut spec = machine.spec("sleep 0.2");
    spec.restart =
        RestartPolicy::Always(Backoff { base: MS(50), loop_exits: 1000, cap: MS(100), ..Backoff::default() });
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    fs::remove_dir(machine.app()).unwrap();
    let last = || machine.runtime.last_exit(&name).unwrap_or_default();
    until(|| last().contains("does not exist"), "the failure to start");
    fs::create_dir(machine.app()).unwrap();
    until(|| last() == "exit status 0", "it to run again");
}
