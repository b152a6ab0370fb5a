//! One change at a time for each instance, across threads and servers.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::FileError;
use crate::folder::create_private;

/// Held while an instance is started, stopped or removed. Gone with the process that holds it.
pub(super) struct Turn {
    path: PathBuf,
    first: bool,
    _file: File,
}

impl Turn {
    /// Waits for whoever has the turn.
    pub(super) fn take(locks: &Path, name: &str) -> Result<Self, FileError> {
        create_private(locks)?;
        let path = locks.join(name);
        loop {
            let made = File::create_new(&path);
            let first = made.is_ok();
            let file = made.or_else(|_| File::create(&path)).map_err(FileError::new("open", &path))?;
            file.lock().map_err(FileError::new("lock", &path))?;
            // The file may have been deleted while we waited; a lock on it would exclude nobody.
            let ours = file.metadata().map_err(FileError::new("read", &path))?;
            if fs::metadata(&path).is_ok_and(|now| (now.dev(), now.ino()) == (ours.dev(), ours.ino())) {
                return Ok(Self { path, first, _file: file });
            }
        }
    }

    /// Nobody ever had a turn with this name, or the instance was removed since.
    pub(super) fn is_first(&self) -> bool {
        self.first
    }

    /// The instance is gone for good: so goes the file.
    pub(super) fn end(self) {
        fs::remove_file(&self.path).ok();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_never_here_is_told_from_one_that_was() {
        let dir = tempfile::tempdir().unwrap();
        let turn = || Turn::take(dir.path(), "dep-web-0").unwrap();
        assert!(turn().is_first());
        assert!(!turn().is_first(), "whoever had it may have been killed, and have left something");
        turn().end();
        assert!(turn().is_first(), "it was removed, and nothing was left");
    }
}
