//! What the ingress tells about itself.

use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::route::Host;
use domain::{CertificateId, DeploymentId, EnvironmentId, Name, ReleaseId};
use serde::{Deserialize, Serialize};

use crate::latency::Latency;
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
    /// Environments of which a route or all can't be served as they stand in the table's file. A new cutover mends it.
    #[serde(default)]
    pub damaged: Vec<EnvironmentId>,
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

impl CertificateReport {
    /// Whether it is served to clients that ask for `host`; being the default alone doesn't count.
    pub(crate) fn covers(&self, host: &Host) -> bool {
        let below = host.as_str().split_once('.').map(|(_, domain)| domain);
        let is_of = |name: &str| name == host.as_str() || name.strip_prefix("*.").is_some_and(|d| Some(d) == below);
        self.details.iter().flat_map(|details| &details.names).any(|name| is_of(name))
    }
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

/// What was counted, for the components of releases that were routed last (400 of them).
///
/// Counts go on across restarts: they are kept in the folder every 10 s and at each orderly end, and a process that was
/// replaced tells its successor what it counted to its end. After a kill, up to 10 s of counts are missing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// One for each environment, release and component.
    pub releases: Vec<ReleaseStats>,
    /// Requests for a host or path that nobody owns.
    pub unrouted: u64,
    /// Requests that were refused before a route was looked up: ambiguous, malformed, or for no host.
    #[serde(default)]
    pub refused: u64,
}

/// Counters of one component of a release. They only grow, except `in_flight` and `tunnels`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseStats {
    pub environment: EnvironmentId,
    pub release: ReleaseId,
    pub component: Name,
    /// When the counting began.
    pub since: DateTime<Utc>,
    /// Requests that were answered or abandoned.
    pub requests: u64,
    /// Requests whose client went away before the answer began.
    pub abandoned: u64,
    /// Responses from 1xx to 5xx, also those that the ingress made.
    pub statuses: [u64; 5],
    pub errors: Errors,
    /// Attempts after the first: on another upstream, or on a fresh connection.
    pub retries: u64,
    pub in_flight: u64,
    /// Of those in flight, connections that switched protocols, such as WebSockets.
    pub tunnels: u64,
    pub latency: Latency,
    /// Bytes of response bodies.
    pub bytes_sent: u64,
}

/// Failures to get a whole response from a release's upstreams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// 502: no connection, or it broke before the response began.
    pub bad_gateway: u64,
    /// 503: the route has no upstreams, or its files are gone.
    pub unavailable: u64,
    /// 504: the response did not begin in time.
    pub timeout: u64,
    /// The response broke off after it had begun.
    pub aborted: u64,
    /// No upstream could be reached, and a standby of the previous release answered in its place.
    pub fallback: u64,
}

impl Stats {
    /// What was counted since `before`, of the same counters.
    pub(crate) fn minus(&self, before: &Stats) -> Stats {
        let earlier = |s: &ReleaseStats| {
            let same = |b: &&ReleaseStats| {
                b.environment == s.environment && b.release == s.release && b.component == s.component
            };
            before.releases.iter().find(same)
        };
        Stats {
            releases: self.releases.iter().map(|s| earlier(s).map_or_else(|| s.clone(), |b| s.minus(b))).collect(),
            unrouted: self.unrouted.saturating_sub(before.unrouted),
            refused: self.refused.saturating_sub(before.refused),
        }
    }
}

impl ReleaseStats {
    fn minus(&self, before: &ReleaseStats) -> ReleaseStats {
        let less = u64::saturating_sub;
        ReleaseStats {
            requests: less(self.requests, before.requests),
            abandoned: less(self.abandoned, before.abandoned),
            statuses: std::array::from_fn(|n| less(self.statuses[n], before.statuses[n])),
            errors: Errors {
                bad_gateway: less(self.errors.bad_gateway, before.errors.bad_gateway),
                unavailable: less(self.errors.unavailable, before.errors.unavailable),
                timeout: less(self.errors.timeout, before.errors.timeout),
                aborted: less(self.errors.aborted, before.errors.aborted),
                fallback: less(self.errors.fallback, before.errors.fallback),
            },
            retries: less(self.retries, before.retries),
            latency: self.latency.minus(&before.latency),
            bytes_sent: less(self.bytes_sent, before.bytes_sent),
            ..self.clone()
        }
    }
}
