//! The servers that share a database, and the machines that they are on.

use chrono::{DateTime, Utc};
use domain::{DeploymentId, ServerId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

/// Who is there, as the asked server sees it.
pub struct Show;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowRequest {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cluster {
    /// The server that answers.
    pub answered_by: ServerId,
    /// By the time of their start.
    pub servers: Vec<Server>,
    /// By name.
    pub hosts: Vec<Host>,
}

/// One run of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Server {
    pub id: ServerId,
    /// Its machine.
    pub host: String,
    /// Of its API.
    pub url: String,
    pub version: String,
    pub pid: i32,
    pub started_at: DateTime<Utc>,
    pub standing: Standing,
    /// It does what one server does for all: schedules, clean-up of what is old.
    pub leader: bool,
    /// Milliseconds since its heartbeat was seen to change.
    pub heartbeat_age_ms: u64,
    /// Seconds without a heartbeat after which it is taken for dead.
    pub lease_seconds: u64,
    /// Deployments that it drives.
    pub deployments: Vec<DeploymentId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Live,
    /// It stops, and takes no more work.
    Leaving,
    /// Its heartbeat stands still for longer than its lease.
    Expired,
}

/// A machine with a data folder; each environment lives on one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    pub name: String,
    /// Some server of it takes work. Without one its deployments wait.
    pub live: bool,
}

impl Operation for Show {
    type Request = ShowRequest;
    type Response = Cluster;
    const NAME: &'static str = "cluster.show";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/cluster";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show the servers that share the database, who leads, and what each drives";
    const PERMISSION: Permission = Permission::ServerLook;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}
