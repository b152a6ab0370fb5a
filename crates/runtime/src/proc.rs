//! What `/proc` tells about processes, and signals that can't hit the wrong one.
//!
//! A pid alone names nothing for long: the kernel hands it out again. So a process
//! is a pid *and* its start time, and every signal goes through a pidfd that was
//! opened before the identity was checked.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

/// A process that was seen at some time; it may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Process {
    pub pid: i32,
    /// Clock ticks after boot: field 22 of `/proc/<pid>/stat`.
    pub start: u64,
}

/// The fields of `/proc/<pid>/stat` that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) zombie: bool,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) start: u64,
}

impl Process {
    pub(crate) fn of(pid: i32) -> Option<Self> {
        stat(pid).map(|stat| Self { pid, start: stat.start })
    }

    /// The one that asks.
    pub fn itself() -> Option<Self> {
        Self::of(std::process::id().cast_signed())
    }

    /// Kills exactly this process, and waits for its end; whether it is gone. Blocks the thread for up to `limit`.
    pub fn kill(self, limit: Duration) -> bool {
        match self.open() {
            Some(handle) => handle.signal(libc::SIGKILL).is_ok() && handle.ended_within(limit),
            None => true,
        }
    }

    /// A handle on exactly this process, if it still is there.
    pub(crate) fn open(self) -> Option<PidFd> {
        let handle = PidFd::open(self.pid)?;
        // Checked after opening: from here on the handle can't come to mean another one.
        (Self::of(self.pid) == Some(self)).then_some(handle)
    }
}

pub(crate) fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &[u8]) -> Option<Stat> {
    // The name, in parentheses, may hold spaces, parentheses and bytes that are no text.
    let end = text.iter().rposition(|b| *b == b')')?;
    let rest = std::str::from_utf8(text.get(end + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

/// All pids there are right now.
pub(crate) fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
}

/// Every process below `root`, nearest first; zombies left out.
pub(crate) fn descendants(root: i32) -> Vec<(Process, Stat)> {
    let all: Vec<(i32, Stat)> = pids().into_iter().filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for (pid, stat) in all.iter().filter(|(_, stat)| stat.parent == parent) {
            parents.push(*pid);
            if !stat.zombie {
                found.push((Process { pid: *pid, start: stat.start }, *stat));
            }
        }
    }
    found
}

/// The environment a process was started with; empty for zombies and for processes of other users.
pub(crate) struct Environ(Vec<u8>);

impl Environ {
    pub(crate) fn of(pid: i32) -> Self {
        Self(fs::read(format!("/proc/{pid}/environ")).unwrap_or_default())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.split(|b| *b == 0).find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }

    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value.as_bytes())
    }
}

/// A handle on one process that stays on it even when the pid is used again.
#[derive(Debug)]
pub(crate) struct PidFd(OwnedFd);

impl PidFd {
    pub(crate) fn open(pid: i32) -> Option<Self> {
        // SAFETY: a system call on plain numbers; a result that isn't an error is a new descriptor of ours.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
        // SAFETY: see above; nobody else owns it.
        Some(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Nothing happens if the process is gone. `Err` if it may not be signalled.
    pub(crate) fn signal(&self, signal: i32) -> Result<(), Errno> {
        let none = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open, a null siginfo is allowed.
        let done = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, none, 0) };
        match Errno::result(done) {
            Ok(_) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Whether the process ends within this time. Does not reap it.
    pub(crate) fn ended_within(&self, limit: Duration) -> bool {
        let deadline = std::time::Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            // Rounded up, so that the last wait doesn't become a busy loop of zero milliseconds.
            let wait = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], wait) {
                Ok(0) if left.is_zero() => return false,
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return true,
                Err(_) => return false,
            }
        }
    }

    pub(crate) fn into_fd(self) -> OwnedFd {
        self.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_in_stat_may_hold_anything() {
        let line = b"42 (a) b (\xff)) S 1 2 3 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1";
        assert_eq!(parse_stat(line).unwrap(), Stat { zombie: false, parent: 1, group: 2, start: 12345 });
        assert!(parse_stat(b"").is_none() && parse_stat(b"42 (a)").is_none());
    }

    #[test]
    fn a_pid_with_another_start_time_is_not_opened() {
        let me = Process::itself().unwrap();
        assert!(me.open().is_some());
        assert!(Process { start: me.start + 1, ..me }.open().is_none());
    }

    #[test]
    fn finds_children_and_their_environment() {
        let mut child = std::process::Command::new("sleep").arg("60").env("RUNTIME_PROC_TEST", "x=y").spawn().unwrap();
        let pid = child.id().cast_signed();
        let me = std::process::id().cast_signed();
        assert!(descendants(me).iter().any(|(process, _)| process.pid == pid));
        // The kernel lets the parent go on before the new program's environment is in its place.
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !Environ::of(pid).has("RUNTIME_PROC_TEST", "x=y") {
            assert!(std::time::Instant::now() < deadline, "the environment of the child never shows");
            std::thread::yield_now();
        }
        assert!(!Environ::of(pid).has("RUNTIME_PROC", "x=y"));
        let handle = PidFd::open(pid).unwrap();
        assert!(!handle.ended_within(Duration::ZERO));
        handle.signal(libc::SIGKILL).unwrap();
        assert!(handle.ended_within(Duration::from_secs(5)));
        child.wait().unwrap();
        handle.signal(libc::SIGKILL).unwrap();
    }
}
