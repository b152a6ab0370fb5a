//! Processes of this machine that belong to a test.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process as `/proc` shows it.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: i32,
    /// Arguments, apart by spaces.
    pub command: String,
    environ: String,
}

impl Process {
    /// What it was started with, apart by spaces; empty when it is not ours to read.
    pub fn environment(&self) -> &str {
        &self.environ
    }
}

/// Looks at the arguments of every process of this machine again and again.
pub struct Watch {
    done: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<Vec<u8>>>,
}

impl Watch {
    pub fn start() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let until = done.clone();
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !until.load(Ordering::Relaxed) {
                seen.extend(pids().filter_map(|pid| fs::read(format!("/proc/{pid}/cmdline")).ok()));
                std::thread::sleep(Duration::from_millis(5));
            }
            seen
        });
        Self { done, thread }
    }

    /// All that was seen, each once, with NUL between the arguments.
    pub fn stop(self) -> BTreeSet<Vec<u8>> {
        self.done.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Those whose arguments or environment hold `mark`, which must be something that only the test's own have.
pub fn marked(mark: &str) -> Vec<Process> {
    let own = std::process::id() as i32;
    all().into_iter().filter(|p| p.pid != own && (p.command.contains(mark) || p.environ.contains(mark))).collect()
}

/// Those whose arguments hold `text`.
pub fn with_argument(text: &str) -> Vec<Process> {
    all().into_iter().filter(|p| p.command.contains(text)).collect()
}

pub fn is_alive(pid: i32) -> bool {
    // A zombie has ended; its parent has only not asked yet. But its first thread is one as soon as that is through, while
    // others may still hold what all of them share, such as sockets.
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    threads > 1
        || fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
}

/// How far each of its threads stands back when the processors are busy.
///
/// # Panics
/// When there is no such process.
pub fn niceness(pid: i32) -> BTreeSet<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    // A thread may end while we look. Its name, in parentheses, may hold spaces; the number is field 19.
    let stats = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    stats.map(|stat| stat.rsplit_once(") ").unwrap().1.split(' ').nth(16).unwrap().parse().unwrap()).collect()
}

/// Ends a process at once.
///
/// # Panics
/// When there is no such process.
pub fn kill9(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

/// Ends everything that [`marked`] finds, new ones of the dying included.
pub fn kill_marked(mark: &str) {
    for _ in 0..100 {
        let left = marked(mark);
        if left.is_empty() {
            return;
        }
        for process in left {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn all() -> Vec<Process> {
    pids()
        .filter(|pid| is_alive(*pid))
        .map(|pid| Process { pid, command: read(pid, "cmdline"), environ: read(pid, "environ") })
        .collect()
}

fn read(pid: i32, file: &str) -> String {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}
