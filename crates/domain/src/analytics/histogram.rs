//! Durations in buckets that grow by a tenth each: they can be added up, and quantiles read from them are at most 5 % off.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Upper by lower bound of a bucket.
const GROWTH: f64 = 1.1;

/// Number of a bucket. 0 is less than a millisecond; bucket n from 1 on holds from 1.1^(n-1) to less than 1.1^n milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(pub u16);

impl Bucket {
    pub fn of(ms: u64) -> Self {
        match ms {
            0 => Self(0),
            // 64 bits need 466 buckets.
            ms => Self(1 + ((ms as f64).ln() / GROWTH.ln()) as u16),
        }
    }

    /// In milliseconds, what stands for all that is in it: by factors in the middle of its bounds.
    pub fn middle(self) -> f64 {
        match self.0 {
            0 => 0.0,
            n => GROWTH.powf(f64::from(n) - 0.5),
        }
    }
}

/// How often each bucket was hit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    times: BTreeMap<Bucket, u64>,
}

/// How long something took. p50 and p95 are at most 5 % off, and absent when nothing was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Durations {
    pub count: u64,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
}

impl Histogram {
    pub fn add(&mut self, bucket: Bucket, times: u64) {
        *self.times.entry(bucket).or_default() += times;
    }

    pub fn merge(&mut self, other: &Histogram) {
        other.times.iter().for_each(|(bucket, times)| self.add(*bucket, *times));
    }

    pub fn count(&self) -> u64 {
        self.times.values().sum()
    }

    /// In milliseconds, the value below or at which `share` of all lie (the nearest rank); none of nothing.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let rank = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut passed = 0;
        let mut counted = self.times.iter();
        let hit = counted.find(|(_, times)| {
            passed += **times;
            passed >= rank
        });
        hit.map(|(bucket, _)| bucket.middle())
    }

    pub fn durations(&self) -> Durations {
        Durations { count: self.count(), p50_ms: self.quantile(0.5), p95_ms: self.quantile(0.95) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|ms| histogram.add(Bucket::of(*ms), 1));
        histogram
    }

    proptest! {
        /// From a millisecond to ten years.
        #[test]
        fn quantiles_are_at_most_five_percent_off(
            mut values in proptest::collection::vec((0f64..26.5).prop_map(|e| e.exp() as u64), 1..200),
            share in 0.01f64..1.0,
        ) {
            let found = of(&values).quantile(share).unwrap();
            values.sort_unstable();
            let rank = ((values.len() as f64 * share).ceil() as usize).max(1);
            let exact = values[rank - 1] as f64;
            prop_assert!((found - exact).abs() <= exact * 0.05, "{found} for {exact}");
        }

        #[test]
        fn the_sum_of_two_is_that_of_all(a in proptest::collection::vec(0u64..1_000_000, 0..50), b in proptest::collection::vec(0u64..1_000_000, 0..50)) {
            let mut sum = of(&a);
            sum.merge(&of(&b));
            prop_assert_eq!(sum, of(&[a, b].concat()));
        }

        #[test]
        fn a_longer_time_is_never_in_a_lower_bucket(a: u64, b: u64) {
            prop_assert!(Bucket::of(a.min(b)) <= Bucket::of(a.max(b)));
        }
    }

    #[test]
    fn nothing_has_no_quantiles_and_no_time_is_no_time() {
        assert_eq!(Histogram::default().durations(), Durations::default());
        assert_eq!(of(&[0, 0]).durations(), Durations { count: 2, p50_ms: Some(0.0), p95_ms: Some(0.0) });
    }
}
