//! Channels: who is told of what happens, by which way.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::channel::ChannelKind;
use domain::notice::Topic;
use domain::{ChannelId, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::variables::Value as Secret;
use crate::{Effect, Method, Operation, Permission, Place};

/// A channel, without what is secret of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Channel {
    pub id: ChannelId,
    /// Of this app alone; of all apps and of the server itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    pub kind: ChannelKind,
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub name: String,
    /// Of Slack and of a webhook: scheme and host of the address. The rest of it is kept secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Of mail: the mailboxes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub to: Vec<String>,
    /// What it is told of.
    pub topics: Vec<Topic>,
    /// In environments of these names alone; in all when empty.
    pub environments: Vec<Name>,
    pub enabled: bool,
    /// Since when nothing has arrived; absent when the last message has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<DateTime<Utc>>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
}

/// Where messages go.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// An incoming webhook of Slack's, or of what speaks like it.
    Slack(SlackTarget),
    /// Mailboxes; the server must know a mail server.
    Mail(MailTarget),
    /// A program that is sent signed requests (Standard Webhooks).
    Webhook(WebhookTarget),
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlackTarget {
    /// The address that Slack gave. Whoever knows it can write there, so it is kept sealed.
    pub url: Secret,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailTarget {
    /// Such as `ann@example.org` or `Ann <ann@example.org>`; 1 to 20.
    #[schemars(length(min = 1, max = 20))]
    pub to: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookTarget {
    /// `https://…`; it may hold a token, so it is kept sealed.
    pub url: Secret,
    /// What sender and receiver share: `whsec_` and 24 to 64 bytes in Base64. Made, and told once, when absent; of a
    /// channel that is there it then stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
}

impl Target {
    pub const fn kind(&self) -> ChannelKind {
        match self {
            Target::Slack(_) => ChannelKind::Slack,
            Target::Mail(_) => ChannelKind::Mail,
            Target::Webhook(_) => ChannelKind::Webhook,
        }
    }
}

/// Longest name, in characters.
pub const MAX_NAME: usize = 60;
/// Topics and environments that a channel may name.
pub const MAX_TOPICS: usize = 20;
pub const MAX_ENVIRONMENTS: usize = 50;
/// How many channels an app, or the server, may have.
pub const MAX_CHANNELS: usize = 50;

pub struct List;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Only those of this app.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Vec<Channel>;
    const NAME: &'static str = "channels.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/channels";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List channels, oldest first; those of all apps are for who may look at the server";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Apps(request.app.as_ref())
    }
}

/// Tells somebody from now on: of an app, or of all apps and the server.
pub struct Create;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// Of this app alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// For people, 1 to 60 characters.
    #[schemars(length(min = 1, max = 60))]
    pub name: String,
    pub target: Target,
    /// What to tell; without it, whatever somebody may have to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20))]
    pub topics: Option<Vec<Topic>>,
    /// In environments of these names alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub environments: Vec<Name>,
}

/// A new channel.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CreatedChannel")]
pub struct Created {
    pub channel: Channel,
    /// Of a webhook, if it was made here: for the receiver. It is told this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl std::fmt::Debug for Created {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Created").field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl Operation for Create {
    type Request = CreateRequest;
    type Response = Created;
    const NAME: &'static str = "channels.create";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/channels";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 201;
    const SUMMARY: &'static str = "Add a channel: Slack, mail or a signed webhook";
    const PERMISSION: Permission = Permission::Configure;
    /// What happens here is told elsewhere from then on.
    const CONFIRM: bool = true;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::app_or_server(request.app.as_ref())
    }
}

/// Changes what is given. What waits to be sent is sent as the channel then is; one that is disabled drops it.
pub struct Update;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateRequest {
    /// Id of the channel (`chn_…`).
    pub channel: ChannelId,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 60))]
    pub name: Option<String>,
    /// Of the same kind as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20))]
    /// What it tells of from now on.
    pub topics: Option<Vec<Topic>>,
    /// Empty for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    pub environments: Option<Vec<Name>>,
    /// Whether anything is sent to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

impl UpdateRequest {
    /// One that changes nothing yet.
    pub fn of(channel: ChannelId) -> Self {
        Self { channel, name: None, target: None, topics: None, environments: None, enabled: None }
    }
}

impl Operation for Update {
    type Request = UpdateRequest;
    type Response = Channel;
    const NAME: &'static str = "channels.update";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/channels/{channel}";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Change a channel, or enable it again";
    const PERMISSION: Permission = Permission::Configure;
    const CONFIRM: bool = true;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Channel(&request.channel)
    }
}

/// One channel.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ChannelRequest {
    /// Id of the channel (`chn_…`).
    #[arg(value_name = "CHANNEL")]
    pub channel: ChannelId,
}

/// It goes with its record of what was sent.
pub struct Remove;

impl Operation for Remove {
    type Request = ChannelRequest;
    type Response = Channel;
    const NAME: &'static str = "channels.remove";
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = "/api/v1/channels/{channel}";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "Remove a channel";
    const PERMISSION: Permission = Permission::Configure;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Channel(&request.channel)
    }
}

/// How a test message fared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tested {
    pub arrived: bool,
    /// Of HTTP or SMTP, if there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What the receiver said, or what went wrong.
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub said: String,
    pub took_ms: u64,
}

/// Sends one message now, disabled or not, and tells what came of it.
pub struct Test;

impl Operation for Test {
    type Request = ChannelRequest;
    type Response = Tested;
    const NAME: &'static str = "channels.test";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/channels/{channel}/test";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Send a test message to a channel and show the answer";
    const PERMISSION: Permission = Permission::Configure;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Channel(&request.channel)
    }
}
