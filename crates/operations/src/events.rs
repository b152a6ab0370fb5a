//! The event log.

use clap::Args;
use domain::event::Event;
use domain::{DeploymentId, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::default_limit;
use crate::{Effect, Method, Operation, Page, Permission, Place};

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
    /// Only of this deployment.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentId>,
    /// Events after this one; from the first when absent.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// At most this many, 1 to 500.
    #[arg(long, default_value_t = default_limit())]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Page<Event>;
    const NAME: &'static str = "events.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/events";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Read the event log in order";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Apps(request.app.as_ref())
    }
}
