//! The audit log: who did what, in records that are chained.
//!
//! Each record has a hash over itself and the hash before it, so whoever holds a copy sees that something was altered; a MAC
//! over that hash, which only holders of the key file can make; and the last of them is named by the [`Head`], which has a
//! MAC of its own, so that none can be cut off the end by who has neither the key file nor an older head. What this can't show:
//! an older head put back together with the records of its time, and what somebody does who has the key file *and* writes the
//! database. Against both, hold the log against an [`Anchor`] that was kept elsewhere.

mod chain;
mod detail;
mod hash;
mod verify;

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use chain::{Head, Link, MacKey, chain};
pub use detail::{Detail, InvalidDetail};
pub use hash::{Hash, InvalidHash};
pub use verify::{Anchor, Fault, Flaw, InvalidAnchor, Report, Verifier};

use crate::id::{AppId, TokenId};
use crate::name::Name;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        $(#[$doc])*
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$variant),*];

            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == name)
            }
        }
    };
}

named! {
    /// What kind of actor it was.
    ActorKind {
        Person = "person",
        /// A token that belongs to nobody in particular: of a machine, or the server's own local one.
        Token = "token",
        /// Somebody's or something's token, used by way of `/mcp`.
        Agent = "agent",
        Schedule = "schedule",
        /// The server itself.
        System = "system",
    }
}

named! {
    /// Which way it came.
    Via {
        Web = "web",
        Api = "api",
        Cli = "cli",
        Mcp = "mcp",
        /// What happens when its time has come.
        Tick = "tick",
        /// On the server's machine, past the API.
        Local = "local",
    }
}

named! {
    /// What came of it.
    #[schemars(rename = "AuditOutcome")]
    Outcome {
        Done = "done",
        /// It began; another record, with this one's number in `of`, says how it ended.
        Begun = "begun",
        Failed = "failed",
        /// Whoever asked may not.
        Refused = "refused",
    }
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Draft {
    /// To the microsecond.
    #[serde(with = "micros")]
    #[schemars(with = "DateTime<Utc>")]
    pub at: DateTime<Utc>,
    /// Id of the person, token or schedule; `system` for the server.
    pub actor: String,
    pub actor_kind: ActorKind,
    /// As it was called then.
    pub actor_name: String,
    /// The token that was shown, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenId>,
    pub via: Via,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Id of the request, as in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Such as `apps.create`.
    pub operation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<AppId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// Id or name of what it was done to, where app and environment do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    pub outcome: Outcome,
    /// Number of the record that says that it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    /// The request without its secrets; what was before and after.
    pub detail: Detail,
}

/// A record in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditRecord")]
pub struct Record {
    /// Counts from 1, without gaps.
    pub seq: u64,
    #[serde(flatten)]
    pub draft: Draft,
    /// Names the key of the MAC, and tells nothing of it.
    pub key: String,
    /// Hash of the record before; zeros for the first one.
    pub prev: Hash,
    /// SHA-256 over `plimsoll-audit-1`, a newline, `prev`, a newline, and all fields but `prev`, `hash` and `mac` as canonical JSON
    /// (RFC 8785).
    pub hash: Hash,
    pub mac: Hash,
}

/// Longest free text of a record, in characters.
const LONGEST: usize = 200;

impl Draft {
    /// As it is kept: to the microsecond, without what a database can't hold, and of bounded length.
    fn fit(self) -> Self {
        use chrono::SubsecRound;
        let fit = |text: String| -> String { text.replace('\0', "\u{fffd}").chars().take(LONGEST).collect() };
        Self {
            at: self.at.trunc_subsecs(6),
            actor: fit(self.actor),
            actor_name: fit(self.actor_name),
            request: self.request.map(fit),
            operation: fit(self.operation),
            target: self.target.map(fit),
            ..self
        }
    }
}

/// Always with six digits, so that a point in time has one text.
mod micros {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        DateTime::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests;
