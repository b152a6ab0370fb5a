//! People: who may sign in, and what they are everywhere.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use clap::Args;
use domain::access::{Role, UnknownRole};
use domain::email::Email;
use domain::{Name, UserId};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::page::default_limit;
use crate::{Effect, Method, Operation, Page, Permission, Place};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    pub id: UserId,
    pub email: Email,
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub name: String,
    /// Role at the server and at every app; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub everywhere: Option<Role>,
    /// May not sign in; nothing that was signed in goes on.
    pub disabled: bool,
    /// Whether there is a password to sign in with.
    pub password: bool,
    pub created_at: DateTime<Utc>,
    /// Who invited the person.
    pub created_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sign_in_at: Option<DateTime<Utc>>,
}

/// A person with all that is theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserDetail {
    #[serde(flatten)]
    pub user: User,
    /// By the name of the app.
    pub apps: Vec<AppRole>,
    /// How many sessions are open.
    pub sessions: u32,
    /// How many tokens of theirs are taken.
    pub tokens: u32,
}

/// A role at one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppRole {
    pub app: Name,
    pub role: Role,
}

/// How a request names a person: by id or address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserRef {
    Id(UserId),
    Email(Email),
}

/// The text names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no person: expected an e-mail address, or an id that begins with `usr_`")]
pub struct InvalidUserRef(String);

impl FromStr for UserRef {
    type Err = InvalidUserRef;

    fn from_str(text: &str) -> Result<Self, InvalidUserRef> {
        let id = text.parse().map(Self::Id);
        id.or_else(|_| text.parse().map(Self::Email)).map_err(|_| InvalidUserRef(text.chars().take(80).collect()))
    }
}

impl fmt::Display for UserRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserRef::Id(id) => id.fmt(f),
            UserRef::Email(email) => email.fmt(f),
        }
    }
}

impl Serialize for UserRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UserRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for UserRef {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "UserRef".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [UserId::json_schema(generator), Email::json_schema(generator)] })
    }
}

/// A role, or that there is to be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleOrNone {
    None,
    Role(Role),
}

impl RoleOrNone {
    pub fn role(self) -> Option<Role> {
        match self {
            RoleOrNone::None => None,
            RoleOrNone::Role(role) => Some(role),
        }
    }
}

impl FromStr for RoleOrNone {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        if text == "none" { Ok(Self::None) } else { text.parse().map(Self::Role) }
    }
}

impl fmt::Display for RoleOrNone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.role().map_or("none", Role::as_str))
    }
}

impl Serialize for RoleOrNone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RoleOrNone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for RoleOrNone {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "RoleOrNone".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut names = vec!["none"];
        names.extend(Role::ALL.map(Role::as_str));
        json_schema!({ "type": "string", "enum": names })
    }
}

pub struct List;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Continue after this page's `next`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Email>")]
    pub cursor: Option<String>,
    /// At most this many, 1 to 500.
    #[arg(long, default_value_t = default_limit())]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Page<User>;
    const NAME: &'static str = "users.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/users";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List people, by address";
    const PERMISSION: Permission = Permission::People;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}

pub struct Get;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct GetRequest {
    /// E-mail address or id.
    #[arg(value_name = "PERSON")]
    pub user: UserRef,
}

impl Operation for Get {
    type Request = GetRequest;
    type Response = UserDetail;
    const NAME: &'static str = "users.get";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/users/{user}";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show one person, with roles at apps";
    const PERMISSION: Permission = Permission::People;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}

/// Changes the role everywhere, or whether the person may sign in.
///
/// Somebody who owns the server stays, and nobody changes themselves in this way.
pub struct Set;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct SetRequest {
    /// E-mail address or id.
    #[arg(value_name = "PERSON")]
    pub user: UserRef,
    /// Role at the server and at every app: viewer, deployer, admin, owner or none. As it is when absent.
    #[arg(long = "role", value_name = "ROLE")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub everywhere: Option<RoleOrNone>,
    /// Whether the person is kept out: sessions end, tokens are refused, schedules don't run. As it is when absent.
    #[arg(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

impl Operation for Set {
    type Request = SetRequest;
    type Response = User;
    const NAME: &'static str = "users.set";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/users/{user}";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Change what a person is everywhere, or keep them out";
    const PERMISSION: Permission = Permission::People;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}

/// The person's sessions and tokens end; records of what they did stay, with their name.
pub struct Remove;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// E-mail address or id.
    #[arg(value_name = "PERSON")]
    pub user: UserRef,
}

impl Operation for Remove {
    type Request = RemoveRequest;
    type Response = User;
    const NAME: &'static str = "users.remove";
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = "/api/v1/users/{user}";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "Remove a person, with sessions, roles and tokens";
    const PERMISSION: Permission = Permission::People;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_named_by_id_or_address() {
        let id = "usr_01hf7yat00000000000000000a";
        assert_eq!(id.parse::<UserRef>().unwrap().to_string(), id);
        assert_eq!("Zoe@Example.org".parse::<UserRef>().unwrap().to_string(), "zoe@example.org");
        for bad in ["", "zoe", "app_01hf7yat00000000000000000a", "usr_1"] {
            assert!(bad.parse::<UserRef>().unwrap_err().to_string().contains("names no person"), "{bad}");
        }
    }

    #[test]
    fn no_role_is_one_to_choose() {
        assert_eq!("none".parse::<RoleOrNone>().unwrap().role(), None);
        assert_eq!("admin".parse::<RoleOrNone>().unwrap().role(), Some(Role::Admin));
        assert!("None".parse::<RoleOrNone>().is_err());
    }
}
