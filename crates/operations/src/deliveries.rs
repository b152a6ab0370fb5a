//! Deliveries: messages to channels, and what became of them.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::channel::DeliveryState;
use domain::{ChannelId, DeliveryId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::default_limit;
use crate::{Effect, Method, Operation, Page, Permission, Place};

/// A message to a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delivery {
    /// The receiver gets it as `webhook-id`, or in a mail's `Message-ID`, the same in each attempt.
    pub id: DeliveryId,
    pub channel: ChannelId,
    pub state: DeliveryState,
    pub title: String,
    /// How many notices it tells of.
    pub count: u64,
    /// Cursors of the first and the last event that it tells of.
    pub first_event: i64,
    pub last_event: i64,
    /// How often it was tried; eight times at most.
    pub attempts: u32,
    /// When it is tried next; of one that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<DateTime<Utc>>,
    /// Of HTTP or SMTP, of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When it was sent, or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<DateTime<Utc>>,
}

pub struct List;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Id of the channel (`chn_…`).
    #[arg(value_name = "CHANNEL")]
    pub channel: ChannelId,
    /// Continue after this page's `next`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DeliveryId>")]
    pub cursor: Option<String>,
    /// At most this many, 1 to 500.
    #[arg(long, default_value_t = default_limit())]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Page<Delivery>;
    const NAME: &'static str = "deliveries.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/channels/{channel}/deliveries";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List what was sent to a channel, newest first";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Channel(&request.channel)
    }
}

/// As if it had never been tried, under the same id. Of one that waits the next attempt is made now.
pub struct Resend;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ResendRequest {
    /// Id of the channel (`chn_…`).
    #[arg(value_name = "CHANNEL")]
    pub channel: ChannelId,
    /// Id of the delivery (`dlv_…`).
    #[arg(value_name = "DELIVERY")]
    pub delivery: DeliveryId,
}

impl Operation for Resend {
    type Request = ResendRequest;
    type Response = Delivery;
    const NAME: &'static str = "deliveries.resend";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/channels/{channel}/deliveries/{delivery}/resend";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Send a message to a channel again";
    const PERMISSION: Permission = Permission::Configure;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Channel(&request.channel)
    }
}
