//! What the ingress tells about itself.

use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{CertificateId, DeploymentId, EnvironmentId, ReleaseId};
use serde::{Deserialize, Serialize};

use crate::options::Settings;
use crate::route::{EnvironmentRoutes, millis};
use crate::tls::Details;

/// The process as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub pid: u32,
    pub started_at: DateTime<Utc>,
    /// Where it really listens, also when it was asked for port 0.
    pub listen: SocketAddr,
    pub version: String,
    /// Which binary it runs; empty if it can't tell.
    #[serde(default)]
    pub build: String,
    /// Where it really listens for HTTPS.
    #[serde(default)]
    pub https: Option<SocketAddr>,
    /// What it was started with.
    #[serde(default)]
    pub settings: Option<Settings>,
    /// Connections that were closed at once, as their client had its share.
    #[serde(default)]
    pub refused_connections: u64,
    /// Of the table it serves.
    pub sequence: u64,
    /// Client connections that are open.
    pub connections: u64,
    /// What is not as it should be, in one sentence each; none when all is well.
    pub degraded: Option<String>,
}

/// A certificate in the ingress's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateReport {
    pub id: CertificateId,
    pub default: bool,
    /// None when it can't be read.
    pub details: Option<Details>,
    /// Why it is not served.
    pub fault: Option<String>,
}

/// A cutover that is durable and effective.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutoverReport {
    /// What the environment served before; equal to what was asked for if the cutover was repeated.
    pub previous: Option<EnvironmentRoutes>,
    /// From the request to the acknowledgement, gates included.
    #[serde(with = "millis")]
    pub took: Duration,
}

/// How a drain ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// Requests that were still in flight when the limit passed; 0 means drained.
    pub in_flight: u64,
}

/// Who answered a real request through the listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    pub status: u16,
    /// The release that answered: the standby's if a standby did.
    pub release: ReleaseId,
    /// Whose routes led there.
    pub deployment: DeploymentId,
}

/// Counters since the start of the process, for the 200 releases that were routed last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// One for each pair of environment and release.
    pub releases: Vec<ReleaseStats>,
    /// Requests for a host or path that nobody owns.
    pub unrouted: u64,
}

/// Counters of one release. They only grow, except `in_flight`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseStats {
    pub environment: EnvironmentId,
    pub release: ReleaseId,
    /// Requests that were answered or abandoned.
    pub requests: u64,
    /// Requests whose client went away before the answer began.
    pub abandoned: u64,
    /// Responses from 1xx to 5xx, also those that the ingress made.
    pub statuses: [u64; 5],
    pub errors: Errors,
    pub in_flight: u64,
    pub latency: Latency,
    /// Bytes of response bodies.
    pub bytes_sent: u64,
}

/// Failures to get a whole response from a release's upstreams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// 502: no connection, or it broke before the response began.
    pub bad_gateway: u64,
    /// 503: the route has no upstreams.
    pub unavailable: u64,
    /// 504: the response did not begin in time.
    pub timeout: u64,
    /// The response broke off after it had begun.
    pub aborted: u64,
    /// No upstream could be reached, and a standby of the previous release answered in its place.
    pub fallback: u64,
}

/// From the arrival of a request's head to the first byte of the answer, in milliseconds.
///
/// Slow readers don't count. A histogram with eight buckets to each power of two of microseconds stands
/// behind it, so that a value is at most 6 % off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub count: u64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
}
