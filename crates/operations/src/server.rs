//! The server itself.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

pub struct Info;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InfoRequest {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerInfo {
    pub version: String,
    pub started_at: DateTime<Utc>,
    /// `sqlite` or `postgres`.
    pub database: String,
    /// Where apps answer: scheme, domain and port to put behind an app's name.
    pub domain: String,
    /// Address of the ingress.
    pub ingress: String,
    /// Why the ingress is not quite well, if it isn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_degraded: Option<String>,
    /// Agents may only look: their calls that would change something are refused.
    #[serde(default)]
    pub mcp_read_only: bool,
}

impl Operation for Info {
    type Request = InfoRequest;
    type Response = ServerInfo;
    const NAME: &'static str = "server.info";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/server";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show version, database and addresses";
    const PERMISSION: Permission = Permission::Hello;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}
