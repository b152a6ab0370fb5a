//! One instance's folder: its files, how they are written, and the lock that says
//! whether a supervisor is there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use domain::instance::InstanceState;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::FileError;
use crate::isolation::Sandbox;
use crate::isolation::ownership::folder_for;
use crate::proc::Process;
use crate::spec::InstanceSpec;

/// Paths in an instance's folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
}

/// What `status.json` holds; the supervisor rewrites it at each change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StatusFile {
    pub(crate) supervisor: Option<Process>,
    pub(crate) app: Option<Process>,
    pub(crate) state: InstanceState,
    /// It was told to stop, and is waiting for the app to end.
    pub(crate) stopping: bool,
    pub(crate) restarts: u32,
    /// How the app last ended.
    pub(crate) last_exit: Option<String>,
}

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// All that the supervisor and the app need, readable by nobody else: the app's `user` gets its home and its folder
    /// for temporary files.
    pub(crate) fn create(&self, sandbox: Option<&Sandbox>) -> Result<(), FileError> {
        for path in [&self.path, &self.log()] {
            create_private(path)?;
        }
        let user = sandbox.and_then(|sandbox| sandbox.user);
        for path in [self.home(), self.temp()] {
            folder_for(&path, user).map_err(FileError::new("create", &path))?;
        }
        if sandbox.is_some_and(|sandbox| sandbox.user.is_some() && !sandbox.view) {
            // Nothing else leads another user there.
            for path in [Some(self.path.as_path()), self.path.parent()].into_iter().flatten() {
                fs::set_permissions(path, fs::Permissions::from_mode(0o711)).map_err(FileError::new("open", path))?;
            }
        }
        Ok(())
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    pub(crate) fn temp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// What the supervisor itself had to say, such as a panic.
    pub(crate) fn errors(&self) -> PathBuf {
        self.path.join("supervisor.err")
    }

    fn spec_file(&self) -> PathBuf {
        self.path.join("spec.json")
    }

    fn status_file(&self) -> PathBuf {
        self.path.join("status.json")
    }

    pub(crate) fn has_spec(&self) -> bool {
        self.spec_file().is_file()
    }

    pub(crate) fn spec(&self) -> Option<InstanceSpec> {
        read_json(&self.spec_file())
    }

    pub(crate) fn write_spec(&self, spec: &InstanceSpec) -> Result<(), FileError> {
        let path = self.spec_file();
        write_json(&path, spec).map_err(FileError::new("write", &path))
    }

    pub(crate) fn status(&self) -> Option<StatusFile> {
        read_json(&self.status_file())
    }

    pub(crate) fn write_status(&self, status: &StatusFile) -> io::Result<()> {
        write_json(&self.status_file(), status)
    }

    pub(crate) fn forget_status(&self) -> Result<(), FileError> {
        let path = self.status_file();
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(FileError::new("delete", &path)(e)),
            _ => Ok(()),
        }
    }

    /// A supervisor is there.
    pub(crate) fn is_supervised(&self) -> bool {
        is_locked(&self.lock())
    }
}

/// Held for the supervisor's life; gone with it, however it ends.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// `None` if another process holds it.
    pub(crate) fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())) {
            Ok(_) => Ok(Some(Self { _file: file })),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Asks without taking it, so that asking never gets in the way of a supervisor that starts.
fn is_locked(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut lock = whole_file();
    fcntl(&file, FcntlArg::F_OFD_GETLK(&mut lock)).is_ok() && i32::from(lock.l_type) != libc::F_UNLCK
}

/// A lock of the "open file description" kind: it belongs to the open file and not to the
/// process, so it is not lost when another descriptor of the same file is closed.
fn whole_file() -> libc::flock {
    // The constants are small; the field's type differs between platforms.
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

pub(crate) fn create_private(path: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(FileError::new("create", path))
}

/// Makes the names in a folder survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> Result<(), FileError> {
    File::open(path).and_then(|f| f.sync_all()).map_err(FileError::new("sync", path))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Whole or not at all for readers. Not synced: after a power cut no process is left that it could describe.
fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let temporary = path.with_extension("json.new");
    let text = serde_json::to_vec(value)?;
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(&text)?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn asking_for_the_lock_does_not_take_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().to_owned());
        assert!(!folder.is_supervised());
        let lock = Lock::take(&folder.lock()).unwrap().unwrap();
        assert!(folder.is_supervised());
        assert!(Lock::take(&folder.lock()).unwrap().is_none());
        assert!(folder.is_supervised());
        drop(lock);
        assert!(!folder.is_supervised());
        assert!(Lock::take(&folder.lock()).unwrap().is_some());
    }
}
