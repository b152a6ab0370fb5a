//! Deployments and rollbacks.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use clap::Args;
use domain::deployment::Deployment;
use domain::labels::{Key, Tag, Text};
use domain::phase::Phase;
use domain::plan::PlanRef;
use domain::queue::Priority;
use domain::source::Source;
use domain::{DeploymentId, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::logs::LogPage;
use crate::page::default_limit;
use crate::{Effect, Method, Operation, Page, Permission, Place};

/// Source to release to traffic. Answers as soon as it is recorded; follow it by its id.
pub struct Deploy;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// Name of the app.
    pub app: Name,
    /// Name of the environment.
    pub environment: Name,
    /// Instead of the app's own source, for this deployment only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Branch, tag or commit of the app's git repository, instead of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = domain::source::REFERENCE_PATTERN))]
    pub reference: Option<String>,
    /// Carries out this plan and nothing else, or refuses with the fact that has changed since; instead of a source and a
    /// reference. Its digest, or the first digits of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanRef>,
    /// Tags for the release, such as `v1.2`: at most 16. Those that it has already stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tags: Vec<Tag>,
    /// Metadata for the release, such as a ticket: at most 32 entries. No secrets: it is shown to everybody.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub metadata: BTreeMap<Key, Text>,
    /// How much it matters beside others that wait.
    #[serde(default, skip_serializing_if = "Priority::is_normal")]
    pub priority: Priority,
    /// Not before this time; within a year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<DateTime<Utc>>,
    /// Begins even while a window is closed; the reason, which is recorded. Only with the priority `critical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bypass_window: Option<Text>,
}

impl Operation for Deploy {
    type Request = DeployRequest;
    type Response = Deployment;
    const NAME: &'static str = "deployments.deploy";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}/deployments";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 202;
    const SUMMARY: &'static str = "Deploy a version of the source";
    const PERMISSION: Permission = Permission::Deploy;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

/// An earlier release gets the traffic again, without building.
pub struct Rollback;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// Name of the app.
    #[arg(long, short)]
    pub app: Name,
    /// Name of the environment.
    #[arg(long = "env", short = 'e', value_name = "NAME", default_value = "production")]
    pub environment: Name,
    /// Number of the release (the 3 of v3); the last good one before the active one by default.
    #[arg(value_name = "RELEASE", value_parser = parse_release_number)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u32>,
    /// The newest release with this tag that has served in the environment. With a number: that release must have it.
    #[arg(long = "to", value_name = "TAG", conflicts_with = "release")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// How much it matters beside others that wait.
    #[arg(long, value_name = "PRIORITY", default_value_t)]
    #[serde(default, skip_serializing_if = "Priority::is_normal")]
    pub priority: Priority,
}

fn parse_release_number(text: &str) -> Result<u32, String> {
    text.trim_start_matches('v').parse().map_err(|_| "expected a release number such as 3 or v3".to_owned())
}

impl Operation for Rollback {
    type Request = RollbackRequest;
    type Response = Deployment;
    const NAME: &'static str = "deployments.rollback";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}/rollbacks";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 202;
    const SUMMARY: &'static str = "Give the traffic back to an earlier release, without building";
    const PERMISSION: Permission = Permission::Deploy;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

pub struct List;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Only of this app.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// Only of this environment.
    #[arg(long = "env", short = 'e', value_name = "NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// Only in this phase.
    #[arg(long, value_parser = parse_phase)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Only those that the token of this name asked for.
    #[arg(long, value_name = "TOKEN")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub requested_by: Option<String>,
    /// Only those that were asked for at this time or later, such as 2026-11-21T10:00:00Z.
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Only those that were asked for before this time.
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Only those whose id begins so (`dep_01k8…`), or whose commit does (seven digits or more), or with this tag.
    #[arg(long, value_name = "WORD")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub search: Option<String>,
    /// Continue after this page's `next`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DeploymentId>")]
    pub cursor: Option<String>,
    /// At most this many, 1 to 500.
    #[arg(long, default_value_t = default_limit())]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Default for ListRequest {
    fn default() -> Self {
        Self {
            app: None,
            environment: None,
            phase: None,
            requested_by: None,
            since: None,
            until: None,
            search: None,
            cursor: None,
            limit: default_limit(),
        }
    }
}

fn parse_phase(text: &str) -> Result<Phase, String> {
    Phase::from_name(text).ok_or_else(|| {
        let known: Vec<_> = Phase::ALL.iter().map(|p| p.as_str()).collect();
        format!("expected one of {}", known.join(", "))
    })
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Page<Deployment>;
    const NAME: &'static str = "deployments.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/deployments";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List deployments, newest first";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Apps(request.app.as_ref())
    }
}

/// Names one deployment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct DeploymentRequest {
    /// Id of the deployment (`dep_…`).
    #[arg(value_name = "DEPLOYMENT")]
    pub deployment: DeploymentId,
}

pub struct Get;

impl Operation for Get {
    type Request = DeploymentRequest;
    type Response = Deployment;
    const NAME: &'static str = "deployments.get";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/deployments/{deployment}";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show a deployment: phases, times, failure";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Deployment(&request.deployment)
    }
}

/// Takes a deployment back, as long as it is not active. Answers as soon as the wish is recorded.
pub struct Cancel;

impl Operation for Cancel {
    type Request = DeploymentRequest;
    type Response = Deployment;
    const NAME: &'static str = "deployments.cancel";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/deployments/{deployment}/cancel";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 202;
    const SUMMARY: &'static str = "Cancel a deployment: the previous version serves on";
    const PERMISSION: Permission = Permission::Deploy;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Deployment(&request.deployment)
    }
}

/// Tries the step again at which a deployment got stuck.
pub struct Resume;

impl Operation for Resume {
    type Request = DeploymentRequest;
    type Response = Deployment;
    const NAME: &'static str = "deployments.resume";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/deployments/{deployment}/resume";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 202;
    const SUMMARY: &'static str = "Try the step again at which a deployment got stuck";
    const PERMISSION: Permission = Permission::Deploy;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Deployment(&request.deployment)
    }
}

/// Ends a deployment that is stuck, without taking back what it has done. What served before serves on; of one that is active
/// already, the cleaning is left undone. The server then removes what nothing needs.
pub struct Abandon;

impl Operation for Abandon {
    type Request = DeploymentRequest;
    type Response = Deployment;
    const NAME: &'static str = "deployments.abandon";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/deployments/{deployment}/abandon";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "End a stuck deployment as it is: what served before serves on";
    const PERMISSION: Permission = Permission::Deploy;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Deployment(&request.deployment)
    }
}

/// Output of build, release command and health checks, by page. There is a stream of it too, and a file.
///
/// Pages begin with the first line, or behind `after`. With `tail` or `before` they end with the last one, or in front of
/// `before`: so one goes backwards from the end.
pub struct Output;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputRequest {
    /// Id of the deployment (`dep_…`).
    pub deployment: DeploymentId,
    /// Lines after this number; from the first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Lines before this number. Without `after` those are meant that are next to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// The last of these lines instead of the first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tail: bool,
    /// At most this many, 1 to 500.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl OutputRequest {
    /// The first lines.
    pub fn of(deployment: DeploymentId) -> Self {
        Self { deployment, after: None, before: None, tail: false, limit: default_limit() }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)]
pub(crate) fn is_false(value: &bool) -> bool {
    !value
}

impl Operation for Output {
    type Request = OutputRequest;
    type Response = LogPage;
    const NAME: &'static str = "deployments.output";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/deployments/{deployment}/output";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Read what a deployment printed";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Deployment(&request.deployment)
    }
}
