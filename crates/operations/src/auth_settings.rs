//! How people sign in here besides by password.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::variables::Value as Secret;
use crate::{Effect, Method, Operation, Permission, Place};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuthSettings {
    /// The provider whose word is taken; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Provider>,
    /// The address that the provider is to send people back to, as it has to be registered there.
    pub redirect: String,
}

/// A provider of OpenID Connect, without the secret that we have there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Provider {
    /// What the button says, such as `Example Inc.`.
    pub name: String,
    /// Its address, as it says it itself: what `…/.well-known/openid-configuration` is below of.
    pub issuer: String,
    /// As what we are registered there.
    pub client_id: String,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// Whether somebody who is here already is known by an address that the provider has verified. Only for a provider at which
    /// nobody can have another one's address.
    pub link_by_email: bool,
}

pub struct Show;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowRequest {}

impl Operation for Show {
    type Request = ShowRequest;
    type Response = AuthSettings;
    const NAME: &'static str = "auth_settings.show";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/settings/access";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show the provider by which people sign in";
    const PERMISSION: Permission = Permission::People;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}

/// Puts this provider in the place of the one there was; without one, people sign in by password alone.
pub struct Set;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRequest {
    /// Absent to have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<SetProvider>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetProvider {
    /// What the button says.
    #[schemars(length(min = 1, max = 60))]
    pub name: String,
    /// Its address, such as https://id.example.org.
    #[schemars(length(min = 1, max = 500))]
    pub issuer: String,
    /// As what we are registered there.
    #[schemars(length(min = 1, max = 255))]
    pub client_id: String,
    /// What we prove that with. Absent to keep the one there is, for the same issuer and client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// What is asked for besides `openid`; addresses and names are in these, at most providers.
    #[serde(default = "default_scopes")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 100)))]
    pub scopes: Vec<String>,
    /// Take an address that the provider has verified for the person who has it here.
    #[serde(default)]
    pub link_by_email: bool,
}

pub fn default_scopes() -> Vec<String> {
    vec!["email".to_owned(), "profile".to_owned()]
}

impl Operation for Set {
    type Request = SetRequest;
    type Response = AuthSettings;
    const NAME: &'static str = "auth_settings.set";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/settings/access";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Say by which provider people sign in, or that there is none";
    const PERMISSION: Permission = Permission::People;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::secrets::{MASK, redacted};

    #[test]
    fn what_proves_who_we_are_is_in_no_record() {
        let request: SetRequest = serde_json::from_value(serde_json::json!({ "oidc": {
            "name": "Example", "issuer": "https://id.example.org", "client_id": "plimsoll", "client_secret": "s3cret",
        }}))
        .unwrap();
        let kept = redacted::<Set>(&request);
        assert_eq!(kept["oidc"]["client_secret"], MASK, "{kept}");
        assert_eq!(request.oidc.unwrap().scopes, ["email", "profile"]);
        assert!(serde_json::from_str::<SetRequest>("{}").unwrap().oidc.is_none());
    }
}
