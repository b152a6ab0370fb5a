//! The supervise role: a small parent for one app that outlives the server.
//!
//! It is one thread around `poll`: no async runtime, nothing that grows. It reads the
//! instance's spec from its folder and the environment from its standard input, and
//! writes one line about the start to its standard output.

mod bounds;
mod capture;
mod family;
mod life;
mod restarts;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::libc;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{ForkResult, chdir, dup2_stdin, dup2_stdout, fork, setsid};
use serde::{Deserialize, Serialize};

use crate::folder::{Folder, Lock};
use crate::priority;
use life::Life;

/// What the server sends on standard input, then closes it. JSON.
#[derive(Serialize, Deserialize)]
pub(crate) struct Launch {
    /// The app's environment, complete. Here and nowhere else, for it holds secrets.
    pub(crate) env: BTreeMap<String, String>,
    /// What it is to have of the processors, as niceness; the server itself may stand back.
    #[serde(default = "priority::normal")]
    pub(crate) normal: i32,
}

/// What comes back on standard output. One line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    Started,
    /// The app can't be executed.
    Exec(String),
    /// The supervisor can't do its work.
    Failed(String),
}

/// The supervise role. `args`: the instance's folder, alone.
///
/// Call it before anything starts a thread (an async runtime) or opens a file: it closes what is
/// open beyond the standard three, and it forks, so that it has no living parent that would have
/// to reap it. The first process returns at once, the second when the instance has stopped.
pub fn supervise(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let (Some(folder), None) = (args.next(), args.next()) else {
        eprintln!("usage: supervise FOLDER (started by the server, not by hand)");
        return ExitCode::from(2);
    };
    // A session of its own: it has no terminal that could be closed. Refused to a group's leader, which the fork cures.
    // SAFETY: there is no other thread yet, as the docs demand.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { .. }) => return ExitCode::SUCCESS,
        Ok(ForkResult::Child) => {}
        Err(errno) => return fail(&format!("cannot fork: {errno}")),
    }
    setsid().ok();
    match prepare(Path::new(&folder)) {
        Ok(life) => {
            let mut life = life;
            if life.begin(report) {
                detach();
                life.run();
            }
            ExitCode::SUCCESS
        }
        Err(reason) => fail(&reason),
    }
}

fn prepare(folder: &Path) -> Result<Life, String> {
    // SAFETY: closes what a careless ancestor left open, all beyond the standard three; nothing of ours is open yet.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    let path: PathBuf = folder.canonicalize().map_err(|e| format!("cannot find {}: {e}", folder.display()))?;
    let folder = Folder::new(path);
    // Not to keep a file system busy that someone wants to unmount.
    chdir("/").map_err(|e| format!("cannot leave the folder: {e}"))?;
    umask(Mode::from_bits_truncate(0o077));
    let spec = folder.spec().ok_or_else(|| format!("no readable spec.json in {}", folder.path.display()))?;
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).map_err(|e| format!("cannot read the environment: {e}"))?;
    // Incomplete when the server was killed while it wrote. What it is told of the parse error holds no values.
    let launch: Launch = serde_json::from_slice(&text).map_err(|_| "the start was interrupted".to_owned())?;
    // Only now: one whose server was killed before it sent anything must not be in the next one's way.
    let lock = Lock::take(&folder.lock()).map_err(|e| format!("cannot lock {}: {e}", folder.path.display()))?;
    let lock = lock.ok_or_else(|| format!("{} has a supervisor already", folder.path.display()))?;
    // Orphaned grandchildren of the app become ours, so none escapes.
    set_child_subreaper(true).map_err(|e| format!("cannot become a subreaper: {e}"))?;
    Life::new(folder, spec, launch, lock).map_err(|e| format!("cannot supervise: {e}"))
}

fn report(report: &Report) {
    let mut out = std::io::stdout();
    // Nobody may be listening any more: then the next server finds the status file.
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        out.write_all(&line).and_then(|()| out.flush()).ok();
    }
}

fn fail(reason: &str) -> ExitCode {
    report(&Report::Failed(reason.to_owned()));
    ExitCode::FAILURE
}

/// Lets go of the server's pipes. Standard error stays: it is a file in the folder.
fn detach() {
    if let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
        dup2_stdin(&null).ok();
        dup2_stdout(&null).ok();
    }
}
