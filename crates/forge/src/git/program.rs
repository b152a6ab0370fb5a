//! Runs the program `git`: without prompts, within a time limit, and never longer than whoever asked for it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use domain::limits::Size;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::disk;
use super::url::GitUrl;

/// How a run of git ended, other than well.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Its last lines of output, oldest first, without secrets.
    Failed(Vec<String>),
    Cancelled,
    TimedOut,
    Missing,
    Io(io::Error),
}

/// Everything that runs of git for one checkout share.
pub(crate) struct Session<'a> {
    pub(crate) output: &'a mut (dyn FnMut(&str) + Send),
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) deadline: Instant,
    /// Of the user's configuration and ours: see [`super::cache::Cache::configuration`].
    pub(crate) configuration: OsString,
    /// What git writes to; it is stopped when it fills their disk.
    pub(crate) folders: Vec<PathBuf>,
    /// Variables that the caller adds.
    pub(crate) variables: &'a [(OsString, OsString)],
}

/// One run.
pub(crate) struct Run<'a> {
    pub(crate) url: &'a GitUrl,
    /// Held by git as its standard input, so that a git that outlives us keeps the lock.
    pub(crate) lock: &'a File,
    pub(crate) args: Vec<OsString>,
    pub(crate) variables: Vec<(OsString, OsString)>,
    /// Bytes that it may print; more are the error `FileTooLarge`.
    pub(crate) most: u64,
    /// It may write much, and is stopped when that fills the disk.
    pub(crate) fills: bool,
}

impl<'a> Run<'a> {
    pub(crate) fn new<S: AsRef<OsStr>>(url: &'a GitUrl, lock: &'a File, args: impl IntoIterator<Item = S>) -> Self {
        let args = args.into_iter().map(|a| a.as_ref().to_owned()).collect();
        Self { url, lock, args, variables: Vec::new(), most: MAX_OUTPUT, fills: false }
    }

    /// So many bytes at most.
    pub(crate) fn printing(mut self, most: u64) -> Self {
        self.most = most;
        self
    }

    /// It may write much.
    pub(crate) fn filling(mut self) -> Self {
        self.fills = true;
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.into(), value.as_ref().to_owned()));
        self
    }
}

impl Session<'_> {
    /// Runs git to its end and gives back what it printed.
    pub(crate) async fn run(&mut self, run: Run<'_>) -> Result<Vec<u8>, Ended> {
        let mut group = Group::spawn(&mut self.command(&run)?)?;
        let (Some(stdout), Some(stderr)) = (group.child.stdout.take(), group.child.stderr.take()) else {
            return Err(Ended::Io(io::Error::other("git has no output")));
        };
        let mut lines = Lines::new(run.url, self.output);
        let work = async {
            let (out, said) = tokio::join!(read_all(stdout, run.most), lines.follow(stderr));
            said?;
            Ok::<_, io::Error>((out?, group.child.wait().await?))
        };
        let ended = tokio::select! {
            done = work => Ok(done),
            () = self.cancel.cancelled() => Err(Ended::Cancelled),
            () = tokio::time::sleep_until(self.deadline.into()) => Err(Ended::TimedOut),
            full = disk::until_full(&self.folders), if run.fills => Err(Ended::Io(full)),
        };
        match ended {
            Ok(Ok((out, status))) if status.success() => Ok(out),
            Ok(Ok(_)) => Err(Ended::Failed(lines.last)),
            Ok(Err(error)) => Err(Ended::Io(error)),
            Err(early) => {
                group.stop().await;
                Err(early)
            }
        }
    }

    fn command(&self, run: &Run<'_>) -> Result<Command, Ended> {
        let mut command = Command::new("git");
        // Where we stand must not matter, and may be gone.
        command.current_dir("/").process_group(0).kill_on_drop(true);
        command.stdin(Stdio::from(run.lock.try_clone().map_err(Ended::Io)?));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in INHERITED {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("SSH_ASKPASS_REQUIRE", "never");
        command.env("GIT_ALLOW_PROTOCOL", "file:ssh:http:https");
        command.env("GIT_CONFIG_GLOBAL", &self.configuration);
        command.env("GIT_LFS_SKIP_SMUDGE", "1");
        if std::env::var_os("GIT_SSH_COMMAND").is_none() && std::env::var_os("GIT_SSH").is_none() {
            command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=20");
        }
        command.envs(self.variables.iter().map(|(k, v)| (k, v)));
        command.envs(run.variables.iter().map(|(k, v)| (k, v)));
        for setting in ["core.hooksPath=/dev/null", "protocol.ext.allow=never", "gc.auto=0", "maintenance.auto=false"] {
            command.args(["-c", setting]);
        }
        if let Some(credentials) = run.url.credentials() {
            // In the environment, as everybody on the machine can read a command line; and for that host only.
            let scope = &credentials.scope;
            command.args(["-c", &format!("credential.{scope}.helper=")]);
            command.args(["-c", &format!("credential.{scope}.helper={HELPER}")]);
            command.env("PLIMSOLL_GIT_USERNAME", &credentials.username);
            command.env("PLIMSOLL_GIT_PASSWORD", &credentials.password);
        }
        command.args(&run.args);
        Ok(command)
    }
}

