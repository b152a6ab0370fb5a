//! What the control socket can ask for. Changes happen one at a time: on the disk first, then for requests.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::DeploymentId;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::client::Client;
use crate::connection::{Ending, Scheme};
use crate::gate::{self, GateFailed};
use crate::handover::{self, Predecessor, Sockets};
use crate::live::Shared;
use crate::options::Settings;
use crate::places::Places;
use crate::protocol::{self, Request, Response};
use crate::report::{CutoverReport, Drained, Stats, Status};
use crate::route::{EnvironmentRoutes, Target};
use crate::table::{Change, Refused, RouteTable};
use crate::table_file::{self, Loaded};
use crate::tls::{Keyring, PutError};
use crate::{build_id, files, listen, policy, socket, stats_file, tunnel};

/// For a request to arrive and a response to be taken.
const IO_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at the requests in flight.
const LOOK: Duration = Duration::from_millis(5);
const STOPPING: &str = "the ingress is stopping";
const ENDED: &str = "the change ended unexpectedly; see the ingress's log";

/// The process's side of the control socket.
pub(crate) struct Control {
    pub(crate) dir: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) listen: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) places: Arc<Places>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) ending: Ending,
    /// The process before this one, while it finishes its requests.
    pub(crate) predecessor: Option<Predecessor>,
    belongings: std::sync::Mutex<Option<Belongings>>,
    handing_over: AtomicBool,
    /// Counts as the next process found them in the folder.
    kept: std::sync::Mutex<Option<Stats>>,
    /// Those who answer on the control socket.
    answering: std::sync::Mutex<Vec<AbortHandle>>,
    keeper: Mutex<Keeper>,
}

/// What the next process gets.
pub(crate) struct Belongings {
    pub(crate) sockets: Sockets,
    pub(crate) lock: File,
}

/// What a process begins with.
pub(crate) struct Beginning {
    pub(crate) dir: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) shared: Arc<Shared>,
    pub(crate) places: Arc<Places>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) ending: Ending,
    pub(crate) predecessor: Option<Predecessor>,
    pub(crate) belongings: Belongings,
}

/// Who may change the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    This,
    /// Another process has it, or gets it now.
    Next,
    /// Nobody: this process ends.
    Nobody,
}

/// Holds the table that is in effect. Whoever has it locked may change it.
struct Keeper {
    table: RouteTable,
    unreadable: Vec<Value>,
    /// What was found at the start; it stays until the next start.
    found: Vec<String>,
    /// The last change could not be written, or only once.
    write_fault: Option<String>,
    owner: Owner,
}

/// An attempt to give the folder away; over when this is dropped.
pub(crate) struct HandOver<'a>(&'a AtomicBool);

impl Drop for HandOver<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Control {
    /// Reads table and certificates from the folder, which must be this process's by now.
    pub(crate) fn new(beginning: Beginning) -> io::Result<Self> {
        let Beginning { dir, settings, shared, places, keyring, ending, predecessor, belongings } = beginning;
        let listen = belongings.sockets.address(Scheme::Http).ok_or(io::ErrorKind::NotConnected)?;
        let https = belongings.sockets.address(Scheme::Https);
        let keeper = Keeper {
            table: RouteTable::default(),
            unreadable: Vec::new(),
            found: Vec::new(),
            write_fault: None,
            owner: Owner::This,
        };
        let control = Self {
            dir,
            settings,
            listen,
            https,
            started_at: Utc::now(),
            shared,
            places,
            keyring,
            ending,
            predecessor,
            belongings: std::sync::Mutex::new(Some(belongings)),
            handing_over: AtomicBool::new(false),
            kept: std::sync::Mutex::default(),
            answering: std::sync::Mutex::default(),
            keeper: Mutex::new(keeper),
        };
        if let Ok(mut keeper) = control.keeper.try_lock() {
            control.load(&mut keeper);
        }
        control.shared.absorb(&stats_file::load(&control.dir));
        Ok(control)
    }

