//! Files change hands: a workspace goes to the app's user for its build, a release comes back. What a user has made is
//! hostile: nothing here follows a link, and no path is used twice.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::NESTED;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, linkat, unlinkat};

/// Makes a folder for `user` alone, mode 0700, unless it is there; `None` for the server's own. Its parent must be the
/// server's.
pub fn folder_for(path: &Path, user: Option<u32>) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let Some(user) = user else { return Ok(()) };
    let dir = open_folder(path)?;
    let now = fstat(dir.as_fd())?;
    if (now.st_uid, now.st_gid) == (user, user) {
        return Ok(());
    }
    // It was made when apps had another user, and may hold what that one left.
    give_below(&dir, user, 0)?;
    own(&dir, user, user)
}

/// Bytes on the disk of a folder and all below it, as far as it can be read; links count as links.
pub fn size(path: &Path) -> u64 {
    let mut usage = super::usage::Usage::new(vec![path.to_owned()], None);
    // Without a limit there is nothing to exceed.
    while let Ok(false) = usage.step(10_000, &BTreeSet::new) {}
    usage.found()
}

/// All of the folder becomes `user`'s, links as links.
pub fn give(path: &Path, user: u32) -> io::Result<()> {
    let dir = open_folder(path)?;
    give_below(&dir, user, 0)?;
    own(&dir, user, user)
}

/// All of the folder becomes the server's, readable by the group of `user` alone, and by nobody changed: files lose the
/// permission to write and any special bits, folders get 0750. `None`: it stays whose it is, and is as readable as it was.
///
/// A file with another name elsewhere (a package manager's store) is replaced by a copy, as it could be changed there.
pub fn seal(path: &Path, user: Option<u32>) -> io::Result<()> {
    let dir = open_folder(path)?;
    seal_below(&dir, user, 0)?;
    if let Some(user) = user {
        own(&dir, 0, user)?;
        fchmod(dir.as_fd(), Mode::from_bits_truncate(0o750))?;
    }
    Ok(())
}

/// A pipe that the command may open again by its name in `/proc`, as `/dev/stderr` does.
pub(crate) fn give_pipe(pipe: &impl AsFd, user: Option<u32>) -> io::Result<()> {
    match user {
        Some(user) => Ok(fchown(pipe, Some(Uid::from_raw(user)), Some(Gid::from_raw(user)))?),
        None => Ok(()),
    }
}

fn own(file: &OwnedFd, user: u32, group: u32) -> io::Result<()> {
    Ok(fchown(file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?)
}

const FOLDER: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
/// Without waiting: a pipe with a name would.
const FILE: OFlag = OFlag::O_RDONLY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC).union(OFlag::O_NONBLOCK);

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    open(path, FOLDER, Mode::empty()).map_err(|e| named(e.into(), path))
}

/// Names and kinds in a folder.
fn entries(dir: &OwnedFd) -> io::Result<Vec<(std::ffi::CString, FileStat)>> {
    let mut found = Vec::new();
    // A descriptor of its own, as reading moves on in it.
    let mut listing = Dir::openat(dir, ".", FOLDER, Mode::empty())?;
    for entry in listing.iter() {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            let stat = fstatat(dir, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
            found.push((name, stat));
        }
    }
    Ok(found)
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// Each level costs a descriptor and a piece of the stack.
fn not_too_deep(depth: usize) -> io::Result<()> {
    if depth <= NESTED { Ok(()) } else { Err(io::Error::other(format!("folders are nested more than {NESTED} deep"))) }
}

fn give_below(dir: &OwnedFd, user: u32, depth: usize) -> io::Result<()> {
    not_too_deep(depth)?;
    for (name, stat) in entries(dir)? {
        if kind(&stat) == SFlag::S_IFDIR {
            let below = openat(dir, name.as_c_str(), FOLDER, Mode::empty())?;
            give_below(&below, user, depth + 1)?;
        }
        if (stat.st_uid, stat.st_gid) != (user, user) {
            let (user, group) = (Some(Uid::from_raw(user)), Some(Gid::from_raw(user)));
            fchownat(dir, name.as_c_str(), user, group, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        }
    }
    Ok(())
}

fn seal_below(dir: &OwnedFd, user: Option<u32>, depth: usize) -> io::Result<()> {
    not_too_deep(depth)?;
    for (name, stat) in entries(dir)? {
        let name = name.as_c_str();
        match kind(&stat) {
            SFlag::S_IFDIR => {
                let below = openat(dir, name, FOLDER, Mode::empty())?;
                seal_below(&below, user, depth + 1)?;
                if let Some(user) = user {
                    own(&below, 0, user)?;
                    fchmod(below.as_fd(), Mode::from_bits_truncate(0o750))?;
                }
            }
            SFlag::S_IFREG => {
                if let Some(user) = user.filter(|_| stat.st_nlink > 1) {
                    if stat.st_uid != user {
                        // The server would hand over what the app may not read.
                        let why = format!("{} is another name of a file that is not the app's", name.to_string_lossy());
                        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
                    }
                    copy_in_place(dir, name)?;
                }
                let file = openat(dir, name, FILE, Mode::empty())?;
                let executable = stat.st_mode & 0o100;
                let mode = match user {
                    Some(user) => {
                        own(&file, 0, user)?;
                        0o440 | executable | (executable >> 3)
                    }
                    None => stat.st_mode & 0o555,
                };
                fchmod(file.as_fd(), Mode::from_bits_truncate(mode))?;
            }
            _ => {
                if let Some(user) = user {
                    let (root, group) = (Some(Uid::from_raw(0)), Some(Gid::from_raw(user)));
                    fchownat(dir, name, root, group, AtFlags::AT_SYMLINK_NOFOLLOW)?;
                }
            }
        }
    }
    Ok(())
}

/// The name gets a file of its own with the same content.
fn copy_in_place(dir: &OwnedFd, name: &std::ffi::CStr) -> io::Result<()> {
    let mut from = File::from(openat(dir, name, FILE, Mode::empty())?);
    let here = openat(dir, ".", OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::from_bits_truncate(0o600));
    let to = match here {
        Ok(file) => file,
        // Not every file system can make a file without a name.
        Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => return copy_by_name(dir, name, &mut from),
        Err(e) => return Err(e.into()),
    };
    let mut to = File::from(to);
    io::copy(&mut from, &mut to)?;
    unlinkat(dir, name, UnlinkatFlags::NoRemoveDir)?;
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&to));
    Ok(linkat(nix::fcntl::AT_FDCWD, path.as_str(), dir, name, AtFlags::AT_SYMLINK_FOLLOW)?)
}

