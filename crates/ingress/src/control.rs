//! What the control socket can ask for. Changes happen one at a time: on the disk first, then for requests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::DeploymentId;
use serde_json::Value;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::files;
use crate::gate::{self, GateFailed};
use crate::live::Shared;
use crate::protocol::{self, Request, Response};
use crate::report::{CutoverReport, Drained, Status};
use crate::route::{EnvironmentRoutes, Target};
use crate::table::{Change, Refused, RouteTable};
use crate::table_file::{self, Loaded};

/// For a request to arrive and a response to be taken.
const IO_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at the requests in flight.
const LOOK: Duration = Duration::from_millis(5);

/// The process's side of the control socket.
pub(crate) struct Control {
    pub(crate) dir: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) stop: CancellationToken,
    keeper: Mutex<Keeper>,
}

/// Holds the table that is in effect. Whoever has it locked may change it.
struct Keeper {
    table: RouteTable,
    unreadable: Vec<Value>,
    /// What was found at the start; it stays until the next start.
    found: Vec<String>,
    /// The last change could not be written, or only once.
    write_fault: Option<String>,
    /// The process stops, and the folder belongs to its successor.
    closed: bool,
}

impl Control {
    pub(crate) fn new(
        dir: PathBuf,
        listen: SocketAddr,
        shared: Arc<Shared>,
        loaded: Loaded,
        stop: CancellationToken,
    ) -> Self {
        shared.switch(&loaded.table);
        let Loaded { table, unreadable, faults } = loaded;
        let keeper = Keeper { table, unreadable, found: faults, write_fault: None, closed: false };
        Self { dir, listen, started_at: Utc::now(), shared, stop, keeper: Mutex::new(keeper) }
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

    /// Ends all changes; one that runs is finished first.
    pub(crate) async fn close(&self) {
        self.keeper.lock().await.closed = true;
    }

    async fn converse(self: Arc<Self>, mut stream: UnixStream) {
        let response = match timeout(IO_LIMIT, protocol::receive(&mut stream)).await {
            Ok(Ok(request)) => self.answer(request).await,
            Ok(Err(e)) => Response::Failed(format!("the request can't be read: {e}")),
            Err(_) => return,
        };
        // A client that is gone asks again; all requests may be repeated.
        let _ = timeout(IO_LIMIT, protocol::send(&mut stream, response)).await;
    }

    async fn answer(&self, request: Request) -> Response {
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
            Request::Stop => {
                self.stop.cancel();
                Response::Done
            }
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
            a.port() == self.listen.port()
                && (a.ip() == self.listen.ip() || (self.listen.ip().is_unspecified() && a.ip().is_loopback()))
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
        if keeper.closed {
            return Err(Response::Failed("the ingress is stopping".to_owned()));
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
            Err(_) => Err(Response::Failed("the change ended unexpectedly; see the ingress's log".to_owned())),
        }
    }

    async fn drain(&self, deployment: &DeploymentId, limit: Duration) -> Drained {
        let begun = Instant::now();
        loop {
            let in_flight = self.shared.leaving(deployment);
            if in_flight == 0 || begun.elapsed() >= limit {
                return Drained { in_flight };
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn status(&self) -> Status {
        let keeper = self.keeper.lock().await;
        let faults: Vec<_> = keeper.found.iter().chain(&keeper.write_fault).map(String::as_str).collect();
        Status {
            pid: std::process::id(),
            started_at: self.started_at,
            listen: self.listen,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sequence: keeper.table.sequence,
            connections: self.shared.connections.load(Ordering::Relaxed),
            degraded: (!faults.is_empty()).then(|| faults.join("; ")),
        }
    }
}
