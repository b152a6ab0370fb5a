//! Finding the ingress, or starting it: as a process that outlives whoever started it.

use std::fs::{self, OpenOptions};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::unistd::ForkResult;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use crate::client::Client;
use crate::handover::{Holder, Sockets, send_sockets};
use crate::options::{Settings, Start};
use crate::report::Status;
use crate::{build_id, files};

/// From the start of the process to its first answer.
const START_LIMIT: Duration = Duration::from_secs(15);
/// The log is moved aside at a start when it is longer.
const LOG_LIMIT: u64 = 8 << 20;

/// Why there is no ingress to talk to.
#[derive(Debug, thiserror::Error)]
pub enum EnsureError {
    #[error("can't prepare the ingress's folder {}: {source}", dir.display())]
    Folder { dir: PathBuf, source: io::Error },
    #[error("can't start `{} ingress`: {source}", binary.display())]
    Start { binary: PathBuf, source: io::Error },
    /// It ended before it answered; `reason` is the end of its log (an address in use is named there).
    #[error("the ingress ended right after its start:\n{reason}")]
    Ended { reason: String },
    #[error("the ingress does not answer after {} s; see {}", START_LIMIT.as_secs(), log.display())]
    Silent { log: PathBuf },
    /// One runs that is not what was asked for, and another one could not take its place. It goes on.
    #[error("the ingress (process {pid}) goes on as it is, as a new one could not take its place:\n{reason}")]
    NotReplaced { pid: u32, reason: String },
}

/// One process in the place of another, without a lost connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// None when no process ran before.
    pub before: Option<Status>,
    pub after: Status,
}

/// A client of the ingress that runs with `dir`; if none does, `binary ingress --dir DIR --listen ADDR …` is
/// started in a session of its own, with `dir/ingress.log` as its output, and awaited. One that was started with
/// other settings, or runs another binary, is replaced without a lost connection.
///
/// It gets no variables but the path, the locale and those of the log, so that no secret of the caller reaches it.
pub async fn ensure(dir: &Path, binary: &Path, settings: impl Into<Settings>) -> Result<Client, EnsureError> {
    ensure_with(dir, binary, settings.into(), None).await
}

impl Holder {
    /// The same; a process that has to be started gets the sockets that are held.
    pub async fn ensure(&self, binary: &Path, settings: Settings) -> Result<Client, EnsureError> {
        ensure_with(self.dir(), binary, settings, Some(self)).await
    }
}

async fn ensure_with(
    dir: &Path,
    binary: &Path,
    settings: Settings,
    holder: Option<&Holder>,
) -> Result<Client, EnsureError> {
    let dir = folder(dir)?;
    let client = Client::new(&dir);
    if let Ok(status) = client.status().await {
        if !is_wanted(&status, &settings, binary) {
            replace_running(&dir, binary, &settings, &status).await?;
        }
        return Ok(client);
    }
    let sockets = holder.and_then(Holder::sockets);
    let start = if sockets.is_some() { Start::Given } else { Start::Fresh };
    let mut life = spawn(&dir, binary, &settings, start, sockets.as_ref()).await?;
    match life.until(|| client.status()).await? {
        Waited::Done(_) => Ok(client),
        // Another server may have started one at the same time; then ours gave way to it.
        Waited::Ended if client.status().await.is_ok() => Ok(client),
        Waited::Ended => Err(EnsureError::Ended { reason: last_lines(&dir.join(files::LOG)) }),
        Waited::Late => Err(EnsureError::Silent { log: dir.join(files::LOG) }),
    }
}

/// Puts a new process in the place of the one that runs with `dir`, or starts one if none does.
pub async fn replace(dir: &Path, binary: &Path, settings: impl Into<Settings>) -> Result<Replaced, EnsureError> {
    let settings = settings.into();
    let dir = folder(dir)?;
    let client = Client::new(&dir);
    match client.status().await {
        Ok(before) => {
            let after = replace_running(&dir, binary, &settings, &before).await?;
            Ok(Replaced { before: Some(before), after })
        }
        Err(_) => {
            let client = ensure(&dir, binary, settings).await?;
            let silent = |_| EnsureError::Silent { log: dir.join(files::LOG) };
            Ok(Replaced { before: None, after: client.status().await.map_err(silent)? })
        }
    }
}

fn folder(dir: &Path) -> Result<PathBuf, EnsureError> {
    let failed = |source| EnsureError::Folder { dir: dir.to_owned(), source };
    files::create_dir(dir).map_err(failed)?;
    dir.canonicalize().map_err(failed)
}

fn is_wanted(status: &Status, settings: &Settings, binary: &Path) -> bool {
    let suits = match &status.settings {
        // Of what it was asked for, port 0 has become a port.
        Some(own) => Settings { listen: status.listen, https_listen: status.https, ..own.clone() }.suits(settings),
        None => false,
    };
    // A binary that can't be looked at can't be started either.
    suits && build_id::of(binary).is_ok_and(|wanted| wanted == status.build)
}

