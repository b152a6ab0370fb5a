//! Time zones by their IANA name.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::{GapInfo, TZ_VARIANTS, Tz};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::nearest;

/// A zone such as `Europe/Berlin`, with all its rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(Tz);

/// There is no zone of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a time zone{}; zones have IANA names such as Europe/Berlin, America/New_York or UTC", near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
pub struct InvalidZone {
    pub name: String,
    /// The zone that was probably meant.
    pub near: Option<&'static str>,
}

/// What a local time means as an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Local {
    /// It exists once.
    Once(DateTime<Utc>),
    /// It exists twice, as the clocks go back; this is the first.
    Twice(DateTime<Utc>),
    /// The clocks skip it; this is the first instant after the gap.
    Skipped(DateTime<Utc>),
}

impl Local {
    pub fn instant(self) -> DateTime<Utc> {
        match self {
            Local::Once(at) | Local::Twice(at) | Local::Skipped(at) => at,
        }
    }
}

impl Zone {
    pub const UTC: Zone = Zone(Tz::UTC);

    /// Every zone there is.
    pub fn all() -> impl Iterator<Item = Zone> {
        TZ_VARIANTS.iter().copied().map(Zone)
    }

    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// What the clocks on the walls show.
    pub fn local(self, at: DateTime<Utc>) -> NaiveDateTime {
        at.with_timezone(&self.0).naive_local()
    }

    /// `2026-12-01 09:30 CET`, for people.
    pub fn show(self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.0).format("%Y-%m-%d %H:%M %Z").to_string()
    }

    /// The instant that a local time means. It never decreases as the local time grows.
    pub fn instant(self, local: NaiveDateTime) -> Local {
        let utc = |at: DateTime<Tz>| at.with_timezone(&Utc);
        match self.0.from_local_datetime(&local) {
            LocalResult::Single(at) => Local::Once(utc(at)),
            LocalResult::Ambiguous(first, second) => Local::Twice(utc(first.min(second))),
            LocalResult::None => {
                let end = GapInfo::new(&local, &self.0).and_then(|gap| gap.end).map(utc);
                // Each gap has an end; a day later there certainly is one.
                Local::Skipped(end.unwrap_or_else(|| local.and_utc() + TimeDelta::days(1)))
            }
        }
    }
}

impl FromStr for Zone {
    type Err = InvalidZone;

    fn from_str(text: &str) -> Result<Self, InvalidZone> {
        text.parse::<Tz>().map(Self).map_err(|_| {
            let name: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
            let near = near(&name);
            InvalidZone { name, near }
        })
    }
}

/// What people write instead of a name: another case, a space, the city alone, an abbreviation, a slip.
fn near(text: &str) -> Option<&'static str> {
    const ABBREVIATIONS: [(&str, &str); 14] = [
        ("cest", "Europe/Berlin"),
        ("bst", "Europe/London"),
        ("pst", "America/Los_Angeles"),
        ("pdt", "America/Los_Angeles"),
        ("mdt", "America/Denver"),
        ("cst", "America/Chicago"),
        ("cdt", "America/Chicago"),
        ("edt", "America/New_York"),
        ("ist", "Asia/Kolkata"),
        ("jst", "Asia/Tokyo"),
        ("aest", "Australia/Sydney"),
        ("aedt", "Australia/Sydney"),
        ("sgt", "Asia/Singapore"),
        ("z", "UTC"),
    ];
    let plain = text.to_lowercase().replace([' ', '-'], "_");
    if let Some((_, name)) = ABBREVIATIONS.iter().find(|(short, _)| *short == plain) {
        return Some(name);
    }
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    let city = |name: &'static str| name.rsplit('/').next().unwrap_or(name).to_lowercase();
    names()
        .find(|name| name.to_lowercase() == plain)
        .or_else(|| names().find(|name| name.contains('/') && city(name) == plain))
        .or_else(|| nearest(text, &names().collect::<Vec<_>>()))
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl PartialOrd for Zone {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Zone {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.name().cmp(other.name())
    }
}
impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
impl JsonSchema for Zone {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Zone".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "IANA name of a time zone.", "examples": ["Europe/Berlin"] })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn local(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    #[test]
    fn wrong_names_get_the_right_one() {
        for (wrong, right) in [
            ("europe/berlin", "Europe/Berlin"),
            ("Berlin", "Europe/Berlin"),
            ("New York", "America/New_York"),
            ("Europe/Berlln", "Europe/Berlin"),
            ("PST", "America/Los_Angeles"),
            ("Z", "UTC"),
        ] {
            let error = wrong.parse::<Zone>().unwrap_err();
            assert_eq!(error.near, Some(right), "{wrong}");
            assert!(error.to_string().contains(&format!("did you mean `{right}`")), "{error}");
        }
        let error = "\x1b[31mNowhere/At_All".parse::<Zone>().unwrap_err().to_string();
        assert!(error.contains("IANA") && !error.contains('\x1b'), "{error}");
        let zone: Zone = "Asia/Kathmandu".parse().unwrap();
        assert_eq!(serde_json::from_str::<Zone>(&serde_json::to_string(&zone).unwrap()).unwrap(), zone);
    }

    #[test]
    fn skipped_times_move_to_the_end_of_the_gap_and_repeated_ones_are_the_first() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let skipped = Local::Skipped(at("2026-03-29T01:00:00Z"));
        assert_eq!(berlin.instant(local("2026-03-29T02:00:00")), skipped);
        assert_eq!(berlin.instant(local("2026-03-29T02:59:00")), skipped);
        assert_eq!(berlin.instant(local("2026-03-29T03:00:00")), Local::Once(at("2026-03-29T01:00:00Z")));
        assert_eq!(berlin.instant(local("2026-10-25T02:30:00")), Local::Twice(at("2026-10-25T00:30:00Z")));
        // Half an hour.
        let lord_howe: Zone = "Australia/Lord_Howe".parse().unwrap();
        assert_eq!(lord_howe.instant(local("2026-10-04T02:15:00")), Local::Skipped(at("2026-10-03T15:30:00Z")));
        // A whole day was left out.
        let apia: Zone = "Pacific/Apia".parse().unwrap();
        assert_eq!(apia.instant(local("2011-12-30T12:00:00")), Local::Skipped(at("2011-12-30T10:00:00Z")));
    }

    #[test]
    fn in_each_zone_the_instant_never_decreases_around_each_change_of_two_years() {
        for zone in Zone::all() {
            let offset = |at: DateTime<Utc>| zone.local(at) - at.naive_utc();
            let mut day = at("2026-01-01T00:00:00Z");
            while day < at("2028-01-01T00:00:00Z") {
                let next = day + TimeDelta::days(1);
                if offset(day) != offset(next) {
                    let mut local = zone.local(day);
                    let mut last = zone.instant(local).instant();
                    while local < zone.local(next) {
                        local += TimeDelta::minutes(15);
                        let instant = zone.instant(local).instant();
                        assert!(instant >= last, "{zone} {local}");
                        last = instant;
                    }
                }
                day = next;
            }
        }
    }
}
