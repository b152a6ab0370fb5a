//! Processes of this machine that belong to a test.

use std::fs;

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
    // A zombie has ended; its parent has only not asked yet.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
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

fn all() -> Vec<Process> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_alive(*pid))
        .map(|pid: i32| Process { pid, command: read(pid, "cmdline"), environ: read(pid, "environ") })
        .collect()
}

fn read(pid: i32, file: &str) -> String {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}
