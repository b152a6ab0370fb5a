//! The few kinds of error that cross the contract. Each maps once to an HTTP
//! status, a stable code and an exit code of the CLI.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of thing went wrong, from the caller's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request itself is wrong; the same one will never work.
    Invalid,
    /// No token or session, or one that is not known (any more).
    Unauthorized,
    /// Whoever asks may not do this.
    Forbidden,
    /// A person may, but signed in a while ago: the password is asked for again.
    ConfirmIdentity,
    /// An agent asks for a change where agents may only look.
    ReadOnly,
    NotFound,
    /// It can't be done in the present state: already there, still busy, too old.
    Conflict,
    /// The source or its `plimsoll.toml` is unusable.
    Unprocessable,
    /// The body is larger than allowed.
    TooLarge,
    /// Too many requests of this kind from there; wait.
    RateLimited,
    /// Try again later: starting up, disk full, database away.
    Unavailable,
    /// A bug or a broken machine. What went wrong inside is in the server's log.
    Internal,
}

impl ErrorKind {
    pub const ALL: [ErrorKind; 12] = [
        ErrorKind::Invalid,
        ErrorKind::Unauthorized,
        ErrorKind::Forbidden,
        ErrorKind::ConfirmIdentity,
        ErrorKind::ReadOnly,
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::Unprocessable,
        ErrorKind::TooLarge,
        ErrorKind::RateLimited,
        ErrorKind::Unavailable,
        ErrorKind::Internal,
    ];

    pub fn status(self) -> u16 {
        match self {
            ErrorKind::Invalid => 400,
            ErrorKind::Unauthorized => 401,
            ErrorKind::Forbidden | ErrorKind::ConfirmIdentity | ErrorKind::ReadOnly => 403,
            ErrorKind::RateLimited => 429,
            ErrorKind::NotFound => 404,
            ErrorKind::Conflict => 409,
            ErrorKind::TooLarge => 413,
            ErrorKind::Unprocessable => 422,
            ErrorKind::Internal => 500,
            ErrorKind::Unavailable => 503,
        }
    }

    pub fn code(self) -> &'static str {
        match self {
            ErrorKind::Invalid => "invalid",
            ErrorKind::Unauthorized => "unauthorized",
            ErrorKind::Forbidden => "forbidden",
            ErrorKind::ConfirmIdentity => "confirm_identity",
            ErrorKind::ReadOnly => "read_only",
            ErrorKind::RateLimited => "rate_limited",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Conflict => "conflict",
            ErrorKind::TooLarge => "too_large",
            ErrorKind::Unprocessable => "unprocessable",
            ErrorKind::Internal => "internal",
            ErrorKind::Unavailable => "unavailable",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            ErrorKind::Invalid => "The request is not valid",
            ErrorKind::Unauthorized => "Nobody has signed in",
            ErrorKind::Forbidden => "Not allowed",
            ErrorKind::ConfirmIdentity => "Confirm that it is you",
            ErrorKind::ReadOnly => "Agents may only look",
            ErrorKind::RateLimited => "Too many requests",
            ErrorKind::NotFound => "Not found",
            ErrorKind::Conflict => "Not possible in the present state",
            ErrorKind::TooLarge => "The request is too large",
            ErrorKind::Unprocessable => "The source can't be used",
            ErrorKind::Internal => "Plimsoll failed",
            ErrorKind::Unavailable => "Not available at the moment",
        }
    }
}

/// A place in a file of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Location {
    pub file: String,
    /// Both count from 1.
    pub line: usize,
    pub column: usize,
}

/// An error as it crosses the contract: a problem document (RFC 9457) with a
/// stable `code`, and a `hint` that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{detail}")]
pub struct Error {
    /// `about:blank`: the title says it all, `code` is for programs.
    #[serde(rename = "type", default = "about_blank")]
    pub kind_uri: String,
    pub title: String,
    pub status: u16,
    pub code: ErrorKind,
    /// What went wrong and where.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

impl Error {
    pub fn new(code: ErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind_uri: about_blank(),
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: detail.into(),
            hint: None,
            location: None,
        }
    }

    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, detail)
    }
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, detail)
    }
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, detail)
    }
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unprocessable, detail)
    }
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, detail)
    }
    /// Says nothing of what went wrong inside: log that where it happened.
    pub fn internal() -> Self {
        Self::new(ErrorKind::Internal, "Something went wrong inside Plimsoll")
            .hint("The server's log has the details; `plimsoll server` prints it")
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn at(mut self, file: impl Into<String>, line: usize, column: usize) -> Self {
        self.location = Some(Location { file: file.into(), line, column });
        self
    }
}

/// What is wrong with the field at `path` of a request, from the words of the decoder. A text of the wrong type, or one that is
/// none of the known words, is not repeated: it may be a secret in the wrong place.
pub fn field_complaint(path: &str, words: &str) -> String {
    let words = without_value(words);
    // Errors about unknown and missing fields name them already.
    let named = path == "." || words.contains(&format!("`{path}`"));
    if named { words } else { format!("`{path}`: {words}") }
}

/// `invalid type: string "hunter2", expected a map` and ``unknown variant `hunter2`, expected one of …`` without their values.
fn without_value(words: &str) -> String {
    if let Some((_, expected)) =
        words.strip_prefix("unknown variant `").and_then(|rest| rest.rsplit_once("`, expected "))
    {
        return format!("unknown variant, expected {expected}");
    }
    let parts = words.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "));
    match parts.and_then(|(found, expected)| Some((found.split_once(['"', '`'])?.0.trim_end(), expected))) {
        Some((kind, expected)) => format!("invalid type: {kind}, expected {expected}"),
        None => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_same_in_rust_and_json_and_each_status_is_an_error() {
        for kind in ErrorKind::ALL {
            assert_eq!(serde_json::to_value(kind).ok(), Some(kind.code().into()));
            assert!((400..600).contains(&kind.status()));
        }
    }

    #[test]
    fn complaints_name_the_field_and_repeat_no_value() {
        for (path, words, expected) in [
            (
                "variables",
                r#"invalid type: string "hunter2, expected \"x\"", expected a map"#,
                "`variables`: invalid type: string, expected a map",
            ),
            (
                "variables.PIN",
                "invalid type: integer `4711`, expected a string",
                "`variables.PIN`: invalid type: integer, expected a string",
            ),
            (
                "variables.PIN",
                "invalid type: floating point `4.7`, expected a string",
                "`variables.PIN`: invalid type: floating point, expected a string",
            ),
            ("a", "invalid type: sequence, expected a string", "`a`: invalid type: sequence, expected a string"),
            (
                "limit",
                "invalid value: integer `-1`, expected u32",
                "`limit`: invalid value: integer `-1`, expected u32",
            ),
            (
                "server.encryption",
                "unknown variant `hunter2`, expected `y`, expected one of `tls`, `none`",
                "`server.encryption`: unknown variant, expected one of `tls`, `none`",
            ),
            (".", "unknown field `x`, expected `y`", "unknown field `x`, expected `y`"),
            ("y", "missing field `y`", "missing field `y`"),
        ] {
            assert_eq!(field_complaint(path, words), expected);
        }
    }
}
