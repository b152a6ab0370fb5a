//! How long things take, counted in buckets: for the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds for what waits for a disk or a database, in seconds.
pub const QUICK: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
/// For steps of a deployment.
pub const SLOW: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0];

/// A histogram of durations. Clones count into the same one.
#[derive(Clone)]
pub struct Timing {
    inner: Arc<Inner>,
}

struct Inner {
    bounds: &'static [f64],
    buckets: Vec<AtomicU64>,
    count: AtomicU64,
    micros: AtomicU64,
}

/// What was counted so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Timed {
    /// Upper bound in seconds, and how many were not longer but longer than the bound before; the last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    pub count: u64,
    /// Of all of them, in seconds.
    pub sum: f64,
}

impl Timing {
    /// `bounds` ascend.
    pub fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { inner: Arc::new(Inner { bounds, buckets, count: AtomicU64::new(0), micros: AtomicU64::new(0) }) }
    }

    pub fn note(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = self.inner.bounds.partition_point(|bound| *bound < seconds);
        self.inner.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.inner.count.fetch_add(1, Ordering::Relaxed);
        self.inner.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub fn timed(&self) -> Timed {
        let bounds = self.inner.bounds.iter().copied().chain([f64::INFINITY]);
        Timed {
            buckets: bounds.zip(&self.inner.buckets).map(|(bound, n)| (bound, n.load(Ordering::Relaxed))).collect(),
            count: self.inner.count.load(Ordering::Relaxed),
            sum: Duration::from_micros(self.inner.micros.load(Ordering::Relaxed)).as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_falls_into_one_bucket() {
        let timing = Timing::new(QUICK);
        for micros in [0, 500, 501, 90_000_000] {
            timing.note(Duration::from_micros(micros));
        }
        let timed = timing.timed();
        let counts: Vec<u64> = timed.buckets.iter().map(|(_, n)| *n).collect();
        assert_eq!((counts[0], counts[1], counts.last()), (2, 1, Some(&1)));
        assert_eq!((timed.count, counts.iter().sum()), (4, 4));
        assert!((timed.sum - 90.001001).abs() < 1e-6, "{}", timed.sum);
    }
}
