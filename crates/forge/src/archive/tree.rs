//! The tree that an archive becomes.
//!
//! Every file is made in the open folder it belongs in, which was reached from the top one name at a time without
//! following links: whatever an archive put there before, nothing is written elsewhere. So that it has nothing to
//! follow anyhow, links are only noted while files come, and made at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstatat, mkdirat};
use nix::unistd::symlinkat;

use super::budget::Budget;
use super::error::ArchiveError;
use super::name::EntryPath;
use crate::links::stays_inside;

/// Bytes of a link's target, and folders in it.
const LONGEST_TARGET: usize = 1024;
const MOST_PARTS: usize = 128;

const FOLDER: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// A tree that grows.
pub(super) struct Tree<'a> {
    path: PathBuf,
    root: OwnedFd,
    budget: Budget<'a>,
    /// The folders of the path that was used last: archives go through them in order.
    open: Vec<(OsString, OwnedFd)>,
    links: BTreeMap<PathBuf, Link>,
    notes: BTreeSet<String>,
    files: u64,
    bytes: u64,
}

struct Link {
    at: EntryPath,
    target: PathBuf,
}

/// A tree that is complete.
pub(super) struct Finished {
    /// Where it begins: below its single folder, if it has no more.
    pub(super) root: PathBuf,
    /// Files and links.
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) notes: Vec<String>,
}

impl<'a> Tree<'a> {
    /// `path` is an empty folder that nobody else writes to.
    pub(super) fn new(path: &Path, budget: Budget<'a>) -> Result<Self, ArchiveError> {
        let root = open(path, FOLDER, Mode::empty()).map_err(|e| ArchiveError::io("open", path, e.into()))?;
        Ok(Self {
            path: path.to_owned(),
            root,
            budget,
            open: Vec::new(),
            links: BTreeMap::new(),
            notes: BTreeSet::new(),
            files: 0,
            bytes: 0,
        })
    }

