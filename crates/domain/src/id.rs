//! Typed identifiers: a prefix that says what it names, and a ULID that sorts by
//! the time it was made (`dep_01k8…`).

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What an [`Id`] names.
pub trait Kind {
    /// Short lower-case word in front of the underscore.
    const PREFIX: &'static str;
}

macro_rules! kinds {
    ($($kind:ident, $alias:ident, $prefix:literal, $doc:literal;)*) => {$(
        #[doc(hidden)]
        pub enum $kind {}
        impl Kind for $kind { const PREFIX: &'static str = $prefix; }
        #[doc = $doc]
        pub type $alias = Id<$kind>;
    )*};
}

kinds! {
    AppKind, AppId, "app", "Names an app.";
    EnvironmentKind, EnvironmentId, "env", "Names one environment of an app.";
    DeploymentKind, DeploymentId, "dep", "Names one deployment or rollback.";
    ReleaseKind, ReleaseId, "rel", "Names an immutable release of an app.";
    PlanKind, PlanId, "pln", "Orders the plans that are kept; people name them by their digest.";
    CertificateKind, CertificateId, "crt", "Names a certificate that the ingress shows.";
    TokenKind, TokenId, "tok", "Names an API token (not the token itself).";
    UploadKind, UploadId, "upl", "Names a file that is sent to the server.";
    ScheduleKind, ScheduleId, "sch", "Names a schedule of deployments.";
    WindowKind, WindowId, "win", "Names a deploy window or a freeze.";
    BypassKind, BypassId, "byp", "Names the record of a deployment that went past a closed window.";
    ServerKind, ServerId, "srv", "Names one run of a server.";
    UserKind, UserId, "usr", "Names a person.";
    SessionKind, SessionId, "ses", "Names a session of a person (not its secret).";
    InvitationKind, InvitationId, "inv", "Names an invitation (not its secret).";
    ApprovalKind, ApprovalId, "apr", "Names what people are asked to approve of.";
    ChannelKind, ChannelId, "chn", "Names a channel, by which people are told.";
    DeliveryKind, DeliveryId, "dlv", "Names a message to a channel; receivers know it by this in each attempt.";
}

/// An identifier of the kind `K`, kept as its text.
pub struct Id<K> {
    text: String,
    kind: PhantomData<fn() -> K>,
}

/// The text is not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid id: expected `{prefix}_` and 26 letters or digits")]
pub struct InvalidId {
    prefix: &'static str,
    text: String,
}

impl<K: Kind> Id<K> {
    /// An id from a ULID that the caller made, as the domain has neither clock nor randomness.
    pub fn from_ulid(ulid: ulid::Ulid) -> Self {
        Self::unchecked(format!("{}_{}", K::PREFIX, ulid.to_string().to_lowercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn unchecked(text: String) -> Self {
        Self { text, kind: PhantomData }
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId { prefix: K::PREFIX, text: text.chars().take(64).collect() };
        let rest = text.strip_prefix(K::PREFIX).and_then(|t| t.strip_prefix('_')).ok_or_else(invalid)?;
        let canonical = rest.len() == 26 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !canonical || ulid::Ulid::from_string(rest).is_err() {
            return Err(invalid());
        }
        Ok(Self::unchecked(text.to_owned()))
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), kind: PhantomData }
    }
}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}
impl<K> std::hash::Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
impl<K: Kind> JsonSchema for Id<K> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("{}_id", K::PREFIX).into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // A ULID has 128 bits in Crockford's alphabet, which lacks i, l, o and u.
        json_schema!({ "type": "string", "pattern": format!("^{}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$", K::PREFIX) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_the_wrong_kind() {
        let id = DeploymentId::from_ulid(ulid::Ulid::from_parts(1_700_000_000_000, 42));
        assert_eq!(id.to_string().parse::<DeploymentId>().unwrap(), id);
        assert!(id.to_string().parse::<ReleaseId>().is_err());
        for bad in ["", "dep_", "dep_123", "dep_../../../../../etc/passwd00", "DEP_01hf7yat00000000000000000a"] {
            assert!(bad.parse::<DeploymentId>().is_err(), "{bad}");
        }
    }
}
