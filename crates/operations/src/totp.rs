//! One's second factor: a code that an app shows, asked for at sign-in beside the password; and codes for when the app is lost.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::users::UserRef;
use crate::variables::Value as Secret;
use crate::{Effect, Method, Operation, Permission, Place};

/// How somebody's second factor is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecondFactor {
    /// Asked for at each sign-in.
    pub enabled: bool,
    /// Since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Recovery codes that were not used yet.
    pub recovery_codes: u32,
}

pub struct Show;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowRequest {}

impl Operation for Show {
    type Request = ShowRequest;
    type Response = SecondFactor;
    const NAME: &'static str = "totp.show";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/me/totp";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show whether you have a second factor";
    const PERMISSION: Permission = Permission::Mine;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Me
    }
}

/// Makes the secret that an app is to share. Nothing is asked for at sign-in until a code of it was confirmed.
pub struct Begin;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginRequest {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Begun {
    /// What the app is to learn. It is told this once: a repeated request with the same idempotency key is answered without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<Setup>,
}

/// One secret in three forms.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setup {
    /// To type: base32, in groups of four.
    pub secret: String,
    /// To open on the device with the app: `otpauth://totp/…`.
    pub url: String,
    /// To scan.
    pub picture: Picture,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Setup(…)")
    }
}

/// A QR code as an SVG path: a square of `size` units, in which `path` fills the dark ones.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Picture {
    pub size: u32,
    pub path: String,
}

impl Operation for Begin {
    type Request = BeginRequest;
    type Response = Begun;
    const NAME: &'static str = "totp.begin";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/me/totp";
    const EFFECT: Effect = Effect::Write;
    const STATUS: u16 = 201;
    const SUMMARY: &'static str = "Begin to set up your second factor: its secret is told this once";
    const PERMISSION: Permission = Permission::Mine;
    const CONFIRM: bool = true;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Me
    }
}

/// Has the second factor asked for from now on.
pub struct Confirm;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmRequest {
    /// The six digits that the app shows.
    pub code: Secret,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confirmed {
    /// Each is good once in the place of a code. They are told this once: a repeated request with the same idempotency key is
    /// answered without them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_codes: Option<Vec<String>>,
}

impl std::fmt::Debug for Confirmed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Confirmed(…)")
    }
}

impl Operation for Confirm {
    type Request = ConfirmRequest;
    type Response = Confirmed;
    const NAME: &'static str = "totp.confirm";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/me/totp";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str =
        "Switch your second factor on, with a code of the app; tells the recovery codes this once";
    const PERMISSION: Permission = Permission::Mine;
    const CONFIRM: bool = true;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Me
    }
}

/// Nothing but the password is asked for from now on. The recovery codes go with it.
pub struct Remove;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// Of this person, by address or id, who has lost both app and codes; one's own without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserRef>,
}

impl Operation for Remove {
    type Request = RemoveRequest;
    type Response = SecondFactor;
    const NAME: &'static str = "totp.remove";
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = "/api/v1/me/totp";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "Switch a second factor off";
    const PERMISSION: Permission = Permission::Mine;
    const CONFIRM: bool = true;

    fn place(request: &Self::Request) -> Place<'_> {
        // Of others, who decides about people.
        match request.user {
            None => Place::Me,
            Some(_) => Place::Server,
        }
    }
}
