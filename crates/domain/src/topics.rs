//! What somebody follows over one line, and how far he has got in each.

use std::fmt;
use std::str::FromStr;

use crate::cursor::LogCursor;
use crate::id::DeploymentId;
use crate::name::Name;

/// So many can be followed over one line.
pub const MOST: usize = 16;

macro_rules! name_pattern {
    () => {
        "[a-z]([a-z0-9-]{0,38}[a-z0-9])?"
    };
}
macro_rules! deployment_pattern {
    () => {
        "dep_[0-7][0-9a-hjkmnp-tv-z]{25}"
    };
}
macro_rules! logs_pattern {
    () => {
        "(0|[0-9a-f]{10}:[0-9]{1,18}(,[0-9a-f]{10}:[0-9]{1,18}){0,99})"
    };
}
macro_rules! topic_pattern {
    () => {
        concat!(
            "((events|notices)(@[0-9]{1,18})?|dep:",
            deployment_pattern!(),
            ":log(@[0-9]{1,18})?|env:",
            name_pattern!(),
            "/",
            name_pattern!(),
            ":log(@",
            logs_pattern!(),
            ")?)"
        )
    };
}
macro_rules! place_pattern {
    () => {
        concat!(
            "([en]=[0-9]{1,18}|",
            deployment_pattern!(),
            "=[0-9]{1,18}|",
            name_pattern!(),
            "/",
            name_pattern!(),
            "=",
            logs_pattern!(),
            ")"
        )
    };
}

/// What a list of topics looks like. That none is there twice it can't say.
pub const TOPICS_PATTERN: &str = concat!("^", topic_pattern!(), "(,", topic_pattern!(), "){0,15}$");
/// What the cursor of several topics looks like. That none is there twice it can't say.
pub const CURSOR_PATTERN: &str = concat!("^", place_pattern!(), "(;", place_pattern!(), "){0,15}$");

/// Something that can be followed, and where one is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// All events that one may see: those after this one, from now on without. `events`, `events@17`
    Events { after: Option<i64> },
    /// What people want to be told of those events, in words: as with events. `notices`, `notices@17`
    Notices { after: Option<i64> },
    /// What a deployment prints: behind the line of this number, from the first without. `dep:dep_01k8…:log@17`
    Output { deployment: DeploymentId, after: Option<u64> },
    /// What the instances of an environment print: behind this place, from the newest without. `env:shop/production:log@0`
    Logs { app: Name, environment: Name, after: Option<LogCursor> },
}

/// Topics, one at least, none of them twice.
///
/// As text they have commas between them. Cursors of logs have commas, too; but no topic looks like a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics(Vec<Topic>);

/// Why a text is no list of topics, or no cursor of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopics {
    #[error(
        "`{0}` is not a topic: expected `events`, `notices`, `dep:<deployment>:log` or `env:<app>/<environment>:log`"
    )]
    Unknown(String),
    #[error("`{0}` does not name a place: expected {1} behind the `@`")]
    Place(String, &'static str),
    #[error("`{0}` is there twice")]
    Twice(String),
    #[error("at most {MOST} topics can be followed over one line")]
    TooMany,
    #[error("`{0}` is not a part of a cursor: expected the `id` of a message of this stream")]
    Cursor(String),
}

/// Nobody needs to read more of what is wrong.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

impl Topic {
    /// What is followed, without the place.
    pub fn name(&self) -> String {
        match self {
            Topic::Events { .. } => "events".to_owned(),
            Topic::Notices { .. } => "notices".to_owned(),
            Topic::Output { deployment, .. } => format!("dep:{deployment}:log"),
            Topic::Logs { app, environment, .. } => format!("env:{app}/{environment}:log"),
        }
    }

    /// What it is called in a cursor.
    fn key(&self) -> String {
        match self {
            Topic::Events { .. } => "e".to_owned(),
            Topic::Notices { .. } => "n".to_owned(),
            Topic::Output { deployment, .. } => deployment.to_string(),
            Topic::Logs { app, environment, .. } => format!("{app}/{environment}"),
        }
    }

    fn place(&self) -> Option<String> {
        match self {
            Topic::Events { after } | Topic::Notices { after } => after.map(|after| after.to_string()),
            Topic::Output { after, .. } => after.map(|after| after.to_string()),
            Topic::Logs { after, .. } => after.as_ref().map(LogCursor::to_string),
        }
    }

    /// Goes to a place. `false` when the text is none.
    fn go_to(&mut self, place: &str) -> bool {
        match self {
            Topic::Events { after } | Topic::Notices { after } => {
                *after = number(place).and_then(|n| n.try_into().ok());
            }
            Topic::Output { after, .. } => *after = number(place),
            Topic::Logs { after, .. } => *after = place.parse().ok(),
        }
        self.place().is_some()
    }

