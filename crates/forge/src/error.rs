//! What can go wrong with a git repository, in words that help.

use std::time::Duration;

/// Why a checkout did not happen. Nothing is left behind after any of them.
///
/// No field ever holds a password or token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    #[error("`{url}` is not a repository that can be used: {reason}; use a path, https://, ssh:// or user@host:path")]
    InvalidUrl { url: String, reason: String },
    #[error("`{reference}` can't be a branch, tag or commit: {reason}")]
    InvalidReference { reference: String, reason: String },
    #[error("{what} was not found; check the spelling, and that this server may read it")]
    NotFound { what: String },
    #[error("{place} has no branch, tag or commit `{reference}`{}", similar(near))]
    ReferenceNotFound { place: String, reference: String, near: Vec<String> },
    #[error("{place} can't be reached: {reason}; check the address and this server's network")]
    Unreachable { place: String, reason: String },
    #[error("{place} refused access: {reason}; {hint}")]
    Authentication { place: String, reason: String, hint: String },
    #[error("{place} is not a git repository; give the folder that holds `.git`, or a bare repository")]
    NotARepository { place: String },
    #[error("{place} has no commits yet; commit something and push it")]
    Empty { place: String },
    #[error("`{file}` in commit {commit} {reason}; remove it from the repository")]
    UnsafeFile { file: String, commit: String, reason: String },
    /// Nothing of it was written. `becomes` holds the limit as well.
    #[error(
        "a checkout with commit {commit} of {place} would become {becomes}; remove from the repository what the app does \
         not need, or ask whoever runs the server to raise the limit"
    )]
    TooLarge { place: String, commit: String, becomes: String },
    #[error("the checkout was cancelled")]
    Cancelled,
    #[error("{place} took longer than {}s to deliver; check the network, or the size of the repository", limit.as_secs())]
    TimedOut { place: String, limit: Duration },
    #[error("the program `git` was not found on this server; install git")]
    GitMissing,
    /// `last` holds the last lines that git printed, oldest first; at most 20.
    #[error("git could not {doing}: {reason}")]
    Failed { doing: String, reason: String, last: Vec<String> },
    #[error("could not {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: std::path::PathBuf, source: IoError },
}

/// An [`std::io::Error`] that can be cloned and compared: its kind and message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct IoError {
    pub kind: std::io::ErrorKind,
    message: String,
}

impl From<std::io::Error> for IoError {
    fn from(error: std::io::Error) -> Self {
        Self { kind: error.kind(), message: error.to_string() }
    }
}

fn similar(near: &[String]) -> String {
    if near.is_empty() {
        return "; push it first, or name another".to_owned();
    }
    let names: Vec<_> = near.iter().map(|n| format!("`{n}`")).collect();
    format!("; did you mean {}?", names.join(" or "))
}
