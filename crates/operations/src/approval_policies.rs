//! Approval policies: which environments ask for the yes of others, and whose.

use chrono::{DateTime, Utc};
use domain::Name;
use domain::access::Role;
use domain::lifetime::Lifetime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

/// What an environment asks for before something is deployed to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalPolicy {
    pub app: Name,
    pub environment: Name,
    /// So many people say yes; whoever asked is none of them.
    #[schemars(range(min = 1, max = 5))]
    pub required: u8,
    /// The least that they are at the app.
    pub role: Role,
    /// Rollbacks wait for them, too.
    pub rollbacks: bool,
    /// Who goes past a closed window is named with who approved of it.
    pub bypasses: bool,
    /// So long votes may take; then the deployment ends.
    pub expires_in: Lifetime,
    pub changed_by: String,
    pub changed_at: DateTime<Utc>,
}

pub struct List;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Name of the app.
    pub app: Name,
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Vec<ApprovalPolicy>;
    const NAME: &'static str = "approval_policies.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/apps/{app}/approval-policies";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List the environments of an app whose deployments wait for approval";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

/// Deployments that are asked for from now on wait for approval; what waits already goes on as it was asked for.
pub struct Set;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRequest {
    /// Name of the app.
    pub app: Name,
    /// Name of the environment.
    pub environment: Name,
    /// So many people have to say yes, 1 to 5; whoever asked is none of them.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 5))]
    pub required: u8,
    /// The least that they are at the app: deployer, admin or owner.
    #[serde(default = "admin")]
    pub role: Role,
    /// Rollbacks wait for them, too. They end outages, so they usually don't.
    #[serde(default)]
    pub rollbacks: bool,
    /// Going past a closed window is what they are asked about, if that is wanted.
    #[serde(default)]
    pub bypasses: bool,
    /// So long votes may take, 30d at most, such as 4h or 7d.
    #[serde(default = "a_day")]
    pub expires_in: Lifetime,
}

/// When the request does not say.
pub fn one() -> u8 {
    1
}

/// When the request does not say.
pub fn admin() -> Role {
    Role::Admin
}

/// When the request does not say.
pub fn a_day() -> Lifetime {
    Lifetime::days(1)
}

impl Operation for Set {
    type Request = SetRequest;
    type Response = ApprovalPolicy;
    const NAME: &'static str = "approval_policies.set";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}/approval-policy";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Have deployments to an environment wait for approval";
    const PERMISSION: Permission = Permission::Govern;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

pub struct Remove;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// Name of the app.
    pub app: Name,
    /// Name of the environment.
    pub environment: Name,
}

impl Operation for Remove {
    type Request = RemoveRequest;
    type Response = ApprovalPolicy;
    const NAME: &'static str = "approval_policies.remove";
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}/approval-policy";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "Have deployments to an environment wait for nobody";
    const PERMISSION: Permission = Permission::Govern;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}