    fn load(&self, keeper: &mut Keeper) {
        let Loaded { table, unreadable, mut faults } = table_file::load(&self.dir);
        let (policy, fault) = policy::load(&self.dir);
        self.shared.set(policy);
        faults.extend(fault);
        for fault in &faults {
            tracing::error!(fault, "what is in the folder is not whole");
        }
        for fault in self.keyring.load() {
            tracing::error!("{fault}");
        }
        self.shared.switch(&table);
        (keeper.table, keeper.unreadable, keeper.found) = (table, unreadable, faults);
    }

    /// Makes this process the one that is asked about the folder. Who asks waits for [`Control::begin_to_answer`].
    pub(crate) fn stand_for_folder(&self) -> io::Result<UnixListener> {
        let listener = socket::bind(&self.dir)?;
        listen::remember(&self.dir, self.listen, self.https)?;
        Ok(listener)
    }

    pub(crate) fn begin_to_answer(self: &Arc<Self>, listener: UnixListener) {
        let answering = tokio::spawn(self.clone().serve(listener)).abort_handle();
        self.answering.lock().unwrap_or_else(PoisonError::into_inner).push(answering);
    }

    /// Answers until the process ends.
    pub(crate) async fn serve(self: Arc<Self>, listener: UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(self.clone().converse(stream))),
                Err(e) => {
                    tracing::warn!(error = %e, "control socket");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    /// Ends all changes; one that runs is finished first. Sockets and folder are free when this returns.
    pub(crate) async fn close(&self) {
        self.answering.lock().unwrap_or_else(PoisonError::into_inner).drain(..).for_each(|task| task.abort());
        let owner = std::mem::replace(&mut self.keeper.lock().await.owner, Owner::Nobody);
        // After a hand-over the counts in the folder are another process's.
        if owner == Owner::This {
            self.keep_counts();
        }
        drop(self.belongings_mut().take());
    }

    /// `None` when another attempt is under way, or this process is about to end.
    pub(crate) fn begin_hand_over(&self) -> Option<HandOver<'_>> {
        let is_ending = self.ending.stop.is_cancelled() || self.ending.handed_over.is_cancelled();
        if is_ending || self.handing_over.swap(true, Ordering::SeqCst) {
            return None;
        }
        Some(HandOver(&self.handing_over))
    }

    /// The listening sockets and the folder's lock, for another process.
    pub(crate) fn belongings(&self) -> io::Result<(Sockets, File)> {
        match self.belongings_mut().as_ref() {
            Some(own) => Ok((own.sockets.share()?, own.lock.try_clone()?)),
            None => Err(io::Error::other("it is stopping")),
        }
    }

    /// This process changes nothing any more; a change that runs is finished first.
    pub(crate) async fn give_away(&self) {
        self.keeper.lock().await.owner = Owner::Next;
        self.keep_counts();
    }

    /// From what is kept here the next process counts on.
    fn keep_counts(&self) {
        let stats = self.shared.stats();
        if let Err(e) = stats_file::save(&self.dir, &stats) {
            tracing::warn!(error = %e, "the counts can't be kept");
        }
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(stats);
    }

    /// For the case of a crash. Only the process that has the folder writes there.
    pub(crate) async fn keep_counts_meanwhile(&self, stats: &Stats) {
        if self.keeper.lock().await.owner == Owner::This
            && let Err(e) = stats_file::save(&self.dir, stats)
        {
            tracing::warn!(error = %e, "the counts can't be kept");
        }
    }

