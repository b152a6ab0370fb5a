//! The mail server that channels of the kind mail hand their mails to.

use domain::channel::Encryption;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::variables::Value as Secret;
use crate::{Effect, Method, Operation, Permission, Place};

/// How mail leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mail {
    /// Absent when none is known: no mail leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<MailServer>,
}

/// A mail server, without its password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MailServer {
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    /// Who mails are from.
    pub from: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMailServer {
    /// Name or address; one that is not public must be allowed with `--allow-outgoing`.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Usually 465 with `tls`, 587 with `starttls`.
    #[schemars(range(min = 1))]
    pub port: u16,
    #[serde(default)]
    pub encryption: Encryption,
    /// Such as `plimsoll@example.org` or `Plimsoll <plimsoll@example.org>`.
    #[schemars(length(min = 3, max = 254))]
    pub from: String,
    /// To sign in with, and the password to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 254))]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

pub struct Show;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowRequest {}

impl Operation for Show {
    type Request = ShowRequest;
    type Response = Mail;
    const NAME: &'static str = "mail.show";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/settings/mail";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show the mail server that mails are handed to";
    const PERMISSION: Permission = Permission::ServerLook;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}

/// Takes the place of what was known, password included. Without a server no mail leaves.
pub struct Set;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRequest {
    /// The server that mail is handed to; none when absent, and then no mail leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<NewMailServer>,
}

impl Operation for Set {
    type Request = SetRequest;
    type Response = Mail;
    const NAME: &'static str = "mail.set";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/settings/mail";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Name the mail server that mails are handed to, or none";
    const PERMISSION: Permission = Permission::Operate;
    const CONFIRM: bool = true;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}
