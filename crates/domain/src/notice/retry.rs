//! When a message that could not be delivered is tried again.

use chrono::{DateTime, TimeDelta, Utc};

/// Seconds from one attempt to the next; the first one is made at once.
const PAUSES: [i64; 7] = [10, 60, 5 * 60, 30 * 60, 2 * 3600, 6 * 3600, 12 * 3600];

/// How often a message is tried, over about 21 hours.
pub const ATTEMPTS: u32 = PAUSES.len() as u32 + 1;

/// Longest wait that a receiver may ask for.
const LONGEST_ASKED: TimeDelta = TimeDelta::hours(1);

/// When to try again after `made` attempts, the last of them at `now`; `None` when it is given up.
///
/// A receiver that `asked` for some time is left alone that long, up to an hour.
pub fn next_attempt(made: u32, now: DateTime<Utc>, asked: Option<TimeDelta>) -> Option<DateTime<Utc>> {
    let pause = PAUSES.get(usize::try_from(made.checked_sub(1)?).ok()?)?;
    let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
    now.checked_add_signed(TimeDelta::seconds(*pause).max(asked))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let now = DateTime::UNIX_EPOCH;
        let mut last = TimeDelta::zero();
        for made in 1..ATTEMPTS {
            let pause = next_attempt(made, now, None).unwrap() - now;
            assert!(pause > last, "{made}");
            last = pause;
        }
        assert_eq!((last, next_attempt(ATTEMPTS, now, None)), (TimeDelta::hours(12), None));
        assert_eq!(next_attempt(u32::MAX, now, None), None);
    }

    #[test]
    fn a_receiver_may_ask_for_patience_but_not_for_ever() {
        let now = DateTime::UNIX_EPOCH;
        let asked = |asked| next_attempt(1, now, Some(asked)).unwrap() - now;
        assert_eq!(asked(TimeDelta::seconds(1)), TimeDelta::seconds(10));
        assert_eq!(asked(TimeDelta::minutes(2)), TimeDelta::minutes(2));
        assert_eq!(asked(TimeDelta::MAX), TimeDelta::hours(1));
        assert_eq!(asked(TimeDelta::MIN), TimeDelta::seconds(10));
    }
}
