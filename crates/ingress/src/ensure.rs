//! Finding the ingress, or starting it: as a process that outlives whoever started it.

use std::fs::{self, OpenOptions};
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
use crate::files;
use crate::report::Status;

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
    /// One runs, but elsewhere. `Client::stop` ends it, after which another call starts one at `wanted`.
    #[error("the ingress (process {pid}) listens on {running}, not on {wanted}: stop it to move it")]
    Elsewhere { pid: u32, running: SocketAddr, wanted: SocketAddr },
}

/// A client of the ingress that runs with `dir`; if none does, `binary ingress --dir DIR --listen ADDR` is
/// started in a session of its own, with `dir/ingress.log` as its output, and awaited.
///
/// It gets no variables but the path, the locale and those of the log, so that no secret of the caller reaches it.
pub async fn ensure(dir: &Path, binary: &Path, listen: SocketAddr) -> Result<Client, EnsureError> {
    let folder = |source| EnsureError::Folder { dir: dir.to_owned(), source };
    files::create_dir(dir).map_err(folder)?;
    let dir = dir.canonicalize().map_err(folder)?;
    let client = Client::new(&dir);
    if let Ok(status) = client.status().await {
        return adopt(client, &status, listen);
    }
    let start = |source| EnsureError::Start { binary: binary.to_owned(), source };
    let life = spawn(&dir, binary, listen).map_err(start)?;
    let mut life = life.and_then_stream().map_err(start)?;
    let deadline = Instant::now() + START_LIMIT;
    while Instant::now() < deadline {
        if let Ok(status) = client.status().await {
            return adopt(client, &status, listen);
        }
        let mut nothing = [0_u8; 1];
        let ended = tokio::time::timeout(Duration::from_millis(20), life.read(&mut nothing)).await.is_ok();
        if ended {
            // Another server may have started one at the same time; then ours gave way to it.
            return match client.status().await {
                Ok(status) => adopt(client, &status, listen),
                Err(_) => Err(EnsureError::Ended { reason: last_lines(&dir.join(files::LOG)) }),
            };
        }
    }
    Err(EnsureError::Silent { log: dir.join(files::LOG) })
}

fn adopt(client: Client, status: &Status, wanted: SocketAddr) -> Result<Client, EnsureError> {
    let running = status.listen;
    if running.ip() == wanted.ip() && (wanted.port() == 0 || running.port() == wanted.port()) {
        Ok(client)
    } else {
        Err(EnsureError::Elsewhere { pid: status.pid, running, wanted })
    }
}

/// Our end of a socket whose other end the process holds as its input: it reads as ended when the process has.
struct Life(OwnedFd);

impl Life {
    fn and_then_stream(self) -> io::Result<UnixStream> {
        let stream = std::os::unix::net::UnixStream::from(self.0);
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    }
}

fn spawn(dir: &Path, binary: &Path, listen: SocketAddr) -> io::Result<Life> {
    let log = open_log(dir)?;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    let mut command = Command::new(binary);
    command
        .arg("ingress")
        .arg("--dir")
        .arg(dir)
        .arg("--listen")
        .arg(listen.to_string())
        .current_dir(dir)
        .stdin(OwnedFd::from(theirs))
        .stdout(log.try_clone()?)
        .stderr(log)
        .env_clear();
    for name in ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "RUST_LOG", "RUST_BACKTRACE", "PLIMSOLL_LOG"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    // SAFETY: setsid, fork and _exit are async-signal-safe, and nothing else is done between fork and exec.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            // The first child ends at once, so that the second belongs to init: it can't become our zombie.
            match nix::unistd::fork()? {
                ForkResult::Parent { .. } => nix::libc::_exit(0),
                ForkResult::Child => Ok(()),
            }
        });
    }
    let mut first = command.spawn()?;
    first.wait()?;
    Ok(Life(ours.into()))
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
