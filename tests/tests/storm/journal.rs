//! What builds and apps wrote down themselves.

use std::fs;

use chrono::{DateTime, Utc};
use domain::DeploymentId;

use crate::world::World;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: DateTime<Utc>,
    /// `begin`, `end`, or `overlap`: somebody else was at it.
    pub(crate) kind: String,
    /// `build`, `release` or `run`.
    pub(crate) what: String,
    pub(crate) deployment: DeploymentId,
    text: String,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// The journal of an environment, in the order of its writing.
pub(crate) fn read(world: &World, place: usize) -> Vec<Line> {
    let label = world.places[place].label();
    let text = fs::read_to_string(world.journals.join(format!("{label}.log"))).unwrap_or_default();
    text.lines()
        .filter_map(|text| {
            let line = parse(text);
            if line.is_none() {
                world.story.wrong(format!("the journal of {label} has a line that nobody writes: {text:?}"));
            }
            line
        })
        .collect()
}

fn parse(text: &str) -> Option<Line> {
    let mut words = text.split(' ');
    let at = DateTime::from_timestamp_micros(words.next()?.parse().ok()?)?;
    let (kind, what) = (words.next()?.to_owned(), words.next()?.to_owned());
    let deployment = words.next()?.split('-').next()?.parse().ok()?;
    Some(Line { at, kind, what, deployment, text: text.to_owned() })
}
