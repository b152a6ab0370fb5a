//! When an environment may be deployed to: deploy windows, which open it, and freezes, which close it.
//!
//! An environment without any deploy window is open; with at least one it is closed outside of them. A freeze closes
//! it whatever the windows say. Each window is an interval of instants: from what its local begin means to what its
//! local end means, by the rule for changing clocks of [`crate::schedule`].

mod weekly;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::WindowId;
pub use weekly::{Day, Days, InvalidDays, InvalidTimeOfDay, TimeOfDay, Weekly};

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule {
    /// Deployments may begin then.
    Deploy(Weekly),
    /// No deployment may begin then.
    Freeze(Freeze),
}

impl Rule {
    pub const fn kind(&self) -> &'static str {
        match self {
            Rule::Deploy(_) => "deploy",
            Rule::Freeze(_) => "freeze",
        }
    }
}

/// From one instant to another, or until it is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    pub from: DateTime<Utc>,
    /// Until it is removed, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    pub reason: String,
}

impl Freeze {
    fn covers(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// A rule and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub id: WindowId,
    pub rule: Rule,
}

/// Whether a deployment may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Open {
        /// When that changes, if it is known to.
        until: Option<DateTime<Utc>>,
    },
    Closed {
        /// When it opens; unknown while a freeze without an end lasts.
        until: Option<DateTime<Utc>>,
        /// The rule that closes it; the first deploy window when it is outside of all.
        by: WindowId,
        why: String,
    },
}

impl Verdict {
    pub fn is_open(&self) -> bool {
        matches!(self, Verdict::Open { .. })
    }
}

/// A time in which a rule holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    pub from: DateTime<Utc>,
    pub until: Option<DateTime<Utc>>,
}

/// Judges `now` by all rules of an environment.
pub fn verdict(windows: &[Window], now: DateTime<Utc>) -> Verdict {
    match closed_by(windows, now) {
        None => Verdict::Open { until: closes(windows, now) },
        Some((window, why)) => Verdict::Closed { until: opens(windows, now), by: window.id.clone(), why },
    }
}

/// What keeps the environment closed at `at`.
fn closed_by(windows: &[Window], at: DateTime<Utc>) -> Option<(&Window, String)> {
    // Of several freezes the one that lasts longest.
    let freeze = freezes(windows)
        .filter(|(_, freeze)| freeze.covers(at))
        .max_by_key(|(_, freeze)| freeze.until.unwrap_or(DateTime::<Utc>::MAX_UTC));
    if let Some((window, freeze)) = freeze {
        return Some((window, format!("frozen: {}", freeze.reason)));
    }
    let first = weeklies(windows).next()?;
    match weeklies(windows).any(|(_, weekly)| weekly.covers(at)) {
        true => None,
        false => Some((first.0, format!("outside of the deploy windows ({})", listed(windows)))),
    }
}

/// The first instant after `at` at which it is open; `at` itself must be closed.
fn opens(windows: &[Window], at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut at = at;
    // Each round leaves a freeze for good, or goes into a window, so twice their number is enough.
    for _ in 0..=2 * windows.len() {
        let frozen =
            freezes(windows).filter(|(_, freeze)| freeze.covers(at)).map(|(_, freeze)| freeze.until).max_by_key(
                // No end is later than any.
                |until| until.unwrap_or(DateTime::<Utc>::MAX_UTC),
            );
        if let Some(until) = frozen {
            at = until?;
        } else if weeklies(windows).next().is_some() && !weeklies(windows).any(|(_, weekly)| weekly.covers(at)) {
            at = weeklies(windows).filter_map(|(_, weekly)| weekly.next_begin(at)).min()?;
        } else {
            return Some(at);
        }
    }
    None
}

/// The first instant after `at` at which it is closed; `at` itself must be open.
fn closes(windows: &[Window], at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let frozen = freezes(windows).map(|(_, freeze)| freeze.from).filter(|from| *from > at).min();
    let mut end = None;
    // Windows that touch or overlap go on in each other; a week of them has no end worth telling.
    let mut inside = at;
    for _ in 0..=8 * windows.len() {
        let Some(until) = weeklies(windows).filter_map(|(_, weekly)| weekly.end_at(inside)).max() else { break };
        end = Some(until);
        inside = until;
    }
    let endless = weeklies(windows).any(|(_, weekly)| weekly.covers(inside));
    match (end.filter(|_| !endless), frozen) {
        (Some(end), Some(frozen)) => Some(end.min(frozen)),
        (end, frozen) => end.or(frozen),
    }
}

