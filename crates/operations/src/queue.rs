//! Deployments that wait for their start.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::deployment::DeploymentKind;
use domain::estimate::{Basis, Start};
use domain::queue::{Priority, Waiting};
use domain::timeline::Span;
use domain::{DeploymentId, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deployments::is_false;
use crate::page::default_limit;
use crate::{Effect, Method, Operation, Page, Permission};

/// One that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    pub deployment: DeploymentId,
    pub app: Name,
    pub environment: Name,
    pub kind: DeploymentKind,
    /// From 1, among all that wait. Apps that both wait take turns, so that one further behind may start first, but not
    /// before what an operator has moved to the first place.
    pub position: u64,
    pub priority: Priority,
    pub enqueued_at: DateTime<Utc>,
    /// It was ordered for this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<DateTime<Utc>>,
    /// The machine whose servers start it.
    pub host: String,
    pub waiting: Waiting,
    /// The same for people.
    pub waiting_for: String,
    /// When it probably begins; absent while nothing says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    pub requested_by: String,
}

/// An estimate from how long deployments took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "QueueEstimate")]
pub struct Estimate {
    #[serde(flatten)]
    pub start: Start,
    /// How long it probably takes then: the median, in seconds.
    pub takes_seconds: u64,
    /// What its length is estimated from.
    pub basis: Basis,
}

/// What waits, in the order of its turns.
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
    #[schemars(length(min = 1))]
    pub cursor: Option<String>,
    /// At most this many, 1 to 500.
    #[arg(long, default_value_t = default_limit())]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Page<Entry>;
    const NAME: &'static str = "queue.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/queue";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List deployments that wait for their start, with what each waits for";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> crate::Place<'_> {
        crate::Place::Apps(request.app.as_ref())
    }
}

/// Where to move an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "place", rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    First,
    Last,
    Before { deployment: DeploymentId },
    Behind { deployment: DeploymentId },
}

/// Gives a deployment that waits another place in the queue.
pub struct Move;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveRequest {
    /// Id of the deployment (`dep_…`).
    pub deployment: DeploymentId,
    pub to: Place,
}

impl Operation for Move {
    type Request = MoveRequest;
    type Response = Entry;
    const NAME: &'static str = "queue.move";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/queue/{deployment}/place";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Move a deployment that waits to another place in the queue";
    const PERMISSION: Permission = Permission::Deploy;

    fn place(request: &Self::Request) -> crate::Place<'_> {
        crate::Place::Deployment(&request.deployment)
    }
}

/// Changes when a deployment that waits is to start, and how much it matters.
pub struct Reschedule;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RescheduleRequest {
    /// Id of the deployment (`dep_…`).
    pub deployment: DeploymentId,
    /// Not before this time; as it is when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<DateTime<Utc>>,
    /// As soon as it may: the time that it was ordered for is taken away. Not together with `not_before`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub now: bool,
    /// As it is when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
}

impl Operation for Reschedule {
    type Request = RescheduleRequest;
    type Response = Entry;
    const NAME: &'static str = "queue.reschedule";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/queue/{deployment}/schedule";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Change the time or the priority of a deployment that waits";
    const PERMISSION: Permission = Permission::Deploy;

    fn place(request: &Self::Request) -> crate::Place<'_> {
        crate::Place::Deployment(&request.deployment)
    }
}

/// What will happen: deployments at work and waiting, runs of schedules, windows and freezes.
pub struct Timeline;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct TimelineRequest {
    /// Only of this app.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// Only in environments of this name.
    #[arg(long = "env", short = 'e', value_name = "NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// How far to look ahead, 1 to 168.
    #[arg(long, default_value_t = default_hours())]
    #[serde(default = "default_hours")]
    #[schemars(range(min = 1, max = 168))]
    pub hours: u32,
}

fn default_hours() -> u32 {
    24
}

/// The time to come, by the begins of what lasts in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ahead {
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// At most 1000.
    pub spans: Vec<Span>,
    /// There are more.
    pub truncated: bool,
}

impl Operation for Timeline {
    type Request = TimelineRequest;
    type Response = Ahead;
    const NAME: &'static str = "queue.timeline";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/queue/timeline";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show what the next hours bring: deployments, runs of schedules, windows, freezes";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> crate::Place<'_> {
        crate::Place::Apps(request.app.as_ref())
    }
}
