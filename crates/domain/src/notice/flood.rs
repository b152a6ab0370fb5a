//! How many messages a channel gets when much happens at once: the first ones each for itself, then one for many.

use chrono::{DateTime, TimeDelta, Utc};

/// Messages of one notice each that a channel gets within [`SPAN`]; after them comes one for many.
pub const ALONE: u32 = 5;
/// The time over which messages are counted.
pub const SPAN: TimeDelta = TimeDelta::minutes(10);
/// How long a first one for many waits for more.
const FIRST: TimeDelta = TimeDelta::minutes(1);

/// What a channel was sent, or is about to be sent, in the [`SPAN`] before now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recent {
    /// Messages of one notice each.
    pub alone: u32,
    /// Messages for many, but for one that is still open.
    pub many: u32,
    /// One for many takes in more until then.
    pub open_until: Option<DateTime<Utc>>,
}

/// Where a notice goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placing {
    /// A message of its own, at once.
    Alone,
    /// Into the message for many that is open.
    Join,
    /// A new message for many, sent at this time.
    Open(DateTime<Utc>),
}

/// Decides for the next notice of a channel. The order of notices is kept: while one for many is open, all go into it.
pub fn place(recent: Recent, now: DateTime<Utc>) -> Placing {
    if recent.open_until.is_some_and(|until| until > now) {
        return Placing::Join;
    }
    // One for many counts as a whole round: a channel that had it lately is in a flood that goes on.
    if recent.alone < ALONE && recent.many == 0 {
        return Placing::Alone;
    }
    // Half of the span, so that a flood that goes on is two messages in each.
    let wait = if recent.many == 0 { FIRST } else { SPAN / 2 };
    now.checked_add_signed(wait).map_or(Placing::Alone, Placing::Open)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Plays notices at these times and returns when messages are sent and how many notices each holds.
    fn play(times: &[DateTime<Utc>]) -> Vec<(DateTime<Utc>, usize, bool)> {
        let mut sent: Vec<(DateTime<Utc>, usize, bool)> = Vec::new();
        for now in times {
            let lately = |at: &DateTime<Utc>| *at > *now - SPAN;
            let open = sent.iter().position(|(at, _, many)| *many && at > now);
            let recent = Recent {
                alone: sent.iter().filter(|(at, _, many)| !many && lately(at)).count() as u32,
                many: sent.iter().filter(|(at, _, many)| *many && at <= now && lately(at)).count() as u32,
                open_until: open.map(|n| sent[n].0),
            };
            match (place(recent, *now), open) {
                (Placing::Alone, _) => sent.push((*now, 1, false)),
                (Placing::Join, Some(n)) => sent[n].1 += 1,
                (Placing::Open(until), _) => sent.push((until, 1, true)),
                (Placing::Join, None) => panic!("nothing is open"),
            }
        }
        sent
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn five_hundred_at_once_are_six_messages() {
        let sent = play(&[at(0); 500]);
        assert_eq!(sent.len(), 6);
        assert_eq!(sent[5], (at(60), 495, true));
    }

    #[test]
    fn a_few_are_told_one_by_one_and_at_once() {
        let times: Vec<_> = (0..20).map(|n| at(n * 130)).collect();
        assert!(play(&times).iter().all(|(_, notices, many)| *notices == 1 && !many));
    }

    #[test]
    fn after_a_flood_one_is_told_at_once_again() {
        let mut times = vec![at(0); 500];
        times.push(at(60 + 600 + 1));
        assert_eq!(play(&times).last(), Some(&(at(661), 1, false)));
    }

    proptest! {
        /// However they come: never more than seven messages in a span, none lost, and none late by more than half a span.
        #[test]
        fn a_flood_is_a_trickle(gaps in proptest::collection::vec(0..90_i64, 1..400)) {
            let times: Vec<_> = gaps.iter().scan(0, |now, gap| { *now += gap; Some(at(*now)) }).collect();
            let sent = play(&times);
            prop_assert_eq!(sent.iter().map(|(_, notices, _)| notices).sum::<usize>(), times.len());
            for (from, ..) in &sent {
                let within = sent.iter().filter(|(at, ..)| at >= from && *at < *from + SPAN).count();
                prop_assert!(within <= 8, "{} messages", within);
            }
        }
    }
}
