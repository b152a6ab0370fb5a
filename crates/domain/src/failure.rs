//! Why a deployment did not become active, in words that help.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::phase::Phase;
use crate::smoke::SmokeResult;

/// The kind of cause, stable for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The source could not be fetched or read.
    Source,
    /// No way to build or run it was found, or `plimsoll.toml` is wrong.
    Configuration,
    /// A build command failed.
    Build,
    /// The release command failed.
    ReleaseCommand,
    /// An instance did not start, or ended.
    Start,
    /// An instance did not become healthy.
    HealthCheck,
    /// Requests did not reach the new release through the ingress.
    Verification,
    /// A smoke test did not pass.
    SmokeTest,
    /// Two apps want the same host and path.
    RouteConflict,
    /// A phase took longer than it may.
    Timeout,
    /// A command used more memory, processes or disk than it may.
    Limit,
    /// A newer deployment of the environment was there first.
    Superseded,
    /// It was to carry out a plan, and a fact that the plan rests on has changed; nothing was touched.
    PlanChanged,
    /// It waited for approval, and somebody refused it or too few said anything in time.
    NotApproved,
    /// Somebody cancelled it.
    Cancelled,
    /// The machine or Plimsoll itself: disk, permissions, a bug.
    Internal,
}

/// A failure as it is recorded, shown and sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The phase in which it happened.
    pub phase: Phase,
    pub cause: Cause,
    /// One line that says what went wrong.
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub message: String,
    /// The last lines of the output that belongs to it, oldest first; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub output: Vec<String>,
    /// What to try, in one line.
    pub hint: String,
    /// Of the smoke tests, when one of them is the cause: the results of that round.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub smoke_tests: Vec<SmokeResult>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} failed: {}", self.phase, self.message)
    }
}
