//! A command that runs, and how it is brought to an end.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use nix::libc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use crate::exit::Exit;
use crate::isolation::cgroup::Group;
use crate::marker::{self, Scope, Unkillable};
use crate::proc::PidFd;

/// From TERM to KILL.
const GRACE: Duration = Duration::from_secs(2);

/// Owns the processes of one command: dropping it ends them.
pub(super) struct Running {
    /// `None` once it is being ended.
    processes: Option<Processes>,
}

struct Processes {
    child: Child,
    scope: Scope,
    run: String,
    /// All of it is in there, whatever it has done to its environment.
    group: Option<Group>,
}

/// How the command ended, and what the kernel did against it and what it started.
pub(super) struct Ended {
    pub(super) exit: Exit,
    pub(super) oom_kills: u64,
    pub(super) forks_refused: u64,
}

impl Running {
    pub(super) fn new(child: Child, scope: Scope, run: String, group: Option<Group>) -> Self {
        Self { processes: Some(Processes { child, scope, run, group }) }
    }

    /// Waits for the command itself, not for what it started. Doesn't reap it: its number stays taken.
    pub(super) fn exited(&self) -> io::Result<impl Future<Output = io::Result<()>> + use<>> {
        let pid = self.processes.as_ref().map_or(0, |p| p.child.id().cast_signed());
        let handle: OwnedFd = PidFd::open(pid).ok_or_else(io::Error::last_os_error)?.into_fd();
        // SAFETY: an `OwnedFd` is the same open descriptor until it is dropped.
        let handle = unsafe { AsyncFd::register_with_interest(handle, Interest::READABLE) }?;
        Ok(async move { handle.readable().await.map(|_| ()) })
    }

    /// Ends it with all it started. Blocks for the grace at most, or for as long as the kernel takes to kill.
    pub(super) fn end(&mut self, grace: bool) -> io::Result<Ended> {
        match self.processes.take() {
            Some(mut processes) => {
                if grace {
                    processes.terminate();
                    processes.wait_for_group(Instant::now() + GRACE);
                }
                processes.kill()
            }
            None => Err(io::Error::other("it has been ended before")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut processes) = self.processes.take() else { return };
        // Now, as this process may be about to exit; the rest can't be waited for here.
        processes.terminate();
        let rest = move || {
            processes.wait_for_group(Instant::now() + GRACE);
            processes.kill().ok();
        };
        if let Err(error) = std::thread::Builder::new().name("exec-end".to_owned()).spawn(rest) {
            tracing::error!(%error, "no thread to end a command; it is left to the next sweep");
        }
    }
}

impl Processes {
    fn group(&self) -> i32 {
        self.child.id().cast_signed()
    }

    fn terminate(&self) {
        self.signal_group(libc::SIGTERM);
        self.signal_group(libc::SIGCONT);
        self.scope.signal(marker::RUN, &self.run, libc::SIGTERM);
    }

    /// The child has not been reaped, so the group's number still is the group's.
    fn signal_group(&self, signal: i32) {
        // SAFETY: plain numbers.
        unsafe { libc::killpg(self.group(), signal) };
    }

    /// Until the command and its processes have ended, or the deadline.
    fn wait_for_group(&mut self, deadline: Instant) {
        while Instant::now() < deadline && self.scope.find(marker::RUN, &self.run).is_some() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn kill(&mut self) -> io::Result<Ended> {
        let (oom_kills, forks_refused) = self.group.as_ref().map_or((0, 0), |g| (g.oom_kills(), g.forks_refused()));
        self.signal_group(libc::SIGKILL);
        let mut left = self.group.as_ref().map_or(0, Group::kill);
        if let Err(Unkillable(others)) = self.scope.kill(&[marker::RUN], &self.run) {
            left = left.max(others);
        }
        if left > 0 {
            tracing::warn!(left, "processes of a command do not end, not even when killed");
        }
        let exit = self.child.wait().map(Exit::from);
        if let Some(group) = &self.group {
            group.remove();
        }
        Ok(Ended { exit: exit?, oom_kills, forks_refused })
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Children are tied to the thread that made them (the kernel kills them when it ends), and
/// threads for async and blocking work come and go. This one stays.
fn lasting_thread() -> io::Result<&'static mpsc::Sender<Job>> {
    static JOBS: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    if let Some(jobs) = JOBS.get() {
        return Ok(jobs);
    }
    let (sender, receiver) = mpsc::channel::<Job>();
    let work = move || receiver.into_iter().for_each(|job| job());
    std::thread::Builder::new().name("exec-spawn".to_owned()).spawn(work)?;
    // If two threads raced here, the loser's ends: it has made no child.
    Ok(JOBS.get_or_init(|| sender))
}

/// If nobody waits for the result any more it is dropped, and with it the command ends.
pub(super) async fn spawn_on_lasting_thread(
    spawn: impl FnOnce() -> io::Result<Running> + Send + 'static,
) -> io::Result<Running> {
    let (sender, receiver) = oneshot::channel();
    let job: Job = Box::new(move || drop(sender.send(spawn())));
    lasting_thread()?.send(job).map_err(|_| io::Error::other("the thread for commands is gone"))?;
    receiver.await.map_err(|_| io::Error::other("the thread for commands is gone"))?
}
