//! Locks and names in the data folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use domain::ServerId;
use operations::Error;
use runtime::Process;
use store::Kind;

use crate::error::io_error;
use crate::layout::Layout;

/// Takes the data folder: alone with SQLite, beside other servers with PostgreSQL.
pub(crate) fn lock_folder(layout: &Layout, kind: Kind) -> Result<File, Error> {
    let path = layout.lock();
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| io_error("open", &path, &e))?;
    let locked = match kind {
        Kind::Sqlite => file.try_lock(),
        Kind::Postgres => file.try_lock_shared(),
    };
    match (locked, kind) {
        (Ok(()), _) => Ok(file),
        (Err(TryLockError::WouldBlock), Kind::Sqlite) => {
            Err(Error::conflict(format!("another server works on {}", layout.data().display()))
                .hint("stop it first, or give this one a folder of its own with --data; several servers share a folder with PostgreSQL"))
        }
        (Err(TryLockError::WouldBlock), Kind::Postgres) => {
            Err(Error::conflict(format!("a server with SQLite, or a restore, works on {}", layout.data().display()))
                .hint("stop it first, or give this one a folder of its own with --data"))
        }
        (Err(TryLockError::Error(e)), _) => Err(io_error("lock", &path, &e)),
    }
}

/// What is done by one starting server at a time: making keys, tokens and names. Held until it is dropped.
pub(super) struct Starting(#[allow(dead_code)] File);

/// What the folder is called by its host.
pub(crate) struct Folder {
    pub(crate) id: String,
    pub(super) _starting: Starting,
}

impl Folder {
    /// Waits for other servers of the folder that start, and reads its id; makes one at the first start.
    pub(crate) async fn open(layout: &Layout) -> Result<Self, Error> {
        let path = layout.starting();
        let file = open(&path).map_err(|e| io_error("open", &path, &e))?;
        let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
        let file = locked.map_err(|_| Error::internal())?.map_err(|e| io_error("lock", &path, &e))?;
        let path = layout.host();
        let id = match std::fs::read_to_string(&path) {
            Ok(id) if !id.trim().is_empty() => id.trim().to_owned(),
            Ok(_) => make_id(&path)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => make_id(&path)?,
            Err(e) => return Err(io_error("read", &path, &e)),
        };
        Ok(Self { id, _starting: Starting(file) })
    }
}

fn make_id(path: &Path) -> Result<String, Error> {
    let id = blake3::Hash::from_bytes(rand::random()).to_hex().to_string();
    let temporary = path.with_extension("new");
    let written = open(&temporary).and_then(|mut file| {
        file.set_len(0)?;
        file.write_all(id.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&temporary, path)).map_err(|e| io_error("write", path, &e))?;
    Ok(id)
}

/// The machine's own id, or what it is called.
pub(crate) fn host_name(given: Option<&str>) -> String {
    let text = |path: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty() && text != "uninitialized")
    };
    given
        .map(str::to_owned)
        .or_else(|| text("/etc/machine-id"))
        .or_else(|| text("/proc/sys/kernel/hostname"))
        .unwrap_or_else(|| "localhost".to_owned())
}

/// Says that this server lives, for as long as the file is held. In the file is its process, for people and for a peer
/// that has to end it.
pub(super) fn prove_life(layout: &Layout, id: &ServerId) -> io::Result<File> {
    let path = layout.server_lock(id);
    let temporary = path.with_extension("new");
    let mut file = open(&temporary)?;
    file.try_lock().map_err(|e| match e {
        TryLockError::Error(e) => e,
        TryLockError::WouldBlock => io::Error::from(io::ErrorKind::WouldBlock),
    })?;
    if let Some(me) = Process::itself() {
        writeln!(file, "{} {}", me.pid, me.start)?;
    }
    // Under its name only once it is held: nobody ever sees it free while its server lives.
    std::fs::rename(&temporary, &path)?;
    Ok(file)
}

/// Removes the lock file of a server that is gone, or goes.
pub(super) fn forget(layout: &Layout, id: &ServerId) {
    let _ = std::fs::remove_file(layout.server_lock(id));
}

/// Servers of this folder with a lock file, but for `me`.
pub(super) fn peers(layout: &Layout, me: &ServerId) -> Vec<ServerId> {
    let named = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        name.to_str()?.strip_suffix(".lock")?.parse().ok()
    };
    let entries = std::fs::read_dir(layout.servers()).into_iter().flatten().flatten();
    entries.filter_map(named).filter(|id| id != me).collect()
}

/// Whether the process of a server is gone: nobody holds its file. One that can't be looked at counts as alive.
pub(super) fn is_dead(path: &Path) -> bool {
    match File::options().read(true).open(path) {
        // Shared, so that peers that look at the same time see the same.
        Ok(file) => file.try_lock_shared().is_ok(),
        Err(_) => false,
    }
}

pub(super) fn try_duty(layout: &Layout) -> Option<File> {
    let file = open(&layout.duty()).ok()?;
    file.try_lock().ok().map(|()| file)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_shared_with_postgresql_alone() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::prepare(dir.path()).unwrap();
        let one = lock_folder(&layout, Kind::Postgres).unwrap();
        let two = lock_folder(&layout, Kind::Postgres).unwrap();
        assert_eq!(lock_folder(&layout, Kind::Sqlite).unwrap_err().status, 409);
        drop((one, two));
        let _alone = lock_folder(&layout, Kind::Sqlite).unwrap();
        assert_eq!(lock_folder(&layout, Kind::Postgres).unwrap_err().status, 409);
        assert_eq!(lock_folder(&layout, Kind::Sqlite).unwrap_err().status, 409);
    }

    #[tokio::test]
    async fn a_folder_keeps_its_id_and_starts_take_turns() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::prepare(dir.path()).unwrap();
        let first = Folder::open(&layout).await.unwrap();
        let (id, second) = (first.id.clone(), Folder::open(&layout));
        let mut second = std::pin::pin!(second);
        let waits = tokio::time::timeout(std::time::Duration::from_millis(50), &mut second).await;
        assert!(waits.is_err(), "two start at once");
        drop(first);
        assert_eq!(second.await.unwrap().id, id);
    }

    #[test]
    fn who_lives_is_known_by_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::prepare(dir.path()).unwrap();
        let id = |n: u128| ServerId::from_ulid(ulid::Ulid::from_parts(1, n));
        let (me, peer) = (id(1), id(2));
        let mine = prove_life(&layout, &me).unwrap();
        let theirs = prove_life(&layout, &peer).unwrap();
        assert_eq!(peers(&layout, &me), std::slice::from_ref(&peer));
        assert!(!is_dead(&layout.server_lock(&peer)));
        drop(theirs);
        assert!(is_dead(&layout.server_lock(&peer)));
        forget(&layout, &peer);
        assert!(peers(&layout, &me).is_empty() && !is_dead(&layout.server_lock(&peer)));
        drop(mine);
        let duty = try_duty(&layout).unwrap();
        assert!(try_duty(&layout).is_none());
        drop(duty);
        assert!(try_duty(&layout).is_some());
    }

    #[test]
    fn a_name_that_is_given_stands() {
        assert_eq!(host_name(Some("rack-7")), "rack-7");
        assert!(!host_name(None).is_empty());
    }
}
