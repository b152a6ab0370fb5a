//! The process: from its options to its end.

use std::fs::{File, OpenOptions, TryLockError};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::connection::{self, Door, Ending, Scheme};
use crate::control::{Beginning, Belongings, Control};
use crate::handover::{Offer, Sockets, given};
use crate::live::Shared;
use crate::options::{Limits, Options, Settings, Start};
use crate::places::Places;
use crate::redirect::Redirect;
use crate::tls::{Keyring, Tls};
use crate::{files, listen, tunnel, verify};

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
    #[error("can't prepare TLS: {0}")]
    Tls(String),
    #[error("the ingress that runs with the folder {} goes on, as it did not hand over: {source}", dir.display())]
    HandOver { dir: PathBuf, source: io::Error },
    #[error("the listening sockets were to come through the standard input, and did not: {0}")]
    Sockets(io::Error),
}

const REAP: Duration = Duration::from_secs(10);
const LOCK_LIMIT: Duration = Duration::from_secs(2);

/// Serves until TERM or INT, [`crate::Client::stop`], or until another process has taken over and nothing is in
/// flight here. After a signal it takes no more connections, lets requests finish within the limit (30 s) and returns.
pub async fn run(options: Options) -> Result<(), RunError> {
    crate::urgency::raise_session();
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
    // The binary may be replaced at any time; which one this is, is asked now.
    crate::build_id::own();
    let (control, door, listeners) = begin(options).await?;
    let limits = &door.shared.limits;
    let reaper = tokio::spawn(reap(control.clone()));
    let mut accepting = JoinSet::new();
    for (scheme, listener) in listeners {
        accepting.spawn(connection::accept(listener, scheme, door.clone()));
    }
    let control_error = |source| RunError::Control { dir: control.dir.clone(), source };
    let asked = control.stand_for_folder().map_err(control_error)?;
    if let Some(predecessor) = &control.predecessor {
        predecessor.relieve().await;
    }
    // Not before: the first thing that the process before this one hears is that it is relieved.
    control.begin_to_answer(asked);
    tracing::info!(address = %control.listen, https = ?control.https, "the ingress listens");

    let ending = door.ending.clone();
    let mut shutdown = std::pin::pin!(shutdown);
    tokio::select! {
        () = ending.begun() => {}
        () = shutdown.as_mut() => ending.stop.cancel(),
    }
    while accepting.join_next().await.is_some() {}
    if ending.handed_over.is_cancelled() {
        // There is no hurry: somebody else serves.
        tokio::select! {
            () = rest(&control, false) => {}
            () = tokio::time::sleep(limits.handed_over) => end_tunnels(&door.shared).await,
            () = ending.stop.cancelled() => {}
            () = shutdown => ending.stop.cancel(),
        }
    }
    if ending.stop.is_cancelled() {
        tracing::info!("the ingress stops");
        // A successor may have the folder and the address at once, while requests finish here.
        control.close().await;
        if tokio::time::timeout(limits.shutdown, rest(&control, true)).await.is_err() {
            end_tunnels(&door.shared).await;
        }
    }
    control.tell_late_counts().await;
    reaper.abort();
    Ok(())
}

/// Those that are left: tunnels are told goodbye, all else breaks off.
async fn end_tunnels(shared: &Shared) {
    shared.close_all_tunnels();
    if tokio::time::timeout(tunnel::GRACE, shared.tasks.wait()).await.is_err() {
        tracing::warn!(connections = shared.tasks.len(), "not all requests ended in time");
    }
}

