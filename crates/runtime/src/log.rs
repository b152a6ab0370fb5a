//! Logs of instances.
//!
//! `<instance>/log/current` is being written; a full one is renamed to the number of its
//! first line (20 digits, so that names sort), and the oldest are deleted. A line is
//! `number TAB unix-milliseconds TAB o|e|s TAB bytes LF`. Numbers only ever grow, so a
//! number is a cursor, and any line is found by bisection.

mod follow;
mod reader;
mod record;
mod writer;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use follow::Follower;
pub use reader::LogReader;
pub(crate) use reader::is_name;
pub(crate) use writer::LogWriter;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
    /// The supervisor's own remarks: exits, restarts, lost lines.
    System,
}

/// One line of an instance's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Begins at 1 and grows by one for the instance's whole life, restarts included. A gap
    /// means that lines were lost because the disk was full.
    pub seq: u64,
    /// When the supervisor received it.
    pub at: DateTime<Utc>,
    pub stream: Stream,
    /// Without its line end; bytes that are no UTF-8 are replaced. Longer lines than 64 KiB come in pieces.
    pub text: String,
}