/// Variables that would point git at another repository, or make it ask somebody.
const INHERITED: [&str; 16] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_ASKPASS",
    "SSH_ASKPASS",
    "GIT_TRACE",
    "GIT_TRACE_CURL",
    "GIT_EXTERNAL_DIFF",
];

const HELPER: &str = r#"!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$PLIMSOLL_GIT_USERNAME" "$PLIMSOLL_GIT_PASSWORD"; }; f"#;

/// git and whatever it started: all of them end with this value.
struct Group {
    child: Child,
    id: Option<Pid>,
}

impl Group {
    fn spawn(command: &mut Command) -> Result<Self, Ended> {
        let child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Ended::Missing,
            _ => Ended::Io(error),
        })?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Ok(Self { child, id })
    }

    /// Politely first: git takes its lock files away.
    async fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        if tokio::time::timeout(Duration::from_secs(2), self.child.wait()).await.is_err() {
            self.signal(Signal::SIGKILL);
            // An error would mean that it is gone already.
            let _ = self.child.wait().await;
        }
    }

    fn signal(&self, signal: Signal) {
        // Only while the leader was not waited for, so that the number can't be another's.
        if let (Some(id), Some(_)) = (self.id, self.child.id()) {
            let _ = killpg(id, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.child.id().is_none() {
            return;
        }
        self.signal(Signal::SIGKILL);
        // It must be gone before its files are removed; a killed process takes a moment to be.
        let end = Instant::now() + Duration::from_millis(500);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

async fn read_all(mut stdout: impl AsyncRead + Unpin, most: u64) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    (&mut stdout).take(most).read_to_end(&mut out).await?;
    if out.len() as u64 == most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("git printed more than {}", Size(most))));
    }
    Ok(out)
}

const MAX_OUTPUT: u64 = 256 * 1024 * 1024;
const MAX_LINE: usize = 2000;
const KEPT_LINES: usize = 20;

/// Splits what git says, shows it, and keeps the end of it.
struct Lines<'a> {
    url: &'a GitUrl,
    output: &'a mut (dyn FnMut(&str) + Send),
    last: Vec<String>,
    line: Vec<u8>,
    /// The last byte was a carriage return: what follows tells whether the line is whole.
    returned: bool,
    progress_shown: Instant,
}

impl<'a> Lines<'a> {
    fn new(url: &'a GitUrl, output: &'a mut (dyn FnMut(&str) + Send)) -> Self {
        Self { url, output, last: Vec::new(), line: Vec::new(), returned: false, progress_shown: Instant::now() }
    }

    async fn follow(&mut self, mut stderr: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let n = stderr.read(&mut buffer).await?;
            for byte in buffer.iter().take(n) {
                // ssh ends its lines with both.
                if std::mem::take(&mut self.returned) {
                    self.end(*byte == b'\n');
                }
                match byte {
                    b'\n' => self.end(true),
                    b'\r' => self.returned = true,
                    _ if self.line.len() < MAX_LINE => self.line.push(*byte),
                    _ => {}
                }
            }
            if n == 0 {
                self.end(true);
                return Ok(());
            }
        }
    }

    /// A line ended; `whole` is false for progress that is about to be overwritten.
    fn end(&mut self, whole: bool) {
        let text = String::from_utf8_lossy(&self.line);
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        let text = self.url.redact(text.trim_end());
        self.line.clear();
        if text.is_empty() {
            return;
        }
        if whole || self.progress_shown.elapsed() > Duration::from_secs(5) {
            self.progress_shown = Instant::now();
            (self.output)(&text);
        }
        if whole {
            if self.last.len() == KEPT_LINES {
                self.last.remove(0);
            }
            self.last.push(text);
        }
    }
}
