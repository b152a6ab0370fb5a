//! Environments of an app (`production`, `staging`, …): each has variables, an
//! active release and instances of its own.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::instance::InstanceStatus;
use domain::queue::Supersede;
use domain::{DeploymentId, EnvironmentId, Name, ReleaseId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::apps::Deleted;
use crate::{Effect, Method, Operation, Permission, Place};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    pub id: EnvironmentId,
    pub app: Name,
    pub name: Name,
    pub created_at: DateTime<Utc>,
    /// The machine that it lives on.
    pub host: String,
    /// What becomes of queued deployments when a newer one of the same branch comes.
    pub supersede: Supersede,
    /// What serves; absent before the first successful deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<Active>,
    /// Deployments that have not ended, oldest first.
    pub in_progress: Vec<DeploymentId>,
    /// Where it answers.
    pub urls: Vec<String>,
    pub instances: Vec<InstanceStatus>,
    /// Requests by release, newest release first. More of them: `environments.metrics`.
    pub traffic: Vec<Traffic>,
}

/// The release that serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Active {
    pub deployment: DeploymentId,
    pub release: ReleaseId,
    pub release_number: u32,
    /// First seven digits, when the source was a git repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    pub since: DateTime<Utc>,
}

/// What the ingress counted for one release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    pub release: ReleaseId,
    pub requests: u64,
    /// Answers with a status of 500 and above, the ingress's own included.
    pub errors: u64,
    pub in_flight: u64,
    /// Milliseconds.
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
}

/// Names one environment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentRequest {
    /// Name of the app.
    #[arg(long, short)]
    pub app: Name,
    /// Name of the environment.
    #[arg(value_name = "NAME")]
    pub environment: Name,
}

pub struct Create;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// Name of the app.
    #[arg(long, short)]
    pub app: Name,
    /// Name of the environment.
    #[arg(value_name = "NAME")]
    pub environment: Name,
    /// The machine that it is to live on; that of the asked server when absent.
    #[arg(long, value_name = "HOST")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl Operation for Create {
    type Request = CreateRequest;
    type Response = Environment;
    const NAME: &'static str = "environments.create";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/apps/{app}/environments";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 201;
    const SUMMARY: &'static str = "Create an environment of an app";
    const PERMISSION: Permission = Permission::Configure;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

pub struct List;

impl Operation for List {
    type Request = crate::apps::GetRequest;
    type Response = Vec<Environment>;
    const NAME: &'static str = "environments.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/apps/{app}/environments";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List the environments of an app and what runs in each";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

pub struct Get;

impl Operation for Get {
    type Request = EnvironmentRequest;
    type Response = Environment;
    const NAME: &'static str = "environments.get";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show an environment: release, instances, traffic";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

/// What becomes of queued deployments of a branch when a newer one of the same branch is accepted.
pub struct SetSupersede;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct SetSupersedeRequest {
    /// Name of the app.
    #[arg(long, short)]
    pub app: Name,
    /// Name of the environment.
    #[arg(value_name = "NAME")]
    pub environment: Name,
    /// `run_all`: each of them runs. `skip_queued`: they end as superseded, without running.
    #[arg(value_name = "POLICY")]
    pub policy: Supersede,
}

impl Operation for SetSupersede {
    type Request = SetSupersedeRequest;
    type Response = Environment;
    const NAME: &'static str = "environments.set_supersede";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}/supersede";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Choose whether a newer deployment of a branch skips queued older ones";
    const PERMISSION: Permission = Permission::Configure;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

/// Stops everything of an environment and forgets it.
pub struct Delete;

impl Operation for Delete {
    type Request = EnvironmentRequest;
    type Response = Deleted;
    const NAME: &'static str = "environments.delete";
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "Stop an environment and delete it with its variables";
    const PERMISSION: Permission = Permission::Delete;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}
