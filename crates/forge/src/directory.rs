//! Copies of a directory on this machine.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ignore::WalkBuilder;
use tokio_util::sync::CancellationToken;

use crate::error::IoError;
use crate::links::stays_inside;

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files and links.
    pub files: u64,
    pub bytes: u64,
    /// What was left out that a person may miss, one line each.
    pub notes: Vec<String>,
}

/// Why a directory was not copied. Nothing is left at the destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    #[error("there is no folder {}; give the path of a folder on the server's machine", .0.display())]
    NotFound(PathBuf),
    #[error("{} is not a folder", .0.display())]
    NotADirectory(PathBuf),
    #[error("{} can't be copied into itself: {} lies inside of it", path.display(), dest.display())]
    IntoItself { path: PathBuf, dest: PathBuf },
    #[error("{} is a link to {}, outside of the folder; replace it with the file, or ignore it in .plimsollignore", file.display(), target.display())]
    LinkOutside { file: PathBuf, target: PathBuf },
    #[error("{} has more than {MAX_FILES} files; name a smaller folder, or ignore what is not needed in .plimsollignore", .0.display())]
    TooMany(PathBuf),
    #[error("{} is large: its files could not be counted within {} s; name a smaller folder, or ignore what is not needed in .plimsollignore", path.display(), within.as_secs())]
    TooLong { path: PathBuf, within: Duration },
    #[error("the copy was cancelled")]
    Cancelled,
    #[error("could not {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: IoError },
}

/// The most files, links and folders that a source may have.
pub const MAX_FILES: usize = 200_000;

/// Whether a folder is small enough to be source at all, as far as that can be told `within` this time. Blocks that long at most.
///
/// # Errors
/// `TooMany` and `TooLong`; what can't be read isn't counted.
pub fn check_size(path: &Path, within: Duration) -> Result<(), DirectoryError> {
    let began = Instant::now();
    let over = || DirectoryError::TooLong { path: path.to_owned(), within };
    count(path, || (began.elapsed() > within).then(over))
}

/// Counts the files of a folder, until there are too many or `stop` says why not to go on.
fn count(path: &Path, stop: impl Fn() -> Option<DirectoryError>) -> Result<(), DirectoryError> {
    for (number, _) in walk(path).enumerate() {
        if number >= MAX_FILES {
            return Err(DirectoryError::TooMany(path.to_owned()));
        }
        if let Some(why) = stop() {
            return Err(why);
        }
    }
    Ok(())
}

/// Copies the files of `path` into `dest`, which must not exist, without `.git` and without what
/// `.gitignore` and `.plimsollignore` name; hidden files come along. Links stay links and must stay
/// inside. Blocks; run it where blocking is allowed.
pub fn copy(path: &Path, dest: &Path, cancel: &CancellationToken) -> Result<Copied, DirectoryError> {
    let source = path.canonicalize().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => DirectoryError::NotFound(path.to_owned()),
        _ => failed("read", path, error),
    })?;
    if !source.is_dir() {
        return Err(DirectoryError::NotADirectory(path.to_owned()));
    }
    if dest.symlink_metadata().is_ok() {
        return Err(failed("write", dest, io::ErrorKind::AlreadyExists.into()));
    }
    let parent = dest.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = parent.canonicalize().map_err(|e| failed("write", parent, e))?;
    if parent.starts_with(&source) {
        return Err(DirectoryError::IntoItself { path: path.to_owned(), dest: dest.to_owned() });
    }
    let staging =
        tempfile::Builder::new().prefix(".copy-").tempdir_in(&parent).map_err(|e| failed("write", &parent, e))?;
    let tree = staging.path().join("tree");
    let copied = copy_tree(&source, &tree, cancel)?;
    fs::rename(&tree, dest).map_err(|e| failed("write", dest, e))?;
    Ok(copied)
}

fn copy_tree(source: &Path, tree: &Path, cancel: &CancellationToken) -> Result<Copied, DirectoryError> {
    let mut copied = Copied::default();
    count(source, || cancel.is_cancelled().then_some(DirectoryError::Cancelled))?;
    for entry in walk(source) {
        if cancel.is_cancelled() {
            return Err(DirectoryError::Cancelled);
        }
        let entry = entry.map_err(|error| {
            let text = error.to_string();
            failed("read", source, error.into_io_error().unwrap_or_else(|| io::Error::other(text)))
        })?;
        let Some(kind) = entry.file_type() else {
            continue;
        };
        let Ok(relative) = entry.path().strip_prefix(source) else {
            continue;
        };
        let target = tree.join(relative);
        if kind.is_dir() {
            fs::create_dir(&target).map_err(|e| failed("write", &target, e))?;
        } else if kind.is_symlink() {
            copy_link(source, relative, &target)?;
            copied.files += 1;
        } else if kind.is_file() {
            copied.bytes += copy_file(entry.path(), &target, cancel)?;
            copied.files += 1;
        } else {
            let what = if kind.is_socket() {
                "a socket"
            } else if kind.is_fifo() {
                "a named pipe"
            } else {
                "a device"
            };
            copied.notes.push(format!("{} was left out: it is {what}", relative.display()));
        }
    }
    Ok(copied)
}

/// The entries of a folder that count as source.
fn walk(source: &Path) -> ignore::Walk {
    WalkBuilder::new(source)
        .hidden(false)
        // The folder itself decides; what lies around it or is set for the user does not.
        .parents(false)
        .git_global(false)
        .git_exclude(false)
        .require_git(false)
        .ignore(false)
        .add_custom_ignore_filename(".plimsollignore")
        .filter_entry(|entry| entry.file_name() != ".git")
        .build()
}

fn copy_link(source: &Path, relative: &Path, target: &Path) -> Result<(), DirectoryError> {
    let from = source.join(relative);
    let leads_to = fs::read_link(&from).map_err(|e| failed("read", &from, e))?;
    if !stays_inside(relative, &leads_to, |p| fs::read_link(source.join(p)).ok()) {
        return Err(DirectoryError::LinkOutside { file: from, target: leads_to });
    }
    std::os::unix::fs::symlink(&leads_to, target).map_err(|e| failed("write", target, e))
}

/// In pieces, so that a cancel is heard in the middle of a large file.
fn copy_file(from: &Path, target: &Path, cancel: &CancellationToken) -> Result<u64, DirectoryError> {
    // A file that was exchanged for a link or a pipe since it was listed is not opened.
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(from);
    let mut input = opened.map_err(|e| failed("read", from, e))?;
    let meta = input.metadata().map_err(|e| failed("read", from, e))?;
    if !meta.is_file() {
        return Err(failed("read", from, io::Error::other("it changed while it was copied")));
    }
    let mut output = File::create_new(target).map_err(|e| failed("write", target, e))?;
    let mut buffer = vec![0; 256 * 1024];
    let mut bytes = 0;
    loop {
        if cancel.is_cancelled() {
            return Err(DirectoryError::Cancelled);
        }
        let n = input.read(&mut buffer).map_err(|e| failed("read", from, e))?;
        if n == 0 {
            break;
        }
        output.write_all(&buffer[..n]).map_err(|e| failed("write", target, e))?;
        bytes += n as u64;
    }
    // Not set-uid and the like: nobody meant those to travel.
    let mode = fs::Permissions::from_mode((meta.permissions().mode() & 0o777) | 0o600);
    output.set_permissions(mode).map_err(|e| failed("write", target, e))?;
    Ok(bytes)
}

fn failed(doing: &'static str, path: &Path, error: io::Error) -> DirectoryError {
    DirectoryError::Io { doing, path: path.to_owned(), source: error.into() }
}
