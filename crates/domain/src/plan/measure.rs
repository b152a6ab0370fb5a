//! How long something will take, from how long it took.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// From measured durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// Half of them took no longer.
    pub median_ms: u64,
    /// Nine of ten took no longer.
    pub p90_ms: u64,
    /// How many were measured: few samples make a poor estimate.
    pub samples: u32,
}

impl Estimate {
    /// By nearest rank, so that each figure was really measured; `None` without samples: unknown is not zero.
    pub fn of(samples: impl IntoIterator<Item = Duration>) -> Option<Self> {
        let mut sorted: Vec<u64> =
            samples.into_iter().map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)).collect();
        sorted.sort_unstable();
        let rank = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).checked_sub(1)?).copied();
        let samples = u32::try_from(sorted.len()).unwrap_or(u32::MAX);
        Some(Self { median_ms: rank(50)?, p90_ms: rank(90)?, samples })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_measured_ones() {
        let of = |ms: &[u64]| Estimate::of(ms.iter().map(|ms| Duration::from_millis(*ms)));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some(Estimate { median_ms: 7, p90_ms: 7, samples: 1 }));
        assert_eq!(of(&[30, 10, 20]), Some(Estimate { median_ms: 20, p90_ms: 30, samples: 3 }));
        let ten: Vec<u64> = (1..=10).collect();
        assert_eq!(of(&ten), Some(Estimate { median_ms: 5, p90_ms: 9, samples: 10 }));
    }
}