    /// What was counted since belongs to whoever has the folder now. If nobody has, it is lost.
    pub(crate) async fn tell_late_counts(&self) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(kept) = kept else { return };
        let late = self.shared.stats().minus(&kept);
        if late.releases.iter().any(|r| r.requests > 0 || r.bytes_sent > 0) {
            let _ = Client::new(&self.dir).absorb(late).await;
        }
    }

    /// Asks tunnels under routes of `deployment` that are replaced to end, here and in the process before.
    pub(crate) async fn close_tunnels(&self, deployment: &DeploymentId, within: Duration) -> u64 {
        let before = match &self.predecessor {
            Some(predecessor) => predecessor.close_tunnels(deployment, within).await,
            None => 0,
        };
        before + self.shared.close_tunnels(deployment)
    }

    /// Another process accepts connections.
    pub(crate) fn leave(&self) {
        self.ending.handed_over.cancel();
        drop(self.belongings_mut().take());
    }

    /// The other process failed before it served; what it may have changed is on the disk.
    pub(crate) async fn go_on(self: &Arc<Self>) {
        let mut keeper = self.keeper.lock().await;
        self.load(&mut keeper);
        match self.stand_for_folder() {
            Ok(listener) => {
                keeper.owner = Owner::This;
                self.begin_to_answer(listener);
            }
            Err(e) => {
                tracing::error!(error = %e, "the control socket can't be made again; this process stops");
                keeper.owner = Owner::Nobody;
                self.ending.stop.cancel();
            }
        }
    }

    /// The other process has changed the table. An answer of the process before is waited for `within`.
    pub(crate) async fn follow(&self, table: RouteTable, within: Duration) {
        let mut keeper = self.keeper.lock().await;
        let shared = self.shared.clone();
        let switched = tokio::task::spawn_blocking(move || {
            shared.switch(&table);
            table
        });
        if let Ok(table) = switched.await {
            keeper.table = table;
        }
        if let Some(predecessor) = &self.predecessor {
            predecessor.follow(&keeper.table, within).await;
        }
    }

    /// Requests in flight, here and in the process before, under routes of `deployment` that are replaced.
    pub(crate) async fn leaving(&self, deployment: &DeploymentId, within: Duration) -> u64 {
        let before = match &self.predecessor {
            Some(predecessor) => predecessor.leaving(deployment, within).await,
            None => 0,
        };
        before + self.shared.leaving(deployment)
    }

    /// A panic elsewhere can't leave it half-written.
    fn belongings_mut(&self) -> std::sync::MutexGuard<'_, Option<Belongings>> {
        self.belongings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn converse(self: Arc<Self>, mut stream: UnixStream) {
        let response = match timeout(IO_LIMIT, protocol::receive(&mut stream)).await {
            Ok(Ok(Request::TakeOver)) => return handover::hand_over(&self, stream).await,
            Ok(Ok(Request::Hold)) => return self.hold(stream).await,
            Ok(Ok(request)) => self.answer(request).await,
            Ok(Err(e)) => Response::Failed(format!("the request can't be read: {e}")),
            Err(_) => return,
        };
        // A client that is gone asks again; all requests may be repeated.
        let _ = timeout(IO_LIMIT, protocol::send(&mut stream, response)).await;
    }

    /// Until the holder or this process has enough of it.
    async fn hold(&self, mut stream: UnixStream) {
        let sent = match self.belongings() {
            Ok((sockets, _)) => handover::send_sockets(&mut stream, &sockets, None).await,
            Err(e) => protocol::send(&mut stream, Response::Failed(e.to_string())).await,
        };
        if sent.is_ok() {
            tokio::select! {
                _ = stream.read_u8() => {}
                () = self.ending.begun() => {}
            }
        }
    }

    async fn answer(&self, request: Request) -> Response {
        // A drain that was asked for here is finished here.
        if self.keeper.lock().await.owner == Owner::Next {
            return Response::Moved;
        }
        match request {
            Request::Status => Response::Status(self.status().await),
            Request::Table => Response::Table(self.keeper.lock().await.table.clone()),
            Request::Stats => Response::Stats(self.shared.stats()),
            Request::Prepare { routes } => match self.check(&routes).await {
                Ok(_) => Response::Done,
                Err(refused) => Response::Refused(refused),
            },
            Request::Cutover { routes } => self.cutover(routes).await,
            Request::Remove { environment, generation } => {
                match self.change(Change::Remove { environment, generation }).await {
                    Ok(_) => Response::Done,
                    Err(response) => response,
                }
            }
            Request::Drain { deployment, limit } => Response::Drained(self.drain(&deployment, limit).await),
            Request::Configure { policy } => match policy::save(&self.dir, &policy) {
                Ok(()) => {
                    self.shared.set(policy);
                    Response::Done
                }
                Err(e) => Response::Failed(format!("{} can't be written: {e}", files::POLICY)),
            },
            Request::Absorb { stats } => {
                self.shared.absorb(&stats);
                Response::Done
            }
            Request::Stop => {
                self.ending.stop.cancel();
                Response::Done
            }
            Request::Certificates => Response::Certificates(self.keyring.report()),
            Request::PutCertificate { id, certificate } => {
                self.change_keys(move |keyring| match keyring.put(&id, certificate) {
                    Ok(()) => Response::Done,
                    Err(PutError::Unusable(reason)) => Response::Unusable(reason),
                    Err(PutError::Disk(e)) => Response::Failed(format!("the certificate can't be written: {e}")),
                })
                .await
            }
            Request::RemoveCertificate { id } => {
                self.change_keys(move |keyring| match keyring.remove(&id) {
                    Ok(()) => Response::Done,
                    Err(e) => Response::Failed(format!("the certificate can't be removed: {e}")),
                })
                .await
            }
            Request::TakeOver | Request::Hold => Response::Failed("not a question".to_owned()),
        }
    }

    /// One change at a time, and none while another process gets the folder.
    async fn change_keys(&self, change: impl FnOnce(&Keyring) -> Response + Send + 'static) -> Response {
        let keeper = self.keeper.lock().await;
        match keeper.owner {
            Owner::This => {}
            Owner::Next => return Response::Moved,
            Owner::Nobody => return Response::Failed(STOPPING.to_owned()),
        }
        let keyring = self.keyring.clone();
        match tokio::task::spawn_blocking(move || change(&keyring)).await {
            Ok(response) => response,
            Err(_) => Response::Failed(ENDED.to_owned()),
        }
    }

    async fn cutover(&self, routes: EnvironmentRoutes) -> Response {
        let begun = Instant::now();
        let serving = match self.check(&routes).await {
            Ok(serving) => serving,
            Err(refused) => return Response::Refused(refused),
        };
        if serving.as_ref() != Some(&routes)
            && let Err(GateFailed { component, upstream, reason }) = gate::pass(&routes, serving.as_ref()).await
        {
            return Response::GateFailed { component, upstream, reason };
        }
        // Others may have changed the table while the gates ran, so the rules are asked again.
        match self.change(Change::Put(routes)).await {
            Ok(previous) => Response::Cutover(CutoverReport { previous, took: begun.elapsed() }),
            Err(response) => response,
        }
    }

    /// What the environment serves now, if `routes` may take its place.
    async fn check(&self, routes: &EnvironmentRoutes) -> Result<Option<EnvironmentRoutes>, Refused> {
        let is_us = |a: &SocketAddr| {
            [Some(self.listen), self.https].into_iter().flatten().any(|own| {
                a.port() == own.port() && (a.ip() == own.ip() || (own.ip().is_unspecified() && a.ip().is_loopback()))
            })
        };
        let loops = routes.routes.iter().find(|r| match &r.target {
            Target::Upstreams { upstreams, standby, .. } => {
                upstreams.iter().chain(standby.iter().map(|s| &s.address)).any(is_us)
            }
            Target::Static { .. } => false,
        });
        if let Some(route) = loops {
            let reason = format!("an upstream of `{}` is this ingress itself", route.component);
            return Err(Refused::Invalid { reason });
        }
        let keeper = self.keeper.lock().await;
        keeper.table.check(routes)?;
        Ok(keeper.table.environments.get(&routes.environment).cloned())
    }

    /// Makes a change durable and effective. Gives what its environment served before.
    async fn change(&self, change: Change) -> Result<Option<EnvironmentRoutes>, Response> {
        let mut keeper = self.keeper.lock().await;
        let environment = match &change {
            Change::Put(routes) => &routes.environment,
            Change::Remove { environment, .. } => environment,
        };
        let previous = keeper.table.environments.get(environment).cloned();
        match keeper.owner {
            Owner::This => {}
            Owner::Next => return Err(Response::Moved),
            Owner::Nobody => return Err(Response::Failed(STOPPING.to_owned())),
        }
        let next = keeper.table.apply(&change).map_err(Response::Refused)?;
        if next == keeper.table {
            return Ok(previous);
        }
        let (dir, shared, unreadable) = (self.dir.clone(), self.shared.clone(), keeper.unreadable.clone());
        let current = keeper.table.clone();
        let effect = tokio::task::spawn_blocking(move || {
            if let Err(e) = table_file::save(&dir, files::TABLE, &next, &unreadable) {
                // It may have failed after the new name was in place; what is refused must not come back.
                let _ = table_file::save(&dir, files::TABLE, &current, &unreadable);
                return Err(e);
            }
            shared.switch(&next);
            let copied = table_file::save(&dir, files::TABLE_COPY, &next, &unreadable);
            Ok((next, copied))
        });
        match effect.await {
            Ok(Ok((next, copied))) => {
                tracing::info!(sequence = next.sequence, "the route table changed");
                if let Some(predecessor) = &self.predecessor {
                    predecessor.follow(&next, self.patience()).await;
                }
                keeper.table = next;
                keeper.write_fault = copied.err().map(|e| format!("{} can't be written: {e}", files::TABLE_COPY));
                Ok(previous)
            }
            Ok(Err(e)) => {
                let reason = format!("{} can't be written: {e}", files::TABLE);
                tracing::error!(reason, "a change of the route table failed");
                keeper.write_fault = Some(reason.clone());
                Err(Response::Failed(reason))
            }
            Err(_) => Err(Response::Failed(ENDED.to_owned())),
        }
    }

    async fn drain(&self, deployment: &DeploymentId, limit: Duration) -> Drained {
        let in_flight = self.wait_until_left(deployment, limit).await;
        if in_flight > 0 && self.close_tunnels(deployment, self.patience()).await > 0 {
            // A tunnel ends within its own grace.
            let most = tunnel::GRACE + LOOK * 10;
            return Drained { in_flight: self.wait_until_left(deployment, most).await };
        }
        Drained { in_flight }
    }

    /// How long an answer of the process before is waited for that this one asks for by itself. A process that was
    /// replaced must have it before its own successor, which has to wait meanwhile, loses patience.
    fn patience(&self) -> Duration {
        if self.ending.handed_over.is_cancelled() { handover::inner(handover::ANSWER) } else { handover::ANSWER }
    }

    async fn wait_until_left(&self, deployment: &DeploymentId, limit: Duration) -> u64 {
        let begun = Instant::now();
        loop {
            let in_flight = self.leaving(deployment, self.patience()).await;
            if in_flight == 0 || begun.elapsed() >= limit {
                return in_flight;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn status(&self) -> Status {
        let keeper = self.keeper.lock().await;
        let keys = self.keyring.faults();
        let missing = self.shared.missing_files();
        let faults = keeper.found.iter().chain(&keeper.write_fault).chain(&keys).chain(&missing);
        let faults: Vec<_> = faults.map(String::as_str).collect();
        Status {
            pid: std::process::id(),
            started_at: self.started_at,
            listen: self.listen,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build: build_id::own().to_owned(),
            https: self.https,
            settings: Some(self.settings.clone()),
            refused_connections: self.places.refused(),
            sequence: keeper.table.sequence,
            connections: self.shared.connections.load(Ordering::Relaxed),
            degraded: (!faults.is_empty()).then(|| faults.join("; ")),
            damaged: table_file::damaged(&keeper.unreadable, &keeper.table),
        }
    }
}
