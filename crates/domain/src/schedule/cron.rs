//! Cron expressions with a zone: `0 6 * * MON-FRI Europe/London`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use croner::parser::{CronParser, Seconds, Year};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::fields::FIELDS;
use super::{InvalidZone, Zone};

/// Minute, hour, day of month, month, day of week, and the zone in which they hold.
///
/// Where both kinds of day are given, either is enough, as with other crons.
#[derive(Clone)]
pub struct Cron {
    expression: String,
    zone: Zone,
    pattern: croner::Cron,
}

/// The text is no cron expression with a zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCron {
    #[error(
        "`{text}` is not a schedule: expected five fields (minute, hour, day of month, month, day of week) and a time zone, such as \"0 6 * * MON-FRI Europe/London\"; {why}"
    )]
    Fields { text: String, why: &'static str },
    #[error(
        "the {field} `{value}` of the schedule is wrong: {why}; allowed are {allowed}, `*`, lists (1,15), ranges (1-5) and steps (*/10)"
    )]
    Field { field: &'static str, value: String, why: String, allowed: &'static str },
    #[error(transparent)]
    Zone(#[from] InvalidZone),
    #[error("`{text}` never comes: there is no such day in any year; change the day of month or the month")]
    Never { text: String },
}

impl Cron {
    /// When it comes, for people: `at 06:00, Monday to Friday`. The zone is said apart.
    pub fn words(&self) -> String {
        super::words::of(&self.expression)
    }

    /// The five fields.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The first run after `at`, and never `at` itself; `None` when none comes before the end of the calendar.
    ///
    /// Each local minute that matches brings one run at most: at the first instant after the gap when the clocks skip
    /// it, and the first time when it comes twice.
    pub fn next_after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Croner sees local times alone, dressed as UTC; what they mean as instants is our rule, not its.
        let mut local = self.zone.local(at).and_utc();
        loop {
            local = self.pattern.find_next_occurrence(&local, false).ok()?;
            let instant = self.zone.instant(local.naive_utc()).instant();
            // Not after it: the second pass of a repeated hour, whose runs were in the first.
            if instant > at {
                return Some(instant);
            }
        }
    }
}

impl FromStr for Cron {
    type Err = InvalidCron;

    fn from_str(text: &str) -> Result<Self, InvalidCron> {
        let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
        let words: Vec<&str> = text.split_whitespace().collect();
        let fields = |why| Err(InvalidCron::Fields { text: text.trim().to_owned(), why });
        let zone = match words.as_slice() {
            [first, ..] if first.starts_with('@') => return fields("write out what the name with the `@` stands for"),
            [_, _, _, _, _] if words[4].contains('/') && words[4].parse::<Zone>().is_ok() => {
                return fields("one of the five fields is missing");
            }
            [_, _, _, _, _, zone] => zone.parse()?,
            [_, _, _, _, _] => return fields("the time zone is missing; write it at the end"),
            [_, _, _, _, _, _, last] if last.parse::<Zone>().is_ok() => {
                return fields("there are six fields; seconds are not supported");
            }
            few if few.len() < 5 => return fields("there are too few fields"),
            _ => return fields("there are too many fields"),
        };
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        for (n, (field, value)) in FIELDS.iter().zip(&words).enumerate() {
            let wrong = |why: String| InvalidCron::Field {
                field: field.name,
                value: (*value).to_owned(),
                why,
                allowed: field.allowed,
            };
            if let Some(why) = field.wrong(value) {
                return Err(wrong(why));
            }
            let mut alone = ["*"; 5];
            alone[n] = value;
            if parser.parse(&alone.join(" ")).is_err() {
                return Err(wrong("it can't be read".to_owned()));
            }
        }
        let expression = words[..5].join(" ");
        let pattern = parser
            .parse(&expression)
            .map_err(|_| InvalidCron::Fields { text: expression.clone(), why: "it can't be read" })?;
        let cron = Self { expression, zone, pattern };
        match cron.next_after(DateTime::UNIX_EPOCH) {
            Some(_) => Ok(cron),
            None => Err(InvalidCron::Never { text: cron.expression }),
        }
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression && self.zone == other.zone
    }
}
impl Eq for Cron {}
impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.expression, self.zone)
    }
}
impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({self})")
    }
}
impl Serialize for Cron {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Cron {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
impl JsonSchema for Cron {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Cron".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Minute, hour, day of month, month and day of week as in cron, and an IANA time zone.",
            "examples": ["0 6 * * MON-FRI Europe/London"],
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::{NaiveDateTime, TimeDelta, Timelike};
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn runs(cron: &str, from: &str, count: usize) -> Vec<String> {
        let cron: Cron = cron.parse().unwrap();
        let mut runs = vec![];
        let mut last = at(from);
        for _ in 0..count {
            last = cron.next_after(last).unwrap();
            runs.push(last.format("%m-%dT%H:%M").to_string());
        }
        runs
    }

