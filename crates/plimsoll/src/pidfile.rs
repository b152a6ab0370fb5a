//! Which process serves a data folder: pid and start time in a file, so that a pid
//! that the system gave to somebody else is never mistaken for the server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process, told apart from every other one before and after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// Clock ticks since the machine's start.
    started: u64,
}

fn path(data: &Path) -> PathBuf {
    data.join("server.pid")
}

/// Notes this process as the server of the folder. Only the holder of the folder's lock calls it.
pub(crate) fn write(data: &Path) -> io::Result<()> {
    let pid = std::process::id() as i32;
    let started = start_time(pid).unwrap_or(0);
    let temporary = data.join("server.pid.new");
    fs::write(&temporary, format!("{pid} {started}\n"))?;
    fs::rename(temporary, path(data))
}

/// Forgets this process; another one's note, which came later, stays.
pub(crate) fn remove(data: &Path) {
    if running(data).is_none_or(|noted| noted.pid == std::process::id() as i32) {
        let _ = fs::remove_file(path(data));
    }
}

/// All servers of the folder that run: with PostgreSQL there may be several. Each notes itself in the file that it locks.
pub(crate) fn all_running(data: &Path) -> Vec<Identity> {
    let locks = fs::read_dir(data.join("servers")).into_iter().flatten().flatten();
    let noted = locks.filter_map(|entry| parse(&fs::read_to_string(entry.path()).ok()?));
    let mut all: Vec<Identity> = noted.chain(running(data)).filter(Identity::is_alive).collect();
    all.sort_by_key(|identity| identity.pid);
    all.dedup();
    all
}

/// The server of the folder, if it runs.
pub(crate) fn running(data: &Path) -> Option<Identity> {
    let identity = parse(&fs::read_to_string(path(data)).ok()?)?;
    identity.is_alive().then_some(identity)
}

fn parse(text: &str) -> Option<Identity> {
    let (pid, started) = text.trim().split_once(' ')?;
    Some(Identity { pid: pid.parse().ok().filter(|pid| *pid > 1)?, started: started.parse().ok()? })
}

impl Identity {
    /// The process that has this pid now, if there is one.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, started: start_time(pid)? })
    }

    /// It is there still, and is the same process.
    pub(crate) fn is_alive(&self) -> bool {
        start_time(self.pid) == Some(self.started)
    }

    /// Sends a signal if it is still the same process.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.is_alive() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }
}

/// Field 22 of `/proc/PID/stat`; `None` for a process that is gone or only waits to be collected.
fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command in parentheses may hold anything, parentheses and spaces included.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_apart_from_a_later_one_with_its_pid() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(running(dir.path()), None);
        write(dir.path()).unwrap();
        let me = running(dir.path()).unwrap();
        assert_eq!(me.pid, std::process::id() as i32);
        fs::write(path(dir.path()), format!("{} {}", me.pid, me.started + 1)).unwrap();
        assert_eq!(running(dir.path()), None);
        for junk in ["", "x y", "1 5", "-3 5", "12"] {
            fs::write(path(dir.path()), junk).unwrap();
            assert_eq!(running(dir.path()), None, "{junk}");
        }
    }
}
