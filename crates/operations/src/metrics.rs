//! What the ingress counts, by release.

use chrono::{DateTime, Utc};
use domain::{Name, ReleaseId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::environments::EnvironmentRequest;
use crate::{Effect, Method, Operation, Permission, Place};

/// Requests of an environment, newest release first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metrics {
    pub app: Name,
    pub environment: Name,
    /// One for each component of each release that was routed lately.
    pub releases: Vec<ReleaseMetrics>,
}

/// Requests to one component of a release. All numbers but `in_flight` and `tunnels` only grow; they go on when the
/// ingress is restarted. After a crash of it up to 10 seconds of counts are missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseMetrics {
    pub release: ReleaseId,
    /// The 3 of v3; absent when the release is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    pub component: Name,
    /// It serves now.
    pub active: bool,
    /// When the counting began.
    pub since: DateTime<Utc>,
    /// Answered or abandoned.
    pub requests: u64,
    pub responses: Responses,
    pub errors: Errors,
    /// Attempts after the first: on another instance, or on a fresh connection.
    pub retries: u64,
    /// Clients that went away before the answer began.
    pub abandoned: u64,
    pub in_flight: u64,
    /// Of those in flight, connections that switched protocols, such as WebSockets.
    pub tunnels: u64,
    /// Bytes of response bodies.
    pub bytes_sent: u64,
    pub latency: Latency,
}

/// Responses by class of status, those included that the ingress made in the app's place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Responses {
    /// 1xx, which are switches to another protocol.
    pub informational: u64,
    /// 2xx.
    pub successful: u64,
    /// 3xx.
    pub redirects: u64,
    /// 4xx.
    pub client_errors: u64,
    /// 5xx.
    pub server_errors: u64,
}

/// What the ingress could not get from the release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Errors {
    /// 502: no connection, or it broke before the response began.
    pub bad_gateway: u64,
    /// 503: no instance, or no files.
    pub unavailable: u64,
    /// 504: the response did not begin in time.
    pub timeout: u64,
    /// The response broke off after it had begun.
    pub aborted: u64,
    /// The previous release answered in its place, in a cutover.
    pub fallback: u64,
}

/// From a request's head to the first byte of the answer, in milliseconds, at most 6 % off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    pub count: u64,
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
}

pub struct Get;

impl Operation for Get {
    type Request = EnvironmentRequest;
    type Response = Metrics;
    const NAME: &'static str = "environments.metrics";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}/metrics";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show requests, errors and latencies by release";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}