    #[test]
    fn ordinary_days() {
        assert_eq!(runs("0 6 * * MON-FRI Europe/London", "2026-11-20T06:00:00Z", 2), ["11-23T06:00", "11-24T06:00"]);
        assert_eq!(runs("0 6 * * MON-FRI Europe/London", "2026-07-03T04:59:59Z", 2), ["07-03T05:00", "07-06T05:00"]);
        assert_eq!(
            runs("*/20 9 1 JAN * Asia/Tokyo", "2026-11-20T06:00:00Z", 3),
            ["01-01T00:00", "01-01T00:20", "01-01T00:40"]
        );
        assert_eq!(runs("0 0 L * * UTC", "2027-02-01T00:00:00Z", 2), ["02-28T00:00", "03-31T00:00"]);
        assert_eq!(runs("0 0 29 2 * UTC", "2026-02-01T00:00:00Z", 1), ["02-29T00:00"]);
        // Either kind of day is enough.
        assert_eq!(runs("0 0 13 * FRI UTC", "2026-11-12T00:00:01Z", 3), ["11-13T00:00", "11-20T00:00", "11-27T00:00"]);
    }

    #[test]
    fn on_the_day_of_a_gap_a_skipped_time_runs_once_right_after_it() {
        // 02:00 to 03:00 is skipped on 29 March.
        assert_eq!(
            runs("30 2 * * * Europe/Berlin", "2026-03-28T00:00:00Z", 3),
            ["03-28T01:30", "03-29T01:00", "03-30T00:30"]
        );
        assert_eq!(runs("0,30 2,3 29 3 * Europe/Berlin", "2026-03-28T00:00:00Z", 2), ["03-29T01:00", "03-29T01:30"]);
        assert_eq!(
            runs("*/15 * * * * Europe/Berlin", "2026-03-29T00:44:00Z", 3),
            ["03-29T00:45", "03-29T01:00", "03-29T01:15"]
        );
    }

    #[test]
    fn a_repeated_time_runs_the_first_time_alone() {
        assert_eq!(runs("30 2 * * * Europe/Berlin", "2026-10-24T12:00:00Z", 2), ["10-25T00:30", "10-26T01:30"]);
        assert_eq!(
            runs("*/30 * * * * Europe/Berlin", "2026-10-25T00:00:00Z", 3),
            ["10-25T00:30", "10-25T02:00", "10-25T02:30"]
        );
        // Asked in the middle of the second pass.
        assert_eq!(runs("45 2 * * * Europe/Berlin", "2026-10-25T01:10:00Z", 1), ["10-26T01:45"]);
    }

