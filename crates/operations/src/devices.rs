//! Programs that a person lets in. They ask at [`crate::sign_in`]; here the person answers.

use chrono::{DateTime, Utc};
use domain::device::UserCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

/// A program that waits to be let in, or was answered a moment ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    /// The code that it shows.
    pub user_code: UserCode,
    /// What it calls itself; anybody can call a program anything.
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub name: String,
    /// Where it asks from.
    pub address: String,
    pub state: DeviceState,
    pub created_at: DateTime<Utc>,
    /// Not let in any more from then on.
    pub expires_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// For an answer.
    Waiting,
    Approved,
    Refused,
}

pub struct Show;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowRequest {
    /// As the program shows it.
    pub user_code: UserCode,
}

impl Operation for Show {
    type Request = ShowRequest;
    type Response = Device;
    const NAME: &'static str = "devices.show";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/devices/{user_code}";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show the program that waits with this code to be let in";
    const PERMISSION: Permission = Permission::Mine;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Me
    }
}

/// Lets the program act for whoever says so, with the roles that they have now; or sends it away.
pub struct Approve;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// As the program shows it.
    pub user_code: UserCode,
    /// Whether the program is let in.
    pub verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DeviceVerdict")]
pub enum Verdict {
    Approve,
    Refuse,
}

impl Operation for Approve {
    type Request = ApproveRequest;
    type Response = Device;
    const NAME: &'static str = "devices.approve";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/devices/{user_code}";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Let the program with this code act for you, or send it away";
    const PERMISSION: Permission = Permission::Mine;
    // It gets a token.
    const CONFIRM: bool = true;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Me
    }
}
