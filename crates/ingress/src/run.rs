//! The process: from its options to its end.

use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::connection;
use crate::control::Control;
use crate::files;
use crate::live::Shared;
use crate::options::Options;
use crate::socket;
use crate::table_file;
use crate::verify;

/// Why the process could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("can't use the folder {}: {source}", dir.display())]
    Folder { dir: PathBuf, source: io::Error },
    #[error("another ingress runs with the folder {}", dir.display())]
    Locked { dir: PathBuf },
    #[error("can't listen on {address}: {source}; choose another address or stop the program that has it")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("can't make the control socket in {}: {source}", dir.display())]
    Control { dir: PathBuf, source: io::Error },
    #[error("can't wait for signals: {0}")]
    Signals(io::Error),
}

/// Pending connections that the kernel keeps.
const BACKLOG: u32 = 4096;
/// Files that are no connections: table, log, control socket, static files being read.
const OTHER_FILES: usize = 256;
const REAP: Duration = Duration::from_secs(10);
const LOCK_LIMIT: Duration = Duration::from_secs(2);

/// Where a process listens, for the next one that is asked for port 0.
#[derive(Debug, Serialize, Deserialize)]
struct Process {
    pid: u32,
    listen: SocketAddr,
}

/// Serves until TERM or INT, or [`crate::Client::stop`]. Then it takes no more connections, lets requests finish
/// within the limit (30 s) and returns.
pub async fn run(options: Options) -> Result<(), RunError> {
    let mut term = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    serve(options, async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
    .await
}

/// The same until `shutdown` is ready, without touching signals.
pub async fn serve(options: Options, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
    let Options { dir, listen, limits } = options;
    let folder = |source| RunError::Folder { dir: dir.clone(), source };
    files::create_dir(&dir).map_err(folder)?;
    let lock = lock(&dir).await?;
    let loaded = table_file::load(&dir);
    for fault in &loaded.faults {
        tracing::error!(fault, "the route table is not whole");
    }
    let secret = verify::secret(&dir).map_err(folder)?;
    let control_error = |source| RunError::Control { dir: dir.clone(), source };
    let listener = bind(&dir, listen)?;
    let address = listener.local_addr().map_err(|source| RunError::Listen { address: listen, source })?;
    let process = Process { pid: std::process::id(), listen: address };
    let text = serde_json::to_vec(&process).map_err(|e| folder(e.into()))?;
    files::replace(&dir, files::PROCESS, &text).map_err(folder)?;

    let stop = CancellationToken::new();
    let most = limits.connections.min(connections_that_files_allow());
    let grace = limits.shutdown;
    let shared = Arc::new(Shared::new(limits, secret));
    let control = Arc::new(Control::new(dir.clone(), address, shared.clone(), loaded, stop.clone()));
    let socket = socket::bind(&dir).map_err(control_error)?;
    let answering = tokio::spawn(control.clone().serve(socket));
    let reaper = tokio::spawn(reap(shared.clone()));
    tracing::info!(%address, "the ingress listens");

    let accepting = connection::accept(listener, shared.clone(), most, stop.clone());
    tokio::pin!(accepting);
    tokio::select! {
        () = &mut accepting => {}
        () = shutdown => {
            stop.cancel();
            accepting.await;
        }
    }
    tracing::info!("the ingress stops");
    // A successor may have the folder and the address at once, while requests finish here.
    answering.abort();
    control.close().await;
    drop(lock);
    shared.tasks.close();
    if tokio::time::timeout(grace, shared.tasks.wait()).await.is_err() {
        tracing::warn!(connections = shared.tasks.len(), "not all requests ended in time");
    }
    reaper.abort();
    Ok(())
}

/// Waits a moment, as a predecessor that was killed holds the lock until the kernel is through with it.
async fn lock(dir: &Path) -> Result<Flock<File>, RunError> {
    let folder = |source| RunError::Folder { dir: dir.to_owned(), source };
    let path = dir.join(files::LOCK);
    let mut file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(folder)?;
    let begun = Instant::now();
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((file, Errno::EWOULDBLOCK)) if begun.elapsed() < LOCK_LIMIT => file,
            Err((_, Errno::EWOULDBLOCK)) => return Err(RunError::Locked { dir: dir.to_owned() }),
            Err((_, other)) => return Err(folder(other.into())),
        };
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Listens. Port 0 stands for the last port, and for any if that one is taken or there was none.
fn bind(dir: &Path, wanted: SocketAddr) -> Result<TcpListener, RunError> {
    if wanted.port() == 0 {
        let last = fs::read(dir.join(files::PROCESS)).ok().and_then(|b| serde_json::from_slice::<Process>(&b).ok());
        if let Some(last) = last.filter(|l| l.listen.ip() == wanted.ip()) {
            match listen(last.listen) {
                Ok(listener) => return Ok(listener),
                Err(e) => {
                    tracing::warn!(address = %last.listen, error = %e, "the last address is taken")
                }
            }
        }
    }
    listen(wanted).map_err(|source| RunError::Listen { address: wanted, source })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted ingress gets its address back at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Raises the limit of open files as far as allowed. A connection needs one, and up to two more for its request.
fn connections_that_files_allow() -> usize {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    let files = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    (files.saturating_sub(OTHER_FILES) / 3).max(16)
}

async fn reap(shared: Arc<Shared>) {
    let mut clock = tokio::time::interval(REAP);
    loop {
        clock.tick().await;
        shared.reap();
    }
}
