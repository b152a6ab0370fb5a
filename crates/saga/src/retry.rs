//! Exponential backoff with jitter.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often something is tried, and how long to wait in between: `base · factor^(attempt − 1)`, at most `cap`, of which the
/// share `jitter` is random.
///
/// ```
/// use std::time::Duration;
/// use saga::Retry;
///
/// let retry = Retry::attempts(4).base(Duration::from_secs(1)).cap(Duration::from_secs(3)).jitter(0.0);
/// assert_eq!(retry.wait_after(1, 0), Some(Duration::from_secs(1)));
/// assert_eq!(retry.wait_after(2, 0), Some(Duration::from_secs(2)));
/// assert_eq!(retry.wait_after(3, 0), Some(Duration::from_secs(3)));
/// assert_eq!(retry.wait_after(4, 0), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    max_attempts: u32,
    base: Duration,
    factor: f64,
    cap: Duration,
    jitter: f64,
}

impl Retry {
    /// One attempt.
    pub const fn never() -> Self {
        Self::attempts(1)
    }

    /// `max` attempts in all (at least one), with waits of about 1, 2, 4, … seconds, at most a minute, half of each random.
    pub const fn attempts(max: u32) -> Self {
        Self {
            max_attempts: if max == 0 { 1 } else { max },
            base: Duration::from_secs(1),
            factor: 2.0,
            cap: Duration::from_secs(60),
            jitter: 0.5,
        }
    }

    /// The wait after the first failure.
    pub const fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// By what each wait is longer than the one before; below 1 counts as 1.
    pub const fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// The longest wait.
    pub const fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// The share of a wait, 0 to 1, that is random: with 0.5 the wait is between half and all of the computed one.
    pub const fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter;
        self
    }

    pub const fn max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// How long to wait after attempt number `attempt` (from 1) failed; `None` if it was the last. `seed` is any random
    /// number: the same one gives the same wait.
    pub fn wait_after(&self, attempt: u32, seed: u64) -> Option<Duration> {
        if attempt >= self.max_attempts {
            return None;
        }
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let cap = self.cap.as_secs_f64();
        // Written so that NaN and infinity end at the cap.
        let grown = self.base.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let full = if grown < cap { grown } else { cap };
        let share = self.jitter.clamp(0.0, 1.0) * unit(seed);
        let wait = full * (1.0 - if share.is_nan() { 0.0 } else { share });
        Some(Duration::try_from_secs_f64(wait).unwrap_or(self.cap))
    }
}

/// Maps a random number onto 0..1 evenly (the upper 53 bits, as many as an `f64` holds).
fn unit(seed: u64) -> f64 {
    (seed >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_stay_between_the_jittered_share_and_the_cap(
            attempt in 1u32..2000, max in 0u32..3000, base in 0u64..100_000, factor in 0.0f64..20.0,
            cap in 0u64..100_000, jitter in -1.0f64..2.0, seed: u64,
        ) {
            let retry = Retry::attempts(max)
                .base(Duration::from_millis(base)).factor(factor).cap(Duration::from_millis(cap)).jitter(jitter);
            match retry.wait_after(attempt, seed) {
                None => prop_assert!(attempt >= max.max(1)),
                Some(wait) => {
                    prop_assert!(attempt < max);
                    prop_assert!(wait <= Duration::from_millis(cap));
                    let floor = base.min(cap) as f64 / 1000.0 * (1.0 - jitter.clamp(0.0, 1.0));
                    prop_assert!(wait.as_secs_f64() >= floor - 1e-6, "{wait:?} < {floor}");
                }
            }
        }
    }

    #[test]
    fn jitter_spreads_the_waits() {
        let retry = Retry::attempts(2).base(Duration::from_secs(10)).jitter(1.0);
        assert_eq!(retry.wait_after(1, 0), Some(Duration::from_secs(10)));
        assert!(retry.wait_after(1, u64::MAX).is_some_and(|wait| wait < Duration::from_millis(1)));
    }
}
