//! Counts of one release, written by every request without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use domain::{EnvironmentId, ReleaseId};
use http::StatusCode;

use crate::report::{Errors, Latency, ReleaseStats};

#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) environment: EnvironmentId,
    pub(crate) release: ReleaseId,
    statuses: [AtomicU64; 5],
    bad_gateway: AtomicU64,
    unavailable: AtomicU64,
    timeout: AtomicU64,
    aborted: AtomicU64,
    fallback: AtomicU64,
    abandoned: AtomicU64,
    in_flight: AtomicU64,
    bytes: AtomicU64,
    latency: Histogram,
}

/// A response that the ingress had to make in the release's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    BadGateway,
    Unavailable,
    Timeout,
}

impl Counters {
    pub(crate) fn new(environment: EnvironmentId, release: ReleaseId) -> Self {
        Self {
            environment,
            release,
            statuses: Default::default(),
            bad_gateway: AtomicU64::default(),
            unavailable: AtomicU64::default(),
            timeout: AtomicU64::default(),
            aborted: AtomicU64::default(),
            fallback: AtomicU64::default(),
            abandoned: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            bytes: AtomicU64::default(),
            latency: Histogram::default(),
        }
    }

    pub(crate) fn entered(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn left(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    pub(crate) fn answered(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.statuses[class].fetch_add(1, Relaxed);
        self.latency.record(took);
    }

    pub(crate) fn failed(&self, failure: Failure) {
        let counter = match failure {
            Failure::BadGateway => &self.bad_gateway,
            Failure::Unavailable => &self.unavailable,
            Failure::Timeout => &self.timeout,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn aborted(&self) {
        self.aborted.fetch_add(1, Relaxed);
    }

    pub(crate) fn fell_back(&self) {
        self.fallback.fetch_add(1, Relaxed);
    }

    pub(crate) fn abandoned(&self) {
        self.abandoned.fetch_add(1, Relaxed);
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> ReleaseStats {
        let statuses = [0, 1, 2, 3, 4].map(|n: usize| self.statuses[n].load(Relaxed));
        let abandoned = self.abandoned.load(Relaxed);
        ReleaseStats {
            environment: self.environment.clone(),
            release: self.release.clone(),
            requests: statuses.iter().sum::<u64>() + abandoned,
            abandoned,
            statuses,
            errors: Errors {
                bad_gateway: self.bad_gateway.load(Relaxed),
                unavailable: self.unavailable.load(Relaxed),
                timeout: self.timeout.load(Relaxed),
                aborted: self.aborted.load(Relaxed),
                fallback: self.fallback.load(Relaxed),
            },
            in_flight: self.in_flight.load(Relaxed),
            latency: self.latency.summary(),
            bytes_sent: self.bytes.load(Relaxed),
        }
    }
}

/// Up to 2^36 µs (19 hours) in steps of an eighth of a power of two, the scheme of HdrHistogram.
const BUCKETS: usize = 36 * 8;

#[derive(Debug)]
struct Histogram([AtomicU64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }
}

impl Histogram {
    fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0[bucket(micros)].fetch_add(1, Relaxed);
    }

    fn summary(&self) -> Latency {
        let counts: Vec<u64> = self.0.iter().map(|b| b.load(Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        let percentile = |p: u64| {
            let rank = (count * p).div_ceil(100).max(1);
            let mut seen = 0;
            let at = counts.iter().position(|c| {
                seen += c;
                seen >= rank
            });
            at.map_or(0.0, |n| middle(n) / 1000.0)
        };
        Latency { count, p50: percentile(50), p95: percentile(95), p99: percentile(99) }
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
    let width = (1_u64 << (bucket / 8 - 1)) as f64;
    (8 + bucket % 8) as f64 * width + width / 2.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_at_most_six_percent_off() {
        let histogram = Histogram::default();
        for micros in 1..=100_000 {
            histogram.record(Duration::from_micros(micros));
        }
        let latency = histogram.summary();
        assert_eq!(latency.count, 100_000);
        for (found, expected) in [(latency.p50, 50.0), (latency.p95, 95.0), (latency.p99, 99.0)] {
            assert!((found - expected).abs() / expected < 0.0626, "{found} is not near {expected}");
        }
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
}
