//! Everything at a glance: what needs somebody, and what is live where.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::deployment::DeploymentKind;
use domain::instance::InstanceStatus;
use domain::phase::Phase;
use domain::{ApprovalId, CertificateId, ChannelId, DeploymentId, EnvironmentId, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::apps::App;
use crate::certificates::CertificateState;
use crate::environments::Active;
use crate::page::default_limit;
use crate::{Effect, Method, Operation, Permission, Place};

/// One page of apps, and what holds for all that one may see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    /// The worst first, then the newest; at most 50.
    pub needs_you: Vec<Need>,
    /// Deployments at work.
    pub running: u64,
    /// Deployments that wait for their start.
    pub queued: u64,
    /// By name.
    pub apps: Vec<AppOverview>,
    /// Ask again with `cursor` set to it for more apps; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// So many things are told at most that need somebody.
pub const MOST_NEEDS: usize = 50;

/// An app and what runs in its environments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppOverview {
    #[serde(flatten)]
    pub app: App,
    /// By name.
    pub environments: Vec<EnvironmentOverview>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentOverview {
    pub id: EnvironmentId,
    pub name: Name,
    /// The machine that it lives on.
    pub host: String,
    /// What serves; absent before the first successful deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<Active>,
    /// The deployment at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working: Option<Working>,
    /// Deployments that wait for their start.
    pub queued: u64,
    /// Its processes; absent when it lives on another machine than the server that answers, which can't see them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<Vec<InstanceStatus>>,
    /// Where it answers.
    pub urls: Vec<String>,
}

/// A deployment that has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WorkingDeployment")]
pub struct Working {
    pub deployment: DeploymentId,
    pub kind: DeploymentKind,
    pub phase: Phase,
    /// Percent.
    pub progress: u8,
    /// When the phase began.
    pub since: DateTime<Utc>,
    pub cancelling: bool,
    /// It can't go on or back by itself.
    pub stuck: bool,
}

/// Something that goes on being wrong until somebody does something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Need {
    /// It can go neither on nor back by itself.
    Stuck(Trouble),
    /// What serves, or should, ends again and again. Told of environments on the machine of the server that answers.
    CrashLoop {
        app: Name,
        environment: Name,
        /// Instances that do so.
        instances: u64,
        /// How the last one ended.
        #[schemars(extend("x-plimsoll-untrusted" = true))]
        last_exit: String,
        /// When it was noticed.
        at: DateTime<Utc>,
    },
    /// It failed, or was taken back, and nothing in its environment went well since.
    Failed(Trouble),
    /// No client accepts the certificate, or soon none will; told to whoever may look at the server.
    Certificate {
        certificate: CertificateId,
        names: Vec<String>,
        state: CertificateState,
        why: String,
        /// When it ends.
        at: DateTime<Utc>,
    },
    /// It shows no sign of life, or of progress.
    Stalled(Trouble),
    /// A deployment waits for the vote of whoever asks for the overview.
    Approval {
        approval: ApprovalId,
        deployment: DeploymentId,
        app: Name,
        environment: Name,
        /// Who asked for it.
        #[schemars(extend("x-plimsoll-untrusted" = true))]
        requested_by: String,
        /// What would run, in words.
        #[schemars(extend("x-plimsoll-untrusted" = true))]
        what: String,
        /// It ends then, if too few people voted.
        expires_at: DateTime<Utc>,
        /// When it was asked for.
        at: DateTime<Utc>,
    },
    /// Messages to a channel do not arrive; told to whoever may set it up.
    Channel {
        channel: ChannelId,
        #[schemars(extend("x-plimsoll-untrusted" = true))]
        name: String,
        /// It is of this app alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        app: Option<Name>,
        /// Otherwise its receiver wants nothing more, and none are sent.
        enabled: bool,
        /// Since when.
        at: DateTime<Utc>,
    },
}

/// A deployment that needs somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trouble {
    pub deployment: DeploymentId,
    pub app: Name,
    pub environment: Name,
    pub phase: Phase,
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub why: String,
    /// When it ended, or when its phase began.
    pub at: DateTime<Utc>,
}

pub struct Show;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ShowRequest {
    /// Continue after this page's `next`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub cursor: Option<String>,
    /// At most this many apps, 1 to 500.
    #[arg(long, default_value_t = default_limit())]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Default for ShowRequest {
    fn default() -> Self {
        Self { cursor: None, limit: default_limit() }
    }
}

impl Operation for Show {
    type Request = ShowRequest;
    type Response = Overview;
    const NAME: &'static str = "overview.show";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/overview";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show what needs somebody, and what is live where";
    const PERMISSION: Permission = Permission::Look;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Apps(None)
    }
}
