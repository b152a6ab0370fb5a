//! How a server becomes one of the cluster.

use std::time::Duration;

use domain::ServerId;
use domain::event::EventKind;
use operations::Error;
use runtime::Process;
use store::hosts::Host;
use store::servers::Server;
use store::{Constraint, Kind, Store, StoreError};
use ulid::Ulid;

use super::Member;
use super::identity::{self, Folder};
use crate::control::Options;
use crate::error::{io_error, store_error};
use crate::layout::Layout;
use crate::vault::Vault;

/// Shortest lease: a beat of it is 200 ms.
const SHORTEST: Duration = Duration::from_secs(1);

/// A member, and what it has found.
pub(crate) struct Joined {
    pub(crate) member: Member,
    /// Nobody else works on the folder: whatever is there was left by the dead.
    pub(crate) alone: bool,
}

/// Registers this server. `folder` keeps others of the folder from starting meanwhile.
pub(crate) async fn join(
    store: &Store,
    layout: &Layout,
    options: &Options,
    folder: &Folder,
    vault: &Vault,
) -> Result<Joined, Error> {
    let id = ServerId::from_ulid(Ulid::generate());
    let path = layout.server_lock(&id);
    let lock = identity::prove_life(layout, &id).map_err(|e| io_error("lock", &path, &e))?;
    let duty = identity::try_duty(layout);
    let me = Process::itself();
    let row = Server {
        id: id.clone(),
        host: identity::host_name(options.host.as_deref()),
        pid: me.map_or(0, |me| me.pid),
        process_start: me.map_or(0, |me| me.start),
        session: store.session().to_owned(),
        url: options.url.clone(),
        version: crate::VERSION.to_owned(),
        started_at: store::time::micros(store::clock::now()),
        heartbeat: 0,
        lease: options.lease.max(SHORTEST),
        leaving: false,
    };
    let peers = identity::peers(layout, &id);
    let (dead, alive): (Vec<_>, Vec<_>) =
        peers.into_iter().partition(|peer| identity::is_dead(&layout.server_lock(peer)));
    let host = Host {
        name: row.host.clone(),
        folder_id: folder.id.clone(),
        key_fingerprint: vault.fingerprint(),
        created_at: row.started_at,
    };
    let registered = async {
        let tx = store.write().await?;
        store::hosts::register(&tx, &host).await?;
        for server in store::servers::list(&tx).await? {
            // Nobody shares a SQLite file; and of this folder only those live whose lock is held.
            let ours = store.kind() == Kind::Sqlite || server.host == host.name;
            if ours && !alive.contains(&server.id) {
                store::servers::remove(&tx, &server.id).await?;
            }
        }
        store::servers::insert(&tx, &row).await?;
        let started = EventKind::ServerStarted { version: crate::VERSION.to_owned() };
        store::events::insert(&tx, None, None, None, &started, store::clock::now()).await?;
        tx.commit().await
    };
    if let Err(e) = registered.await {
        identity::forget(layout, &id);
        return Err(refused(e, &host.name));
    }
    dead.iter().for_each(|peer| identity::forget(layout, peer));
    Ok(Joined { member: Member::new(row, layout.clone(), lock, duty), alone: alive.is_empty() })
}

fn refused(error: StoreError, own: &str) -> Error {
    match &error {
        StoreError::Conflict(Constraint::HostName { host }) => {
            Error::conflict(format!("another data folder is the host `{host}` of this database"))
                .hint("give this one a name of its own with --host; or start the server with the data folder of that host")
        }
        StoreError::Conflict(Constraint::HostKey { host }) if host == own => {
            Error::conflict("the key file of this data folder is not the one that its database was last used with")
                .hint("if `plimsoll keys rotate` was stopped half-way, run it again; otherwise put that master.key here, with mode 600")
        }
        StoreError::Conflict(Constraint::HostKey { host }) => {
            Error::conflict(format!("the key file of this data folder is not the one of the host `{host}`, so that each could not read what the other seals"))
                .hint("copy master.key of that host into this data folder, with mode 600; if `plimsoll keys rotate` was stopped half-way here, run it again instead")
        }
        _ => store_error(error),
    }
}
