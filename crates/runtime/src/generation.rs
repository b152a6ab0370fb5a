//! The newest generation of each environment that has started anything. It is what
//! keeps an older, slower deployment from bringing its instances up after a newer one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use domain::id::EnvironmentId;

use crate::error::{FileError, StartError};
use crate::folder::{create_private, sync_folder};

/// Let this generation start instances, and shut out all older ones from now on.
/// The record is on disk before this returns.
pub(crate) fn admit(dir: &Path, environment: &EnvironmentId, generation: u64, name: &str) -> Result<(), StartError> {
    create_private(dir)?;
    let lock = dir.join(".lock");
    let lock_file = File::create(&lock).map_err(FileError::new("open", &lock))?;
    lock_file.lock().map_err(FileError::new("lock", &lock))?;

    let path = dir.join(environment.as_str());
    let current = read(&path)?;
    if generation < current {
        return Err(StartError::OlderGeneration { name: name.to_owned(), generation, current });
    }
    if generation > current {
        write(&path, generation).map_err(FileError::new("write", &path))?;
        sync_folder(dir)?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<u64, FileError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(e) => return Err(FileError::new("read", path)(e)),
    };
    let bad =
        |_| io::Error::new(io::ErrorKind::InvalidData, "it should hold one number; delete it if nothing newer runs");
    text.trim().parse().map_err(bad).map_err(FileError::new("understand", path))
}

fn write(path: &Path, generation: u64) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    writeln!(file, "{generation}")?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_newer_or_equal_generations_pass() {
        let dir = tempfile::tempdir().unwrap();
        let environment: EnvironmentId = format!("env_{}", "0".repeat(26)).parse().unwrap();
        let other: EnvironmentId = format!("env_{}1", "0".repeat(25)).parse().unwrap();
        let admit = |env, generation| admit(dir.path(), env, generation, "x");
        admit(&environment, 3).unwrap();
        admit(&environment, 3).unwrap();
        admit(&environment, 10).unwrap();
        let refused = admit(&environment, 9).unwrap_err();
        assert!(matches!(refused, StartError::OlderGeneration { generation: 9, current: 10, .. }));
        admit(&other, 1).unwrap();
        fs::write(dir.path().join(other.as_str()), "").unwrap();
        assert!(matches!(admit(&other, 9), Err(StartError::File(_))), "unreadable is not the same as none");
    }
}