async fn replace_running(
    dir: &Path,
    binary: &Path,
    settings: &Settings,
    before: &Status,
) -> Result<Status, EnsureError> {
    let client = Client::new(dir);
    // Another one with the old one's port, unless a port was asked for.
    let mut settings = settings.clone();
    keep_port(&mut settings.listen, Some(before.listen));
    if let Some(https) = &mut settings.https_listen {
        keep_port(https, before.https);
    }
    let not_replaced = |reason: String| EnsureError::NotReplaced { pid: before.pid, reason };
    let start = match before.settings {
        Some(_) => Start::TakeOver,
        // It is from before there were hand-overs: a moment without an ingress can't be avoided.
        None => {
            let silent = |_| EnsureError::Silent { log: dir.join(files::LOG) };
            client.stop().await.map_err(silent)?;
            Start::Fresh
        }
    };
    let mut life = spawn(dir, binary, &settings, start, None).await?;
    let another = || async {
        match client.status().await {
            Ok(status) if status.pid != before.pid => Ok(status),
            _ => Err(()),
        }
    };
    match life.until(another).await? {
        Waited::Done(status) => Ok(status),
        Waited::Ended => Err(not_replaced(last_lines(&dir.join(files::LOG)))),
        Waited::Late => Err(not_replaced(format!("it was not ready within {} s", START_LIMIT.as_secs()))),
    }
}

fn keep_port(wanted: &mut SocketAddr, running: Option<SocketAddr>) {
    if let Some(running) = running.filter(|r| wanted.port() == 0 && r.ip() == wanted.ip()) {
        *wanted = running;
    }
}

/// Our end of a socket whose other end the process holds as its input: it reads as ended when the process has.
struct Life(UnixStream);

/// How the wait for a process came out.
enum Waited<T> {
    Done(T),
    /// The process ended before.
    Ended,
    Late,
}

impl Life {
    async fn until<T, E, F>(&mut self, look: impl Fn() -> F) -> Result<Waited<T>, EnsureError>
    where
        F: Future<Output = Result<T, E>>,
    {
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            if let Ok(found) = look().await {
                return Ok(Waited::Done(found));
            }
            let mut nothing = [0_u8; 1];
            if tokio::time::timeout(Duration::from_millis(20), self.0.read(&mut nothing)).await.is_ok() {
                return Ok(Waited::Ended);
            }
        }
        Ok(Waited::Late)
    }
}

async fn spawn(
    dir: &Path,
    binary: &Path,
    settings: &Settings,
    start: Start,
    sockets: Option<&Sockets>,
) -> Result<Life, EnsureError> {
    let failed = |source| EnsureError::Start { binary: binary.to_owned(), source };
    let ours = spawn_detached(dir, binary, settings, start).map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    let mut ours = UnixStream::from_std(ours).map_err(failed)?;
    if let Some(sockets) = sockets {
        // If it ended already, that shows in a moment.
        let _ = send_sockets(&mut ours, sockets, None).await;
    }
    Ok(Life(ours))
}

fn spawn_detached(
    dir: &Path,
    binary: &Path,
    settings: &Settings,
    start: Start,
) -> io::Result<std::os::unix::net::UnixStream> {
    let log = open_log(dir)?;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    let mut command = Command::new(binary);
    command.arg("ingress").arg("--dir").arg(dir).args(settings.arguments());
    match start {
        Start::Fresh => {}
        Start::TakeOver => drop(command.arg("--take-over")),
        Start::Given => drop(command.arg("--sockets-on-stdin")),
    }
    command.current_dir(dir).stdin(OwnedFd::from(theirs)).stdout(log.try_clone()?).stderr(log).env_clear();
    for name in
        ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "RUST_LOG", "RUST_BACKTRACE", "PLIMSOLL_LOG", "PLIMSOLL_LOG_FORMAT"]
    {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    // SAFETY: setsid, setpriority, fork and _exit are async-signal-safe, and nothing else is done between fork and exec.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            crate::urgency::raise();
            // The first child ends at once, so that the second belongs to init: it can't become our zombie.
            match nix::unistd::fork()? {
                ForkResult::Parent { .. } => nix::libc::_exit(0),
                ForkResult::Child => Ok(()),
            }
        });
    }
    let mut first = command.spawn()?;
    first.wait()?;
    Ok(ours)
}

fn open_log(dir: &Path) -> io::Result<fs::File> {
    let path = dir.join(files::LOG);
    if fs::metadata(&path).is_ok_and(|m| m.len() > LOG_LIMIT) {
        fs::rename(&path, dir.join(files::OLD_LOG))?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// The end of the log, as the reason of a start that failed.
fn last_lines(log: &Path) -> String {
    let text = fs::read(log).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(5)).copied().collect::<Vec<_>>().join("\n")
}
