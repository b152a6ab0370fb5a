//! API tokens: who may talk to the server, what they may do, until when.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::access::{Role, UnknownRole};
use domain::lifetime::Lifetime;
use domain::name::InvalidName;
use domain::{Name, TokenId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

/// An API token, without the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    pub id: TokenId,
    /// Recorded as the author of what is done with it.
    pub name: String,
    /// The first characters of the token itself, to tell tokens apart.
    pub prefix: String,
    pub access: Access,
    /// The person whose token it is: it is worth no more than they may do themselves. Absent for a machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The roles that it was given.
    #[serde(default)]
    pub grants: Vec<Grant>,
    /// Who made it; empty when the server did, or somebody before there were people.
    #[serde(default)]
    pub created_by: String,
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
    /// Whatever its roles allow.
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

/// A role that a token has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// At this app; at the server and at every app when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    pub role: Role,
}

/// The text says no role, or none at an app.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGrant {
    #[error("{0}; write ROLE, or APP=ROLE")]
    Role(#[from] UnknownRole),
    #[error("{0}; write ROLE, or APP=ROLE")]
    App(#[from] InvalidName),
}

/// `ROLE` everywhere, `APP=ROLE` at an app.
impl std::str::FromStr for Grant {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, InvalidGrant> {
        match text.split_once('=') {
            Some((app, role)) => Ok(Self { app: Some(app.parse()?), role: role.parse()? }),
            None => Ok(Self { app: None, role: text.parse()? }),
        }
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.app {
            Some(app) => write!(f, "{app}={}", self.role),
            None => self.role.fmt(f),
        }
    }
}

/// Whose a token is to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// Who makes it: it acts in their name, and ends with them.
    Me,
    /// A program: it acts in its own name, and stays when who made it goes.
    #[default]
    Machine,
}

/// The text is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is nobody that a token can be for: expected me or machine")]
pub struct UnknownHolder(String);

impl std::str::FromStr for Holder {
    type Err = UnknownHolder;

    fn from_str(text: &str) -> Result<Self, UnknownHolder> {
        match text {
            "me" => Ok(Self::Me),
            "machine" => Ok(Self::Machine),
            other => Err(UnknownHolder(other.chars().take(40).collect())),
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Me => "me",
            Self::Machine => "machine",
        })
    }
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
    const PERMISSION: Permission = Permission::Hello;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Me
    }
}

/// Makes a token. It never has more than who makes it: neither roles, nor time when that is a token itself.
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
    /// Whose it is: me or machine. A machine's acts in its own name and stays when who made it goes.
    #[arg(long = "for", value_name = "WHOM", default_value_t = Holder::Machine)]
    #[serde(rename = "for", default)]
    pub holder: Holder,
    /// A role that it has, everywhere, or at an app as APP=ROLE; may be repeated. Without any it has those of who makes it.
    #[arg(long = "grant", value_name = "GRANT")]
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub grants: Vec<Grant>,
}

impl CreateRequest {
    /// One of a machine that has the roles of who makes it, and does not end by itself.
    pub fn named(name: Name) -> Self {
        Self { name, read_only: false, expires_in: None, holder: Holder::Machine, grants: Vec::new() }
    }
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
    const PERMISSION: Permission = Permission::Mine;
    const CONFIRM: bool = true;

    fn place(request: &Self::Request) -> Place<'_> {
        match request.holder {
            Holder::Me => Place::Me,
            // Whoever sees to people there. Its handler looks at all the others, too.
            Holder::Machine => match request.grants.iter().find(|grant| grant.app.is_none()) {
                Some(_) => Place::Server,
                None => Place::app_or_server(request.grants.first().and_then(|grant| grant.app.as_ref())),
            },
        }
    }
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
    const PERMISSION: Permission = Permission::Mine;
    const CONFIRM: bool = true;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Token(&request.token)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn request(holder: Holder, grants: &[&str]) -> CreateRequest {
        let grants = grants.iter().map(|grant| grant.parse().unwrap()).collect();
        CreateRequest { holder, grants, ..CreateRequest::named("ci".parse().unwrap()) }
    }

    #[test]
    fn a_grant_is_a_role_everywhere_or_at_an_app() {
        for text in ["viewer", "shop=deployer"] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
        for bad in ["", "root", "shop", "shop=", "=owner", "shop=root", "Shop=owner", "shop=owner=owner"] {
            assert!(bad.parse::<Grant>().unwrap_err().to_string().contains("APP=ROLE"), "{bad}");
        }
    }

    #[test]
    fn a_token_is_asked_for_where_it_is_to_have_its_roles() {
        let shop: Name = "shop".parse().unwrap();
        for (holder, grants, place) in [
            (Holder::Me, &["owner"][..], Place::Me),
            (Holder::Machine, &[], Place::Server),
            (Holder::Machine, &["viewer"], Place::Server),
            (Holder::Machine, &["shop=owner"], Place::App(&shop)),
            (Holder::Machine, &["shop=owner", "blog=viewer"], Place::App(&shop)),
            (Holder::Machine, &["shop=owner", "viewer"], Place::Server),
        ] {
            assert_eq!(Create::place(&request(holder, grants)), place, "{holder} {grants:?}");
        }
    }

    #[test]
    fn what_was_asked_before_there_were_roles_means_the_same() {
        let old: CreateRequest = serde_json::from_str(r#"{"name":"ci","read_only":false}"#).unwrap();
        assert_eq!((old.holder, old.grants.len()), (Holder::Machine, 0));
        let new = serde_json::to_value(request(Holder::Me, &["shop=deployer"])).unwrap();
        assert_eq!(new["for"], "me");
        assert_eq!(new["grants"], serde_json::json!([{ "app": "shop", "role": "deployer" }]));
    }
}
