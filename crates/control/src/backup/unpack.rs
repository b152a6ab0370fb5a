//! Entries of a backup become files again, below one folder and nowhere else.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::archive::{Entry, Kind};

/// Fills a folder. What a folder may at last be is set at the end, as nothing could be put into one that is read-only.
pub(super) struct Unpack {
    root: PathBuf,
    /// Made here, so that no entry goes through a link.
    made: BTreeSet<PathBuf>,
    folders: Vec<(PathBuf, u32)>,
    /// Owners can be given by root alone; otherwise all belongs to whoever restores.
    owners: bool,
}

impl Unpack {
    pub(super) fn into(root: &Path) -> Self {
        let owners = nix::unistd::geteuid().is_root();
        Self { root: root.to_owned(), made: BTreeSet::new(), folders: Vec::new(), owners }
    }

    pub(super) fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        let path = self.root.join(&entry.path);
        self.parent(&path)?;
        match entry.kind {
            Kind::Folder => {
                fs::DirBuilder::new().mode(0o700).create(&path)?;
                self.made.insert(path.clone());
                self.own(&path, entry)?;
                self.folders.push((path, entry.mode & 0o777));
            }
            Kind::Link => {
                symlink(entry.target.as_deref().unwrap_or(Path::new("")), &path)?;
                if self.owners {
                    lchown(&path, Some(entry.owner.0), Some(entry.owner.1))?;
                }
            }
            Kind::File => {
                let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
                io::copy(content, &mut file)?;
                let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(entry.modified).unwrap_or(0));
                file.set_modified(modified)?;
                self.own(&path, entry)?;
                file.set_permissions(fs::Permissions::from_mode(entry.mode & 0o777))?;
            }
        }
        Ok(())
    }

    /// Sets what folders may, and makes all of it durable.
    pub(super) fn finish(self) -> io::Result<()> {
        for (path, mode) in self.folders.iter().rev() {
            fs::set_permissions(path, fs::Permissions::from_mode(*mode))?;
        }
        Ok(nix::unistd::syncfs(File::open(&self.root)?)?)
    }

    fn own(&self, path: &Path, entry: &Entry) -> io::Result<()> {
        match self.owners {
            true => chown(path, Some(entry.owner.0), Some(entry.owner.1)),
            false => Ok(()),
        }
    }

    /// The folders above `path` that have no entry of their own.
    fn parent(&mut self, path: &Path) -> io::Result<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        if parent == self.root || self.made.contains(parent) {
            return Ok(());
        }
        self.parent(parent)?;
        match fs::DirBuilder::new().mode(0o700).create(parent) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && fs::symlink_metadata(parent)?.is_dir() => {}
            other => other?,
        }
        self.made.insert(parent.to_owned());
        Ok(())
    }
}