    pub(super) fn budget(&self) -> Budget<'a> {
        self.budget.clone()
    }

    /// The path of an entry with this name; `None` if it is left out. Counts it.
    pub(super) fn admit(&mut self, name: &[u8]) -> Result<Option<EntryPath>, ArchiveError> {
        self.budget.entry(name.len())?;
        let path = self.inside(name)?;
        match path.left_out() {
            Some(note) => {
                self.notes.insert(note.to_owned());
                Ok(None)
            }
            None => Ok(Some(path)),
        }
    }

    pub(super) fn folder(&mut self, at: &EntryPath) -> Result<(), ArchiveError> {
        self.descend(at.parts(), at).map(drop)
    }

    /// Writes what `content` gives until its end; returns how many bytes that were.
    pub(super) fn file(
        &mut self,
        at: &EntryPath,
        executable: bool,
        content: &mut dyn Read,
    ) -> Result<u64, ArchiveError> {
        let (folders, name) = self.split(at)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let folder = self.descend(folders, at)?;
        let made = openat(folder, name, flags, Mode::S_IRUSR | Mode::S_IWUSR);
        let mut file = File::from(made.map_err(|e| self.making(at, e))?);
        let (budget, full) = (self.budget.clone(), self.full(at));
        let written = |e| ArchiveError::io("write", &full, e);
        let mut buffer = vec![0; 128 * 1024];
        let mut bytes = 0;
        loop {
            let n = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(ArchiveError::reading(&e)),
            };
            budget.bytes(n as u64)?;
            file.write_all(&buffer[..n]).map_err(written)?;
            bytes += n as u64;
        }
        // Whatever else the archive says: set-uid and the like are not meant to travel.
        let mode = if executable { 0o755 } else { 0o644 };
        file.set_permissions(fs::Permissions::from_mode(mode)).map_err(written)?;
        self.files += 1;
        self.bytes += bytes;
        Ok(bytes)
    }

    /// Notes a symbolic link; it is made at the end, if it stays inside.
    pub(super) fn link(&mut self, at: EntryPath, target: &[u8]) -> Result<(), ArchiveError> {
        let shown = at.to_path();
        let refused = |reason: &str| Err(ArchiveError::refused(shown.as_os_str().as_bytes(), reason));
        self.split(&at)?;
        if target.is_empty() || target.contains(&0) || target.len() > LONGEST_TARGET {
            return refused("is a link to nothing");
        }
        // Each part is looked up, and each link of an archive is followed.
        if target.iter().filter(|byte| **byte == b'/').count() > MOST_PARTS {
            return refused("is a link through too many folders");
        }
        if target.first() == Some(&b'/') {
            return refused("is a link to an absolute path");
        }
        let target = PathBuf::from(OsStr::from_bytes(target));
        if self.links.insert(at.to_path(), Link { at, target }).is_some() {
            return refused("is in it twice");
        }
        self.files += 1;
        Ok(())
    }

    /// A second name for a file that came before.
    pub(super) fn hard_link(&mut self, at: &EntryPath, target: &[u8]) -> Result<(), ArchiveError> {
        let to = self.inside(target)?;
        let missing = || {
            let what = format!("is a link to `{}`, which is no file that came before it", super::error::shown(target));
            ArchiveError::refused(at.to_path().as_os_str().as_bytes(), what)
        };
        let (target_folders, target_name) = to.split().ok_or_else(missing)?;
        let target_folder = self.find(target_folders).ok_or_else(missing)?;
        let found = fstatat(&target_folder, target_name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(|_| missing())?;
        if SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()) != SFlag::S_IFREG {
            return Err(missing());
        }
        // A copy: a file with a second name may be anybody's, and is refused when a release is sealed.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let content = openat(&target_folder, target_name, flags, Mode::empty()).map_err(|_| missing())?;
        self.file(at, found.st_mode & 0o111 != 0, &mut File::from(content)).map(drop)
    }

    /// Makes the links, takes a single folder at the top away.
    pub(super) fn finish(mut self) -> Result<Finished, ArchiveError> {
        if self.files == 0 {
            return Err(ArchiveError::Empty);
        }
        let links = std::mem::take(&mut self.links);
        for link in links.values() {
            let (folders, _) = self.split(&link.at)?;
            self.descend(folders, &link.at)?;
        }
        let top = self.single_top(&links)?;
        let below = |path: &Path| match &top {
            Some(top) => path.strip_prefix(top).unwrap_or(path).to_owned(),
            None => path.to_owned(),
        };
        let targets: BTreeMap<PathBuf, &PathBuf> =
            links.iter().map(|(path, link)| (below(path), &link.target)).collect();
        for (path, link) in &links {
            // A moment to hear of a cancel.
            self.budget.bytes(0)?;
            if !stays_inside(&below(path), &link.target, |p| targets.get(p).map(|target| (*target).clone())) {
                let what = format!("is a link to `{}`, outside of the archive's folder", link.target.display());
                return Err(ArchiveError::refused(path.as_os_str().as_bytes(), what));
            }
        }
        for link in links.values() {
            self.budget.bytes(0)?;
            let (folders, name) = self.split(&link.at)?;
            let folder = self.descend(folders, &link.at)?;
            symlinkat(&link.target, folder, name).map_err(|e| self.making(&link.at, e))?;
        }
        let root = match &top {
            Some(top) => self.path.join(top),
            None => self.path.clone(),
        };
        let stripped = top.map(|top| format!("all of it lies in `{}`: that folder became the top", top.display()));
        let notes = stripped.into_iter().chain(self.notes).collect();
        Ok(Finished { root, files: self.files, bytes: self.bytes, notes })
    }

    /// The only folder at the top, if there is nothing beside it.
    fn single_top(&self, links: &BTreeMap<PathBuf, Link>) -> Result<Option<PathBuf>, ArchiveError> {
        let failed = |e| ArchiveError::io("read", &self.path, e);
        let mut entries = fs::read_dir(&self.path).map_err(failed)?;
        let Some(first) = entries.next().transpose().map_err(failed)? else { return Ok(None) };
        let top = PathBuf::from(first.file_name());
        let alone = entries.next().is_none()
            && first.file_type().map_err(failed)?.is_dir()
            && links.keys().all(|path| path.starts_with(&top) && *path != top);
        Ok(alone.then_some(top))
    }

    fn inside(&self, name: &[u8]) -> Result<EntryPath, ArchiveError> {
        EntryPath::parse(name, self.budget.limits).map_err(|reason| ArchiveError::refused(name, reason))
    }

    fn split<'p>(&self, at: &'p EntryPath) -> Result<(&'p [OsString], &'p OsStr), ArchiveError> {
        at.split().ok_or_else(|| ArchiveError::refused(b".", "is not a folder, as the top must be"))
    }

    /// The open folder at `folders`, made where it is missing. `at` is what it is needed for.
    fn descend(&mut self, folders: &[OsString], at: &EntryPath) -> Result<BorrowedFd<'_>, ArchiveError> {
        let common = self.open.iter().zip(folders).take_while(|((name, _), folder)| name == *folder).count();
        self.open.truncate(common);
        for (level, name) in folders.iter().enumerate().skip(common) {
            let here = self.open.last().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd());
            match mkdirat(here, name.as_os_str(), Mode::from_bits_truncate(0o777)) {
                // One on the way may have no entry of its own, so it counts here; `at` itself was counted by its entry.
                Ok(()) if level + 1 < at.parts().len() => self.budget.entry(0)?,
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(e) => return Err(ArchiveError::io("make", &self.full(at), e.into())),
            }
            let next = openat(here, name.as_os_str(), FOLDER, Mode::empty()).map_err(|e| self.making(at, e))?;
            self.open.push((name.clone(), next));
        }
        Ok(self.open.last().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd()))
    }

    /// The folder at `folders`, if it is there.
    fn find(&self, folders: &[OsString]) -> Option<OwnedFd> {
        let mut here = self.root.try_clone().ok()?;
        for name in folders {
            here = openat(&here, name.as_os_str(), FOLDER, Mode::empty()).ok()?;
        }
        Some(here)
    }

    /// Something of this name is there, or it can't be made.
    fn making(&self, at: &EntryPath, error: Errno) -> ArchiveError {
        let path = at.to_path();
        let name = path.as_os_str().as_bytes();
        match error {
            Errno::EEXIST => ArchiveError::refused(name, "is in it twice"),
            Errno::ENOTDIR | Errno::ELOOP => {
                ArchiveError::refused(name, "needs a folder where something else has that name")
            }
            other => ArchiveError::io("make", &self.full(at), other.into()),
        }
    }

    fn full(&self, at: &EntryPath) -> PathBuf {
        self.path.join(at.to_path())
    }
}
