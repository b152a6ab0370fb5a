//! Members: what people are at one app.

use chrono::{DateTime, Utc};
use domain::access::Role;
use domain::email::Email;
use domain::{Name, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::users::UserRef;
use crate::{Effect, Method, Operation, Permission, Place};

/// Somebody who works on an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    pub user: UserId,
    pub email: Email,
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub name: String,
    pub app: Name,
    pub role: Role,
    /// May not sign in at present.
    pub disabled: bool,
    pub granted_by: String,
    pub granted_at: DateTime<Utc>,
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
    type Response = Vec<Member>;
    const NAME: &'static str = "members.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/apps/{app}/members";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str =
        "List who has a role at an app, by address; those with a role everywhere are not among them";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

/// Gives somebody a role at an app, in the place of the one they had there. Who is not there yet is invited.
pub struct Set;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRequest {
    /// Name of the app.
    pub app: Name,
    /// E-mail address or id.
    pub user: UserRef,
    pub role: Role,
}

impl Operation for Set {
    type Request = SetRequest;
    type Response = Member;
    const NAME: &'static str = "members.set";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/apps/{app}/members/{user}";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Give somebody a role at an app";
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
    /// E-mail address or id.
    pub user: UserRef,
}

impl Operation for Remove {
    type Request = RemoveRequest;
    type Response = Member;
    const NAME: &'static str = "members.remove";
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = "/api/v1/apps/{app}/members/{user}";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "Take somebody's role at an app";
    const PERMISSION: Permission = Permission::Govern;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}
