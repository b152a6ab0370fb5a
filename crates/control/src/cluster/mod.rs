//! This server among others: who it is, who else lives, who leads, who looks after the machine.
//!
//! Servers of one host share its data folder, and each holds a lock file of its own there for as long as its process
//! lives. So "dead" is a fact for its peers, not a guess. One that stands still for its whole lease is killed before
//! anybody acts in its place: a paused server can do no harm afterwards, because it is no more.

mod identity;
mod join;
mod lead;
mod watch;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::ServerId;
use domain::membership::{Observer, Standing};
use store::Store;
use store::servers::Server;
use tokio::sync::watch as channel;

use crate::layout::Layout;

pub(crate) use identity::{Folder, lock_folder};
pub(crate) use join::{Joined, join};
pub(crate) use lead::run as lead;
pub(crate) use watch::{beat, run as watch};

/// Beats of the heart in one lease.
const BEATS: u32 = 5;

/// This run of a server.
pub(crate) struct Member {
    pub(crate) id: ServerId,
    /// Its machine.
    pub(crate) host: String,
    pub(crate) lease: Duration,
    /// As it was told to others.
    pub(crate) row: Server,
    layout: Layout,
    /// Proof of life for peers on this host.
    lock: Mutex<Option<File>>,
    /// Held by the one server of the host that looks after instances and ingress.
    duty: Mutex<Option<File>>,
    seen: Mutex<Seen>,
    /// It takes its row away, which is not to come back.
    leaves: AtomicBool,
    /// The epoch while this server leads.
    leading: channel::Sender<Option<u64>>,
}

/// What was seen of the others.
struct Seen {
    /// Times of the observer count from here.
    began: Instant,
    observer: Observer,
    servers: Vec<Server>,
    /// Those that have expired and whose connections were ended.
    cut_off: BTreeSet<ServerId>,
}

impl Member {
    pub(crate) fn new(row: Server, layout: Layout, lock: File, duty: Option<File>) -> Self {
        let lease = row.lease;
        let seen = Seen {
            began: Instant::now(),
            // Two missed readings are a gap.
            observer: Observer::new(lease / BEATS * 2 + Duration::from_secs(1)),
            servers: vec![row.clone()],
            cut_off: BTreeSet::new(),
        };
        Self {
            id: row.id.clone(),
            host: row.host.clone(),
            lease,
            row,
            layout,
            lock: Mutex::new(Some(lock)),
            duty: Mutex::new(duty),
            seen: Mutex::new(seen),
            leaves: AtomicBool::new(false),
            leading: channel::Sender::new(None),
        }
    }

    /// Whether this server looks after instances and ingress of the host.
    pub(crate) fn has_duty(&self) -> bool {
        guard(&self.duty).is_some()
    }

    /// Takes the duty if nobody has it; `true` when it was got just now.
    pub(crate) fn take_duty(&self) -> bool {
        let mut duty = guard(&self.duty);
        if duty.is_some() {
            return false;
        }
        *duty = identity::try_duty(&self.layout);
        duty.is_some()
    }

    /// The epoch while this server leads, for who has to do what must be done once.
    pub(crate) fn leading(&self) -> channel::Receiver<Option<u64>> {
        self.leading.subscribe()
    }

    /// All servers with what is known of them, as last seen.
    pub(crate) fn servers(&self) -> Vec<(Server, Standing)> {
        let seen = guard(&self.seen);
        let standing = |server: &Server| match server.id == self.id {
            true => Standing::Live { age: Duration::ZERO },
            false => seen.observer.standing(&server.id),
        };
        seen.servers.iter().map(|server| (server.clone(), standing(server))).collect()
    }

    /// Whether some server of the host takes work.
    pub(crate) fn host_lives(&self, host: &str) -> bool {
        if host == self.host {
            return true;
        }
        let takes = |(server, standing): &(Server, Standing)| {
            server.host == host && !server.leaving && matches!(standing, Standing::Live { .. })
        };
        self.servers().iter().any(takes)
    }

    /// How many servers of the host take work.
    pub(crate) fn servers_of(&self, host: &str) -> u32 {
        let takes = |(server, standing): &&(Server, Standing)| {
            server.host == host && !server.leaving && matches!(standing, Standing::Live { .. })
        };
        let others = self.servers().iter().filter(|(server, _)| server.id != self.id).filter(takes).count();
        u32::try_from(others).unwrap_or(u32::MAX).saturating_add(u32::from(host == self.host))
    }

    /// Whether other servers of this host are there.
    pub(crate) fn has_peers(&self) -> bool {
        !identity::peers(&self.layout, &self.id).is_empty()
    }

    /// Whether the process of a server of this folder is gone, for good: nobody holds its lock file.
    pub(crate) fn is_gone(&self, id: &ServerId) -> bool {
        let path = self.lock_file(id);
        *id != self.id && (path.try_exists().is_ok_and(|there| !there) || identity::is_dead(&path))
    }

    /// Leaves the cluster: what this server drove is anybody's, who is woken by it.
    pub(crate) async fn leave(&self, store: &Store) {
        self.leaves.store(true, Ordering::SeqCst);
        let left = async {
            let tx = store.write().await?;
            store::servers::remove(&tx, &self.id).await?;
            tx.commit().await
        };
        match tokio::time::timeout(Duration::from_secs(5), left).await {
            Ok(Ok(())) => identity::forget(&self.layout, &self.id),
            // A peer finds the file free, and does it.
            Ok(Err(e)) => tracing::warn!("can't tell the others that this server stops: {e}"),
            Err(_) => tracing::warn!("the database took too long to be told that this server stops"),
        }
        *guard(&self.duty) = None;
        *guard(&self.lock) = None;
    }

    fn lock_file(&self, id: &ServerId) -> PathBuf {
        self.layout.server_lock(id)
    }
}

/// A panic while holding the lock leaves nothing half-done here.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
