//! The ingress: the process in front of the apps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

/// Puts a new process in the place of the running one, without a lost connection.
pub struct Restart;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestartRequest {}

/// One process in the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restarted {
    /// Process id of the one before; it ends when its requests in flight are finished. None when none ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u32>,
    /// Process id of the one that serves now.
    pub pid: u32,
    pub version: String,
    /// Where it listens.
    pub listen: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<String>,
}

impl Operation for Restart {
    type Request = RestartRequest;
    type Response = Restarted;
    const NAME: &'static str = "ingress.restart";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/ingress/restart";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str =
        "Put a new ingress process in the place of the running one, without a lost connection";
    const PERMISSION: Permission = Permission::Operate;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}
