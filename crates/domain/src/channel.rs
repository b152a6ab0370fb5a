//! Channels: by which way people are told, and what of.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::notice::{Level, Notice, Topic};

/// A way to people or programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// An incoming webhook of Slack's, or of what speaks like it.
    Slack,
    Mail,
    /// A signed request to a program.
    Webhook,
}

/// How the way to a mail server is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// From the first byte; usually port 465.
    #[default]
    Tls,
    /// Begun by STARTTLS, and never left out; usually port 587.
    Starttls,
    /// None at all: only in a network that the operator allows, without a password.
    None,
}

/// What has become of a message to a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is sent when its time comes.
    Waiting,
    Sent,
    /// Nobody tries any more.
    Failed,
    /// Nobody wants it any more: the channel was disabled.
    Dropped,
}

/// The text names none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is unknown: expected one of {expected}")]
pub struct Unknown {
    text: String,
    expected: &'static str,
}

macro_rules! names {
    ($of:ident, $expected:literal, $($variant:ident => $name:literal),*) => {
        impl $of {
            /// The tag in JSON and in the store.
            pub const fn as_str(self) -> &'static str {
                match self { $($of::$variant => $name,)* }
            }
        }
        impl fmt::Display for $of {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl FromStr for $of {
            type Err = Unknown;
            fn from_str(text: &str) -> Result<Self, Unknown> {
                match text {
                    $($name => Ok($of::$variant),)*
                    _ => Err(Unknown { text: text.chars().take(40).collect(), expected: $expected }),
                }
            }
        }
    };
}

names!(ChannelKind, "slack, mail, webhook", Slack => "slack", Mail => "mail", Webhook => "webhook");
names!(Encryption, "tls, starttls, none", Tls => "tls", Starttls => "starttls", None => "none");
names!(
    DeliveryState, "waiting, sent, failed, dropped",
    Waiting => "waiting", Sent => "sent", Failed => "failed", Dropped => "dropped"
);

/// What a channel is told of unless somebody chooses: whatever somebody may have to look at, and that it is over.
pub fn usual_topics() -> BTreeSet<Topic> {
    let told = |topic: &Topic| topic.level() >= Level::Warning || *topic == Topic::DeploymentRecovered;
    Topic::ALL.into_iter().filter(told).collect()
}

/// What a channel is told of; all must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wants {
    /// Of this app alone; without one of all, and of the server itself.
    pub app: Option<Name>,
    /// In environments of these names alone; in all when there is none.
    pub environments: Vec<Name>,
    pub topics: BTreeSet<Topic>,
    /// Nothing that happened before.
    pub since: DateTime<Utc>,
}

impl Wants {
    pub fn includes(&self, notice: &Notice) -> bool {
        let environment =
            || notice.environment.as_ref().is_some_and(|environment| self.environments.contains(environment));
        self.topics.contains(&notice.topic)
            && notice.at >= self.since
            && self.app.as_ref().is_none_or(|app| notice.app.as_ref() == Some(app))
            && (self.environments.is_empty() || environment())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn notice(app: Option<&str>, environment: Option<&str>, topic: Topic) -> Notice {
        Notice {
            topic,
            app: app.map(|name| name.parse().unwrap()),
            environment: environment.map(|name| name.parse().unwrap()),
            ..crate::notice::test("ops", DateTime::UNIX_EPOCH)
        }
    }

    #[test]
    fn a_channel_gets_what_it_asks_for_and_nothing_else() {
        let all = Wants { app: None, environments: vec![], topics: usual_topics(), since: DateTime::UNIX_EPOCH };
        let failed = notice(Some("shop"), Some("production"), Topic::DeploymentFailed);
        assert!(all.includes(&failed));
        assert!(all.includes(&notice(None, None, Topic::ServerRestored)));
        assert!(!all.includes(&notice(Some("shop"), Some("production"), Topic::DeploymentActive)));
        assert!(!all.includes(&notice(None, None, Topic::Test)));

        let shop = Wants { app: Some("shop".parse().unwrap()), ..all.clone() };
        assert!(shop.includes(&failed));
        assert!(!shop.includes(&notice(Some("blog"), Some("production"), Topic::DeploymentFailed)));
        assert!(!shop.includes(&notice(None, None, Topic::ServerRestored)), "that is the server's");

        let staging = Wants { environments: vec!["staging".parse().unwrap()], ..all.clone() };
        assert!(!staging.includes(&failed));
        assert!(staging.includes(&notice(Some("shop"), Some("staging"), Topic::DeploymentFailed)));
        assert!(!staging.includes(&notice(Some("shop"), None, Topic::DeploymentFailed)));

        let later = Wants { since: DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1), ..all };
        assert!(!later.includes(&failed), "it happened before the channel was there");
    }

    #[test]
    fn names_are_those_of_json() {
        for kind in [ChannelKind::Slack, ChannelKind::Mail, ChannelKind::Webhook] {
            assert_eq!((serde_json::to_value(kind).unwrap(), kind.as_str().parse()), (kind.as_str().into(), Ok(kind)));
        }
        for way in [Encryption::Tls, Encryption::Starttls, Encryption::None] {
            assert_eq!((serde_json::to_value(way).unwrap(), way.as_str().parse()), (way.as_str().into(), Ok(way)));
        }
        for state in [DeliveryState::Waiting, DeliveryState::Sent, DeliveryState::Failed, DeliveryState::Dropped] {
            assert_eq!(
                (serde_json::to_value(state).unwrap(), state.as_str().parse()),
                (state.as_str().into(), Ok(state))
            );
        }
        assert!("smoke".parse::<ChannelKind>().unwrap_err().to_string().contains("slack, mail, webhook"));
    }
}
