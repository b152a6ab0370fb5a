//! How long something that ends by itself may be used: `12h`, `30d`, `1y`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const SHORTEST: Duration = Duration::from_secs(60);
/// As the library for such words has it, leap days included.
const YEAR: u64 = 31_557_600;
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);
/// Lifetimes in one word.
const PATTERN: &str = "^([1-9][0-9]{0,2}[mhd]|[1-9][0-9]?w|([1-9]|10)y)$";

/// A length of time from a minute to ten years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime(Duration);

/// The text is no such length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a lifetime: expected a minute to ten years, like \"12h\", \"30d\" or \"1y\"")]
pub struct InvalidLifetime(String);

impl Lifetime {
    pub const fn days(days: u16) -> Self {
        // 3660 at most.
        let days = if days == 0 { 1 } else { days };
        let time = Duration::from_secs(days as u64 * 86_400);
        Self(if time.as_secs() > LONGEST.as_secs() { LONGEST } else { time })
    }
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl TryFrom<Duration> for Lifetime {
    type Error = InvalidLifetime;
    fn try_from(time: Duration) -> Result<Self, InvalidLifetime> {
        match (SHORTEST..=LONGEST).contains(&time) {
            true => Ok(Self(time)),
            false => Err(InvalidLifetime(humantime::format_duration(time).to_string())),
        }
    }
}

impl FromStr for Lifetime {
    type Err = InvalidLifetime;
    fn from_str(text: &str) -> Result<Self, InvalidLifetime> {
        match humantime::parse_duration(text) {
            Ok(d) if (SHORTEST..=LONGEST).contains(&d) => Ok(Self(d)),
            _ => Err(InvalidLifetime(text.chars().take(40).collect())),
        }
    }
}
impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In one word where one says it, as people write it.
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        let seconds = self.0.as_secs();
        let whole = |unit: u64| (seconds.is_multiple_of(unit) && self.0.subsec_nanos() == 0).then_some(seconds / unit);
        for (unit, letter) in [(DAY, 'd'), (HOUR, 'h'), (MINUTE, 'm')] {
            if let Some(count) = whole(unit).filter(|count| *count < 1_000) {
                return write!(f, "{count}{letter}");
            }
        }
        match whole(YEAR) {
            Some(count) => write!(f, "{count}y"),
            None => humantime::format_duration(self.0).fmt(f),
        }
    }
}
impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
impl JsonSchema for Lifetime {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Lifetime".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // What is sure to be one; `1h 30m` and the like are taken, too.
        json_schema!({
            "type": "string", "description": "A minute to ten years, such as 12h, 30d or 1y.", "examples": ["30d"],
            "pattern": PATTERN,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_and_nothing_endless_or_useless() {
        for text in ["60s", "12h", "30d", "1y", "10y"] {
            let lifetime: Lifetime = text.parse().unwrap();
            assert_eq!(lifetime.to_string().parse(), Ok(lifetime), "{text}");
        }
        for text in ["1m", "999m", "999h", "999d", "1w", "99w", "9y"] {
            assert!(text.parse::<Lifetime>().is_ok(), "{text} is of the pattern");
        }
        for (text, shown) in
            [("30d", "30d"), ("48h", "2d"), ("999m", "999m"), ("99w", "693d"), ("9y", "9y"), ("1h 30m", "90m")]
        {
            assert_eq!(text.parse::<Lifetime>().unwrap().to_string(), shown);
        }
        for text in ["", "59s", "11y", "0d", "-1d", "30", "soon", "99999999999999999999d"] {
            assert!(text.parse::<Lifetime>().is_err(), "{text}");
        }
    }
}
