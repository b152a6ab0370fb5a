//! Deploy windows and freezes, and the records of deployments that went past them.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::window::{Days, Rule, TimeOfDay};
use domain::{BypassId, DeploymentId, Name, WindowId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::default_limit;
use crate::{Effect, Method, Operation, Page, Permission, Place};

/// A rule, where it holds, and whether it holds now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    pub id: WindowId,
    /// Of this app alone; of all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// In environments of this name alone; in all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    pub rule: Rule,
    /// A deploy window is open now, or a freeze lasts now.
    pub now: bool,
    /// When that changes, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes_at: Option<DateTime<Utc>>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
}

/// Says when deployments may begin, or that none may for a time.
pub struct Create;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// For this app alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// For environments of this name alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// When deployments may begin, or may not.
    pub rule: NewRule,
}

/// A rule as it is asked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NewRule {
    /// Deployments may begin then; an environment with any such rule is closed at all other times.
    Deploy(NewWeekly),
    /// No deployment may begin then.
    Freeze(NewFreeze),
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWeekly {
    pub days: Days,
    /// Hours and minutes.
    pub from: TimeOfDay,
    /// The next day's when it is not after the begin.
    pub to: TimeOfDay,
    /// IANA name of a time zone, such as `Europe/Berlin`.
    pub zone: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFreeze {
    /// `2026-12-20 18:00 Europe/Berlin`, `2026-12-20T18:00:00+01:00` or `in 2h`; now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The same; until the rule is removed when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Why; it is told to those who wait. At most 200 characters.
    pub reason: String,
}

impl Operation for Create {
    type Request = CreateRequest;
    type Response = Window;
    const NAME: &'static str = "windows.create";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/windows";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 201;
    const SUMMARY: &'static str = "Add a deploy window or a freeze";
    const PERMISSION: Permission = Permission::Configure;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::app_or_server(request.app.as_ref())
    }
}

pub struct List;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Only those that hold for this app.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// Only those that hold in environments of this name.
    #[arg(long = "env", short = 'e', value_name = "NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// Freezes that have ended, too.
    #[arg(long)]
    #[serde(default)]
    pub ended: bool,
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Vec<Window>;
    const NAME: &'static str = "windows.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/windows";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List deploy windows and freezes";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Apps(request.app.as_ref())
    }
}

pub struct Delete;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct DeleteRequest {
    /// Id of the rule (`win_…`).
    #[arg(value_name = "WINDOW")]
    pub window: WindowId,
}

impl Operation for Delete {
    type Request = DeleteRequest;
    type Response = Window;
    const NAME: &'static str = "windows.delete";
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = "/api/v1/windows/{window}";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "Remove a deploy window or a freeze";
    const PERMISSION: Permission = Permission::Configure;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Window(&request.window)
    }
}

/// The record of a deployment that windows did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bypass {
    pub id: BypassId,
    pub deployment: DeploymentId,
    pub app: Name,
    pub environment: Name,
    /// The rule that would have held it when it was accepted; absent when none did just then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowId>,
    /// What that rule said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub reason: String,
    pub requested_by: String,
    /// Who approved of it, where an approval policy asks for that and they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    pub at: DateTime<Utc>,
}

/// Who went past closed windows, and why.
pub struct Bypasses;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct BypassesRequest {
    /// Continue after this page's `next`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BypassId>")]
    pub cursor: Option<String>,
    /// At most this many, 1 to 500.
    #[arg(long, default_value_t = default_limit())]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Operation for Bypasses {
    type Request = BypassesRequest;
    type Response = Page<Bypass>;
    const NAME: &'static str = "windows.bypasses";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/windows/bypasses";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List deployments that went past closed windows, newest first";
    const PERMISSION: Permission = Permission::Look;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Apps(None)
    }
}
