//! The view of an app that runs, for a command that is to see what the app sees, and the memory that its processes share.
//!
//! Source: `setns(2)`, `ioctl_ns(2)`.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::fs::MetadataExt;

use nix::libc;
use nix::unistd::geteuid;

use crate::proc::Process;

/// The namespaces of a process. They stay when it ends.
#[derive(Debug)]
pub(crate) struct Joined {
    /// For who isn't root.
    users: Option<File>,
    mounts: File,
}

impl Joined {
    /// `None` when the process has ended. Nor is root led into a view that a process has made itself.
    pub(crate) fn of(process: Process) -> Option<Self> {
        let mounts = File::open(format!("/proc/{}/ns/mnt", process.pid)).ok()?;
        // SAFETY: an open descriptor, and a number.
        let users = unsafe { libc::ioctl(mounts.as_raw_fd(), libc::NS_GET_USERNS) };
        if users < 0 {
            return None;
        }
        // SAFETY: what is no error is a new descriptor, which nobody else owns.
        let users = unsafe { File::from_raw_fd(users) };
        // Looked at after they were opened: so they are this very process's.
        if Process::of(process.pid) != Some(process) {
            return None;
        }
        let (theirs, ours) = (users.metadata().ok()?, std::fs::metadata("/proc/self/ns/user").ok()?);
        let own = (theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino());
        // Root makes views without another namespace of users, and nobody else can.
        (own == geteuid().is_root()).then_some(Self { users: (!own).then_some(users), mounts })
    }

    /// Between fork and exec: system calls alone.
    pub(crate) fn enter(&self) -> io::Result<()> {
        if let Some(users) = &self.users {
            join(users.as_raw_fd(), libc::CLONE_NEWUSER)?;
        }
        join(self.mounts.as_raw_fd(), libc::CLONE_NEWNS)
    }
}

fn join(namespace: RawFd, kind: libc::c_int) -> io::Result<()> {
    // SAFETY: an open descriptor, and a number.
    match unsafe { libc::setns(namespace, kind) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
