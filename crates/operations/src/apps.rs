//! Apps: a name and a place where the source comes from.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::source::Source;
use domain::{AppId, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::environments::Environment;
use crate::page::default_limit;
use crate::{Effect, Method, Operation, Page, Permission, Place};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct App {
    pub id: AppId,
    pub name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    pub created_at: DateTime<Utc>,
    /// Deployments of it at work at the same time, at most.
    pub concurrency: u32,
}

/// An app with everything about it that fits on a screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppDetail {
    #[serde(flatten)]
    pub app: App,
    pub environments: Vec<Environment>,
}

/// Makes an app and its environment `production`.
pub struct Create;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// Name of the app.
    pub name: Name,
    /// Where deployments take their source from unless they say otherwise.
    #[serde(default)]
    pub source: Option<Source>,
}

impl Operation for Create {
    type Request = CreateRequest;
    type Response = App;
    const NAME: &'static str = "apps.create";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/apps";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 201;
    const SUMMARY: &'static str = "Create an app and its environment `production`";
    const PERMISSION: Permission = Permission::Create;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}

pub struct List;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Only those with this in their names.
    #[arg(long, value_name = "PART")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub search: Option<String>,
    /// Continue after this page's `next`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Name>")]
    pub cursor: Option<String>,
    /// At most this many, 1 to 500.
    #[arg(long, default_value_t = default_limit())]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Default for ListRequest {
    fn default() -> Self {
        Self { search: None, cursor: None, limit: default_limit() }
    }
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Page<App>;
    const NAME: &'static str = "apps.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/apps";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List apps by name";
    const PERMISSION: Permission = Permission::Look;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Apps(None)
    }
}

pub struct Get;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct GetRequest {
    /// Name of the app.
    #[arg(long, short)]
    pub app: Name,
}

impl Operation for Get {
    type Request = GetRequest;
    type Response = AppDetail;
    const NAME: &'static str = "apps.get";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/apps/{app}";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show an app, its environments and what runs in them";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

pub struct SetSource;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSourceRequest {
    /// Name of the app.
    pub app: Name,
    /// Where deployments take their source from from now on.
    pub source: Source,
}

impl Operation for SetSource {
    type Request = SetSourceRequest;
    type Response = App;
    const NAME: &'static str = "apps.set_source";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/apps/{app}/source";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Change where an app's source comes from";
    const PERMISSION: Permission = Permission::Configure;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

/// How many deployments of an app may be at work at the same time; others wait in the queue.
pub struct SetConcurrency;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct SetConcurrencyRequest {
    /// Name of the app.
    #[arg(value_name = "APP")]
    pub app: Name,
    /// At least 1; 2 for a new app.
    #[arg(value_name = "LIMIT", value_parser = clap::value_parser!(u32).range(1..=1000))]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
}

impl Operation for SetConcurrency {
    type Request = SetConcurrencyRequest;
    type Response = App;
    const NAME: &'static str = "apps.set_concurrency";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/apps/{app}/concurrency";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Change how many deployments of an app may be at work at the same time";
    const PERMISSION: Permission = Permission::Configure;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

/// Stops everything of an app and forgets it.
pub struct Delete;

impl Operation for Delete {
    type Request = GetRequest;
    type Response = Deleted;
    const NAME: &'static str = "apps.delete";
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = "/api/v1/apps/{app}";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "Stop an app and delete it with its environments, releases and logs";
    const PERMISSION: Permission = Permission::Delete;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

/// What is gone now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    pub app: Name,
    pub environments: Vec<Name>,
    pub releases: u64,
}
