//! Where a reader of several logs is.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// How far each log was read: `<tag>:<number>` with commas between. A log that is not named was not read at all; `0` names
/// none.
///
/// It travels in a header of limited length, so a log is named by some digits of its name's digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogCursor(BTreeMap<String, u64>);

const TAG: usize = 10;
/// Not an empty text, which in a query is hard to tell from no text.
const NONE: &str = "0";

fn tag(log: &str) -> String {
    blake3::hash(log.as_bytes()).to_hex()[..TAG].to_owned()
}

impl LogCursor {
    /// Number of the last line of `log` that was read.
    pub fn of(&self, log: &str) -> Option<u64> {
        self.0.get(&tag(log)).copied()
    }

    pub fn set(&mut self, log: &str, seq: u64) {
        // 0 is before the first line, as is not being there.
        if seq > 0 {
            self.0.insert(tag(log), seq);
        }
    }

    /// Whether whoever is here has read all that whoever is at `other` has.
    pub fn covers(&self, other: &LogCursor) -> bool {
        other.0.iter().all(|(tag, seq)| self.0.get(tag).is_some_and(|own| own >= seq))
    }

    /// Forgets all logs but these.
    pub fn keep<'a>(&mut self, logs: impl IntoIterator<Item = &'a str>) {
        let there: Vec<_> = logs.into_iter().map(tag).collect();
        self.0.retain(|tag, _| there.contains(tag));
    }
}

impl fmt::Display for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(NONE);
        }
        for (n, (tag, seq)) in self.0.iter().enumerate() {
            write!(f, "{}{tag}:{seq}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// The text is no cursor of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of logs")]
pub struct InvalidCursor;

impl FromStr for LogCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let mut logs = BTreeMap::new();
        for part in text.split(',').filter(|_| text != NONE) {
            let (tag, seq) = part.split_once(':').ok_or(InvalidCursor)?;
            if tag.len() != TAG || !tag.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(InvalidCursor);
            }
            logs.insert(tag.to_owned(), seq.parse().map_err(|_| InvalidCursor)?);
        }
        Ok(Self(logs))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_short_and_rubbish_is_refused() {
        let mut cursor = LogCursor::default();
        assert_eq!((cursor.to_string().as_str(), "0".parse()), ("0", Ok(cursor.clone())));
        cursor.set("web", 7);
        cursor.set("worker", 7);
        assert_eq!(cursor.to_string().parse(), Ok(cursor.clone()));
        assert!(cursor.to_string().len() < 30);
        for bad in ["", "x", "1", ",", "0123456789:", "0123456789:-1", "0123456789:1,", "../../../..:1", "012345678G:1"]
        {
            assert_eq!(bad.parse::<LogCursor>(), Err(InvalidCursor), "{bad}");
        }
        let mut further = cursor.clone();
        assert!(further.covers(&cursor) && cursor.covers(&further) && cursor.covers(&LogCursor::default()));
        further.set("web", 8);
        assert!(further.covers(&cursor) && !cursor.covers(&further) && !LogCursor::default().covers(&cursor));
        cursor.keep(["web"]);
        assert_eq!((cursor.of("worker"), cursor.of("web")), (None, Some(7)));
    }
}
