//! Mutes: apps that a person does not want to hear of.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

/// An app of which a person is told nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mute {
    pub app: Name,
    /// It ends by itself then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

pub struct List;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {}

impl Operation for List {
    type Request = ListRequest;
    type Response = Vec<Mute>;
    const NAME: &'static str = "mutes.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/mutes";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List the apps that you have muted";
    const PERMISSION: Permission = Permission::Mine;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Me
    }
}

/// One's own notices are without this app; channels are told all the same.
pub struct Set;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct SetRequest {
    /// Name of the app.
    #[arg(value_name = "APP")]
    pub app: Name,
    /// Such as "in 2h" or "2026-12-20 18:00 Europe/Berlin"; until it is unmuted without it.
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl Operation for Set {
    type Request = SetRequest;
    type Response = Mute;
    const NAME: &'static str = "mutes.set";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/mutes/{app}";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Hear no more of an app, for a time or until you say otherwise";
    const PERMISSION: Permission = Permission::Mine;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Me
    }
}

pub struct Remove;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// Name of the app.
    #[arg(value_name = "APP")]
    pub app: Name,
}

impl Operation for Remove {
    type Request = RemoveRequest;
    type Response = Mute;
    const NAME: &'static str = "mutes.remove";
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = "/api/v1/mutes/{app}";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "Hear of an app again";
    const PERMISSION: Permission = Permission::Mine;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Me
    }
}
