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

use crate::{Effect, Method, Operation, Permission, Place};

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
    const PERMISSION: Permission = Permission::Deploy;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
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
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Apps(request.app.as_ref())
    }
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
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Schedule(&request.schedule)
    }
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
    const PERMISSION: Permission = Permission::Deploy;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Schedule(&request.schedule)
    }
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
    const PERMISSION: Permission = Permission::Deploy;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Schedule(&request.schedule)
    }
}

/// What a cron expression means, before anything is made of it.
pub struct Preview;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct PreviewRequest {
    /// Five fields as in cron and an IANA time zone, such as `0 6 * * MON-FRI Europe/London`.
    #[arg(value_name = "CRON")]
    pub cron: String,
    /// The reader's own zone, in which the runs are told as well.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    #[serde(default = "utc")]
    pub zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A cron expression in words, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Previewed {
    pub cron: Cron,
    /// `at 06:00, on Monday to Friday`; in the zone of the expression.
    pub words: String,
    /// The next runs, at most five.
    pub runs: Vec<Run>,
}

/// One time at which it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PreviewedRun")]
pub struct Run {
    pub at: DateTime<Utc>,
    /// In the zone of the expression: `2026-12-01 06:00 GMT`.
    pub there: String,
    /// In the reader's zone.
    pub here: String,
}

impl Operation for Preview {
    type Request = PreviewRequest;
    type Response = Previewed;
    const NAME: &'static str = "schedules.preview";
    const METHOD: Method = Method::Post;
    // Not below `schedules`, where it would hide a schedule of that name.
    const PATH: &'static str = "/api/v1/cron/preview";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Say a cron expression in words, and when it would run next";
    const PERMISSION: Permission = Permission::Hello;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}
