//! Whoever asks: who that is, what they may do, and how they like it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::Name;
use domain::access::Role;
use domain::email::Email;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::variables::Value as Secret;
use crate::{Effect, Method, Operation, Permission, Place};

pub struct Show;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowRequest {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Me {
    /// Id of the person, or of the token that is no person's.
    pub principal: String,
    /// Recorded as the author of what is done.
    pub name: String,
    /// Of a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    pub grants: MyGrants,
    /// When the session ends, however much it is used; absent for who came with a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_ends_at: Option<DateTime<Utc>>,
    /// Until then nobody asks for the password again before something grave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_until: Option<DateTime<Utc>>,
    /// What the person has chosen for the web interface.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(with = "Option<Preferences>")]
    pub preferences: Value,
}

/// Roles by place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MyGrants {
    /// At every app, and at the server itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub everywhere: Option<Role>,
    /// At single apps, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub apps: BTreeMap<Name, Role>,
}

impl Operation for Show {
    type Request = ShowRequest;
    type Response = Me;
    const NAME: &'static str = "me.show";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/me";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show who you are, and what you may do where";
    const PERMISSION: Permission = Permission::Hello;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Me
    }
}

/// How a person likes it. What is absent is as the browser has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Preferences {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme: Option<Theme>,
    /// IANA name of the zone in which times are shown, such as `Europe/Berlin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub zone: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    Light,
    Dark,
}

/// Puts these preferences in the place of those there were.
pub struct SetPreferences;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPreferencesRequest {
    /// How the person likes it.
    pub preferences: Preferences,
}

impl Operation for SetPreferences {
    type Request = SetPreferencesRequest;
    type Response = Preferences;
    const NAME: &'static str = "me.set_preferences";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/me/preferences";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Set your preferences: theme, zone";
    const PERMISSION: Permission = Permission::Mine;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Me
    }
}

/// Puts another password in the place of one's own; all other sessions end.
pub struct ChangePassword;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePasswordRequest {
    /// The one of now.
    pub current: Secret,
    /// The one to come: 12 to 256 characters.
    pub new: Secret,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PasswordChanged {
    /// Sessions elsewhere that have ended with it.
    pub ended: u64,
}

impl Operation for ChangePassword {
    type Request = ChangePasswordRequest;
    type Response = PasswordChanged;
    const NAME: &'static str = "me.change_password";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/me/password";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Change your password, and end your other sessions";
    const PERMISSION: Permission = Permission::Mine;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Me
    }
}
