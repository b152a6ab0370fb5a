//! Sessions: where people are signed in.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::SessionId;
use domain::session::SignInMethod;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::users::UserRef;
use crate::{Effect, Method, Operation, Permission, Place};

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    pub id: SessionId,
    pub via: SignInMethod,
    /// Where it was begun.
    pub address: String,
    /// What the browser called itself.
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub agent: String,
    pub created_at: DateTime<Utc>,
    /// To the minute.
    pub seen_at: DateTime<Utc>,
    /// When it ends by itself, used or not.
    pub ends_at: DateTime<Utc>,
    /// The one that asks.
    pub current: bool,
}

pub struct List;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Of this person, by address or id; one's own without it.
    #[arg(long, value_name = "PERSON")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserRef>,
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Vec<Session>;
    const NAME: &'static str = "sessions.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/sessions";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List open sessions, newest first";
    const PERMISSION: Permission = Permission::Mine;

    fn place(request: &Self::Request) -> Place<'_> {
        // Of others, who decides about people.
        match request.user {
            None => Place::Me,
            Some(_) => Place::Server,
        }
    }
}

/// The session is refused from now on; what it has open ends within 15 seconds.
pub struct End;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct EndRequest {
    /// Its id, as `plimsoll sessions list` shows it.
    #[arg(value_name = "SESSION")]
    pub session: SessionId,
}

impl Operation for End {
    type Request = EndRequest;
    type Response = Session;
    const NAME: &'static str = "sessions.end";
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = "/api/v1/sessions/{session}";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "End a session";
    const PERMISSION: Permission = Permission::Mine;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Session(&request.session)
    }
}
