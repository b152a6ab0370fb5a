//! Invitations: how people come in.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::access::Role;
use domain::email::Email;
use domain::lifetime::Lifetime;
use domain::{InvitationId, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

/// An invitation that waits to be accepted, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Invitation {
    pub id: InvitationId,
    /// The address that the person will have; whoever accepts it says one, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// At this app; everywhere when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    pub role: Role,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    /// Refused from then on.
    pub expires_at: DateTime<Utc>,
}

/// Makes an invitation. Whoever opens its link chooses a password and has the role, once.
pub struct Invite;

/// So long an invitation waits, unless it says otherwise.
fn default_lifetime() -> Lifetime {
    Lifetime::days(7)
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    /// Address that the person signs in with; whoever has the link chooses one when absent.
    #[arg(value_name = "EMAIL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// viewer, deployer, admin or owner.
    #[arg(long, value_name = "ROLE")]
    pub role: Role,
    /// At this app alone; everywhere without it.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// It is good for this time, 30d at most, such as 12h or 7d.
    #[arg(long, value_name = "TIME", default_value_t = default_lifetime())]
    #[serde(default = "default_lifetime")]
    pub expires_in: Lifetime,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Invited {
    pub invitation: Invitation,
    /// Opens the invitation: `ADDRESS OF THE SERVER/invitation#SECRET`. It is told this once, and only its hash is kept: a
    /// repeated request with the same idempotency key is answered without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Where people reach the web interface, if the server was told so (`--public-url`): the link begins with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
}

impl std::fmt::Debug for Invited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invited").field("invitation", &self.invitation).finish_non_exhaustive()
    }
}

impl Operation for Invite {
    type Request = InviteRequest;
    type Response = Invited;
    const NAME: &'static str = "users.invite";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/invitations";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 201;
    const SUMMARY: &'static str = "Invite somebody, by a link that is told this once";
    const PERMISSION: Permission = Permission::Govern;

    fn permission(request: &Self::Request) -> Permission {
        match request.app {
            Some(_) => Permission::Govern,
            // Everywhere, who decides about people.
            None => Permission::People,
        }
    }

    fn place(request: &Self::Request) -> Place<'_> {
        Place::app_or_server(request.app.as_ref())
    }
}

pub struct List;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Only those to this app.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Vec<Invitation>;
    const NAME: &'static str = "invitations.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/invitations";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List invitations that wait, oldest first, without their secrets";
    const PERMISSION: Permission = Permission::Govern;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::app_or_server(request.app.as_ref())
    }
}

pub struct Withdraw;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct WithdrawRequest {
    /// Its id, as `plimsoll invitations list` shows it.
    #[arg(value_name = "INVITATION")]
    pub invitation: InvitationId,
}

impl Operation for Withdraw {
    type Request = WithdrawRequest;
    type Response = Invitation;
    const NAME: &'static str = "invitations.withdraw";
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = "/api/v1/invitations/{invitation}";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "Take an invitation back";
    const PERMISSION: Permission = Permission::Govern;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Invitation(&request.invitation)
    }
}
