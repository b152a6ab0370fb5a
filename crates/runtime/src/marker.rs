//! Marks: environment variables by which processes are found again, whoever their
//! parent has become.
//!
//! A process inherits its environment through any number of forks, `setsid`s and
//! dead parents, and `/proc` shows it. All marks come with the *scope*, a folder
//! that belongs to one server, so two servers on one machine don't kill each
//! other's processes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::libc::SIGKILL;

use crate::proc::{Environ, PidFd, Process, pids};

/// The server's folder; beside every other mark.
pub(crate) const SCOPE: &str = "PLIMSOLL_RUNTIME";
/// On an app and all it starts: the instance's name.
pub(crate) const INSTANCE: &str = "PLIMSOLL_INSTANCE";
/// On a supervisor itself, not on its app: the instance's name.
pub(crate) const SUPERVISOR: &str = "PLIMSOLL_SUPERVISOR";
/// On a command of a build and the like: the piece of work, which may run several commands at once.
pub(crate) const WORK: &str = "PLIMSOLL_WORK";
/// On one such command alone.
pub(crate) const RUN: &str = "PLIMSOLL_RUN";

/// How long killed processes may take to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Processes of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope(String);

/// Processes that are there even though they were killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unkillable(pub(crate) usize);

impl Scope {
    /// Of a folder, under its one true path.
    pub(crate) fn of(folder: &Path) -> Self {
        let path = folder.canonicalize().or_else(|_| std::path::absolute(folder)).unwrap_or_else(|_| folder.to_owned());
        Self(path.to_string_lossy().into_owned())
    }

    pub(crate) fn folder(&self) -> &Path {
        Path::new(&self.0)
    }

    /// Adds the mark, and that of the scope.
    pub(crate) fn mark(&self, env: &mut BTreeMap<String, String>, mark: &str, value: &str) {
        env.insert(SCOPE.to_owned(), self.0.clone());
        env.insert(mark.to_owned(), value.to_owned());
    }

    /// Kill every process with one of these marks; how many there were. All marks in one go, as each look at all processes
    /// of a machine takes milliseconds.
    pub(crate) fn kill(&self, marks: &[&str], value: &str) -> Result<usize, Unkillable> {
        kill_while(|pid| self.holds(pid, |environ| marks.iter().any(|mark| environ.has(mark, value))))
    }

    /// Kill every process that has the mark with a value not in `keep`.
    pub(crate) fn kill_except(&self, mark: &str, keep: &BTreeSet<String>) -> Result<usize, Unkillable> {
        kill_while(|pid| self.holds(pid, |environ| value(environ, mark).is_some_and(|v| !keep.contains(&v))))
    }

    /// All values of the mark that living processes have.
    pub(crate) fn values(&self, mark: &str) -> BTreeSet<String> {
        pids().into_iter().map(Environ::of).filter(|e| e.has(SCOPE, &self.0)).filter_map(|e| value(&e, mark)).collect()
    }

    /// One living process with this mark.
    pub(crate) fn find(&self, mark: &str, value: &str) -> Option<Process> {
        let pid = pids().into_iter().find(|pid| self.holds(*pid, |environ| environ.has(mark, value)))?;
        Process::of(pid)
    }

    /// Signal every process with this mark once.
    pub(crate) fn signal(&self, mark: &str, value: &str, signal: i32) {
        let matches = |pid| self.holds(pid, |environ| environ.has(mark, value));
        for pid in pids().into_iter().filter(|pid| matches(*pid)) {
            if let Some(handle) = PidFd::open(pid)
                && matches(pid)
            {
                handle.signal(signal).ok();
            }
        }
    }

    fn holds(&self, pid: i32, matches: impl Fn(&Environ) -> bool) -> bool {
        let environ = Environ::of(pid);
        environ.has(SCOPE, &self.0) && matches(&environ)
    }
}

fn value(environ: &Environ, mark: &str) -> Option<String> {
    environ.get(mark).map(|v| String::from_utf8_lossy(v).into_owned())
}

/// Kills all that match, again and again until none does: a process that forks while
/// it is being killed leaves a child for the next round. One that forks and ends while we look
/// is missed together with its child: so nobody must be there twice in a row.
fn kill_while(matches: impl Fn(i32) -> bool) -> Result<usize, Unkillable> {
    let me = std::process::id().cast_signed();
    let mut killed = BTreeSet::new();
    let mut nobody = false;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found: Vec<i32> = pids().into_iter().filter(|pid| *pid != me && matches(*pid)).collect();
        if found.is_empty() {
            if std::mem::replace(&mut nobody, true) {
                return Ok(killed.len());
            }
            continue;
        }
        nobody = false;
        for pid in &found {
            // The match is repeated once the handle is open: see `proc`.
            if let Some(handle) = PidFd::open(*pid)
                && matches(*pid)
            {
                handle.signal(SIGKILL).ok();
                killed.extend(Process::of(*pid));
            }
        }
        if Instant::now() >= deadline {
            return Err(Unkillable(found.len()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
