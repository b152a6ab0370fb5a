//! Schedules: deployments that repeat.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use clap::Args;
use domain::labels::{Key, Tag, Text};
use domain::queue::Priority;
use domain::schedule::{Cron, LastRun, Missed};
use domain::source::Source;
use domain::{Name, ScheduleId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation};

/// A schedule, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Schedule {
    pub id: ScheduleId,
    /// One of its app has it.
    pub name: Name,
    pub app: Name,
    pub environment: Name,
    pub cron: Cron,
    pub missed: Missed,
    pub enabled: bool,
    pub order: Template,
    /// The next runs, at most five; none while it is disabled.
    pub upcoming: Vec<DateTime<Utc>>,
    /// What came of the last plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
}

/// What each run deploys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Instead of the app's own source; not an uploaded archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Branch, tag or commit of the app's git repository, looked up anew at each run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = domain::source::REFERENCE_PATTERN))]
    pub reference: Option<String>,
    /// Tags for the releases: at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tags: Vec<Tag>,
    /// Metadata for the releases: at most 32 entries. No secrets: it is shown to everybody.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub metadata: BTreeMap<Key, Text>,
    /// How much they matter beside others that wait.
    #[serde(default, skip_serializing_if = "Priority::is_normal")]
    pub priority: Priority,
}

/// Deploys again and again, at the times that a cron expression says.
pub struct Create;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// Name of the app.
    pub app: Name,
    /// Name of the environment.
    pub environment: Name,
    /// What it is called; the environment's name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Minute, hour, day of month, month and day of week as in cron, and an IANA time zone, such as
    /// `0 6 * * MON-FRI Europe/London`.
    pub cron: String,
    /// What to do about runs that were missed.
    #[serde(default)]
    pub missed: Missed,
    /// What each run deploys; the app's own source when it says nothing.
    #[serde(default)]
    pub order: Template,
}

impl Operation for Create {
    type Request = CreateRequest;
    type Response = Schedule;
    const NAME: &'static str = "schedules.create";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/schedules";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 201;
    const SUMMARY: &'static str = "Deploy at the times of a cron expression with a time zone";
}

pub struct List;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Only of this app.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// Only of this environment; with an app.
    #[arg(long = "env", short = 'e', value_name = "NAME", requires = "app")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Vec<Schedule>;
    const NAME: &'static str = "schedules.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/schedules";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List schedules, their next runs, and what came of the last";
}

/// Names one schedule.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ScheduleRequest {
    /// Id of the schedule (`sch_…`), or a name that it alone has.
    #[arg(value_name = "ID|NAME")]
    pub schedule: String,
}

pub struct Get;

impl Operation for Get {
    type Request = ScheduleRequest;
    type Response = Schedule;
    const NAME: &'static str = "schedules.get";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/schedules/{schedule}";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show a schedule, its next runs, and what came of the last";
}

/// Changes when it runs, lets it run, or keeps it from running; what is absent stays as it is. Plans of the time in which it was
/// disabled are not missed, nor are those of a cron expression that it has no more.
pub struct Update;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateRequest {
    /// Id of the schedule (`sch_…`), or a name that it alone has.
    pub schedule: String,
    /// Whether it runs from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Another cron expression with a time zone, such as `0 6 * * MON-FRI Europe/London`. It runs next at the first of its
    /// times from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// What to do about runs that were missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Missed>,
}

impl Operation for Update {
    type Request = UpdateRequest;
    type Response = Schedule;
    const NAME: &'static str = "schedules.update";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/schedules/{schedule}";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Change when a schedule runs, enable or disable it";
}

pub struct Delete;

impl Operation for Delete {
    type Request = ScheduleRequest;
    type Response = Schedule;
    const NAME: &'static str = "schedules.delete";
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = "/api/v1/schedules/{schedule}";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "Remove a schedule; deployments that it has made stay";
}
