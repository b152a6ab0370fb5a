//! Counts of one component of a release, written by every request without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{EnvironmentId, Name, ReleaseId};
use http::StatusCode;

use crate::latency::Histogram;
use crate::report::{Errors, ReleaseStats};

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Counted {
    pub(crate) environment: EnvironmentId,
    pub(crate) release: ReleaseId,
    pub(crate) component: Name,
}

#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) of: Counted,
    since: Mutex<DateTime<Utc>>,
    statuses: [AtomicU64; 5],
    bad_gateway: AtomicU64,
    unavailable: AtomicU64,
    timeout: AtomicU64,
    aborted: AtomicU64,
    fallback: AtomicU64,
    retries: AtomicU64,
    abandoned: AtomicU64,
    in_flight: AtomicU64,
    tunnels: AtomicU64,
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

impl Failure {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Failure::BadGateway => StatusCode::BAD_GATEWAY,
            Failure::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

impl Counters {
    pub(crate) fn new(of: Counted, since: DateTime<Utc>) -> Self {
        Self {
            of,
            since: Mutex::new(since),
            statuses: Default::default(),
            bad_gateway: AtomicU64::default(),
            unavailable: AtomicU64::default(),
            timeout: AtomicU64::default(),
            aborted: AtomicU64::default(),
            fallback: AtomicU64::default(),
            retries: AtomicU64::default(),
            abandoned: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            tunnels: AtomicU64::default(),
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

    pub(crate) fn tunnel_opened(&self) {
        self.tunnels.fetch_add(1, Relaxed);
    }

    pub(crate) fn tunnel_closed(&self) {
        self.tunnels.fetch_sub(1, Relaxed);
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

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    pub(crate) fn abandoned(&self) {
        self.abandoned.fetch_add(1, Relaxed);
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// Counts what another process counted.
    pub(crate) fn add(&self, counted: &ReleaseStats) {
        let mut since = self.since();
        *since = counted.since.min(*since);
        drop(since);
        let Errors { bad_gateway, unavailable, timeout, aborted, fallback } = counted.errors;
        for (counter, n) in [
            (&self.bad_gateway, bad_gateway),
            (&self.unavailable, unavailable),
            (&self.timeout, timeout),
            (&self.aborted, aborted),
            (&self.fallback, fallback),
            (&self.retries, counted.retries),
            (&self.abandoned, counted.abandoned),
            (&self.bytes, counted.bytes_sent),
        ]
        .into_iter()
        .chain(self.statuses.iter().zip(counted.statuses))
        {
            counter.fetch_add(n, Relaxed);
        }
        self.latency.add(&counted.latency);
    }

    fn since(&self) -> MutexGuard<'_, DateTime<Utc>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn snapshot(&self) -> ReleaseStats {
        let statuses = [0, 1, 2, 3, 4].map(|n: usize| self.statuses[n].load(Relaxed));
        let abandoned = self.abandoned.load(Relaxed);
        ReleaseStats {
            environment: self.of.environment.clone(),
            release: self.of.release.clone(),
            component: self.of.component.clone(),
            since: *self.since(),
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
            retries: self.retries.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            tunnels: self.tunnels.load(Relaxed),
            latency: self.latency.snapshot(),
            bytes_sent: self.bytes.load(Relaxed),
        }
    }
}
