//! Why an archive was not unpacked, in words that help.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::IoError;

/// Nothing is left behind after any of them. What to do stands behind the last semicolon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    #[error("this is {found}, and not a tar, tar.gz, tar.zst or zip; pack the app's folder into one of these")]
    NotAnArchive { found: String },
    #[error("the archive holds no files; pack the app's folder")]
    Empty,
    #[error("the archive is damaged: {what}; make it again, and send all of it")]
    Damaged { what: String },
    /// It could do harm, or could mean two things.
    #[error("`{entry}` in the archive {reason}; leave it out, and pack the folder again")]
    Refused { entry: String, reason: String },
    #[error(
        "the archive {what}; leave out what the app does not need, or ask whoever runs the server to raise the limit"
    )]
    TooLarge { what: String },
    #[error("unpacking was cancelled")]
    Cancelled,
    #[error("could not {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: IoError },
}

impl ArchiveError {
    pub(super) fn io(doing: &'static str, path: &Path, error: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source: error.into() }
    }

    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }

    pub(super) fn refused(entry: &[u8], reason: impl Into<String>) -> Self {
        Self::Refused { entry: shown(entry), reason: reason.into() }
    }

    /// What a reader says: one of ours that came through a library, the disk's, or that the bytes are wrong.
    pub(super) fn reading(error: &io::Error) -> Self {
        if let Some(own) = error.get_ref().and_then(|inner| inner.downcast_ref::<ArchiveError>()) {
            return own.clone();
        }
        if error.raw_os_error().is_some() {
            let source = IoError::from(io::Error::new(error.kind(), error.to_string()));
            return Self::Io { doing: "read", path: PathBuf::from("the archive"), source };
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::damaged("it ends in the middle"),
            _ => Self::damaged(error.to_string()),
        }
    }
}

/// A name as it may be printed: without control characters, and not too long.
pub(super) fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let mut shown: String = text.chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(200).is_some() {
        shown.push('…');
    }
    shown
}
