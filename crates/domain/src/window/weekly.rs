//! Weekly deploy windows: `mon-fri 09:00-17:00 Europe/Berlin`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::schedule::Zone;

/// On which days, from when to when on the clocks of which zone. When the end is not after the begin it is on the next day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weekly {
    pub days: Days,
    pub from: TimeOfDay,
    pub to: TimeOfDay,
    pub zone: Zone,
}

/// Further ahead nobody has to look: a weekly window that a change of the clocks swallowed is back a week later.
const AHEAD_DAYS: u64 = 22;

impl Weekly {
    pub(super) fn covers(&self, at: DateTime<Utc>) -> bool {
        self.end_at(at).is_some()
    }

    /// The end of the window that `at` is in.
    pub(super) fn end_at(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = self.zone.local(at).date();
        (0..3)
            .filter_map(|back| self.on(today - TimeDelta::days(back)))
            .filter(|(from, to)| *from <= at && at < *to)
            .map(|(_, to)| to)
            .max()
    }

    /// The first begin after `at`.
    pub(super) fn next_begin(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = self.zone.local(at).date();
        let days = today.iter_days().take(AHEAD_DAYS as usize);
        days.filter_map(|day| self.on(day)).map(|(from, _)| from).find(|from| *from > at)
    }

    /// All that touch the time between, in order.
    pub(super) fn intervals(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> impl Iterator<Item = (DateTime<Utc>, DateTime<Utc>)> {
        let first = self.zone.local(from).date() - TimeDelta::days(2);
        let last = self.zone.local(until).date();
        let days = first.iter_days().take_while(move |day| *day <= last);
        days.filter_map(|day| self.on(day)).filter(move |(begin, end)| *begin < until && from < *end)
    }

    /// The window that begins on this day of the zone, if one does and the clocks leave something of it.
    fn on(&self, day: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        if !self.days.has(day.weekday()) {
            return None;
        }
        let over_midnight = self.to <= self.from;
        let end = if over_midnight { day + TimeDelta::days(1) } else { day };
        let instant = |day: NaiveDate, time: TimeOfDay| {
            let local = day.and_time(NaiveTime::MIN) + TimeDelta::minutes(time.0.into());
            self.zone.instant(local).instant()
        };
        let (from, to) = (instant(day, self.from), instant(end, self.to));
        (from < to).then_some((from, to))
    }
}

impl fmt::Display for Weekly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}-{} {}", self.days, self.from, self.to, self.zone)
    }
}

/// Some days of the week, at least one: `mon-fri`, `sat,sun`, `daily`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Days(u8);

/// A day of the week.
pub type Day = Weekday;

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The text names no days.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no days of the week; write mon-fri, sat,sun or daily, with the names mon, tue, wed, thu, fri, sat, sun"
)]
pub struct InvalidDays(String);

impl Days {
    /// Monday is the lowest of seven bits; at least one must be set.
    pub fn from_bits(bits: u8) -> Option<Self> {
        (1..128).contains(&bits).then_some(Self(bits))
    }

    pub fn has(self, day: Day) -> bool {
        self.0 & (1 << day.num_days_from_monday()) != 0
    }
}

impl FromStr for Days {
    type Err = InvalidDays;

    fn from_str(text: &str) -> Result<Self, InvalidDays> {
        let invalid = || InvalidDays(text.chars().filter(|c| !c.is_control()).take(60).collect());
        let lower = text.trim().to_lowercase();
        if lower == "daily" {
            return Ok(Self(0x7f));
        }
        let day = |word: &str| NAMES.iter().position(|name| *name == word.trim()).ok_or_else(invalid);
        let mut bits = 0;
        for part in lower.split(',') {
            match part.split_once('-') {
                None => bits |= 1 << day(part)?,
                Some((first, last)) => {
                    let (first, last) = (day(first)?, day(last)?);
                    // fri-mon goes over the end of the week.
                    let length = (last + 7 - first) % 7;
                    (0..=length).for_each(|n| bits |= 1 << ((first + n) % 7));
                }
            }
        }
        Self::from_bits(bits).ok_or_else(invalid)
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0x7f {
            return f.write_str("daily");
        }
        let mut day = 0;
        let mut first = true;
        while day < 7 {
            let length = (day..7).take_while(|d| self.0 & (1 << d) != 0).count();
            if length > 0 {
                let comma = if first { "" } else { "," };
                first = false;
                match length {
                    1 => write!(f, "{comma}{}", NAMES[day])?,
                    2 => write!(f, "{comma}{},{}", NAMES[day], NAMES[day + 1])?,
                    _ => write!(f, "{comma}{}-{}", NAMES[day], NAMES[day + length - 1])?,
                }
            }
            day += length.max(1);
        }
        Ok(())
    }
}

/// A time on the clock, to the minute: `09:30`; `24:00` is the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(u16);

/// The text is no time of day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time of day; write hours and minutes such as 09:30, from 00:00 to 24:00")]
pub struct InvalidTimeOfDay(String);

impl TimeOfDay {
    /// Minutes since midnight, at most 1440.
    pub fn from_minutes(minutes: u16) -> Option<Self> {
        (minutes <= 1440).then_some(Self(minutes))
    }
}

impl FromStr for TimeOfDay {
    type Err = InvalidTimeOfDay;

    fn from_str(text: &str) -> Result<Self, InvalidTimeOfDay> {
        let invalid = || InvalidTimeOfDay(text.chars().filter(|c| !c.is_control()).take(40).collect());
        let (hours, minutes) = text.trim().split_once(':').ok_or_else(invalid)?;
        let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
            let plain = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u16>().ok().filter(|_| plain).ok_or_else(invalid)
        };
        let (hours, minutes) = (number(hours, 1..=2)?, number(minutes, 2..=2)?);
        match minutes {
            0..60 => Self::from_minutes(hours * 60 + minutes).ok_or_else(invalid),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

macro_rules! as_text {
    ($type:ident, $pattern:literal, $example:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "examples": [$example] })
            }
        }
    };
}

// What is sure to be one; other ways to write them are taken, too.
as_text!(
    Days,
    "^(daily|(mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))?(,(mon|tue|wed|thu|fri|sat|sun))*)$",
    "mon-fri"
);
as_text!(TimeOfDay, "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", "09:30");

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_read_as_they_are_written() {
        for (text, shown) in [
            ("mon-fri", "mon-fri"),
            ("Sat,Sun", "sat,sun"),
            ("fri-mon", "mon,fri-sun"),
            ("daily", "daily"),
            ("mon,wed,fri", "mon,wed,fri"),
            ("mon-sun", "daily"),
        ] {
            let days: Days = text.parse().unwrap();
            assert_eq!(days.to_string(), shown);
            assert_eq!(shown.parse(), Ok(days));
        }
        for bad in ["", "someday", "mon-", "mon--fri", "1-5", "mon fri"] {
            let error = bad.parse::<Days>().unwrap_err().to_string();
            assert!(error.contains("mon-fri"), "{error}");
        }
        for (text, shown) in [("9:05", "09:05"), ("00:00", "00:00"), ("24:00", "24:00")] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), shown);
        }
        for bad in ["", "9", "24:01", "09:60", "9:5", "-1:00", "+9:00", "999999:00"] {
            assert!(bad.parse::<TimeOfDay>().is_err(), "{bad}");
        }
    }
}
