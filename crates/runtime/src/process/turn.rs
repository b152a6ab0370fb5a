//! One change at a time for each instance, across threads and servers.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::FileError;
use crate::folder::create_private;

/// Held while an instance is started, stopped or removed. Gone with the process that holds it.
pub(super) struct Turn {
    path: PathBuf,
    _file: File,
}

impl Turn {
    /// Waits for whoever has the turn.
    pub(super) fn take(locks: &Path, name: &str) -> Result<Self, FileError> {
        create_private(locks)?;
        let path = locks.join(name);
        loop {
            let file = File::create(&path).map_err(FileError::new("open", &path))?;
            file.lock().map_err(FileError::new("lock", &path))?;
            // The file may have been deleted while we waited; a lock on it would exclude nobody.
            let ours = file.metadata().map_err(FileError::new("read", &path))?;
            if fs::metadata(&path).is_ok_and(|now| (now.dev(), now.ino()) == (ours.dev(), ours.ino())) {
                return Ok(Self { path, _file: file });
            }
        }
    }

    /// The instance is gone for good: so goes the file.
    pub(super) fn end(self) {
        fs::remove_file(&self.path).ok();
    }
}