    fn kind_of_place(&self) -> &'static str {
        match self {
            Topic::Events { .. } | Topic::Notices { .. } => "the number of an event",
            Topic::Output { .. } => "the number of a line",
            Topic::Logs { .. } => "a cursor of logs",
        }
    }
}

/// Digits alone: `parse` would take a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `events`, `notices`, `dep:…:log` or `env:…/…:log`.
fn named(name: &str) -> Option<Topic> {
    match name {
        "events" => return Some(Topic::Events { after: None }),
        "notices" => return Some(Topic::Notices { after: None }),
        _ => {}
    }
    let (kind, rest) = name.split_once(':')?;
    let what = rest.strip_suffix(":log")?;
    match kind {
        "dep" => Some(Topic::Output { deployment: what.parse().ok()?, after: None }),
        "env" => {
            let (app, environment) = what.split_once('/')?;
            Some(Topic::Logs { app: app.parse().ok()?, environment: environment.parse().ok()?, after: None })
        }
        _ => None,
    }
}

impl FromStr for Topic {
    type Err = InvalidTopics;

    fn from_str(text: &str) -> Result<Self, InvalidTopics> {
        let (name, place) = text.split_once('@').map_or((text, None), |(name, place)| (name, Some(place)));
        let mut topic = named(name).ok_or_else(|| InvalidTopics::Unknown(shown(text)))?;
        match place {
            Some(place) if !topic.go_to(place) => Err(InvalidTopics::Place(shown(text), topic.kind_of_place())),
            _ => Ok(topic),
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        self.place().map_or(Ok(()), |place| write!(f, "@{place}"))
    }
}

impl Topics {
    pub fn all(&self) -> &[Topic] {
        &self.0
    }

    /// To note where one is, by the order of [`Topics::all`].
    pub fn at(&mut self, index: usize) -> Option<&mut Topic> {
        self.0.get_mut(index)
    }

    /// Where one is in all of them: `e=17;dep_01k8…=4`. Without those that one has not begun with.
    pub fn cursor(&self) -> String {
        let parts = self.0.iter().filter_map(|topic| Some(format!("{}={}", topic.key(), topic.place()?)));
        parts.collect::<Vec<_>>().join(";")
    }

    /// Goes to where a cursor says. What it says of topics that are not followed any more is of no use.
    ///
    /// # Errors
    /// When the text is no cursor; then some topics may have moved.
    pub fn go_to(&mut self, cursor: &str) -> Result<(), InvalidTopics> {
        let mut seen: Vec<&str> = Vec::new();
        for part in cursor.split(';') {
            let invalid = || InvalidTopics::Cursor(shown(part));
            let (key, place) = part.split_once('=').ok_or_else(invalid)?;
            if seen.contains(&key) {
                return Err(InvalidTopics::Twice(shown(key)));
            }
            seen.push(key);
            let mut known = of_key(key).ok_or_else(invalid)?;
            if !known.go_to(place) {
                return Err(invalid());
            }
            if let Some(topic) = self.0.iter_mut().find(|topic| topic.key() == key) {
                *topic = known;
            }
        }
        Ok(())
    }
}

fn of_key(key: &str) -> Option<Topic> {
    match key.split_once('/') {
        Some((app, environment)) => named(&format!("env:{app}/{environment}:log")),
        None if key == "e" => named("events"),
        None if key == "n" => named("notices"),
        None => named(&format!("dep:{key}:log")),
    }
}

impl FromStr for Topics {
    type Err = InvalidTopics;

