//! Latencies as counts by bucket: eight buckets to each power of two of microseconds, the scheme of HdrHistogram. A value
//! that is read back is at most 6 % off, and histograms add up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Up to 2^36 µs (19 hours).
const BUCKETS: usize = 36 * 8;

/// From the arrival of a request's head to the first byte of the answer. Slow readers don't count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Of all values together, in microseconds.
    pub sum_micros: u64,
    /// Bucket and count, in order; buckets without a count are left out.
    buckets: Vec<(u16, u64)>,
}

impl Latency {
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// In milliseconds: so many percent of the values are not above it. 0 if there are none.
    pub fn percentile(&self, percent: f64) -> f64 {
        let rank = ((self.count() as f64 * percent / 100.0).ceil() as u64).max(1);
        let mut seen = 0;
        let at = self.buckets.iter().find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        at.map_or(0.0, |(n, _)| middle(usize::from(*n)) / 1000.0)
    }

    /// How many values were not above `limit`, as Prometheus counts with its `le`.
    pub fn within(&self, limit: Duration) -> u64 {
        let micros = limit.as_secs_f64() * 1e6;
        self.buckets.iter().filter(|(n, _)| middle(usize::from(*n)) <= micros).map(|(_, count)| count).sum()
    }

    /// Counts those of `other`, too.
    pub fn add(&mut self, other: &Latency) {
        self.combine(other, u64::saturating_add);
    }

    /// What came since `before` was taken of the same counter.
    pub(crate) fn minus(&self, before: &Latency) -> Latency {
        let mut since = self.clone();
        since.combine(before, u64::saturating_sub);
        since
    }

    fn combine(&mut self, other: &Latency, with: fn(u64, u64) -> u64) {
        let mut dense = [0; BUCKETS];
        self.buckets.iter().filter(|(n, _)| usize::from(*n) < BUCKETS).for_each(|(n, c)| dense[usize::from(*n)] = *c);
        for (n, count) in other.buckets.iter().filter(|(n, _)| usize::from(*n) < BUCKETS) {
            let slot = &mut dense[usize::from(*n)];
            *slot = with(*slot, *count);
        }
        *self = Latency { sum_micros: with(self.sum_micros, other.sum_micros), buckets: sparse(dense) };
    }
}

fn sparse(dense: [u64; BUCKETS]) -> Vec<(u16, u64)> {
    dense.into_iter().zip(0..).filter(|(count, _)| *count > 0).map(|(count, n)| (n, count)).collect()
}

/// The same, written by every request without a lock.
#[derive(Debug)]
pub(crate) struct Histogram {
    sum_micros: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { sum_micros: AtomicU64::new(0), buckets: [const { AtomicU64::new(0) }; BUCKETS] }
    }
}

impl Histogram {
    pub(crate) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)].fetch_add(1, Relaxed);
        self.sum_micros.fetch_add(micros, Relaxed);
    }

    pub(crate) fn add(&self, counted: &Latency) {
        for (n, count) in &counted.buckets {
            if let Some(bucket) = self.buckets.get(usize::from(*n)) {
                bucket.fetch_add(*count, Relaxed);
            }
        }
        self.sum_micros.fetch_add(counted.sum_micros, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Latency {
        let dense = std::array::from_fn(|n| self.buckets[n].load(Relaxed));
        Latency { sum_micros: self.sum_micros.load(Relaxed), buckets: sparse(dense) }
    }
}

fn bucket(micros: u64) -> usize {
    if micros < 8 {
        return micros as usize;
    }
    let exponent = 63 - micros.leading_zeros() as usize;
    let eighth = (micros >> (exponent - 3)) as usize & 7;
    ((exponent - 2) * 8 + eighth).min(BUCKETS - 1)
}

/// Of the values that fall into a bucket, in microseconds.
fn middle(bucket: usize) -> f64 {
    if bucket < 8 {
        return bucket as f64;
    }
    let width = 2_f64.powi((bucket / 8) as i32 - 1);
    (8 + bucket % 8) as f64 * width + width / 2.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Latency {
        let histogram = Histogram::default();
        micros.into_iter().for_each(|m| histogram.record(Duration::from_micros(m)));
        histogram.snapshot()
    }

    #[test]
    fn percentiles_are_at_most_six_percent_off() {
        let latency = of(1..=100_000);
        assert_eq!((latency.count(), latency.sum_micros), (100_000, 5_000_050_000));
        for (percent, expected) in [(50.0, 50.0), (95.0, 95.0), (99.0, 99.0), (99.9, 99.9)] {
            let found = latency.percentile(percent);
            assert!((found - expected).abs() / expected < 0.0626, "{found} is not near {expected}");
        }
        let within = latency.within(Duration::from_millis(50)) as f64;
        assert!((within - 50_000.0).abs() / 50_000.0 < 0.13, "{within}");
        assert_eq!(Latency::default().percentile(50.0), 0.0);
    }

    #[test]
    fn every_value_has_a_bucket_that_contains_it() {
        let values = (0..64).map(|n| 1_u64 << n).flat_map(|v| [v - 1, v, v + v / 3]).chain([u64::MAX]);
        for value in values {
            let n = bucket(value);
            assert!(n < BUCKETS);
            if n < BUCKETS - 1 && value >= 8 {
                assert!((middle(n) - value as f64).abs() / value as f64 <= 0.0626, "{value} in {}", middle(n));
            }
        }
    }

    #[test]
    fn histograms_add_up() {
        let (mut a, b) = (of([1, 50, 3000]), of([50, 70_000]));
        a.add(&b);
        assert_eq!(a, of([1, 50, 50, 3000, 70_000]));
        assert_eq!(a.minus(&b), of([1, 50, 3000]));
        let live = Histogram::default();
        live.add(&a);
        assert_eq!(live.snapshot(), a);
        let wild: Latency = serde_json::from_str(r#"{"sum_micros":1,"buckets":[[60000,1],[3,2]]}"#).unwrap();
        a.add(&wild);
        live.add(&wild);
        assert!(wild.percentile(99.0) >= 0.0, "what a damaged file says harms nobody");
    }
}
