//! The bare repositories that fetches go through, one for each address, so that only what is new is fetched.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::program::Ended;
use super::url::GitUrl;

/// How much of the history a cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Single commits without what came before.
    Shallow,
    /// All branches and tags with everything before them.
    Whole,
}

/// A cache that is ours alone as long as this lives.
pub(crate) struct Cache {
    pub(crate) dir: PathBuf,
    /// Locked. A second holder of the same open file keeps the lock too.
    pub(crate) lock: File,
}

impl Cache {
    /// Waits until no other checkout uses the cache.
    pub(crate) async fn lock(
        root: &Path,
        url: &GitUrl,
        depth: Depth,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<Self, Ended> {
        let mut name = blake3::hash(url.address().as_bytes()).to_hex().to_string();
        name.truncate(32);
        if depth == Depth::Whole {
            name.push_str("-whole");
        }
        fs::create_dir_all(root).map_err(Ended::Io)?;
        let lock = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(root.join(format!("{name}.lock")))
            .map_err(Ended::Io)?;
        loop {
            match lock.try_lock() {
                Ok(()) => {
                    return Ok(Self { dir: root.join(format!("{name}.git")), lock });
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(Ended::Io(error)),
            }
            if Instant::now() >= deadline {
                return Err(Ended::TimedOut);
            }
            tokio::select! {
                () = cancel.cancelled() => return Err(Ended::Cancelled),
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
        }
    }

    pub(crate) fn exists(&self) -> bool {
        self.dir.join("HEAD").is_file()
    }

    /// After this the next fetch begins from nothing.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Many fetches have left many packs, which makes git slow.
    pub(crate) fn is_worn(&self) -> bool {
        let packs = fs::read_dir(self.dir.join("objects/pack"));
        packs.is_ok_and(|dir| {
            dir.flatten().filter(|e| e.file_name().as_encoded_bytes().ends_with(b".pack")).count() > 40
        })
    }
}

/// Writes the configuration that git is given in place of the user's; it includes the user's.
///
/// A file, because git takes settings from the command line and the environment away
/// from the program that reads a local repository, and `safe.directory` must reach it.
pub(crate) fn configuration(root: &Path) -> io::Result<OsString> {
    fs::create_dir_all(root)?;
    let mut text = String::from("# Written by Plimsoll.\n");
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let xdg = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or(home.as_ref().map(|h| h.join(".config")));
    let users = match std::env::var_os("GIT_CONFIG_GLOBAL") {
        Some(file) => vec![PathBuf::from(file)],
        None => xdg.map(|x| x.join("git/config")).into_iter().chain(home.map(|h| h.join(".gitconfig"))).collect(),
    };
    for file in users.iter().filter_map(|f| f.to_str()).filter(|f| f.starts_with('/') && !f.contains('\n')) {
        text.push_str(&format!("[include]\n\tpath = \"{}\"\n", file.replace('\\', "\\\\").replace('"', "\\\"")));
    }
    text.push_str(SETTINGS);
    let path = root.join("gitconfig");
    if fs::read_to_string(&path).is_ok_and(|known| known == text) {
        return Ok(path.into());
    }
    let mut file = tempfile::NamedTempFile::new_in(root)?;
    file.write_all(text.as_bytes())?;
    file.persist(&path).map_err(|e| e.error)?;
    Ok(path.into())
}

const SETTINGS: &str = "\
[safe]
\tdirectory = *
[core]
\thooksPath = /dev/null
\tfsmonitor = false
\tautocrlf = false
[advice]
\tdetachedHead = false
[http]
\tlowSpeedLimit = 1
\tlowSpeedTime = 60
[fetch]
\trecurseSubmodules = false
";