/// The intervals of a rule that touch the time from `from` to `until`.
pub fn intervals(rule: &Rule, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Interval> {
    match rule {
        Rule::Freeze(freeze) if freeze.from < until && freeze.until.is_none_or(|end| end > from) => {
            vec![Interval { from: freeze.from, until: freeze.until }]
        }
        Rule::Freeze(_) => Vec::new(),
        Rule::Deploy(weekly) => {
            weekly.intervals(from, until).map(|(from, until)| Interval { from, until: Some(until) }).collect()
        }
    }
}

fn listed(windows: &[Window]) -> String {
    let all: Vec<String> = weeklies(windows).map(|(_, weekly)| weekly.to_string()).collect();
    match all.as_slice() {
        [first, second, third, _, ..] => format!("{first}; {second}; {third}; …"),
        few => few.join("; "),
    }
}

fn freezes(windows: &[Window]) -> impl Iterator<Item = (&Window, &Freeze)> {
    windows.iter().filter_map(|window| match &window.rule {
        Rule::Freeze(freeze) => Some((window, freeze)),
        Rule::Deploy(_) => None,
    })
}

fn weeklies(windows: &[Window]) -> impl Iterator<Item = (&Window, &Weekly)> {
    windows.iter().filter_map(|window| match &window.rule {
        Rule::Deploy(weekly) => Some((window, weekly)),
        Rule::Freeze(_) => None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::Zone;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn window(n: u128, rule: Rule) -> Window {
        Window { id: WindowId::from_ulid(ulid::Ulid::from_parts(1, n)), rule }
    }

    fn weekly(days: &str, from: &str, to: &str, zone: &str) -> Rule {
        let (days, from, to, zone) =
            (days.parse().unwrap(), from.parse().unwrap(), to.parse().unwrap(), zone.parse().unwrap());
        Rule::Deploy(Weekly { days, from, to, zone })
    }

    fn freeze(from: &str, until: Option<&str>) -> Rule {
        Rule::Freeze(Freeze { from: at(from), until: until.map(at), reason: "year end".into() })
    }

    fn opening(windows: &[Window], now: &str) -> Option<String> {
        match verdict(windows, at(now)) {
            Verdict::Open { .. } => panic!("it is open"),
            Verdict::Closed { until, .. } => until.map(|u| u.to_rfc3339()),
        }
    }

    #[test]
    fn without_rules_it_is_open() {
        assert_eq!(verdict(&[], at("2026-11-21T12:00:00Z")), Verdict::Open { until: None });
    }

    #[test]
    fn outside_of_all_windows_it_is_closed_until_the_next_one() {
        let windows = [window(1, weekly("mon-fri", "09:00", "17:00", "Europe/Berlin"))];
        // A Saturday.
        assert_eq!(opening(&windows, "2026-11-21T12:00:00Z"), Some("2026-11-23T08:00:00+00:00".into()));
        assert_eq!(
            verdict(&windows, at("2026-11-23T08:00:00Z")),
            Verdict::Open { until: Some(at("2026-11-23T16:00:00Z")) }
        );
        assert_eq!(opening(&windows, "2026-11-23T16:00:00Z"), Some("2026-11-24T08:00:00+00:00".into()));
        let Verdict::Closed { why, by, .. } = verdict(&windows, at("2026-11-21T12:00:00Z")) else { panic!() };
        assert!(why.contains("mon-fri 09:00-17:00 Europe/Berlin") && by == windows[0].id, "{why}");
    }

    #[test]
    fn a_window_may_go_over_midnight_and_touch_the_next() {
        let night = [window(1, weekly("sun", "22:00", "04:00", "UTC"))];
        assert!(verdict(&night, at("2026-11-23T03:59:00Z")).is_open());
        assert!(!verdict(&night, at("2026-11-23T04:00:00Z")).is_open());
        assert!(!verdict(&night, at("2026-11-22T03:00:00Z")).is_open());
        let touching =
            [window(1, weekly("mon", "08:00", "12:00", "UTC")), window(2, weekly("mon", "12:00", "13:00", "UTC"))];
        assert_eq!(
            verdict(&touching, at("2026-11-23T09:00:00Z")),
            Verdict::Open { until: Some(at("2026-11-23T13:00:00Z")) }
        );
        let always = [window(1, weekly("mon-sun", "00:00", "24:00", "Europe/Berlin"))];
        assert_eq!(verdict(&always, at("2026-11-23T09:00:00Z")), Verdict::Open { until: None });
    }

    #[test]
    fn a_freeze_closes_even_an_open_window_and_the_opening_is_after_both() {
        let windows = [
            window(1, weekly("mon-fri", "09:00", "17:00", "UTC")),
            window(2, freeze("2026-12-20T00:00:00Z", Some("2027-01-02T12:00:00Z"))),
            window(3, freeze("2027-01-04T08:00:00Z", Some("2027-01-04T10:30:00Z"))),
        ];
        assert_eq!(opening(&windows, "2026-12-21T10:00:00Z"), Some("2027-01-04T10:30:00+00:00".into()));
        let Verdict::Closed { why, .. } = verdict(&windows, at("2026-12-21T10:00:00Z")) else { panic!() };
        assert_eq!(why, "frozen: year end");
        assert_eq!(
            verdict(&windows, at("2027-01-04T11:00:00Z")),
            Verdict::Open { until: Some(at("2027-01-04T17:00:00Z")) }
        );
        let endless = [window(1, freeze("2026-12-20T00:00:00Z", None))];
        assert_eq!(opening(&endless, "2026-12-21T10:00:00Z"), None);
        assert_eq!(
            verdict(&endless, at("2026-12-19T10:00:00Z")),
            Verdict::Open { until: Some(at("2026-12-20T00:00:00Z")) }
        );
    }

    #[test]
    fn on_the_days_of_changing_clocks_the_opening_is_exact() {
        // Skipped: it begins at the first instant after the gap.
        let windows = [window(1, weekly("sun", "02:30", "06:00", "Europe/Berlin"))];
        assert_eq!(opening(&windows, "2026-03-28T12:00:00Z"), Some("2026-03-29T01:00:00+00:00".into()));
        // Repeated: it begins the first time and is not interrupted.
        assert_eq!(opening(&windows, "2026-10-24T12:00:00Z"), Some("2026-10-25T00:30:00+00:00".into()));
        assert!(verdict(&windows, at("2026-10-25T01:10:00Z")).is_open());
        // All of it is skipped: the next one is a week later.
        let gone = [window(1, weekly("sun", "02:10", "02:50", "Europe/Berlin"))];
        assert_eq!(opening(&gone, "2026-03-28T12:00:00Z"), Some("2026-04-05T00:10:00+00:00".into()));
    }

    fn rules() -> impl Strategy<Value = Vec<Window>> {
        let zones = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"];
        let deploy = (1u8..128, 0u16..1440, 1u16..=1440, 0usize..5).prop_map(move |(bits, from, length, zone)| {
            let to = match from + length {
                to @ 0..=1440 => to,
                to => to - 1440,
            };
            let zone: Zone = zones[zone].parse().unwrap();
            let time = |minutes: u16| TimeOfDay::from_minutes(minutes).unwrap();
            Rule::Deploy(Weekly { days: Days::from_bits(bits).unwrap(), from: time(from), to: time(to), zone })
        });
        let freeze =
            (0i64..400, prop_oneof![1 => Just(None), 6 => (1i64..300).prop_map(Some)]).prop_map(|(from, length)| {
                let from = at("2026-03-20T00:00:00Z") + TimeDelta::hours(from);
                Rule::Freeze(Freeze { from, until: length.map(|l| from + TimeDelta::hours(l)), reason: "x".into() })
            });
        proptest::collection::vec(prop_oneof![3 => deploy, 1 => freeze], 0..5)
            .prop_map(|rules| rules.into_iter().zip(1..).map(|(rule, n)| window(n, rule)).collect())
    }

    proptest! {
        /// The opening is open, and nothing between now and then is.
        #[test]
        fn the_opening_is_the_first_open_instant(windows in rules(), minutes in 0i64..20_000) {
            let now = at("2026-03-21T00:00:00Z") + TimeDelta::minutes(minutes);
            match verdict(&windows, now) {
                Verdict::Closed { until: Some(until), .. } => {
                    prop_assert!(until > now);
                    prop_assert!(verdict(&windows, until).is_open());
                    let mut between = now;
                    while between < until {
                        prop_assert!(!verdict(&windows, between).is_open(), "{between}");
                        between += ((until - now) / 50).max(TimeDelta::minutes(1));
                    }
                    prop_assert!(!verdict(&windows, until - TimeDelta::seconds(1)).is_open());
                }
                Verdict::Closed { until: None, .. } => {
                    let endless = |w: &Window| matches!(&w.rule, Rule::Freeze(f) if f.until.is_none());
                    prop_assert!(windows.iter().any(endless));
                }
                Verdict::Open { until: Some(until) } => {
                    prop_assert!(until > now);
                    prop_assert!(!verdict(&windows, until).is_open());
                    prop_assert!(verdict(&windows, until - TimeDelta::seconds(1)).is_open());
                }
                Verdict::Open { until: None } => {}
            }
        }
    }
}
