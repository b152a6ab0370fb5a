//! What can go wrong, by operation.

use std::io;
use std::path::{Path, PathBuf};

use crate::isolation::Exceeded;

/// The file system refused something that the runtime needs.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {source}", path.display())]
pub struct FileError {
    /// A verb: `create`, `write`.
    pub what: &'static str,
    pub path: PathBuf,
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// For `map_err`: names what was tried, and on what.
    pub(crate) fn new(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { what, path, source }
    }
}

/// An instance was not started. Nothing of it runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A newer deployment of the environment has already started instances.
    #[error("{name} belongs to generation {generation}, but generation {current} has already started")]
    OlderGeneration { name: String, generation: u64, current: u64 },
    /// The app can't be executed: its folder is missing, the system refuses another process.
    #[error("{name} cannot be executed: {reason}")]
    Exec { name: String, reason: String },
    /// The supervisor itself did not come up.
    #[error("the supervisor of {name} did not start: {reason}")]
    Supervisor { name: String, reason: String },
    #[error(transparent)]
    File(#[from] FileError),
}

/// An instance could not be stopped or removed; something of it may still run.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// Processes that do not die even from KILL (stuck in the kernel), or belong to another user.
    #[error("{left} processes of {name} do not end, not even when killed")]
    Unkillable { name: String, left: usize },
    #[error(transparent)]
    File(#[from] FileError),
}

/// A command for a build, release or probe did not come to an end of its own.
/// Nothing of it runs any more.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// It was never run.
    #[error("cannot run `{command}` in {}: {source}", directory.display())]
    Spawn {
        command: String,
        directory: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("it did not end within {}s and was killed", .0.as_secs_f64())]
    TimedOut(std::time::Duration),
    #[error("it was cancelled")]
    Cancelled,
    /// More than it was allowed of memory, processes or disk.
    #[error("it {0}, and was killed")]
    Exceeded(Exceeded),
    /// Its output or end can't be observed.
    #[error("lost sight of the command: {0}")]
    Io(#[from] io::Error),
}

/// A link of a static site was not made or moved.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A newer deployment already serves this site.
    #[error("{site} serves generation {current}; generation {generation} is older and is refused")]
    OlderGeneration { site: String, generation: u64, current: u64 },
    #[error("{site} has no link for generation {generation}")]
    NotLinked { site: String, generation: u64 },
    #[error("`{0}` cannot be the name of a site's folder")]
    InvalidName(String),
    #[error(transparent)]
    File(#[from] FileError),
}
