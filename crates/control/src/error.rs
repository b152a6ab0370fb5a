//! How errors from inside become errors of the contract: each kind once, and what is
//! nobody's business outside goes to the log.

use std::io;
use std::path::Path;

use forge::ArchiveError;
use operations::{Error, ErrorKind};
use store::{Constraint, StoreError};

use crate::environment::VariablesError;

pub(crate) fn store_error(error: StoreError) -> Error {
    match &error {
        StoreError::NotFound { .. } => Error::not_found(error.to_string()),
        StoreError::Conflict(constraint) => conflict(constraint, &error),
        StoreError::Fenced { .. } => {
            Error::conflict(error.to_string())
                .hint("another server, or a newer deployment, has taken it over; look at it again, and repeat what is still wanted")
        }
        StoreError::IllegalPhase { .. } => Error::conflict(error.to_string()),
        StoreError::Newer { .. } => Error::unavailable(error.to_string()),
        StoreError::Unavailable { hint, .. } => Error::unavailable(error.to_string()).hint(*hint),
        _ => {
            tracing::error!("the database: {error}");
            Error::internal()
        }
    }
}

fn conflict(constraint: &Constraint, error: &StoreError) -> Error {
    match constraint {
        Constraint::AppName { name } => Error::conflict(format!("there is an app `{name}` already"))
            .hint(format!("choose another name, or deploy it with `plimsoll deploy {name}`")),
        Constraint::EnvironmentName { name } => Error::conflict(format!("the app has an environment `{name}` already")),
        Constraint::EnvironmentBusy { by } => {
            Error::conflict(format!("the environment is busy: {by} is at work in it"))
                .hint(format!("wait for it, or `plimsoll cancel {by}`"))
        }
        _ => Error::conflict(error.to_string()),
    }
}

pub(crate) fn variables_error(error: VariablesError) -> Error {
    match error {
        VariablesError::Store(error) => store_error(error),
        other => Error::new(ErrorKind::Unavailable, other.to_string()),
    }
}

/// An archive that was looked at for its sender.
pub(crate) fn archive_error(error: ArchiveError) -> Error {
    let kind = match &error {
        ArchiveError::TooLarge { .. } => ErrorKind::TooLarge,
        ArchiveError::Cancelled | ArchiveError::Io { .. } => ErrorKind::Unavailable,
        _ => ErrorKind::Unprocessable,
    };
    // The error says what to do behind its last semicolon.
    let text = error.to_string();
    match text.rsplit_once("; ") {
        Some((detail, hint)) => Error::new(kind, detail).hint(hint),
        None => Error::new(kind, text),
    }
}

/// `doing` is a verb: "open", "make the data folder".
pub(crate) fn io_error(doing: &str, path: &Path, error: &io::Error) -> Error {
    Error::unavailable(format!("can't {doing} {}: {error}", path.display()))
        .hint("check that the disk has room and that Plimsoll's user may write there")
}
