//! Notices: what of the event log people want to be told.

use clap::Args;
use domain::notice::Notice;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

/// Notices, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notices {
    pub items: Vec<Notice>,
    /// Go on with it as `before`. Only some thousand events are looked at in one go, so a page may be short, even empty, and have
    /// a next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
    /// How many came after what the person has seen, among the events that were looked at; 0 for a program.
    pub unseen: u64,
    /// Up to which event the person has seen them; absent when never, and for a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<i64>,
}

/// How many the web interface shows.
pub const USUAL: u32 = 20;

fn usual() -> u32 {
    USUAL
}

pub struct List;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Only those before this event: the `next` of the page before.
    #[arg(long, value_name = "EVENT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub before: Option<i64>,
    /// At most this many, 1 to 500.
    #[arg(long, default_value_t = USUAL)]
    #[serde(default = "usual")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Default for ListRequest {
    fn default() -> Self {
        Self { before: None, limit: USUAL }
    }
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Notices;
    const NAME: &'static str = "notices.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/notices";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str =
        "List what happened that people want to be told, newest first, but for what you muted";
    const PERMISSION: Permission = Permission::Look;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Apps(None)
    }
}

/// One's own mark only moves forward.
pub struct Seen;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct SeenRequest {
    /// The newest notice that was seen.
    #[arg(value_name = "EVENT")]
    #[schemars(range(min = 0))]
    pub cursor: i64,
}

/// How far a person has read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    pub seen: i64,
}

impl Operation for Seen {
    type Request = SeenRequest;
    type Response = Mark;
    const NAME: &'static str = "notices.seen";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/notices/seen";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Say how far you have read";
    const PERMISSION: Permission = Permission::Mine;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Me
    }
}
