//! Isolation: what a user's command may reach, and how much of the machine it may use.
//!
//! [`Host`] knows what this machine can do and makes a [`Sandbox`] of it for each command; a sandbox is data, so it can
//! be kept in an instance's spec and entered anew by its supervisor at each restart. `spawn` is the only place that enters
//! one, between `fork` and `exec`, in this order:
//!
//! 1. the control group, while we may still write to it;
//! 2. a mount namespace with a view of its own: `/tmp` is the command's own folder, `/dev/shm` memory of its own, and folders
//!    that others may not enter (the data folder, root's home) are replaced by empty ones in which only what it was granted
//!    is there. A command that asks how an app is joins the app's view instead;
//! 3. resource limits, the user, no new privileges, Landlock.
//!
//! What the machine lacks is left out and told by [`Facts`]:
//!
//! | lacking | then |
//! |---|---|
//! | root | all runs as the server's user; views (by user namespaces), Landlock and no-new-privileges apply, limits of groups don't, and deleted files that are still open don't count as disk |
//! | mount namespaces (a container without `CAP_SYS_ADMIN`; user namespaces forbidden) | the data folder's subfolders are passable, though not readable; `/tmp` is closed by Landlock, and `/dev/shm` is everybody's |
//! | Landlock | users and the view alone |
//! | control group of memory | `RLIMIT_DATA` of twice the size for each process |
//! | … of processes | `RLIMIT_NPROC`, which counts all of the app's |
//! | … of CPU | no limit |

pub(crate) mod cgroup;
pub(crate) mod enter;
mod facts;
mod host;
mod joined;
pub(crate) mod landlock;
pub mod ownership;
mod reach;
mod removal;
pub(crate) mod usage;
pub(crate) mod view;

use std::path::PathBuf;

use domain::limits::{Limits, Size};
use serde::{Deserialize, Serialize};

pub use cgroup::Cgroups;
pub use facts::{Fact, Facts, facts, machine_memory};
pub use host::{Host, InvalidUsers, Users};
pub(crate) use removal::empty_tree;
pub use removal::remove_tree;

use crate::proc::Process;

/// What one command may reach and use. Complete; made by [`Host::sandbox`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Number of the user and the group that it runs as; `None` for the server's own.
    pub user: Option<u32>,
    /// It gets a mount namespace.
    pub view: bool,
    /// That of this process, as long as it runs.
    #[serde(skip)]
    pub beside: Option<Process>,
    pub cgroups: Option<Cgroups>,
    /// What it may read and execute beside the system's own folders. Absolute, without links.
    pub read: Vec<PathBuf>,
    /// What it may change, too.
    pub write: Vec<PathBuf>,
    /// Its own folder in place of `/tmp`; also in `write`.
    pub temp: Option<PathBuf>,
    /// What others may change, too: it doesn't count as its use of the disk.
    pub shared: Vec<PathBuf>,
    pub limits: Limits,
    /// It gives way to others when processors or memory are scarce, as builds do to what serves.
    pub background: bool,
}

impl Sandbox {
    #[must_use]
    pub fn reading(mut self, path: impl Into<PathBuf>) -> Self {
        self.read.push(path.into());
        self
    }

    #[must_use]
    pub fn writing(mut self, path: impl Into<PathBuf>) -> Self {
        self.write.push(path.into());
        self
    }

    /// Whose sizes together are its use of the disk.
    pub(crate) fn own_folders(&self) -> Vec<PathBuf> {
        self.write.clone()
    }

    /// A folder that it may change, and finds as `/tmp`.
    #[must_use]
    pub fn with_temp(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.write.push(path.clone());
        self.temp = Some(path);
        self
    }
}

/// Levels of folders that a command may make.
pub(crate) const NESTED: usize = 512;

/// A limit that was hit, and ended what hit it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    #[error("used more than its {} of memory", Size(*limit))]
    Memory { limit: u64 },
    #[error("started more than its {limit} processes")]
    Processes { limit: u32 },
    #[error("used {} of disk, more than its {}", Size(*used), Size(*limit))]
    Disk { used: u64, limit: u64 },
    /// A single file of the whole limit's size.
    #[error("wrote a file of more than its {} of disk", Size(*limit))]
    File { limit: u64 },
    /// Nobody could count, keep or remove what is in them.
    #[error("made folders that are nested more than {NESTED} deep")]
    Nested,
    /// Before the limit was reached there was no room left for everybody else.
    #[error("left only {} free on the disk, having used {} of it itself", Size(*free), Size(*used))]
    Floor { free: u64, used: u64 },
}

impl Exceeded {
    /// The key in `plimsoll.toml` that raises it.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Memory { .. } => "memory",
            Self::Processes { .. } => "processes",
            Self::Disk { .. } | Self::File { .. } | Self::Floor { .. } | Self::Nested => "disk",
        }
    }
}
