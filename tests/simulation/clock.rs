//! The dates of a run, from its milliseconds. What takes hours and days must fit into a minute and a half.

use chrono::{DateTime, TimeDelta, Utc};

/// A point of the run as a date.
pub(crate) fn time(millis: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_800_000_000_000).unwrap_or_default()
        + TimeDelta::milliseconds(i64::try_from(millis).unwrap_or_default())
}

/// The same for the queue: a millisecond is a second, so that an hour, which a priority is worth, is 3.6 s, and a day passes, too.
pub(crate) fn queue_time(millis: u64) -> DateTime<Utc> {
    faster(time(millis), 1000)
}

/// What a clock shows, for schedules: a minute, which is the least between two runs, is ten seconds.
pub(crate) fn schedule_time(shown: DateTime<Utc>) -> DateTime<Utc> {
    faster(shown, 6)
}

fn faster(at: DateTime<Utc>, times: i32) -> DateTime<Utc> {
    time(0) + (at - time(0)) * times
}