/// Through a folder of our own, where nobody else can put a link in the way.
fn copy_by_name(dir: &OwnedFd, name: &std::ffi::CStr, from: &mut File) -> io::Result<()> {
    let temporary = format!(".plimsoll-seal-{}", std::process::id());
    mkdirat(dir, temporary.as_str(), Mode::from_bits_truncate(0o700))?;
    let own = openat(dir, temporary.as_str(), FOLDER, Mode::empty())?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let copied = openat(&own, "file", flags, Mode::from_bits_truncate(0o600))
        .map_err(io::Error::from)
        .and_then(|to| io::copy(from, &mut File::from(to)))
        .and_then(|_| Ok(nix::fcntl::renameat(&own, "file", dir, name)?));
    unlinkat(&own, "file", UnlinkatFlags::NoRemoveDir).ok();
    unlinkat(dir, temporary.as_str(), UnlinkatFlags::RemoveDir)?;
    copied
}

fn named(error: io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    fn sealing_follows_no_link_and_shares_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, release) = (dir.path().join("outside"), dir.path().join("release"));
        fs::create_dir_all(outside.join("store")).unwrap();
        fs::create_dir_all(release.join("sub")).unwrap();
        fs::write(outside.join("store/shared"), "content").unwrap();
        fs::set_permissions(outside.join("store/shared"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::hard_link(outside.join("store/shared"), release.join("sub/shared")).unwrap();
        symlink(outside.join("store"), release.join("out")).unwrap();
        symlink(outside.join("store/shared"), release.join("link")).unwrap();
        fs::write(release.join("run"), "#!/bin/sh").unwrap();
        fs::set_permissions(release.join("run"), fs::Permissions::from_mode(0o4777)).unwrap();
        nix::unistd::mkfifo(&release.join("fifo"), Mode::from_bits_truncate(0o600)).unwrap();

        let root = nix::unistd::geteuid().is_root();
        if root {
            let refused = seal(&release, Some(54_321)).unwrap_err();
            assert!(refused.to_string().contains("shared is another name of a file"), "{refused}");
            give(&release, 54_321).unwrap();
        }
        seal(&release, root.then_some(54_321)).unwrap();
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(&outside.join("store/shared")), if root { 0o644 } else { 0o444 });
        assert_eq!(mode(&release.join("run")), if root { 0o550 } else { 0o555 });
        if root {
            assert_eq!(mode(&release.join("sub/shared")), 0o440);
            assert_eq!(fs::read_to_string(release.join("sub/shared")).unwrap(), "content");
            assert_eq!(fs::metadata(outside.join("store/shared")).unwrap().uid(), 54_321);
            let sealed = fs::metadata(release.join("sub/shared")).unwrap();
            assert_eq!((sealed.uid(), sealed.gid(), sealed.nlink()), (0, 54_321, 1));
            assert_eq!(mode(&release.join("sub")), 0o750);
            give(&release, 54_321).unwrap();
            assert_eq!(fs::metadata(outside.join("store")).unwrap().uid(), 0);
            assert_eq!(fs::symlink_metadata(release.join("out")).unwrap().uid(), 54_321);
        }
    }
}
