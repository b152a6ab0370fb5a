//! The one place where commands of users become processes.
//!
//! What limits and isolates them (see [`isolation`](crate::isolation)) is put into force here, between `fork` and `exec`.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::libc;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{getppid, setsid};

use crate::isolation::Sandbox;
use crate::isolation::cgroup::Group;
use crate::isolation::enter::{Entry, explain};
use crate::priority::Priority;
use crate::shell;

pub(crate) struct Launch<'a> {
    pub(crate) command: &'a str,
    pub(crate) directory: &'a Path,
    /// Complete; nothing is inherited.
    pub(crate) env: &'a BTreeMap<String, String>,
    pub(crate) stdout: Stdio,
    pub(crate) stderr: Stdio,
    /// `None`: as the caller itself, unlimited.
    pub(crate) sandbox: Option<&'a Sandbox>,
    /// Made for it; it enters it.
    pub(crate) group: Option<&'a Group>,
    pub(crate) priority: Priority,
}

/// Run it by `/bin/sh`, in a session and process group of its own whose number is the child's
/// pid, with `/dev/null` as its input and no other descriptor of ours.
///
/// The child is killed when the *thread* that calls this ends, so call it from one that
/// lives as long as the process.
pub(crate) fn spawn(launch: Launch<'_>) -> io::Result<Child> {
    if !launch.directory.is_dir() {
        let why = format!("the folder {} does not exist", launch.directory.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    }
    if let Some(name) = launch.env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` cannot be a variable's name")));
    }
    let mut entry = Entry::prepare(launch.directory, launch.sandbox, launch.group)?;
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(shell::line(launch.command))
        .env_clear()
        .envs(launch.env)
        .stdin(Stdio::null())
        .stdout(launch.stdout)
        .stderr(launch.stderr);
    let (parent, priority) = (std::process::id().cast_signed(), launch.priority);
    // SAFETY: only async-signal-safe system calls, no allocation.
    unsafe { command.pre_exec(move || between_fork_and_exec(parent, priority, &mut entry)) };
    command.spawn().map_err(explain)
}

fn between_fork_and_exec(parent: i32, priority: Priority, entry: &mut Entry) -> io::Result<()> {
    setsid()?;
    priority.enter();
    entry.enter()?;
    // Not before: it is forgotten when the process becomes another user's.
    set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have died before the line above; then no signal will ever come.
    if getppid().as_raw() != parent {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    // An ignored signal stays ignored through exec: the app shall find the defaults.
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: sets a default; KILL and STOP merely refuse.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    umask(Mode::from_bits_truncate(0o022));
    // Rust opens everything close-on-exec; libraries and whoever started us may not have.
    // SAFETY: marks descriptors, closes none.
    unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
    Ok(())
}
