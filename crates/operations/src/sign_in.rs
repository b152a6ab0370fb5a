//! What is sent and got at the ways in. These routes are no operations: they make the very thing by which operations know
//! who asks.

use chrono::{DateTime, Utc};
use domain::TokenId;
use domain::device::UserCode;
use domain::email::Email;
use domain::lifetime::Lifetime;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::variables::Value as Secret;

/// Says how one may sign in: [`WaysIn`].
pub const METHODS: &str = "/api/v1/auth/methods";
/// Takes address and password: [`SignIn`] gives [`SignedIn`].
pub const SIGN_IN: &str = "/api/v1/auth/sign-in";
/// Takes the code that a right password is asked for: [`SecondStep`] gives [`SignedIn`].
pub const SECOND_FACTOR: &str = "/api/v1/auth/second-factor";
/// Makes somebody of an invitation, and signs them in: [`AcceptInvitation`] gives [`SignedIn`].
pub const ACCEPT: &str = "/api/v1/auth/accept";
/// Ends the session that the request came with.
pub const SIGN_OUT: &str = "/api/v1/auth/sign-out";
/// Takes a proof that it is still them: [`ConfirmIdentity`].
pub const CONFIRM: &str = "/api/v1/auth/confirm";

/// Begins the login of a program without a browser: [`BeginDevice`] gives [`DeviceBegun`].
pub const DEVICE: &str = "/api/v1/auth/device";
/// Asks whether a person has let it in: [`CollectDevice`] gives [`DeviceAnswer`].
pub const DEVICE_TOKEN: &str = "/api/v1/auth/device/token";
/// Where a person lets it in, below the server's address.
pub const DEVICE_PAGE: &str = "/device";

/// Makes a signed token of the API token that the request comes with: [`Sign`] gives [`Signed`].
pub const JWT: &str = "/api/v1/auth/jwt";

/// Characters of a person's or a program's name.
pub const LONGEST_NAME: usize = 100;
/// A line in which something is to be seen.
const NAME: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

/// How one may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaysIn {
    /// By address and password.
    pub password: bool,
    /// What the sign-in provider is called, if there is one.
    pub oidc: Option<String>,
    /// The session's cookie travels over TLS, or never leaves the machine.
    pub secure: bool,
    /// Nobody can sign in yet who owns the server: the first owner has an invitation.
    pub owner_missing: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The address, as it was typed.
    pub email: String,
    #[schemars(with = "String", extend("writeOnly" = true))]
    pub password: SecretString,
    #[serde(default)]
    pub cookie: Option<WantedCookie>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecondStep {
    /// As the first step gave it.
    #[schemars(with = "String", extend("writeOnly" = true))]
    pub ticket: SecretString,
    /// Of the app, or a recovery code.
    #[schemars(with = "String", extend("writeOnly" = true))]
    pub code: SecretString,
    #[serde(default)]
    pub cookie: Option<WantedCookie>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    /// The secret in the invitation's link.
    #[schemars(with = "String", extend("writeOnly" = true))]
    pub invitation: SecretString,
    #[schemars(length(min = 1, max = 100), extend("pattern" = NAME))]
    pub name: String,
    /// Their address, where the invitation names none.
    #[serde(default)]
    #[schemars(with = "Option<Email>")]
    pub email: Option<String>,
    /// To sign in with from then on.
    #[schemars(with = "String", extend("writeOnly" = true, "minLength" = domain::password::SHORTEST, "maxLength" = domain::password::LONGEST))]
    pub password: SecretString,
    #[serde(default)]
    pub cookie: Option<WantedCookie>,
}

/// One of the two.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = json!([{ "required": ["password"] }, { "required": ["code"] }])))]
pub struct ConfirmIdentity {
    #[serde(default)]
    #[schemars(with = "String", extend("writeOnly" = true))]
    pub password: Option<SecretString>,
    /// Of the second factor, in the place of the password.
    #[serde(default)]
    #[schemars(with = "String", extend("writeOnly" = true))]
    pub code: Option<SecretString>,
}

/// What a page asks for whose browser keeps no secure cookies on plain HTTP. Taken on the machine itself, and where there is no TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WantedCookie {
    Plain,
}

/// What came of a step.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SignedIn {
    /// The answer has set the session's cookie.
    SignedIn,
    /// A code of the second factor is wanted, with this ticket.
    SecondFactor {
        #[schemars(with = "String")]
        ticket: Secret,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginDevice {
    /// What the person is shown, and their token will be called, such as `plimsoll on laptop`.
    #[schemars(length(min = 1, max = 100), extend("pattern" = NAME))]
    pub name: String,
}

/// In shape as RFC 8628 has it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DeviceBegun {
    /// A secret: only the program itself asks with it.
    #[schemars(with = "String")]
    pub device_code: Secret,
    /// To be shown to the person.
    pub user_code: UserCode,
    /// The page on which the person lets the program in, with the code; absent when the server was not told its own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Seconds between two questions.
    pub interval: u32,
    /// Seconds in which the person has to answer.
    pub expires_in: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectDevice {
    /// As it was given to the program.
    pub device_code: Secret,
}

/// Whether the program was let in. An answer is given once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeviceAnswer {
    /// Nobody has answered yet: ask again.
    Waiting,
    Refused,
    Approved(Login),
}

/// A token by which a program acts for a person.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Login {
    /// The token itself; only its hash is kept.
    pub secret: String,
    pub token: TokenId,
    /// Whom it acts for.
    pub person: String,
    /// Refused from then on.
    pub expires_at: DateTime<Utc>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("token", &self.token).field("person", &self.person).finish_non_exhaustive()
    }
}

/// The audience of signed tokens that every server takes.
pub const AUDIENCE: &str = "plimsoll";

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    /// Who is to take it: `plimsoll`, or this server's public address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub audience: Option<String>,
    /// It is good for this time, an hour at most, such as 5m; 15m without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<Lifetime>,
}

/// A JSON Web Token that is worth what the API token is worth, and ends with it.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Signed {
    /// To be sent as the API token is: `Authorization: Bearer …`. It is kept nowhere.
    pub secret: String,
    pub audience: String,
    /// Refused from then on.
    pub expires_at: DateTime<Utc>,
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_says_its_state() {
        assert_eq!(serde_json::to_value(DeviceAnswer::Waiting).unwrap(), json!({ "state": "waiting" }));
        let answer: DeviceAnswer = serde_json::from_value(json!({
            "state": "approved", "secret": "plim_x", "token": "tok_01jd0000000000000000000000", "person": "Ann",
            "expires_at": "2026-11-21T00:00:00Z",
        }))
        .unwrap();
        assert!(matches!(&answer, DeviceAnswer::Approved(login) if login.secret == "plim_x"));
        assert!(!format!("{answer:?}").contains("plim_x"));
    }
}
