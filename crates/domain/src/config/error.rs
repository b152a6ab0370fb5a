//! Where and how a `plimsoll.toml` is wrong.

use std::ops::Range;

use super::nearest;

/// The first thing that is wrong in a `plimsoll.toml`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}{}", hint.as_deref().map(|h| format!("; {h}")).unwrap_or_default())]
pub struct ConfigError {
    pub message: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What was expected, or what to do.
    pub hint: Option<String>,
}

impl ConfigError {
    /// An error at the bytes `span` of `text`.
    pub fn at(text: &str, span: Range<usize>, message: impl Into<String>, hint: Option<String>) -> Self {
        let mut start = span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = span.end.clamp(start, text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Self {
            message: message.into(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span: start..end,
            hint,
        }
    }
}

/// Serde's and TOML's own words, turned into ours where they say which keys there are.
pub(super) fn from_toml(text: &str, error: &toml::de::Error) -> ConfigError {
    let span = error.span().unwrap_or(0..0);
    match unknown_key(error.message()) {
        Some((key, known)) => {
            let list = format!("known keys here: {}", known.join(", "));
            let hint = match nearest(key, &known) {
                Some(near) => format!("did you mean `{near}`? {list}"),
                None => list,
            };
            ConfigError::at(text, span, format!("unknown key `{key}`"), Some(hint))
        }
        None => {
            // Serde speaks of its own data model; people of tables, lists and whole numbers.
            let message = error.message().replace('\n', "; ");
            let message = message.replace("expected a sequence", "expected a list in `[ ]`");
            ConfigError::at(text, span, message.replace("expected i64", "expected a whole number"), None)
        }
    }
}

/// Takes "unknown field `x`, expected one of `a`, `b`" apart.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let (key, rest) = message.strip_prefix("unknown field `")?.split_once("`, expected ")?;
    Some((key, rest.split('`').skip(1).step_by(2).collect()))
}
