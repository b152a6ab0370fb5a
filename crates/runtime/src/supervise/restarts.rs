//! When to start an app again. Pure: times are arguments, on a clock that only goes forward.

use std::collections::VecDeque;
use std::time::Duration;

use crate::spec::RestartPolicy;

/// What to do about an app that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Leave it.
    Stop,
    /// Start it again after this long.
    Backoff(Duration),
    /// The same, but it is a crash loop.
    CrashLoop(Duration),
}

/// Remembers the exits of one instance.
#[derive(Debug)]
pub(super) struct Restarts {
    policy: RestartPolicy,
    /// Exits in a row without a recovery between them.
    row: u32,
    /// Times of the exits within the window.
    recent: VecDeque<Duration>,
    looping: bool,
}

impl Restarts {
    pub(super) fn new(policy: RestartPolicy) -> Self {
        Self { policy, row: 0, recent: VecDeque::new(), looping: false }
    }

    /// The app has ended at `now` after it `ran` this long.
    pub(super) fn exited(&mut self, ran: Duration, now: Duration) -> Next {
        let RestartPolicy::Always(backoff) = &self.policy else { return Next::Stop };
        if ran >= backoff.recovered_after {
            self.row = 0;
            self.looping = false;
        }
        self.row = self.row.saturating_add(1);
        self.recent.push_back(now);
        self.recent.retain(|at| now.saturating_sub(*at) < backoff.loop_window);
        // Only the last few can matter, however short the waits are.
        while self.recent.len() > backoff.loop_exits as usize {
            self.recent.pop_front();
        }
        // Once found, a loop stays one until the app has recovered: slow retries alone thin out the window.
        self.looping |= self.recent.len() >= backoff.loop_exits.max(1) as usize;
        if self.looping {
            return Next::CrashLoop(backoff.loop_retry);
        }
        let doubled = backoff.base.saturating_mul(1_u32.checked_shl(self.row - 1).unwrap_or(u32::MAX));
        Next::Backoff(doubled.min(backoff.cap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Backoff;

    const MS: fn(u64) -> Duration = Duration::from_millis;
    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn waits_double_up_to_the_cap_and_begin_again_after_a_recovery() {
        let backoff = Backoff { loop_exits: 100, ..Backoff::default() };
        let mut restarts = Restarts::new(RestartPolicy::Always(backoff));
        let waits: Vec<_> = (0..9).map(|i| restarts.exited(MS(1), S(i))).collect();
        let want = [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000].map(|ms| Next::Backoff(MS(ms)));
        assert_eq!(waits, want);
        for _ in 0..100 {
            restarts.exited(MS(1), S(0));
        }
        let mut restarts = Restarts::new(RestartPolicy::Always(Backoff { loop_exits: 100, ..Backoff::default() }));
        restarts.exited(MS(1), S(0));
        restarts.exited(MS(1), S(1));
        assert_eq!(restarts.exited(S(10), S(12)), Next::Backoff(MS(500)));
    }

    #[test]
    fn five_exits_in_a_minute_are_a_loop_until_it_recovers() {
        let mut restarts = Restarts::new(RestartPolicy::default());
        for i in 0..4 {
            assert!(matches!(restarts.exited(MS(1), S(i)), Next::Backoff(_)));
        }
        assert_eq!(restarts.exited(MS(1), S(5)), Next::CrashLoop(S(60)));
        assert_eq!(restarts.exited(MS(1), S(66)), Next::CrashLoop(S(60)));
        assert_eq!(restarts.exited(S(10), S(140)), Next::Backoff(MS(500)));
    }

    #[test]
    fn five_exits_over_a_long_time_are_none() {
        let mut restarts = Restarts::new(RestartPolicy::default());
        for i in 0..50 {
            assert!(matches!(restarts.exited(MS(1), S(i * 16)), Next::Backoff(_)));
        }
    }

    #[test]
    fn never_means_never() {
        assert_eq!(Restarts::new(RestartPolicy::Never).exited(MS(1), S(0)), Next::Stop);
    }
}
