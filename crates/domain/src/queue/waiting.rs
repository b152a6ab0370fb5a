//! Why a deployment does not start.

use std::fmt;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Role;
use crate::id::{ApprovalId, DeploymentId};

/// A window that is closed: nothing starts before `until`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Closed {
    /// Of the freeze, or of the windows.
    pub name: String,
    /// `None` when it is not known when it opens again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

/// What a queued deployment waits for. When it waits for several things, the first of them in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Waiting {
    /// Others have to approve of it: `got` of `needs` people did.
    Approval {
        approval: ApprovalId,
        got: u8,
        needs: u8,
        /// The least that they are at the app.
        role: Role,
        expires_at: DateTime<Utc>,
    },
    /// It was ordered for later.
    NotBefore { at: DateTime<Utc> },
    /// No deployments now.
    Window(Closed),
    /// Its machine has no server that lives.
    NoServer { host: String },
    /// Another one is at work in its environment, or is queued there before it.
    BehindInEnvironment { by: DeploymentId },
    /// As many of its app are at work as may be.
    ProjectLimit { limit: u32 },
    /// All servers of its machine have their hands full.
    NoSlot,
    /// Nothing: it starts at any moment.
    Turn,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waiting::Approval { got, needs, role, expires_at, .. } => {
                let expires = expires_at.format("%Y-%m-%d %H:%M:%S UTC");
                write!(f, "approval ({got} of {needs}, role {role}, expires {expires})")
            }
            Waiting::NotBefore { at } => write!(f, "{}", at.format("%Y-%m-%d %H:%M:%S UTC")),
            Waiting::Window(Closed { name, until: Some(until) }) => {
                write!(f, "{name}, until {}", until.format("%Y-%m-%d %H:%M:%S UTC"))
            }
            Waiting::Window(Closed { name, until: None }) => f.write_str(name),
            Waiting::NoServer { host } => write!(f, "a server: host {host} has no live server"),
            Waiting::BehindInEnvironment { by } => write!(f, "{by} to finish"),
            Waiting::ProjectLimit { limit: 1 } => f.write_str("the app's other deployment: one may be at work"),
            Waiting::ProjectLimit { limit } => write!(f, "the app's other deployments: {limit} may be at work"),
            Waiting::NoSlot => f.write_str("a free slot (`--workers`)"),
            Waiting::Turn => f.write_str("its turn"),
        }
    }
}
