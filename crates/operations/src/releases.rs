//! Releases of an app.

use clap::Args;
use domain::Name;
use domain::release::Release;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::default_limit;
use crate::{Effect, Method, Operation, Page, Permission, Place};

/// A release and where it serves now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseStatus {
    #[serde(flatten)]
    pub release: Release,
    /// Environments in which it is active.
    pub active_in: Vec<Name>,
    /// Environments in which it is active or was: those that can be rolled back to it, as long as its files are kept.
    pub served_in: Vec<Name>,
    /// Names of the variables in its environment snapshot.
    pub variables: Vec<String>,
}

pub struct List;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Name of the app.
    #[arg(long, short)]
    pub app: Name,
    /// Only those that are or were active in this environment: what it can be rolled back to.
    #[arg(long, value_name = "ENVIRONMENT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_in: Option<Name>,
    /// Continue after this page's `next`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9]{1,9}$"))]
    pub cursor: Option<String>,
    /// At most this many, 1 to 500.
    #[arg(long, default_value_t = default_limit())]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Page<ReleaseStatus>;
    const NAME: &'static str = "releases.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/apps/{app}/releases";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List an app's releases, newest first";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

pub struct Get;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetRequest {
    /// Name of the app.
    pub app: Name,
    /// The 3 of v3.
    pub number: u32,
}

impl Operation for Get {
    type Request = GetRequest;
    type Response = ReleaseStatus;
    const NAME: &'static str = "releases.get";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/apps/{app}/releases/{number}";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show a release: commit, digest, components";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}
