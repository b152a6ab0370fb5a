//! What deployments that don't go on are at, what they wait for, and what helps.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use clap::Args;
use domain::deployment::DeploymentKind;
use domain::limit::Span;
use domain::phase::Phase;
use domain::stall::{Remedy, StallPolicy};
use domain::{DeploymentId, Name};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::page::default_limit;
use crate::{Effect, Method, Operation, Permission, Place};

/// How it is with deployments that have not ended: those first that need somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnoses {
    pub items: Vec<Diagnosis>,
    /// Deployments that wait in the queue and are not among the items.
    pub left_out: u64,
}

/// How it is with one deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    pub deployment: DeploymentId,
    pub app: Name,
    pub environment: Name,
    pub kind: DeploymentKind,
    pub phase: Phase,
    /// When the phase began.
    pub since: DateTime<Utc>,
    pub state: DeploymentState,
    /// Why it is stuck or stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// The last record of its journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_step: Option<LastStep>,
    /// The last line that it printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_output: Option<LastOutput>,
    /// When the server that drives it last gave a sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_of_at: Option<DateTime<Utc>>,
    /// What to type; absent where there is nothing to do but wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// It can go neither on nor back by itself.
    Stuck,
    /// It shows no sign of life, or of progress.
    Stalled,
    /// It works.
    Working,
    /// It waits for its turn, or for a server of its machine.
    Waiting,
}

/// What was journaled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastStep {
    pub at: DateTime<Utc>,
    /// `stage_started`, `stage_failed`, `undo_started`, …
    pub event: String,
    /// The stage that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastOutput {
    pub at: DateTime<Utc>,
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub text: String,
}

pub struct Diagnose;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct DiagnoseRequest {
    /// At most this many that wait in the queue, 1 to 500; all that have begun are told of.
    #[arg(long, default_value_t = default_limit())]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Operation for Diagnose {
    type Request = DiagnoseRequest;
    type Response = Diagnoses;
    const NAME: &'static str = "deployments.diagnose";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/diagnosis";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str =
        "Show what deployments that have not ended are at, what they wait for, and what helps";
    const PERMISSION: Permission = Permission::Look;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Apps(None)
    }
}

/// The limits of an app, or of the server for all apps that have none of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StallLimits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    pub policy: StallPolicy,
    /// They were set here; else they are the server's, or the default.
    pub own: bool,
}

pub struct ShowLimits;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ShowLimitsRequest {
    /// Of this app; of the server by default.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
}

impl Operation for ShowLimits {
    type Request = ShowLimitsRequest;
    type Response = StallLimits;
    const NAME: &'static str = "stalls.show";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/stalls";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show when a deployment is taken for stalled, and what is done then";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::app_or_server(request.app.as_ref())
    }
}

pub struct SetLimits;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLimitsRequest {
    /// For this app; for all without limits of their own by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// The longest without a sign of life of the server that drives a deployment, from 10s on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = LIMIT))]
    pub heartbeat: Option<Span>,
    /// The longest without a step and without a line of output, from 10s on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = LIMIT))]
    pub silence: Option<Span>,
    /// The same for single phases, in place of those that were set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "phase_limits")]
    pub phases: Option<BTreeMap<Phase, Span>>,
    /// What is done about a stalled deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Remedy>,
    /// Forget what was set before.
    #[serde(default)]
    pub reset: bool,
}

/// What is sure to be a limit; `1m 30s` and the like are taken, too.
const LIMIT: &str = "^([1-9][0-9]{1,3}s|[1-9][0-9]{0,2}m|([1-9]|1[0-9]|2[0-4])h)$";

fn phase_limits(_: &mut SchemaGenerator) -> Schema {
    let works = Phase::ALL.into_iter().filter(|phase| !phase.is_end() && *phase != Phase::Queued);
    let limit = serde_json::json!({ "type": "string", "pattern": LIMIT });
    let properties: serde_json::Map<_, _> = works.map(|phase| (phase.as_str().to_owned(), limit.clone())).collect();
    json_schema!({ "type": ["object", "null"], "properties": properties, "additionalProperties": false })
}

impl Operation for SetLimits {
    type Request = SetLimitsRequest;
    type Response = StallLimits;
    const NAME: &'static str = "stalls.set";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/stalls";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Change when a deployment is taken for stalled, and what is done then";
    const PERMISSION: Permission = Permission::Configure;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::app_or_server(request.app.as_ref())
    }
}
