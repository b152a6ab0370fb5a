//! Text for people: colours, times, and nothing that could steer their terminal.

use std::fmt::Display;
use std::time::Duration;

use chrono::{DateTime, Local, Utc};
use domain::phase::Phase;

/// Colours text, or doesn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    fn with(self, code: &str, text: impl Display) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
    pub(crate) fn bold(self, text: impl Display) -> String {
        self.with("1", text)
    }
    pub(crate) fn dim(self, text: impl Display) -> String {
        self.with("2", text)
    }
    pub(crate) fn red(self, text: impl Display) -> String {
        self.with("31", text)
    }
    pub(crate) fn green(self, text: impl Display) -> String {
        self.with("32", text)
    }
    pub(crate) fn yellow(self, text: impl Display) -> String {
        self.with("33", text)
    }
    pub(crate) fn cyan(self, text: impl Display) -> String {
        self.with("36", text)
    }
    /// One of a few colours, always the same for the same text.
    pub(crate) fn tag(self, text: &str) -> String {
        const COLORS: [&str; 6] = ["36", "32", "33", "35", "34", "96"];
        let sum: usize = text.bytes().map(usize::from).sum();
        self.with(COLORS[sum % COLORS.len()], text)
    }
}

/// One line that a program printed, without escape sequences and control characters:
/// it could otherwise rewrite what stands on the screen.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' | '\u{9b}' => skip_escape(c, &mut chars),
            '\t' => out.push('\t'),
            c if c.is_control() || is_direction(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Like [`clean`] for text of more than one line.
pub(crate) fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

/// Skips what belongs to an escape: a CSI sequence to its final letter, an OSC
/// (titles, links, clipboards) to its end, else one character.
fn skip_escape(first: char, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    let kind = if first == '\u{9b}' { Some('[') } else { chars.next() };
    match kind {
        Some('[') => {
            for c in chars.by_ref() {
                if ('\u{40}'..='\u{7e}').contains(&c) {
                    break;
                }
            }
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\x07' || c == '\u{9c}' {
                    break;
                }
                if c == '\x1b' {
                    chars.next();
                    break;
                }
            }
        }
        _ => {}
    }
}

/// Marks that turn the direction of the text after them around.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `0.4 s`, `12.3 s`, `2 min 05 s`, `1 h 02 min`.
pub(crate) fn took(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// How long ago: `3 s`, `12 min`, `5 h`, `9 d`.
pub(crate) fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - then).num_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// From one moment to another; nothing if the clock went back.
pub(crate) fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).to_std().unwrap_or_default()
}

/// Local time to the second.
pub(crate) fn local(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Local time of day to the millisecond, for log lines.
pub(crate) fn clock(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local).format("%H:%M:%S%.3f").to_string()
}

/// `pulling source`.
pub(crate) fn phase(phase: Phase) -> String {
    phase.as_str().replace('_', " ")
}

/// `1 file`, `2 files`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// `512 B`, `3.4 MB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if n < 1000 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1000.0;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_programs_can_not_steer_the_terminal() {
        let check = |dirty: &str, expected: &str| assert_eq!(clean(dirty), expected, "{dirty:?}");
        check("plain äöü ✓", "plain äöü ✓");
        check("\x1b[31mred\x1b[0m", "red");
        check("a\x1b]0;title\x07b", "ab");
        check("a\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\b", "alinkb");
        check("a\x1b[2J\x1b[Hb\rc\x08d", "abcd");
        check("\u{9b}31mred", "red");
        check("tab\tstays", "tab\tstays");
        check("rtl\u{202e}gnp", "rtlgnp");
        check("cut off \x1b[", "cut off ");
    }

    #[test]
    fn times_and_sizes_read_well() {
        let s = |ms| took(Duration::from_millis(ms));
        assert_eq!(
            (s(430), s(59_900), s(125_000), s(3_720_000)),
            ("0.4 s".into(), "59.9 s".into(), "2 min 05 s".into(), "1 h 02 min".into())
        );
        let now = Utc::now();
        let ago = |n| age(now - chrono::Duration::seconds(n), now);
        assert_eq!(
            (ago(-5), ago(59), ago(61), ago(7200), ago(200_000)),
            ("0 s".into(), "59 s".into(), "1 min".into(), "2 h".into(), "2 d".into())
        );
        assert_eq!((bytes(999), bytes(1500), bytes(2_345_678)), ("999 B".into(), "1.5 kB".into(), "2.3 MB".into()));
    }
}