/// All up to the moment in which connections are accepted.
async fn begin(options: Options) -> Result<(Arc<Control>, Arc<Door>, Vec<(Scheme, TcpListener)>), RunError> {
    let Options { dir, settings, limits, start } = options;
    let folder = |source| RunError::Folder { dir: dir.clone(), source };
    files::create_dir(&dir).map_err(folder)?;
    let (lock, given, claim) = origin(&dir, start).await?;
    let sockets = listen::open(&dir, &settings, given)?;
    let address = |scheme| sockets.address(scheme);
    let listeners = listeners(&sockets).map_err(|source| RunError::Listen { address: settings.listen, source })?;
    let secret = verify::secret(&dir).map_err(folder)?;
    let keyring = Arc::new(Keyring::new(&dir));
    let tls = Tls::new(keyring.clone()).map_err(|e| RunError::Tls(e.to_string()))?;
    let https = address(Scheme::Https).filter(|_| settings.https_redirect);
    let redirect = https.map(|address| Redirect { keyring: keyring.clone(), port: address.port() });
    let places = places(&settings, &limits, listeners.len());
    let shared = Arc::new(Shared::new(limits, secret));
    let ending = Ending::default();

    let hand_over = |source| RunError::HandOver { dir: dir.clone(), source };
    let predecessor = match claim {
        Some(claim) => claim.take().await.map_err(hand_over)?,
        None => None,
    };
    let beginning = Beginning {
        dir: dir.clone(),
        settings,
        shared: shared.clone(),
        places: places.clone(),
        keyring,
        ending: ending.clone(),
        predecessor,
        belongings: Belongings { sockets, lock },
    };
    let control = Control::new(beginning).map_err(folder)?;
    let door = Door { shared, places, tls, redirect, ending };
    Ok((Arc::new(control), Arc::new(door), listeners))
}

/// The folder's lock, sockets that are there already, and the process before this one if there is one.
async fn origin(dir: &Path, start: Start) -> Result<(File, Sockets, Option<crate::handover::Claim>), RunError> {
    let hand_over = |source| RunError::HandOver { dir: dir.to_owned(), source };
    match start {
        Start::Fresh => Ok((lock(dir).await?, Sockets::default(), None)),
        Start::Given => {
            let sockets = given().await.map_err(RunError::Sockets)?;
            Ok((lock(dir).await?, sockets, None))
        }
        Start::TakeOver => match Offer::ask(dir).await.map_err(hand_over)? {
            Some(Offer { sockets, lock, claim }) => Ok((lock, sockets, Some(claim))),
            None => Ok((lock(dir).await?, Sockets::default(), None)),
        },
    }
}

fn listeners(sockets: &Sockets) -> io::Result<Vec<(Scheme, TcpListener)>> {
    let mut listeners = Vec::new();
    for (scheme, socket) in sockets.share()?.0 {
        socket.set_nonblocking(true)?;
        listeners.push((scheme, TcpListener::from_std(socket)?));
    }
    Ok(listeners)
}

fn places(settings: &Settings, limits: &Limits, listeners: usize) -> Arc<Places> {
    let most = settings.max_connections.unwrap_or(limits.connections).min(listen::connections_that_files_allow());
    let per_client = settings.max_connections_per_client.unwrap_or(limits.connections_per_client);
    // Each socket keeps a place for whoever comes next.
    let most = most + listeners.saturating_sub(1);
    Places::new(most, per_client, settings.max_connections_per_client.is_some())
}

/// Until nothing is in flight, here and in the process before this one.
async fn rest(control: &Control, hurry: bool) {
    control.shared.tasks.close();
    let before = async {
        if let Some(predecessor) = &control.predecessor {
            predecessor.end(hurry).await;
        }
    };
    tokio::join!(control.shared.tasks.wait(), before);
}

/// Waits a moment, as a predecessor that was killed holds the lock until the kernel is through with it.
async fn lock(dir: &Path) -> Result<File, RunError> {
    let folder = |source| RunError::Folder { dir: dir.to_owned(), source };
    let path = dir.join(files::LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(folder)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_LIMIT => {}
            Err(TryLockError::WouldBlock) => return Err(RunError::Locked { dir: dir.to_owned() }),
            Err(TryLockError::Error(e)) => return Err(folder(e)),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Closes what is idle, looks for what is missing, and keeps the counts.
async fn reap(control: Arc<Control>) {
    let mut clock = tokio::time::interval(REAP);
    let (mut missing, mut counted) = (Vec::new(), None);
    loop {
        clock.tick().await;
        control.shared.reap();
        let now_missing = control.shared.missing_files();
        for fault in now_missing.iter().filter(|m| !missing.contains(*m)) {
            tracing::error!(fault, "a route can't be served");
        }
        missing = now_missing;
        let stats = control.shared.stats();
        if counted.as_ref() != Some(&stats) {
            control.keep_counts_meanwhile(&stats).await;
            counted = Some(stats);
        }
    }
}
