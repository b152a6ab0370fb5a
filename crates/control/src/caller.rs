//! Who asks, how that is known, and under which idempotency key.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::access::Grants;
use domain::{ScheduleId, SessionId, TokenId, UserId};
use operations::{Error, Operation};
use tokio_util::sync::CancellationToken;

use crate::access::Admitted;

/// Somebody who is known, and asks for something. Whether they may have it, [`Control::admit`](crate::Control::admit)
/// decides.
#[derive(Debug, Clone)]
pub struct Caller {
    pub principal: Principal,
    pub credential: Credential,
    /// What they may do at all, through this credential.
    pub grants: Arc<Grants>,
    /// Of the person or the token; recorded as the author of what is done.
    pub name: String,
    /// The person who made the token that it came with.
    pub maker: Option<UserId>,
    pub via: Via,
    /// The other end of the connection.
    pub address: Option<IpAddr>,
    /// The request's id, as in the log.
    pub request_id: Option<String>,
    pub key: Option<IdempotencyKey>,
    /// Fires when nobody waits for the answer any more. What an operation has begun goes on all the same, unless it is of
    /// use to nobody then.
    pub gone: CancellationToken,
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    Person(UserId),
    /// A program with an API token that is no person's.
    Machine(TokenId),
    /// One that was made before schedules had owners.
    Schedule(ScheduleId),
    System,
}

/// By what the caller is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    Token(TokenId),
    /// What was signed for a while in the place of an API token.
    Signed {
        token: TokenId,
        until: DateTime<Utc>,
    },
    Session {
        id: SessionId,
        /// So long nobody asks for the password again before something grave.
        confirmed_until: DateTime<Utc>,
    },
    /// The server acts by itself.
    Inside,
}

/// The door that the request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    Web,
    Api,
    Cli,
    /// An agent's tool call.
    Mcp,
    /// With the token that the server makes for its own machine.
    Local,
    /// The leader's clock.
    Tick,
}

impl Caller {
    /// Somebody of whom nothing else is known.
    pub fn new(principal: Principal, credential: Credential, grants: Grants, name: impl Into<String>) -> Self {
        Self {
            principal,
            credential,
            grants: Arc::new(grants),
            name: name.into(),
            maker: None,
            via: Via::Api,
            address: None,
            request_id: None,
            key: None,
            gone: CancellationToken::new(),
        }
    }

    /// The person whose doing it is: who acts, or who made the token of the program that acts.
    pub fn behind(&self) -> Option<&UserId> {
        self.principal.person().or(self.maker.as_ref())
    }
}

impl Credential {
    /// The API token that it is, or was made of.
    pub fn token(&self) -> Option<&TokenId> {
        match self {
            Credential::Token(token) | Credential::Signed { token, .. } => Some(token),
            Credential::Session { .. } | Credential::Inside => None,
        }
    }
}

impl Principal {
    /// One name for each, as the database keeps it.
    pub fn id(&self) -> &str {
        match self {
            Principal::Person(id) => id.as_str(),
            Principal::Machine(id) => id.as_str(),
            Principal::Schedule(id) => id.as_str(),
            Principal::System => "system",
        }
    }

    pub fn person(&self) -> Option<&UserId> {
        match self {
            Principal::Person(id) => Some(id),
            Principal::Machine(_) | Principal::Schedule(_) | Principal::System => None,
        }
    }
}

impl Via {
    pub const fn as_str(self) -> &'static str {
        match self {
            Via::Web => "web",
            Via::Api => "api",
            Via::Cli => "cli",
            Via::Mcp => "mcp",
            Via::Local => "local",
            Via::Tick => "tick",
        }
    }
}

/// The caller's promise that two requests with this key are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// 1 to 128 visible ASCII characters.
    pub key: String,
    /// Of operation and request, in hexadecimal: the same key with another request is refused.
    pub request_digest: String,
}

/// Carries out one operation of the contract, for somebody who was let through to it.
pub trait Handle<O: Operation> {
    fn handle(&self, who: &Admitted, request: O::Request) -> impl Future<Output = Result<O::Response, Error>> + Send;
}
