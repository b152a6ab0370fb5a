//! Counts on the disk, so that they go on after a restart. A loss costs figures and nothing else, so nothing waits for
//! the disk, and a damaged file is begun anew.

use std::fs;
use std::io;
use std::path::Path;

use crate::files;
use crate::report::Stats;

/// What was counted before this process.
pub(crate) fn load(dir: &Path) -> Stats {
    let text = match fs::read(dir.join(files::STATS)) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Stats::default(),
        Err(e) => {
            tracing::warn!(error = %e, "the counts of before can't be read and begin anew");
            return Stats::default();
        }
    };
    serde_json::from_slice(&text).unwrap_or_else(|e| {
        tracing::warn!(error = %e, "the counts of before are damaged and begin anew");
        Stats::default()
    })
}

pub(crate) fn save(dir: &Path, stats: &Stats) -> io::Result<()> {
    files::put(dir, files::STATS, &serde_json::to_vec(stats)?)
}
