//! When failed sign-ins make somebody wait.
//!
//! Counted is not an account but a login text as typed together with where it came from, so a stranger locks nobody out
//! of the places where they have signed in before, and an answer tells nothing about which accounts there are. A waiting time ends with time alone: the right
//! password does not end it, or guessing could go on.

use chrono::{DateTime, TimeDelta, Utc};

/// How many failures in how much time, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub failures: u32,
    pub within: TimeDelta,
    /// How long nothing is looked at then.
    pub wait: TimeDelta,
}

/// Of one login from one network, or from one device that is known.
pub const OF_ONE_PLACE: Limit = Limit { failures: 5, within: TimeDelta::minutes(15), wait: TimeDelta::minutes(15) };

/// Of one login from everywhere: then places that are not known wait, and those that are known go on.
pub const OF_ALL_PLACES: Limit = Limit { failures: 100, within: TimeDelta::hours(1), wait: TimeDelta::minutes(15) };

/// Of wrong codes of one person's second factor, from all places that are not known: whoever sends them has the password already, and
/// there are a million codes, three of them good at a time. Recovery codes are looked at all the same.
pub const OF_CODES: Limit = Limit { failures: 20, within: TimeDelta::days(1), wait: TimeDelta::days(1) };

/// For so long after a success a place is known.
pub const KNOWN: TimeDelta = TimeDelta::days(90);

/// What is kept of a place's failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    pub count: u32,
    /// When the first of them was.
    pub since: DateTime<Utc>,
    pub locked_until: Option<DateTime<Utc>>,
}

impl Failures {
    /// How long to wait before anything is looked at; `None` for not at all.
    pub fn wait(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        self.locked_until.map(|until| until - now).filter(|wait| *wait > TimeDelta::zero())
    }

    /// One failure more. To be asked only of what need not [`wait`](Self::wait).
    pub fn and_one_more(before: Option<Self>, limit: Limit, now: DateTime<Utc>) -> Self {
        let running = before.filter(|b| b.locked_until.is_none() && now - b.since < limit.within && b.since <= now);
        let count = running.map_or(0, |b| b.count).saturating_add(1);
        let since = running.map_or(now, |b| b.since);
        Self { count, since, locked_until: (count >= limit.failures).then(|| now + limit.wait) }
    }

    /// One less: an attempt was counted that did not fail. `None` when nothing is left.
    pub fn and_one_less(self, limit: Limit) -> Option<Self> {
        let count = self.count.checked_sub(1).filter(|count| *count > 0)?;
        let locked_until = self.locked_until.filter(|_| count >= limit.failures);
        Some(Self { count, locked_until, ..self })
    }

    /// Whether nothing follows from it any more, so that it may be forgotten.
    pub fn is_over(&self, limit: Limit, now: DateTime<Utc>) -> bool {
        match self.locked_until {
            Some(until) => until <= now,
            None => now - self.since >= limit.within,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn fail(times: u32, before: Option<Failures>, minute: i64) -> Failures {
        let one = |before| Failures::and_one_more(before, OF_ONE_PLACE, at(minute));
        (1..times).fold(one(before), |failures, _| one(Some(failures)))
    }

    #[test]
    fn the_fifth_failure_locks_for_a_quarter_of_an_hour() {
        let four = fail(4, None, 0);
        assert_eq!((four.count, four.wait(at(0))), (4, None));
        let five = fail(1, Some(four), 14);
        assert_eq!(five.wait(at(14)), Some(TimeDelta::minutes(15)));
        assert_eq!(five.wait(at(28)), Some(TimeDelta::minutes(1)));
        assert_eq!(five.wait(at(29)), None, "time alone ends it");
        let next = fail(1, Some(five), 29);
        assert_eq!((next.count, next.wait(at(29))), (1, None), "and then it begins anew");
    }

    #[test]
    fn what_did_not_fail_is_given_back() {
        let five = fail(5, None, 0);
        let four = five.and_one_less(OF_ONE_PLACE).unwrap();
        assert_eq!((four.count, four.locked_until, four.since), (4, None, at(0)), "the lock was this one's");
        let six = Failures { count: 6, ..five };
        assert_eq!(six.and_one_less(OF_ONE_PLACE).unwrap().locked_until, five.locked_until, "and here another one's");
        assert_eq!(fail(1, None, 0).and_one_less(OF_ONE_PLACE), None);
        assert_eq!(Failures { count: 0, ..four }.and_one_less(OF_ONE_PLACE), None);
    }

    #[test]
    fn old_failures_are_forgotten() {
        let four = fail(4, None, 0);
        assert!(!four.is_over(OF_ONE_PLACE, at(14)) && four.is_over(OF_ONE_PLACE, at(15)));
        assert_eq!(fail(1, Some(four), 15).count, 1);
        let five = fail(5, None, 0);
        assert!(!five.is_over(OF_ONE_PLACE, at(14)) && five.is_over(OF_ONE_PLACE, at(15)));
        // A clock that was set back must not let failures count for ever.
        assert_eq!(fail(1, Some(four), -1), Failures { count: 1, since: at(-1), locked_until: None });
    }

    #[test]
    fn many_places_together_have_a_limit_of_their_own() {
        let one = |before, _| Some(Failures::and_one_more(before, OF_ALL_PLACES, at(0)));
        let most = (0..99).fold(None, one);
        assert_eq!(most.unwrap().wait(at(0)), None);
        assert!(one(most, 0).unwrap().wait(at(0)).is_some());
    }

    #[test]
    fn codes_are_not_guessed_in_a_year() {
        let one = |before, _| Some(Failures::and_one_more(before, OF_CODES, at(0)));
        let last = (0..20).fold(None, one);
        assert_eq!(last.unwrap().wait(at(0)), Some(TimeDelta::days(1)));
        // The most that anybody has: the first of them spread over a day.
        let guesses = 365.0 * f64::from(OF_CODES.failures);
        let missed = (1.0 - 3.0 / 1_000_000.0_f64).powf(guesses);
        assert!(missed > 0.97, "{missed}");
    }
}
