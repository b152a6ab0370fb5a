//! The heart, and the watch on others: who died is buried, who stands still is ended first.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use domain::ServerId;
use domain::membership::{Beat, Standing};
use runtime::Process;
use store::servers::Server;
use store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::{BEATS, Member, guard, identity};
use crate::control::Inner;

/// Between two looks at the lock files of peers.
const LOOK: Duration = Duration::from_millis(100);
/// Looks at the hearts of others in a lease: what stands still is noticed a tenth of its lease too late at most.
const LOOKS: u32 = 10;
/// How long a killed process may take to be gone.
const END: Duration = Duration::from_secs(10);

/// The heart, from before the server has done anything until it is gone: to stop in good order takes its time, too. Nothing else is done
/// here: whatever takes long would make this server look dead.
pub(crate) async fn beat(member: Arc<Member>, store: Store, ended: CancellationToken) {
    let beats = async {
        loop {
            member.beat(&store).await;
            tokio::time::sleep(member.lease / BEATS).await;
        }
    };
    ended.run_until_cancelled(beats).await;
}

/// The watch, until the server stops.
pub(crate) async fn run(inner: Weak<Inner>, stopping: CancellationToken) {
    let mut looked: Option<Instant> = None;
    while stopping.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        let Some(inner) = inner.upgrade() else { return };
        let (member, store) = (&inner.member, &inner.world.store);
        let pass = async {
            if looked.is_none_or(|at| at.elapsed() >= member.lease / LOOKS) {
                looked = Some(Instant::now());
                member.observe(store).await;
                member.end_those_who_stand_still(store).await;
                match tokio::time::timeout(member.lease / BEATS, tell_time(store)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(e)) => tracing::debug!("the database's clock can't be read: {e}"),
                    Err(_) => tracing::debug!("the database's clock took too long to be read"),
                }
            }
            member.bury_the_dead(store).await;
        };
        stopping.run_until_cancelled(pass).await;
    }
}

/// Goes by the database's clock, and says so where this machine's is another one.
pub(crate) async fn tell_time(store: &Store) -> Result<(), StoreError> {
    match store::clock::look(store).await? {
        None => {}
        Some(behind) if behind.is_zero() => tracing::info!("this machine's clock is in step with the database's again"),
        Some(behind) => tracing::warn!(
            "this machine's clock is {:.1} s {} the database's, by which all servers go: put it right",
            behind.as_seconds_f64().abs(),
            if behind < chrono::TimeDelta::zero() { "ahead of" } else { "behind" },
        ),
    }
    Ok(())
}

impl Member {
    /// One beat.
    async fn beat(&self, store: &Store) {
        // Given up too early it would never get over a connection that takes longer to be made.
        let limit = self.lease / 2;
        match tokio::time::timeout(limit, store::servers::beat(store, &self.id)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) if self.leaves.load(Ordering::SeqCst) => {}
            Ok(Ok(false)) => self.register_again(store).await,
            Ok(Err(e)) => tracing::warn!("the heartbeat can't be written: {e}"),
            Err(_) => tracing::warn!("the heartbeat took too long to be written"),
        }
    }

    /// A look at the hearts of others.
    async fn observe(&self, store: &Store) {
        let limit = self.lease / BEATS;
        let read = tokio::time::timeout(limit, store::servers::observe(store)).await;
        let mut seen = guard(&self.seen);
        let now = seen.began.elapsed();
        match read {
            Ok(Ok(servers)) => {
                let beat = |s: &Server| Beat { server: s.id.clone(), heartbeat: s.heartbeat, lease: s.lease };
                let beats: Vec<Beat> = servers.iter().map(beat).collect();
                seen.observer.observe(now, &beats);
                seen.servers = servers;
            }
            Ok(Err(e)) => {
                seen.observer.interrupted();
                tracing::debug!("the other servers can't be seen: {e}");
            }
            Err(_) => seen.observer.interrupted(),
        }
    }

    /// The row is gone, as after a restore of the database: what this server drove is not its own any more.
    async fn register_again(&self, store: &Store) {
        tracing::error!("the database does not know this server any more; it registers again");
        let again = async {
            let tx = store.write().await?;
            store::servers::insert(&tx, &self.row).await?;
            tx.commit().await
        };
        if let Err(e) = again.await {
            tracing::warn!("can't register again: {e}");
        }
    }

    /// Peers of this host whose process is gone: their deployments are anybody's.
    async fn bury_the_dead(&self, store: &Store) {
        for id in identity::peers(&self.layout, &self.id) {
            let path = self.lock_file(&id);
            if !identity::is_dead(&path) {
                continue;
            }
            match bury(store, &id).await {
                Ok(was_there) => {
                    identity::forget(&self.layout, &id);
                    if was_there {
                        tracing::warn!(server = %id, "a server of this host has died; its deployments are taken over");
                    }
                }
                Err(e) => tracing::warn!(server = %id, "a server has died, and the database can't be told: {e}"),
            }
        }
    }

    /// Those whose lease has run out. On this host their process is ended; then they are dead like any other. Of other
    /// hosts the connections are ended, as they may hold a lock that all wait for.
    async fn end_those_who_stand_still(&self, store: &Store) {
        let expired = |(server, standing): (Server, Standing)| match standing {
            Standing::Expired { age } => Some((server, age)),
            Standing::Live { .. } | Standing::Gone => None,
        };
        let all: Vec<(Server, Duration)> = self.servers().into_iter().filter_map(expired).collect();
        guard(&self.seen).cut_off.retain(|id| all.iter().any(|(server, _)| server.id == *id));
        for (server, age) in all {
            if server.host == self.host {
                self.end(store, &server).await;
            }
            if !guard(&self.seen).cut_off.contains(&server.id) {
                self.cut_off(store, &server, age).await;
            }
        }
    }

    /// Ends the connections of one that stands still. What fails is tried again at the next look.
    async fn cut_off(&self, store: &Store, server: &Server, age: Duration) {
        tracing::warn!(server = %server.id, host = server.host, "no heartbeat for {} ms", age.as_millis());
        match tokio::time::timeout(self.lease, store.end_session(&server.session)).await {
            Ok(Ok(())) => _ = guard(&self.seen).cut_off.insert(server.id.clone()),
            Ok(Err(e)) => tracing::warn!(server = %server.id, "its connections can't be ended: {e}"),
            Err(_) => tracing::warn!(server = %server.id, "its connections can't be ended: that takes too long"),
        }
    }

    /// Ends a process of this host that stands still; what it drove is anybody's once it is gone for sure.
    async fn end(&self, store: &Store, server: &Server) {
        let path = self.lock_file(&server.id);
        let process = Process { pid: server.pid, start: server.process_start };
        let ended = tokio::task::spawn_blocking(move || process.kill(END)).await.unwrap_or(false);
        // Without a file it has left, and could not say so to the database.
        let gone = ended && (identity::is_dead(&path) || !path.exists());
        if !gone {
            tracing::error!(
                server = %server.id,
                pid = process.pid,
                "it stands still and can't be ended; its deployments wait for it"
            );
            return;
        }
        tracing::warn!(server = %server.id, pid = process.pid, "it stood still and was ended");
        match bury(store, &server.id).await {
            Ok(_) => identity::forget(&self.layout, &server.id),
            Err(e) => tracing::warn!(server = %server.id, "the database can't be told of its end: {e}"),
        }
    }
}

async fn bury(store: &Store, id: &ServerId) -> Result<bool, StoreError> {
    let tx = store.write().await?;
    let was_there = store::servers::remove(&tx, id).await?;
    tx.commit().await?;
    Ok(was_there)
}
