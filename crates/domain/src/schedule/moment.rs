//! Points in time as people write them.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::{InvalidZone, Local, Zone};

/// A point in time, and whether it is not quite what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub at: DateTime<Utc>,
    pub shift: Option<Shift>,
}

/// What the change of the clocks makes of a local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// The clocks skip it: the first instant after the gap is taken.
    Skipped(Zone),
    /// It comes twice: the first one is taken.
    Repeated(Zone),
}

/// The text is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMoment {
    #[error("`{text}` is not a point in time; {FORMS}")]
    Form { text: String },
    #[error(
        "`{text}` does not say in which time zone; write it behind the time, such as `{text} Europe/Berlin` or `{text} UTC`"
    )]
    NoZone { text: String },
    #[error("`{text}` is no date or time that exists; {FORMS}")]
    Date { text: String },
    #[error(transparent)]
    Zone(#[from] InvalidZone),
    #[error("`{text}` is too far away: at most ten years from now")]
    Far { text: String },
}

const FORMS: &str =
    "write \"2026-12-01 09:30 Europe/Berlin\", \"2026-12-01T09:30:00+01:00\", or \"in 2h\" (\"in 90s\", \"in 1d 6h\")";

const FARTHEST: TimeDelta = TimeDelta::days(3660);

/// Reads `2026-12-01 09:30 Europe/Berlin`, RFC 3339, or `in 2h`, which counts from `now`.
///
/// A local time that the clocks skip is moved forward to the first instant that exists; of one that comes twice the
/// first is taken. Whether it is in the past is for the caller to judge.
///
/// # Errors
/// What is wrong, and how it is written right.
pub fn parse_instant(text: &str, now: DateTime<Utc>) -> Result<Moment, InvalidMoment> {
    let text: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    let text = text.trim();
    let form = || InvalidMoment::Form { text: text.to_owned() };
    let near = |at: DateTime<Utc>| match at - now > FARTHEST {
        true => Err(InvalidMoment::Far { text: text.to_owned() }),
        false => Ok(at),
    };
    if let Some(span) = text.strip_prefix("in ") {
        let span = humantime::parse_duration(span.trim()).map_err(|_| form())?;
        let far = || InvalidMoment::Far { text: text.to_owned() };
        let span = TimeDelta::from_std(span).map_err(|_| far())?;
        let at = now.checked_add_signed(span).ok_or_else(far)?;
        return Ok(Moment { at: near(at)?, shift: None });
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Moment { at: near(at.with_timezone(&Utc))?, shift: None });
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let (date, time, zone) = match words.as_slice() {
        [joined] if joined.contains('T') => {
            let (date, time) = joined.split_once('T').unwrap_or((joined, ""));
            (date, time, None)
        }
        [joined, zone] if joined.contains('T') => {
            let (date, time) = joined.split_once('T').unwrap_or((joined, ""));
            (date, time, Some(*zone))
        }
        [date, time] => (*date, *time, None),
        [date, time, zone @ ..] => (*date, *time, Some(zone[0]).filter(|_| zone.len() == 1)),
        _ => return Err(form()),
    };
    if !looks_like(date, '-') || !looks_like(time, ':') || words.len() > 3 {
        return Err(form());
    }
    let local = format!("{date} {time}");
    let local = NaiveDateTime::parse_from_str(&local, "%Y-%m-%d %H:%M")
        .or_else(|_| NaiveDateTime::parse_from_str(&local, "%Y-%m-%d %H:%M:%S"))
        .map_err(|_| InvalidMoment::Date { text: text.to_owned() })?;
    let zone: Zone = zone.ok_or_else(|| InvalidMoment::NoZone { text: text.to_owned() })?.parse()?;
    let (at, shift) = match zone.instant(local) {
        Local::Once(at) => (at, None),
        Local::Twice(at) => (at, Some(Shift::Repeated(zone))),
        Local::Skipped(at) => (at, Some(Shift::Skipped(zone))),
    };
    Ok(Moment { at: near(at)?, shift })
}

/// Numbers with `separator` between them, so that what is wrong is one of the numbers.
fn looks_like(text: &str, separator: char) -> bool {
    let numbers = text.split(separator);
    let count = numbers.clone().count();
    (2..=3).contains(&count) && numbers.clone().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn read(text: &str) -> Result<(String, Option<Shift>), InvalidMoment> {
        parse_instant(text, now()).map(|m| (m.at.to_rfc3339(), m.shift))
    }

    #[test]
    fn each_form_is_read() {
        for (text, at) in [
            ("2026-12-01 09:30 Europe/Berlin", "2026-12-01T08:30:00+00:00"),
            ("2026-12-01T09:30 Europe/Berlin", "2026-12-01T08:30:00+00:00"),
            ("2026-12-01 09:30:15 UTC", "2026-12-01T09:30:15+00:00"),
            ("2026-12-01T09:30:00+01:00", "2026-12-01T08:30:00+00:00"),
            ("2026-12-01T09:30:00Z", "2026-12-01T09:30:00+00:00"),
            ("in 2h", "2026-11-21T14:00:00+00:00"),
            (" in 3 seconds ", "2026-11-21T12:00:03+00:00"),
            ("in 1d 6h", "2026-11-22T18:00:00+00:00"),
        ] {
            assert_eq!(read(text), Ok((at.to_owned(), None)), "{text}");
        }
    }

    #[test]
    fn changes_of_the_clocks_are_told() {
        let berlin = "Europe/Berlin".parse().unwrap();
        let skipped = read("2027-03-28 02:30 Europe/Berlin").unwrap();
        assert_eq!(skipped, ("2027-03-28T01:00:00+00:00".to_owned(), Some(Shift::Skipped(berlin))));
        let repeated = read("2027-10-31 02:30 Europe/Berlin").unwrap();
        assert_eq!(repeated, ("2027-10-31T00:30:00+00:00".to_owned(), Some(Shift::Repeated(berlin))));
    }

    #[test]
    fn what_is_wrong_says_how_it_is_right() {
        for (text, words) in [
            ("", "in 2h"),
            ("tomorrow", "in 2h"),
            ("in soon", "in 2h"),
            ("2026-12-01 09:30", "2026-12-01 09:30 Europe/Berlin"),
            ("2026-12-01T09:30", "time zone"),
            ("2026-13-01 09:30 UTC", "exists"),
            ("2026-12-01 25:30 UTC", "exists"),
            ("2026-02-30 09:30 UTC", "exists"),
            ("2026-12-01 09:30 Berlin", "did you mean `Europe/Berlin`"),
            ("2026-12-01 09:30 Europe/Berlin please", "in 2h"),
            ("9999-12-01 09:30 UTC", "ten years"),
            ("in 99999y", "ten years"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
