//! Removing what a user has made: however deep, and without following a link.
//!
//! A walk that descends holds a descriptor and a piece of the stack for each level, and a hostile tree has as many levels as the
//! disk has room for. So nothing here descends: folders two levels down are moved up, until there are none.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

const FOLDER: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Removes a folder and everything in it, read-only folders included; a missing one is fine. Interrupted, it leaves less than
/// before, and is to be called again.
///
/// # Errors
/// When something can't be removed: another user's, or the path is no folder.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match empty_tree(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    std::fs::remove_dir(path)
}

/// The same, but the folder itself stays.
pub(crate) fn empty_tree(path: &Path) -> io::Result<()> {
    let top = match open(path, FOLDER, Mode::empty()) {
        Err(Errno::EACCES) => {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
            open(path, FOLDER, Mode::empty())?
        }
        other => other?,
    };
    let mut moved = 0_u64;
    loop {
        let entries = names(&top)?;
        if entries.is_empty() {
            return Ok(());
        }
        for name in entries {
            if unlink(&top, &name)? {
                continue;
            }
            let folder = open_writable(&top, &name)?;
            for inner in names(&folder)? {
                if !unlink(&folder, &inner)? {
                    // Moving a folder writes its own `..`, for which it must be writable.
                    drop(open_writable(&folder, &inner)?);
                    lift(&folder, &inner, &top, &mut moved)?;
                }
            }
            unlinkat(&top, name.as_c_str(), UnlinkatFlags::RemoveDir)?;
        }
    }
}

fn names(dir: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut listing = Dir::openat(dir, ".", FOLDER, Mode::empty())?;
    let mut found = Vec::new();
    for entry in listing.iter() {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            found.push(name);
        }
    }
    Ok(found)
}

/// `false` for a folder, which stays.
fn unlink(dir: &OwnedFd, name: &CStr) -> io::Result<bool> {
    let stat = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR {
        return Ok(false);
    }
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(e) => Err(e.into()),
    }
}

/// Build tools leave folders without write permission behind (Go's module cache does).
fn open_writable(dir: &OwnedFd, name: &CStr) -> io::Result<OwnedFd> {
    use std::os::unix::fs::PermissionsExt;
    // By descriptor: another build of the app may put a link in the place of the name at any time, and this may be root.
    let found = openat(dir, name, FOLDER.union(OFlag::O_PATH), Mode::empty())?;
    if fstat(&found)?.st_mode & 0o700 != 0o700 {
        let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
        std::fs::set_permissions(itself, std::fs::Permissions::from_mode(0o700)).ok();
    }
    Ok(openat(&found, ".", FOLDER, Mode::empty())?)
}

fn lift(from: &OwnedFd, name: &CStr, top: &OwnedFd, moved: &mut u64) -> io::Result<()> {
    loop {
        *moved += 1;
        let free = format!(".removed-{moved}");
        match fstatat(top, free.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => return Ok(renameat(from, name, top, free.as_str())?),
            Err(e) => return Err(e.into()),
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn no_depth_no_link_and_no_permission_is_in_its_way() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        fs::create_dir_all(tree.join("a/closed/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        symlink(&outside, tree.join("a/link")).unwrap();
        fs::write(tree.join("a/.removed-1"), "").unwrap();
        fs::create_dir(tree.join(".removed-1")).unwrap();
        fs::write(tree.join("a/closed/b/file"), "").unwrap();
        fs::set_permissions(tree.join("a/closed"), fs::Permissions::from_mode(0o500)).unwrap();
        // Deeper than a path can say, than descriptors reach and than a stack holds.
        let mut at = open(&tree, FOLDER, Mode::empty()).unwrap();
        for _ in 0..30_000 {
            nix::sys::stat::mkdirat(&at, "d", Mode::from_bits_truncate(0o755)).unwrap();
            at = openat(&at, "d", FOLDER, Mode::empty()).unwrap();
        }
        drop(at);
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && outside.join("kept").exists());
        remove_tree(&tree).unwrap();
    }
}
