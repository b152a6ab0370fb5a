//! Plans: what a deployment would do, to be looked at, simulated and then carried out.

use clap::Args;
use domain::plan::{Plan, PlanRef, PlanSummary, Simulation};
use domain::source::Source;
use domain::{Name, PlanId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::default_limit;
use crate::{Effect, Method, Operation, Page, Permission, Place};

/// Fetches the source into a scratch folder, compares, and keeps the plan for a day. Nothing that serves is touched.
///
/// It writes: a plan is a row that others can carry out, and a source is fetched for it. A read-only token, which promises that
/// nothing changes through it, reads and simulates the plans of others.
pub struct Create;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// Name of the app.
    pub app: Name,
    /// Name of the environment.
    pub environment: Name,
    /// Instead of the app's own source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Branch, tag or commit of the app's git repository, instead of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = domain::source::REFERENCE_PATTERN))]
    pub reference: Option<String>,
    /// Plans a rollback to the release of this number, instead of a deployment of source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<u32>,
}

impl Operation for Create {
    type Request = CreateRequest;
    type Response = Plan;
    const NAME: &'static str = "plans.create";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}/plans";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 201;
    const SUMMARY: &'static str = "Plan a deployment: its steps, why, what they touch, how long they take";
    const PERMISSION: Permission = Permission::Deploy;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

/// Names one plan.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// Digest of the plan, or its first digits.
    #[arg(value_name = "PLAN")]
    pub plan: PlanRef,
}

pub struct Get;

impl Operation for Get {
    type Request = PlanRequest;
    type Response = Plan;
    const NAME: &'static str = "plans.get";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/plans/{plan}";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show a plan as it was made";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Plan(&request.plan)
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
    /// Continue after this page's `next`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<PlanId>")]
    pub cursor: Option<String>,
    /// At most this many, 1 to 500.
    #[arg(long, default_value_t = default_limit())]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Page<PlanSummary>;
    const NAME: &'static str = "plans.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/plans";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List plans that can still be carried out, newest first";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Apps(request.app.as_ref())
    }
}

/// Runs the plan against a model: to the end, and once with a failure at each step.
pub struct Simulate;

impl Operation for Simulate {
    type Request = PlanRequest;
    type Response = Simulation;
    const NAME: &'static str = "plans.simulate";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/plans/{plan}/simulation";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Say what a plan would leave behind if one of its steps failed";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Plan(&request.plan)
    }
}