    #[test]
    fn wrong_ones_say_which_field_and_what_is_allowed() {
        for (text, words) in [
            ("", "too few"),
            ("0 6 * * MON-FRI", "time zone is missing"),
            ("0 6 * * Europe/London", "one of the five fields is missing"),
            ("0 0 6 * * MON-FRI Europe/London", "seconds are not supported"),
            ("@daily UTC", "write out"),
            ("60 6 * * * UTC", "minute `60` of the schedule is wrong: `60` is none of its values; allowed are 0-59"),
            ("0 24 * * * UTC", "hour `24`"),
            ("0 0 0 * * UTC", "day of month `0`"),
            ("0 0 * 13 * UTC", "month `13`"),
            ("0 0 * * FUNDAY UTC", "day of week `FUNDAY`"),
            ("0 0 * MON * UTC", "month `MON`"),
            ("MON 0 * * * UTC", "minute `MON`"),
            ("*/0 0 * * * UTC", "step"),
            ("*/ 0 * * * UTC", "no number behind"),
            ("1,,2 0 * * * UTC", "lacks a value"),
            ("50-10 0 * * * UTC", "goes backwards"),
            ("1-2-3 0 * * * UTC", "minute `1-2-3`"),
            ("0 0 * * FRI#9 UTC", "day of week `FRI#9`"),
            ("0 0 30 2 * UTC", "never comes"),
            ("0 6 * * * Europe/Londn", "did you mean `Europe/London`"),
            ("0 6 * * * *", "not a time zone"),
        ] {
            let error = text.parse::<Cron>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn it_comes_back_as_it_was_written() {
        let cron: Cron = " 0  6 * *  mon-fri   Europe/London ".parse().unwrap();
        assert_eq!(cron.to_string(), "0 6 * * mon-fri Europe/London");
        assert_eq!(serde_json::from_value::<Cron>(serde_json::to_value(&cron).unwrap()).unwrap(), cron);
    }

    fn zones() -> impl Strategy<Value = Zone> {
        let mut all: Vec<Zone> = Zone::all().collect();
        // Those with changes of the clocks, more often.
        for name in ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Gaza"] {
            all.extend(std::iter::repeat_n(name.parse::<Zone>().unwrap(), 60));
        }
        proptest::sample::select(all)
    }

    fn expressions() -> impl Strategy<Value = String> {
        let minute = prop_oneof![Just("*".to_owned()), Just("*/7".to_owned()), (0u32..60).prop_map(|m| m.to_string())];
        let hour = prop_oneof![Just("*".to_owned()), Just("1-3".to_owned()), (0u32..24).prop_map(|h| h.to_string())];
        let day = prop_oneof![4 => Just("*".to_owned()), 1 => (1u32..29).prop_map(|d| d.to_string())];
        (minute, hour, day).prop_map(|(m, h, d)| format!("{m} {h} {d} * *"))
    }

    /// Instants of three years, many of them close to where clocks change.
    fn instants() -> impl Strategy<Value = DateTime<Utc>> {
        let near = |text: &str| {
            let base = at(text);
            (-172_800i64..172_800).prop_map(move |s| base + TimeDelta::seconds(s))
        };
        prop_oneof![
            (1_767_225_600i64..1_861_920_000).prop_map(|s| DateTime::from_timestamp(s, 0).unwrap()),
            near("2026-03-29T01:00:00Z"),
            near("2026-10-25T01:00:00Z"),
            near("2027-03-14T07:00:00Z"),
            near("2027-04-03T15:00:00Z"),
        ]
    }

    /// Whether a local minute matches, by our own reading of the few forms above.
    fn matches(expression: &str, local: NaiveDateTime) -> bool {
        let field = |text: &str, value: u32| match text {
            "*" => true,
            "*/7" => value.is_multiple_of(7),
            "1-3" => (1..=3).contains(&value),
            n => n.parse() == Ok(value),
        };
        let f: Vec<&str> = expression.split(' ').collect();
        let day: u32 = local.format("%d").to_string().parse().unwrap();
        field(f[0], local.minute()) && field(f[1], local.hour()) && field(f[2], day)
    }

    proptest! {
        #[test]
        fn the_next_is_later_and_no_local_minute_comes_twice(
            zone in zones(), expression in expressions(), start in instants(),
        ) {
            let cron: Cron = format!("{expression} {zone}").parse().unwrap();
            let mut last = start;
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..40 {
                let Some(next) = cron.next_after(last) else { break };
                prop_assert!(next > last, "{} is not after {}", next, last);
                prop_assert!(seen.insert(zone.local(next)), "{} twice", zone.local(next));
                last = next;
            }
        }

        /// Against the definition: the instants that the matching local minutes of four days mean.
        #[test]
        fn the_runs_are_those_that_the_matching_local_minutes_mean(
            zone in zones(), expression in expressions(), start in instants(),
        ) {
            let cron: Cron = format!("{expression} {zone}").parse().unwrap();
            let end = start + TimeDelta::days(2);
            let mut wanted = std::collections::BTreeSet::new();
            let mut local = (start - TimeDelta::days(2)).naive_utc().with_second(0).unwrap().with_nanosecond(0).unwrap();
            while local.and_utc() < end + TimeDelta::days(2) {
                if matches(&expression, local) {
                    let instant = zone.instant(local).instant();
                    if instant > start && instant <= end {
                        wanted.insert(instant);
                    }
                }
                local += TimeDelta::minutes(1);
            }
            let mut got = std::collections::BTreeSet::new();
            let mut last = start;
            while let Some(next) = cron.next_after(last).filter(|next| *next <= end) {
                got.insert(next);
                last = next;
            }
            prop_assert_eq!(got, wanted);
        }
    }
}
