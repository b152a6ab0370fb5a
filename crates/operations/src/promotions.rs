//! Promotion: the release of one environment, as it was built, for another.

use domain::Name;
use domain::deployment::Deployment;
use domain::labels::Text;
use domain::promotion::PromotionReport;
use domain::queue::Priority;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

/// Compares without changing anything.
pub struct Plan;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// Name of the app.
    pub app: Name,
    /// The target.
    pub environment: Name,
    /// The environment that the release comes from.
    pub from: Name,
    /// Number of a release that has served there; the active one by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u32>,
}

impl Operation for Plan {
    type Request = PlanRequest;
    type Response = PromotionReport;
    const NAME: &'static str = "promotions.plan";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}/promotions/plan";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Compare what a promotion would bring with what serves";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

/// Refused when the comparison finds something that blocks it, unless it is forced.
pub struct Promote;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteRequest {
    /// Name of the app.
    pub app: Name,
    /// The target.
    pub environment: Name,
    /// The environment that the release comes from.
    pub from: Name,
    /// Number of a release that has served there; the active one by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u32>,
    /// Promotes against blocking findings; the reason, which is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<Text>,
    /// How much it matters beside others that wait.
    #[serde(default, skip_serializing_if = "Priority::is_normal")]
    pub priority: Priority,
}

impl Operation for Promote {
    type Request = PromoteRequest;
    type Response = Deployment;
    const NAME: &'static str = "promotions.promote";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}/promotions";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 202;
    const SUMMARY: &'static str = "Bring the release of one environment, as it was built, to another";
    const PERMISSION: Permission = Permission::Deploy;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}
