//! Commands that run to an end: of builds, release commands, command probes.
//!
//! A command is a child of the server. However it ends (by itself, by its time limit, by a
//! cancel, because the caller lost interest, because the server was killed), nothing
//! of it stays; only in the last case that takes the next server's
//! [`sweep_all_except`](Executor::sweep_all_except).

mod output;
mod running;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::blocking::blocking;
use crate::error::ExecError;
pub use crate::exit::Exit;
use crate::isolation::cgroup::{self, Cgroups, Group};
use crate::isolation::ownership::give_pipe;
use crate::isolation::{Exceeded, Sandbox};
use crate::log::Stream;
use crate::marker::{self, Scope};
use crate::priority::{self, Priority};
use crate::{environment, spawn};
use output::Output;
use running::{Running, spawn_on_lasting_thread};
use watch::Watch;

/// For output that is still in the pipes when the command and all it started have ended.
const DRAIN: Duration = Duration::from_secs(2);

/// A shell command to run to its end.
#[derive(Clone)]
pub struct Command {
    pub command: String,
    /// Where it runs; absolute.
    pub directory: PathBuf,
    /// Complete but for `PATH` (the server's), `HOME` (the folder) and `LANG` (`C.UTF-8`),
    /// which are added if absent. It may hold secrets.
    pub env: BTreeMap<String, String>,
    /// From the start; TERM then, and KILL two seconds later.
    pub limit: Duration,
    /// Names the piece of work that it belongs to (a deployment's id), for [`Executor::sweep`].
    pub marker: String,
    /// `None`: it runs as the server itself does.
    pub sandbox: Option<Sandbox>,
}

/// A line of a command's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub stream: Stream,
    /// Without its line end; bytes that are no UTF-8 are replaced; longer than 64 KiB come in pieces.
    pub text: String,
}

/// Runs commands.
#[derive(Debug, Clone)]
pub struct Executor {
    scope: Scope,
}

enum Cause {
    Ended,
    TimedOut,
    Cancelled,
    Exceeded(Exceeded),
}

impl Executor {
    /// `scope` is a folder of the server that no other server has: it tells this server's
    /// leftovers from those of another one on the same machine.
    pub fn new(scope: &Path) -> Self {
        Self { scope: Scope::of(scope) }
    }

    /// Run it, and hand each line of its output to `output` as it comes.
    ///
    /// Processes that it leaves behind are killed when it ends, whether they hold its output
    /// open or not. Dropping the future ends the command like a cancel, in the background.
    pub async fn run(
        &self,
        command: &Command,
        output: impl FnMut(Line) + Send,
        cancel: &CancellationToken,
    ) -> Result<Exit, ExecError> {
        if cancel.is_cancelled() {
            return Err(ExecError::Cancelled);
        }
        let deadline = Instant::now() + command.limit;
        let (out, stdout) = std::io::pipe()?;
        let (err, stderr) = std::io::pipe()?;
        let user = command.sandbox.as_ref().and_then(|sandbox| sandbox.user);
        give_pipe(&stdout, user).and_then(|()| give_pipe(&stderr, user))?;
        let mut output = Output::new(out, err, output)?;
        let run = unique();
        let group = self.group(command, &run)?;
        let watch = command.sandbox.as_ref().map(|sandbox| Watch::new(sandbox, group.clone()));
        let mut running = self.spawn(command, run, group, stdout.into(), stderr.into()).await?;

        let exited = running.exited()?;
        let cause = tokio::select! {
            biased;
            () = cancel.cancelled() => Cause::Cancelled,
            () = sleep_until(deadline) => Cause::TimedOut,
            done = exited => { done?; Cause::Ended }
            exceeded = watch::until_exceeded(watch) => Cause::Exceeded(exceeded),
            never = output.forward_for_ever() => match never {},
        };
        // Its output is read on, or it could not end on its own terms.
        let grace = matches!(cause, Cause::TimedOut | Cause::Cancelled);
        let ended = tokio::select! {
            ended = blocking(move || running.end(grace)) => ended,
            never = output.forward_for_ever() => match never {},
        };
        timeout(DRAIN, output.forward_to_end()).await.ok();
        output.finish();
        match cause {
            Cause::Ended => judge(command, ended?),
            Cause::TimedOut => Err(ExecError::TimedOut(command.limit)),
            Cause::Cancelled => Err(ExecError::Cancelled),
            Cause::Exceeded(exceeded) => Err(ExecError::Exceeded(exceeded)),
        }
    }

    /// Its control group, where there are any.
    fn group(&self, command: &Command, run: &str) -> Result<Option<Group>, ExecError> {
        let Some(sandbox) = &command.sandbox else { return Ok(None) };
        let Some(cgroups) = &sandbox.cgroups else { return Ok(None) };
        let name = cgroup::command(&command.marker, run);
        let made = cgroups.group(&name, &sandbox.limits, sandbox.background);
        made.map(Some).map_err(|source| command.not_spawned(source))
    }

