//! What a page of figures shows: how deployments go now and went lately, day by day, and how releases answer.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::analytics::{Analytics, Day};
use domain::lifetime::Lifetime;
use domain::{Name, ReleaseId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

/// The figures of one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// Deployments at work now.
    pub running: u64,
    /// Deployments that wait for their start.
    pub queued: u64,
    /// As `analytics.show` tells it.
    pub analytics: Analytics,
    /// Each day in UTC, the oldest first.
    pub days: Vec<Day>,
    /// Of each environment the newest first; absent while the ingress does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub releases: Option<Vec<ReleaseFigures>>,
}

/// How a release answered, all its components together, since the ingress began to count it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseFigures {
    pub app: Name,
    pub environment: Name,
    pub release: ReleaseId,
    /// The 3 of v3; absent when the release is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// It serves now.
    pub active: bool,
    /// When the counting began.
    pub since: DateTime<Utc>,
    pub requests: u64,
    /// Answers with a status of 500 and above, the ingress's own included, and answers that broke off.
    pub errors: u64,
    /// `errors` of `requests`, from 0 to 1; absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
    /// From a request's head to the first byte of the answer, in milliseconds, at most 6 % off.
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
}

pub struct Show;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ShowRequest {
    /// Only of this app; of all apps by default.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// Only of this environment of the app.
    #[arg(long = "env", short = 'e', value_name = "NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// How far back, such as 7d, at most 366d; from the beginning of that day in UTC.
    #[arg(long, value_name = "TIME", default_value = DEFAULT)]
    #[serde(default = "month")]
    pub since: Lifetime,
}

const DEFAULT: &str = "30d";

/// The longest [`ShowRequest::since`], in days.
pub const MOST_DAYS: u16 = 366;

fn month() -> Lifetime {
    Lifetime::days(30)
}

impl Operation for Show {
    type Request = ShowRequest;
    type Response = Figures;
    const NAME: &'static str = "figures.show";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/figures";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show how deployments go day by day, and how releases answer";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Apps(request.app.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_defaults_are_the_same() {
        assert_eq!(DEFAULT.parse(), Ok(month()));
    }
}
