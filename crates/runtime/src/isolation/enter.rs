//! From outside into the sandbox: all is made ready before the fork, and put into force between fork and exec, where
//! only system calls are allowed.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::libc;

use super::cgroup::Group;
use super::joined::Joined;
use super::view::View;
use super::{Sandbox, landlock};

/// More goes to whoever is chosen first when the whole machine is out of memory.
const OOM_BUILD: &[u8] = b"500";
const OOM_APP: &[u8] = b"200";

pub(crate) struct Entry {
    doors: Vec<File>,
    view: Option<Sight>,
    limits: Vec<(libc::__rlimit_resource_t, u64)>,
    user: Option<u32>,
    rules: Option<OwnedFd>,
    oom: Option<&'static [u8]>,
    directory: CString,
}

/// A view of its own, or that of an app.
enum Sight {
    Own(View),
    Joined(Joined),
}

/// What failed, as a small number beside the system's own: an error from behind the fork is a number and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
enum Step {
    Group = 1,
    View,
    Limits,
    User,
    Privileges,
    Landlock,
    Directory,
}

const SHIFT: i32 = 16;

impl Step {
    fn failed(self) -> impl FnOnce(io::Error) -> io::Error {
        move |error| {
            io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EINVAL) | ((self as i32) << SHIFT))
        }
    }
}

/// The error as the parent shows it.
pub(crate) fn explain(error: io::Error) -> io::Error {
    let Some(number) = error.raw_os_error().filter(|n| n >> SHIFT != 0) else { return error };
    let what = match number >> SHIFT {
        n if n == Step::Group as i32 => "cannot enter its control group",
        n if n == Step::View as i32 => "cannot mount its view of the files",
        n if n == Step::Limits as i32 => "cannot set its limits",
        n if n == Step::User as i32 => "cannot become its user",
        n if n == Step::Privileges as i32 => "cannot give up privileges",
        n if n == Step::Landlock as i32 => "cannot put Landlock's rules into force",
        _ => "cannot enter its folder",
    };
    let cause = io::Error::from_raw_os_error(number & ((1 << SHIFT) - 1));
    io::Error::new(cause.kind(), format!("{what}: {cause}"))
}

impl Entry {
    /// Without a sandbox, only the folder is entered.
    pub(crate) fn prepare(directory: &Path, sandbox: Option<&Sandbox>, group: Option<&Group>) -> io::Result<Self> {
        let directory = CString::new(directory.as_os_str().as_bytes())?;
        let Some(sandbox) = sandbox else {
            let (doors, limits) = (Vec::new(), Vec::new());
            return Ok(Self { doors, view: None, limits, user: None, rules: None, oom: None, directory });
        };
        Ok(Self {
            doors: group.map(Group::doors).transpose()?.unwrap_or_default(),
            view: sandbox.view.then(|| match sandbox.beside.and_then(Joined::of) {
                Some(joined) => Sight::Joined(joined),
                None => Sight::Own(View::plan(sandbox)),
            }),
            limits: limits(sandbox, group),
            user: sandbox.user,
            rules: landlock::ruleset(sandbox)?,
            oom: Some(if sandbox.background { OOM_BUILD } else { OOM_APP }),
            directory,
        })
    }

    /// In the child, once.
    pub(crate) fn enter(&mut self) -> io::Result<()> {
        for door in &self.doors {
            write(door.as_raw_fd(), b"0").map_err(Step::Group.failed())?;
        }
        if let Some(text) = self.oom {
            // Not to be had everywhere, and nothing depends on it.
            // SAFETY: a constant text, and numbers.
            let file = unsafe { libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
            if file >= 0 {
                write(file, text).ok();
            }
        }
        match &mut self.view {
            Some(Sight::Own(view)) => {
                // Folders on the way to what was granted are made passable, whatever mask we have inherited.
                // SAFETY: a plain number.
                unsafe { libc::umask(0) };
                view.enter().map_err(Step::View.failed())?;
            }
            Some(Sight::Joined(joined)) => joined.enter().map_err(Step::View.failed())?,
            None => {}
        }
        for (resource, limit) in &self.limits {
            let both = libc::rlimit { rlim_cur: *limit, rlim_max: *limit };
            // SAFETY: reads a value that is ours.
            check(unsafe { libc::setrlimit(*resource, &raw const both) }).map_err(Step::Limits.failed())?;
        }
        if let Some(user) = self.user {
            become_user(user).map_err(Step::User.failed())?;
        }
        if self.oom.is_some() {
            // SAFETY: plain numbers.
            check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }).map_err(Step::Privileges.failed())?;
        }
        if let Some(rules) = &self.rules {
            if self.view.is_some() {
                landlock::admit_shared(rules.as_raw_fd()).map_err(Step::Landlock.failed())?;
            }
            landlock::restrict(rules.as_raw_fd()).map_err(Step::Landlock.failed())?;
        }
        // SAFETY: a text that ends with NUL.
        check(unsafe { libc::chdir(self.directory.as_ptr()) }).map_err(Step::Directory.failed())
    }
}

fn limits(sandbox: &Sandbox, group: Option<&Group>) -> Vec<(libc::__rlimit_resource_t, u64)> {
    // A dump of memory is a file full of secrets.
    let mut limits = vec![(libc::RLIMIT_CORE, 0)];
    if let Some(disk) = sandbox.limits.disk {
        limits.push((libc::RLIMIT_FSIZE, disk.get()));
    }
    if let (Some(memory), false) = (sandbox.limits.memory, group.is_some_and(Group::has_memory)) {
        // Memory that can be written to, used or not: so with room to spare.
        limits.push((libc::RLIMIT_DATA, memory.get().saturating_mul(2)));
    }
    if let (Some(processes), Some(_), false) =
        (sandbox.limits.processes, sandbox.user, group.is_some_and(Group::has_processes))
    {
        limits.push((libc::RLIMIT_NPROC, u64::from(processes.get())));
    }
    limits
}

/// For good: neither the saved user nor any group of ours stays.
fn become_user(user: u32) -> io::Result<()> {
    // SAFETY: no groups, plain numbers.
    check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    // SAFETY: plain numbers.
    check(unsafe { libc::setresgid(user, user, user) })?;
    // SAFETY: plain numbers.
    check(unsafe { libc::setresuid(user, user, user) })
}

fn write(file: i32, text: &[u8]) -> io::Result<()> {
    // SAFETY: reads as many bytes as there are.
    let written = unsafe { libc::write(file, text.as_ptr().cast(), text.len()) };
    if written < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn check(answer: i32) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_from_behind_the_fork_says_what_failed() {
        let error = explain(Step::User.failed()(io::Error::from_raw_os_error(libc::EPERM)));
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().starts_with("cannot become its user: "), "{error}");
        let plain = explain(io::Error::from_raw_os_error(libc::ENOENT));
        assert_eq!(plain.raw_os_error(), Some(libc::ENOENT));
    }
}
