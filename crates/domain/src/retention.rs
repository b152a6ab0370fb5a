//! How long what is past is kept, and which releases may lose their files.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::ReleaseId;
use crate::lifetime::Lifetime;

/// The most that may be asked for.
pub const MAX_RELEASES: u32 = 1000;
/// Shorter times would take away what somebody still looks at.
const SHORTEST: std::time::Duration = std::time::Duration::from_secs(3600);

/// A policy, complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Keep {
    /// Releases whose files stay, for each environment: the last ones that served well. What serves or is needed stays in any case.
    pub releases: u32,
    /// What deployments printed.
    pub outputs: Kept,
    pub events: Kept,
    /// Records of deployments that have ended. Those that a rollback needs stay.
    pub deployments: Kept,
    /// Answers to requests with an idempotency key; for the whole server.
    pub keys: Kept,
}

impl Default for Keep {
    fn default() -> Self {
        let days = |days| Kept::For(Lifetime::days(days));
        Self { releases: 10, outputs: days(14), events: days(90), deployments: days(365), keys: days(1) }
    }
}

/// What is set of a policy; the rest is that of the server, or the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Chosen {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub releases: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Kept>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Kept>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployments: Option<Kept>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Kept>,
}

impl Chosen {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// With what `later` sets in place of what was.
    pub fn with(self, later: Chosen) -> Self {
        Self {
            releases: later.releases.or(self.releases),
            outputs: later.outputs.or(self.outputs),
            events: later.events.or(self.events),
            deployments: later.deployments.or(self.deployments),
            keys: later.keys.or(self.keys),
        }
    }

    /// Completed by `rest`.
    pub fn or(self, rest: Keep) -> Keep {
        Keep {
            releases: self.releases.unwrap_or(rest.releases),
            outputs: self.outputs.unwrap_or(rest.outputs),
            events: self.events.unwrap_or(rest.events),
            deployments: self.deployments.unwrap_or(rest.deployments),
            keys: self.keys.unwrap_or(rest.keys),
        }
    }

    /// Why it can't be a policy.
    pub fn check(&self) -> Result<(), InvalidKeep> {
        match self.releases {
            Some(n) if !(1..=MAX_RELEASES).contains(&n) => Err(InvalidKeep(n)),
            _ => Ok(()),
        }
    }
}

/// No number of releases that can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} releases can't be kept: expected 1 to {MAX_RELEASES}")]
pub struct InvalidKeep(u32);

/// A time from an hour on, or for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    For(Lifetime),
    Forever,
}

const FOREVER: &str = "forever";

/// The text says no time to keep something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time to keep something: expected an hour to ten years, like \"14d\", or \"forever\"")]
pub struct InvalidKept(String);

impl Kept {
    /// What is older may go; nothing if it is kept for ever.
    pub fn before(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Kept::For(time) => now.checked_sub_signed(TimeDelta::from_std(time.get()).ok()?),
            Kept::Forever => None,
        }
    }
}

impl FromStr for Kept {
    type Err = InvalidKept;
    fn from_str(text: &str) -> Result<Self, InvalidKept> {
        if text == FOREVER {
            return Ok(Kept::Forever);
        }
        match text.parse::<Lifetime>() {
            Ok(time) if time.get() >= SHORTEST => Ok(Kept::For(time)),
            _ => Err(InvalidKept(text.chars().take(40).collect())),
        }
    }
}
impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // People say 365 days, and not 11 months and 30 days.
            Kept::For(time) if time.get().as_secs().is_multiple_of(86_400) => {
                write!(f, "{}d", time.get().as_secs() / 86_400)
            }
            Kept::For(time) => time.fmt(f),
            Kept::Forever => f.write_str(FOREVER),
        }
    }
}
impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
impl JsonSchema for Kept {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Kept".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An hour to ten years, such as 14d, or forever.",
            "examples": ["14d", "forever"],
            // What is sure to be one; `1d 12h` and the like are taken, too.
            "pattern": "^([1-9][0-9]{0,2}h|[1-9][0-9]{0,2}d|[1-9][0-9]?w|[1-9]y|forever)$",
        })
    }
}

/// A release whose files are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub release: ReleaseId,
    pub number: u32,
    /// It serves, an instance runs of it, or a deployment that has not ended needs it.
    pub needed: bool,
}

/// Those of an app's releases whose files may go. `good` has for each environment what served well in it, the last one
/// first: the first `keep` of them are what a rollback may want. As many of the newest stay, too, served or not.
pub fn spare(held: &[Held], good: &[Vec<ReleaseId>], keep: u32) -> Vec<ReleaseId> {
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    let wanted: BTreeSet<&ReleaseId> = good.iter().flat_map(|of| of.iter().take(keep)).collect();
    let mut newest_first: Vec<&Held> = held.iter().collect();
    newest_first.sort_by_key(|held| std::cmp::Reverse(held.number));
    let old = newest_first.into_iter().skip(keep);
    old.filter(|held| !held.needed && !wanted.contains(&held.release)).map(|held| held.release.clone()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u32) -> ReleaseId {
        ReleaseId::from_ulid(ulid::Ulid::from_parts(n.into(), 0))
    }

    #[test]
    fn times_are_read_and_written() {
        for text in ["14d", "365d", "1h", "90m", "999h", "999d", "99w", "9y", "forever"] {
            let kept: Kept = text.parse().unwrap();
            assert_eq!(kept.to_string().parse(), Ok(kept), "{text}");
        }
        assert_eq!("52w".parse::<Kept>().unwrap().to_string(), "364d");
        for text in ["", "0", "0d", "59m", "-1d", "11y", "never", "Forever"] {
            assert!(text.parse::<Kept>().is_err(), "{text}");
        }
        let now = Utc::now();
        assert_eq!("2d".parse::<Kept>().unwrap().before(now), Some(now - TimeDelta::days(2)));
        assert_eq!(Kept::Forever.before(now), None);
    }

    #[test]
    fn what_an_app_chooses_stands_before_what_the_server_does() {
        let server = Chosen { releases: Some(5), events: Some(Kept::Forever), ..Chosen::default() };
        let app = Chosen { releases: Some(2), ..Chosen::default() };
        let keep = app.or(server.or(Keep::default()));
        assert_eq!((keep.releases, keep.events, keep.outputs), (2, Kept::Forever, Keep::default().outputs));
        assert_eq!(server.with(app).releases, Some(2));
        for (releases, good) in [(0, false), (1, true), (1000, true), (1001, false)] {
            assert_eq!(Chosen { releases: Some(releases), ..Chosen::default() }.check().is_ok(), good, "{releases}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_needed_goes_and_nothing_else_stays(
            needed in proptest::collection::vec(any::<bool>(), 0..40),
            good in proptest::collection::vec(proptest::collection::vec(0u32..40, 0..20), 0..4),
            keep in 1u32..12,
        ) {
            let held: Vec<Held> = (0u32..).zip(&needed)
                .map(|(n, needed)| Held { release: id(n), number: n, needed: *needed }).collect();
            let good: Vec<Vec<ReleaseId>> = good.iter().map(|of| of.iter().map(|n| id(*n)).collect()).collect();
            let gone = spare(&held, &good, keep);
            for release in &held {
                let is_new = release.number as usize + keep as usize >= held.len();
                let wanted = good.iter().any(|of| of.iter().take(keep as usize).any(|id| *id == release.release));
                prop_assert_eq!(gone.contains(&release.release), !(release.needed || is_new || wanted));
            }
        }
    }
}
