//! What the command line wants to know of the folder it stands in.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use domain::source::Commit;

use crate::git;

/// The git work tree around a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Top of the work tree.
    pub root: PathBuf,
    pub head: Commit,
    /// Absent when the head is detached.
    pub branch: Option<String>,
    /// Changed and untracked files that are not ignored.
    pub dirty_files: usize,
    /// URL of `origin`, or of the only remote, without a password.
    pub remote: Option<String>,
}

/// Describes the repository around `dir`; `None` outside of one, without commits, or without git. Blocks for some milliseconds.
pub fn describe(dir: &Path) -> Option<Local> {
    let root = PathBuf::from(ask(dir, &["rev-parse", "--show-toplevel"])?.trim_end_matches('\n'));
    let head = git::commit(&ask(dir, &["log", "-1", "--no-show-signature", "--format=%H%x00%an%x00%at%x00%s"])?);
    let branch = ask(dir, &["symbolic-ref", "--quiet", "--short", "HEAD"]).map(|b| b.trim().to_owned());
    let status = ask(&root, &["status", "--porcelain=v1", "-z", "--no-renames"])?;
    let dirty_files = status.split('\0').filter(|entry| !entry.is_empty()).count();
    let names = ask(dir, &["remote"]).unwrap_or_default();
    let names: Vec<&str> = names.lines().collect();
    let name = match names.as_slice() {
        [only] => Some(*only),
        several => several.iter().find(|n| **n == "origin").copied(),
    };
    let remote = name.and_then(|name| ask(dir, &["config", "--get", &format!("remote.{name}.url")]));
    let remote = remote.map(|url| git::url::redact_userinfo(url.trim_end_matches('\n')).replace("://***@", "://"));
    Some(Local { root, head, branch, dirty_files, remote })
}

fn ask(dir: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .current_dir(dir)
        // A look must not write: no refresh of the index, and no program that the repository names.
        .args(["--no-optional-locks", "-c", "core.fsmonitor=false"])
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
