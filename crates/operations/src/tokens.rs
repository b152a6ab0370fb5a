//! API tokens: who may talk to the server, what they may do, until when.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::lifetime::Lifetime;
use domain::{Name, TokenId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation};

/// An API token, without the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    pub id: TokenId,
    /// Recorded as the author of what is done with it.
    pub name: String,
    /// The first characters of the token itself, to tell tokens apart.
    pub prefix: String,
    pub access: Access,
    pub state: TokenState,
    pub created_at: DateTime<Utc>,
    /// Refused from then on; absent when it does not end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// To the hour; absent when it was never used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<DateTime<Utc>>,
    /// The one that the server makes at each start for commands on its own machine.
    pub local: bool,
}

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Everything.
    Full,
    /// Operations that change nothing.
    ReadOnly,
}

/// Whether a token is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    Valid,
    Expired,
    Revoked,
}

pub struct List;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {}

impl Operation for List {
    type Request = ListRequest;
    type Response = Vec<Token>;
    const NAME: &'static str = "tokens.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/tokens";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List API tokens, oldest first, without the tokens themselves";
}

pub struct Create;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// Who or what it is for: a-z, 0-9 and `-`.
    pub name: Name,
    /// It may look, and change nothing.
    #[arg(long)]
    #[serde(default)]
    pub read_only: bool,
    /// It ends by itself after this time, such as 12h, 30d or 1y; otherwise when it is revoked.
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<Lifetime>,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    pub token: Token,
    /// The token itself. It is told this once, and only its hash is kept: a repeated request with the same
    /// idempotency key is answered without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl std::fmt::Debug for Created {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Created").field("token", &self.token).finish_non_exhaustive()
    }
}

impl Operation for Create {
    type Request = CreateRequest;
    type Response = Created;
    const NAME: &'static str = "tokens.create";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/tokens";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 201;
    const SUMMARY: &'static str = "Make an API token, which is told this once";
}

/// Refuses the token from now on.
pub struct Revoke;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    /// Its id, as `plimsoll tokens list` shows it.
    pub token: TokenId,
}

impl Operation for Revoke {
    type Request = RevokeRequest;
    type Response = Token;
    const NAME: &'static str = "tokens.revoke";
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = "/api/v1/tokens/{token}";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "Refuse an API token from now on";
}