    fn from_str(text: &str) -> Result<Self, InvalidTopics> {
        let mut topics: Vec<Topic> = Vec::new();
        let mut rest = text;
        loop {
            let (topic, next) = first(rest);
            let topic: Topic = topic.parse()?;
            if topics.iter().any(|known| known.key() == topic.key()) {
                return Err(InvalidTopics::Twice(topic.name()));
            }
            if topics.len() == MOST {
                return Err(InvalidTopics::TooMany);
            }
            topics.push(topic);
            match next {
                Some(next) => rest = next,
                None => return Ok(Self(topics)),
            }
        }
    }
}

/// The first topic of a text, and what follows its comma: one that no part of a cursor of logs comes behind.
fn first(text: &str) -> (&str, Option<&str>) {
    let commas = text.match_indices(',').map(|(at, _)| at);
    for at in commas {
        let next = &text[at + 1..];
        if !is_part_of_cursor(next) {
            return (&text[..at], Some(next));
        }
    }
    (text, None)
}

/// Ten digits of a log's name and a colon.
fn is_part_of_cursor(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.get(10) == Some(&b':') && bytes[..10].iter().all(u8::is_ascii_hexdigit)
}

impl fmt::Display for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, topic) in self.0.iter().enumerate() {
            write!(f, "{}{topic}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEPLOYMENT: &str = "dep_01hf7yat00000000000000002a";

    fn parsed(text: &str) -> Topics {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn topics_and_places_are_read_and_written() {
        let text = format!(
            "events@17,env:shop/production:log@0123456789:4,abcdef0123:19,dep:{DEPLOYMENT}:log@4,env:shop/b:log@0"
        );
        let topics = parsed(&text);
        assert_eq!(topics.all().len(), 4);
        assert_eq!(topics.to_string(), text);
        let cursor = format!("e=17;shop/production=0123456789:4,abcdef0123:19;{DEPLOYMENT}=4;shop/b=0");
        assert_eq!(topics.cursor(), cursor);
        let mut fresh = parsed(&format!("events,env:shop/production:log,dep:{DEPLOYMENT}:log,env:shop/b:log"));
        assert_eq!(fresh.cursor(), "");
        fresh.go_to(&cursor).unwrap();
        assert_eq!(fresh, topics);
        let mut both = parsed("events,notices@3");
        both.go_to("e=4;n=9").unwrap();
        assert_eq!((both.to_string().as_str(), both.cursor().as_str()), ("events@4,notices@9", "e=4;n=9"));
        // Topics come and go while somebody follows: what he has of the others stays.
        let mut other = parsed("env:shop/a:log,events@3");
        other.go_to(&cursor).unwrap();
        assert_eq!(other.to_string(), "env:shop/a:log,events@17");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let many = (0..=MOST).map(|n| format!("env:a/b{n}:log")).collect::<Vec<_>>().join(",");
        let twice = format!("dep:{DEPLOYMENT}:log@1,dep:{DEPLOYMENT}:log@2");
        for (text, why) in [
            ("", "`` is not a topic"),
            ("events,", "`` is not a topic"),
            ("event", "`event` is not a topic"),
            ("notice", "is not a topic"),
            ("notices@x", "number of an event"),
            ("notices,notices@4", "`notices` is there twice"),
            ("events@", "number of an event"),
            ("events@-1", "number of an event"),
            ("events@9223372036854775808", "number of an event"),
            ("dep:dep_1:log", "is not a topic"),
            ("dep:01hf7yat00000000000000002a:log", "is not a topic"),
            ("env:shop:log", "is not a topic"),
            ("env:shop/production", "is not a topic"),
            ("env:shop/production:log@x", "a cursor of logs"),
            ("env:../production:log", "is not a topic"),
            ("events,events@4", "`events` is there twice"),
            (&twice, "is there twice"),
            (&many, "at most 16"),
        ] {
            let error = text.parse::<Topics>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        for cursor in ["", "e", "e=", "e=x", "x=1", "e=1;", "e=1;e=2", "dep_1=4", "shop/=0", "shop/a=1", "e=+1"] {
            assert!(parsed("events").go_to(cursor).is_err(), "{cursor}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_between_a_place_and_its_cursor(
            event in proptest::option::of(0..i64::MAX), line in proptest::option::of(0..u64::MAX),
            logs in proptest::option::of(proptest::collection::vec(("[a-z]{1,9}", 1..u64::MAX), 0..5)),
        ) {
            let mut topics = parsed(&format!("env:a/b:log,events,dep:{DEPLOYMENT}:log"));
            let cursor = logs.map(|logs| {
                let mut cursor = LogCursor::default();
                logs.iter().for_each(|(log, seq)| cursor.set(log, *seq));
                cursor
            });
            let (app, environment) = ("a".parse().unwrap(), "b".parse().unwrap());
            *topics.at(0).unwrap() = Topic::Logs { app, environment, after: cursor };
            *topics.at(1).unwrap() = Topic::Events { after: event };
            *topics.at(2).unwrap() = Topic::Output { deployment: DEPLOYMENT.parse().unwrap(), after: line };
            prop_assert_eq!(&parsed(&topics.to_string()), &topics);
            let text = topics.cursor();
            if !text.is_empty() {
                let mut again = parsed(&format!("env:a/b:log,events,dep:{DEPLOYMENT}:log"));
                again.go_to(&text).unwrap();
                prop_assert_eq!(again, topics);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(events|dep:|env:a/b:log|[0-9a-f]{10}:[0-9]|[,;@=:/]|.){0,12}") {
            if let Ok(topics) = text.parse::<Topics>() {
                prop_assert_eq!(&parsed(&topics.to_string()), &topics);
            }
            _ = parsed("events").go_to(&text);
        }
    }
}