    /// Kill what a dead server left running of this piece of work; how many processes there were.
    pub async fn sweep(&self, marker: &str) -> usize {
        let (scope, marker) = (self.scope.clone(), marker.to_owned());
        let work = cgroup::work(&marker);
        blocking(move || in_groups(&scope, |other| other == work) + count(scope.kill(&[marker::WORK], &marker))).await
    }

    /// Kill what a dead server left running of all pieces of work but these.
    pub async fn sweep_all_except(&self, keep: &BTreeSet<String>) -> usize {
        let (scope, keep) = (self.scope.clone(), keep.clone());
        let kept: BTreeSet<String> = keep.iter().map(|marker| cgroup::work(marker)).collect();
        let sweep =
            move || in_groups(&scope, |work| !kept.contains(work)) + count(scope.kill_except(marker::WORK, &keep));
        blocking(sweep).await
    }

    /// The pieces of work of which something runs.
    pub async fn works(&self) -> BTreeSet<String> {
        let scope = self.scope.clone();
        blocking(move || scope.values(marker::WORK)).await
    }

    async fn spawn(
        &self,
        command: &Command,
        run: String,
        group: Option<Group>,
        stdout: Stdio,
        stderr: Stdio,
    ) -> Result<Running, ExecError> {
        let Command { command: line, directory, env, marker, sandbox, .. } = command.clone();
        let mut env = environment::complete(env, environment::own_path(), &directory, None);
        self.scope.mark(&mut env, marker::WORK, &marker);
        self.scope.mark(&mut env, marker::RUN, &run);
        let scope = self.scope.clone();
        let spawn = move || {
            let (sandbox, entered) = (sandbox.as_ref(), group.as_ref());
            let launch = spawn::Launch {
                command: &line,
                directory: &directory,
                env: &env,
                stdout,
                stderr,
                sandbox,
                group: entered,
                priority: Priority::of(sandbox, priority::normal()),
            };
            let spawned = spawn::spawn(launch);
            if let (Err(_), Some(group)) = (&spawned, &group) {
                group.remove();
            }
            spawned.map(|child| Running::new(child, scope, run, group))
        };
        spawn_on_lasting_thread(spawn).await.map_err(|source| command.not_spawned(source))
    }
}

/// An end that the kernel brought about is told as what it is.
fn judge(command: &Command, ended: running::Ended) -> Result<Exit, ExecError> {
    let limits = command.sandbox.as_ref().map(|sandbox| sandbox.limits).unwrap_or_default();
    match (ended.exit, limits.memory, limits.processes, limits.disk) {
        // Also when it made the best of it and says that all went well: what a process of it was killed over may be missing,
        // and had it run on for a moment it would have been ended.
        (_, Some(memory), ..) if ended.oom_kills > 0 => {
            Err(ExecError::Exceeded(Exceeded::Memory { limit: memory.get() }))
        }
        (_, _, Some(processes), _) if ended.forks_refused > 0 => {
            Err(ExecError::Exceeded(Exceeded::Processes { limit: processes.get() }))
        }
        // What it started got the signal, and a shell said so with its exit status.
        (Exit::Signal(nix::libc::SIGXFSZ), _, _, Some(disk)) => {
            Err(ExecError::Exceeded(Exceeded::File { limit: disk.get() }))
        }
        (Exit::Code(code), _, _, Some(disk)) if code == 128 + nix::libc::SIGXFSZ => {
            Err(ExecError::Exceeded(Exceeded::File { limit: disk.get() }))
        }
        (exit, ..) => Ok(exit),
    }
}

impl Command {
    fn not_spawned(&self, source: std::io::Error) -> ExecError {
        ExecError::Spawn { command: self.command.clone(), directory: self.directory.clone(), source }
    }
}

/// A process can clear its environment, and with it the marks, but not leave its control group.
fn in_groups(scope: &Scope, is_chosen: impl Fn(&str) -> bool) -> usize {
    let Some(groups) = Cgroups::made(scope.folder()) else { return 0 };
    let (killed, left) = groups.end_commands(is_chosen);
    if left > 0 {
        unkillable(left);
    }
    killed
}

fn count(killed: Result<usize, marker::Unkillable>) -> usize {
    killed.unwrap_or_else(|marker::Unkillable(left)| {
        unkillable(left);
        left
    })
}

fn unkillable(left: usize) {
    tracing::warn!(left, "processes of an earlier command do not end, not even when killed");
}

/// A name for one run, never given twice by this server, nor by an earlier one whose leftovers may live.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let started = crate::proc::Process::itself().map_or(0, |me| me.start);
    format!("{}-{started}-{count}", std::process::id())
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("command", &self.command)
            .field("directory", &self.directory)
            .field("env", &format_args!("{} variables", self.env.len()))
            .field("limit", &self.limit)
            .field("marker", &self.marker)
            .field("sandbox", &self.sandbox)
            .finish()
    }
}
