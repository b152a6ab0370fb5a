//! How long what is past is kept.

use clap::Args;
use domain::Name;
use domain::retention::{Chosen, Keep, Kept};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

/// The policy of an app, or of the server for all apps that have none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetentionPolicy {
    /// Absent: of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// What holds.
    pub keep: Keep,
    /// What of it was set here; the rest is that of the server, or the default.
    pub set: Chosen,
    /// Apps with a policy of their own, when it is the server's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<Name>,
}

pub struct Show;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ShowRequest {
    /// Of this app; of the server by default.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
}

impl Operation for Show {
    type Request = ShowRequest;
    type Response = RetentionPolicy;
    const NAME: &'static str = "retention.show";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/retention";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show how long releases, outputs, events and records are kept";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::app_or_server(request.app.as_ref())
    }
}

pub struct Set;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct SetRequest {
    /// For this app; for all without a policy of their own by default.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// Releases whose files stay for each environment, besides what serves: 1 to 1000.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub releases: Option<u32>,
    /// What deployments printed: such as 14d, or forever.
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Kept>,
    /// Events.
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Kept>,
    /// Records of deployments that have ended.
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployments: Option<Kept>,
    /// Answers to requests with an idempotency key; only for the server.
    #[arg(long, value_name = "TIME", conflicts_with = "app")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Kept>,
    /// Forget what was set before.
    #[arg(long)]
    #[serde(default)]
    pub reset: bool,
}

impl Operation for Set {
    type Request = SetRequest;
    type Response = RetentionPolicy;
    const NAME: &'static str = "retention.set";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/retention";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Change how long releases, outputs, events and records are kept";
    const PERMISSION: Permission = Permission::Configure;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::app_or_server(request.app.as_ref())
    }
}

/// What goes, or went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sweep {
    /// Releases that lose their files, and the bytes of these.
    pub releases: u64,
    pub release_bytes: u64,
    /// Outputs of deployments.
    pub outputs: u64,
    pub output_bytes: u64,
    pub events: u64,
    pub deployments: u64,
    pub keys: u64,
    /// Apps whose releases were left alone, as a deployment that has begun may need any of them: the next run sees to them.
    pub busy_apps: u64,
}

/// What a run would remove, without removing it.
pub struct Plan;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {}

impl Operation for Plan {
    type Request = PlanRequest;
    type Response = Sweep;
    const NAME: &'static str = "retention.plan";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/retention/plan";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show what is old enough to be removed, and how much space that gives";
    const PERMISSION: Permission = Permission::ServerLook;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}

/// Does now what the server does each hour.
pub struct Run;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {}

impl Operation for Run {
    type Request = RunRequest;
    type Response = Sweep;
    const NAME: &'static str = "retention.run";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/retention/runs";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Remove now what is old enough, as happens each hour by itself";
    const PERMISSION: Permission = Permission::Operate;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}
