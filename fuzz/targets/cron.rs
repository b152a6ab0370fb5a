//! Cron expressions that people write, and the runs that they mean. The first line is where the clock stands.
#![no_main]

use chrono::DateTime;
use domain::schedule::Cron;
use libfuzzer_sys::fuzz_target;

/// So many runs are looked at.
const RUNS: usize = 20;
/// The end of the year 4000: no schedule looks further.
const LAST: i64 = 64_092_211_199;

fuzz_target!(|text: &str| {
    let (clock, text) = text.split_once('\n').unwrap_or(("0", text));
    // Reading one looks for its first run: it ends, and what never comes is refused.
    let Ok(cron) = text.parse::<Cron>() else { return };
    assert!(cron.to_string().parse::<Cron>().is_ok_and(|again| again == cron), "{cron}");

    let clock = clock.parse::<i64>().unwrap_or(0).clamp(0, LAST);
    let mut last = DateTime::from_timestamp(clock, 0).expect("it is within the calendar");
    for _ in 0..RUNS {
        let Some(next) = cron.next_after(last) else { break };
        assert!(next > last, "{cron}: {next} is not after {last}");
        last = next;
    }
});
