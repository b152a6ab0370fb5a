//! Opening, reading from and writing to the database.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DatabaseConnection, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use crate::group::Group;
use crate::lone::Lone;
use crate::migration;
use crate::session::sealed::Connected;
use crate::timing::{self, Timed, Timing};
use crate::url::Target;
use crate::wake::{self, Listening, Wakers};
use crate::{DatabaseUrl, Held, Session, StoreError, Tx};

/// The database in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// The open database. Clones share it.
#[derive(Clone)]
pub struct Store {
    kind: Kind,
    reader: DatabaseConnection,
    /// One connection: writers take turns.
    pub(crate) writer: DatabaseConnection,
    pub(crate) turn: Arc<Mutex<()>>,
    pub(crate) group: Group,
    pub(crate) lone: Lone,
    pub(crate) wakers: Wakers,
    /// With PostgreSQL a connection that waits for no writer; else the writer's.
    beside: DatabaseConnection,
    /// With PostgreSQL; what its connections are called is this server's alone.
    options: Option<PgConnectOptions>,
    _listening: Option<Arc<Listening>>,
    /// Whether the writing connection was left in the middle of something: see [`is_at_rest`].
    pub(crate) doubted: Arc<AtomicBool>,
    waits: Timing,
    pub(crate) writes: Timing,
}

/// How many reads can run at the same time.
const READERS: u32 = 8;
/// Rows of an answer that SQLite may be ahead of who reads them.
const ROWS_IN_HAND: usize = 1_000;
/// How long SQLite waits for another process, and PostgreSQL for another server, that is writing.
const PATIENCE: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Store {
    /// Opens the database, makes it if it is a file that does not exist (mode 0600), and brings its tables up to date.
    ///
    /// Any number of processes may do this at once: they take turns.
    ///
    /// # Errors
    /// `Unavailable` when it can't be reached or written, `Newer` when a newer Plimsoll has changed its tables.
    pub async fn open(url: &DatabaseUrl) -> Result<Store, StoreError> {
        Self::open_target(url).await.map_err(|e| e.of_database(url))
    }

    /// Begins to write: waits until every writer before is done, in the order of asking.
    pub async fn write(&self) -> Result<Tx, StoreError> {
        let asked = Instant::now();
        let turn = Arc::clone(&self.turn).lock_owned().await;
        self.waits.note(asked.elapsed());
        self.begin(turn).await
    }

    /// The same, but it takes a `P` to commit it.
    pub async fn write_held<P>(&self) -> Result<Held<P>, StoreError> {
        self.write().await.map(Held::new)
    }

    pub(crate) async fn begin(&self, turn: OwnedMutexGuard<()>) -> Result<Tx, StoreError> {
        let options = TransactionOptions {
            // A transaction that reads first and asks for the write lock later fails when somebody else wrote in between.
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.doubted.store(true, Ordering::Relaxed);
        let begun = self.writer.begin_with_options(options).await?;
        if self.kind == Kind::Postgres {
            // Held until the commit is visible, so the next writer sees this one's rows, and no event gets a
            // lower cursor after a higher one could be read. A server that stands still in the middle of a write
            // loses its connection rather than block the others for ever.
            let sql = format!(
                "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '{patience}ms'; \
                 SET LOCAL idle_in_transaction_session_timeout = '{patience}ms'; SELECT pg_advisory_xact_lock({WRITE_LOCK})",
                patience = PATIENCE.as_millis()
            );
            begun.execute_unprepared(&sql).await?;
        }
        Ok(Tx::new(begun, self.wakers.clone(), turn, self.writes.clone(), self.doubted.clone()))
    }

    /// Whether a write could begin now: takes its turn, writes nothing.
    pub async fn may_write(&self) -> Result<(), StoreError> {
        self.write().await.map(drop)
    }

    /// Whether the database answers within `limit` a question that waits for no writer. SQLite, a file of ours, is there.
    pub async fn answers(&self, limit: Duration) -> bool {
        match self.kind {
            Kind::Sqlite => true,
            Kind::Postgres => {
                let asked = tokio::time::timeout(limit, self.beside.execute_unprepared("SELECT 1")).await;
                matches!(asked, Ok(Ok(_)))
            }
        }
    }

    /// How long writers waited for their turn.
    pub fn waits(&self) -> Timed {
        self.waits.timed()
    }

    /// How long writes took, from their turn to the end of their commit.
    pub fn writes(&self) -> Timed {
        self.writes.timed()
    }

    /// A number that grows after each commit of this process, and with PostgreSQL after each of others that wrote
    /// events; to wake those who follow the events. A notice may be lost with its connection, so followers also look on
    /// a timer.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.wakers.changes()
    }

    /// The same after each commit that moves the queue or what is at work, of any process: see [`Tx::wakes`].
    pub fn dispatches(&self) -> watch::Receiver<u64> {
        self.wakers.dispatch()
    }

    /// What the connections of this store are called at the database, and those of no other.
    pub fn session(&self) -> &str {
        self.options.as_ref().and_then(PgConnectOptions::get_application_name).unwrap_or("")
    }

    /// Calls `told` for each statement that this one, and clones that are made of it from now on, reads with: so a test holds
    /// a page to a number of them.
    pub fn watch_reads(&mut self, told: impl Fn() + Send + Sync + 'static) {
        self.reader.set_metric_callback(move |_| told());
    }

    pub(crate) fn beside(&self) -> &DatabaseConnection {
        &self.beside
    }

    pub(crate) fn postgres(&self) -> Option<&PgConnectOptions> {
        self.options.as_ref()
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Waits for the write that is going on, then closes all connections, of clones too.
    pub async fn close(self) {
        let _turn = self.turn.lock().await;
        self.lone.close();
        for pool in [&self.writer, &self.reader, &self.beside] {
            if let Err(error) = pool.close_by_ref().await {
                tracing::warn!(%error, "the database was not closed cleanly");
            }
        }
    }

    async fn open_target(url: &DatabaseUrl) -> Result<Store, StoreError> {
        // Held until the tables are up to date.
        let (store, _guard) = Self::connect(url).await?;
        migration::run(&store, url).await?;
        Ok(store)
    }

    /// Opens the database, whatever tables it has. With SQLite nobody else opens it while the file is held.
    pub(crate) async fn connect(url: &DatabaseUrl) -> Result<(Store, Option<File>), StoreError> {
        let doubted = Arc::new(AtomicBool::new(false));
        let store = |kind, reader, writer, lone, beside, wakers, options, listening| Store {
            kind,
            reader,
            writer,
            beside,
            wakers,
            options,
            _listening: listening,
            doubted: doubted.clone(),
            turn: Arc::new(Mutex::new(())),
            group: Group::default(),
            lone,
            waits: Timing::new(timing::QUICK),
            writes: Timing::new(timing::QUICK),
        };
        match url.target() {
            Target::Sqlite(path) => {
                // Also covers the switch to WAL, at which SQLite does not wait for others.
                let guard = lock_file(path.clone()).await?;
                create_private(path)?;
                let (reader, writer) = sqlite(path, doubted.clone()).await?;
                let lone = Lone::open(path).map_err(|e| StoreError::from(&e))?;
                let (beside, wakers) = (writer.clone(), Wakers::new(None));
                Ok((store(Kind::Sqlite, reader, writer, lone, beside, wakers, None, None), Some(guard)))
            }
            Target::Postgres(options) => {
                let name = session_name();
                let options = options.clone().application_name(&name).disable_statement_logging();
                let (reader, writer, beside) = postgres(&options).await?;
                let wakers = Wakers::new(Some(&name));
                let listening = Some(Arc::new(wake::listen(&options, wakers.clone()).await?));
                Ok((
                    store(Kind::Postgres, reader, writer, Lone::default(), beside, wakers, Some(options), listening),
                    None,
                ))
            }
        }
    }
}

/// Name of the lock that writers of one PostgreSQL database take turns with; `plimsoll` in ASCII.
const WRITE_LOCK: i64 = i64::from_be_bytes(*b"plimsoll");

impl Session for Store {}
impl Connected for Store {
    type Connection = DatabaseConnection;

    fn connection(&self) -> &DatabaseConnection {
        &self.reader
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({:?})", self.kind)
    }
}

async fn sqlite(path: &Path, doubted: Arc<AtomicBool>) -> Result<(DatabaseConnection, DatabaseConnection), StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        // Rows come from a thread of the driver's: with few in hand, the two would take turns all through a long answer.
        .row_buffer_size(ROWS_IN_HAND)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(PATIENCE)
        .disable_statement_logging();
    let writing = options.clone().journal_mode(SqliteJournalMode::Wal);
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        // It is a file of ours: asking before each write whether it is still there costs more than the write.
        .test_before_acquire(false)
        .after_release(move |connection, _| {
            let doubt = doubted.swap(false, Ordering::Relaxed);
            Box::pin(async move { Ok(!doubt || is_at_rest(connection).await?) })
        })
        .connect_with(writing)
        .await
        .map_err(|e| StoreError::from(&e))?;
    let reading = options.pragma("query_only", "on");
    let reader = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(PATIENCE)
        // As above: a question before each question.
        .test_before_acquire(false)
        .connect_with(reading)
        .await
        .map_err(|e| StoreError::from(&e))?;
    Ok((reader.into(), writer.into()))
}

/// Whether the writing connection may be used again. Asked when a transaction did not end with a commit.
///
/// When the disk is full SQLite itself undoes the whole transaction. The driver, whose ROLLBACK then fails,
/// goes on counting it as open, takes the next one for a part of it, and never commits again: everything
/// written from then on would be acknowledged and lost. Such a connection is closed.
async fn is_at_rest(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // A rollback at drop is only queued; an answer to this says that it is done.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// One connection that can't write, for looking at the database from outside of the server.
pub(crate) async fn read_only(url: &DatabaseUrl) -> Result<DatabaseConnection, StoreError> {
    match url.target() {
        Target::Sqlite(path) => {
            let options = SqliteConnectOptions::new()
                .filename(path)
                .read_only(true)
                .create_if_missing(false)
                .busy_timeout(PATIENCE)
                .disable_statement_logging();
            let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_with(options);
            Ok(pool.await.map_err(|e| StoreError::from(&e))?.into())
        }
        Target::Postgres(options) => {
            let options = options.clone().application_name("plimsoll").disable_statement_logging();
            let options = options.options([("default_transaction_read_only", "on")]);
            try_postgres(&options).await?;
            let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_with(options);
            Ok(pool.await.map_err(|e| StoreError::from(&e))?.into())
        }
    }
}

/// Letters and digits that no other store has.
fn session_name() -> String {
    use std::hash::{BuildHasher, Hasher};
    // As random as the maps of the standard library.
    let random = || std::hash::RandomState::new().build_hasher().finish();
    format!("plimsoll{:016x}{:016x}", random(), random())
}

type Pools = (DatabaseConnection, DatabaseConnection, DatabaseConnection);

/// For reading, for writing, and for what waits for no writer.
async fn postgres(options: &PgConnectOptions) -> Result<Pools, StoreError> {
    try_postgres(options).await?;
    let pool = |connections| PgPoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE);
    let writer = pool(1).connect_with(options.clone()).await.map_err(|e| StoreError::from(&e))?;
    let reader = pool(READERS).connect_with(options.clone()).await.map_err(|e| StoreError::from(&e))?;
    let beside =
        PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT).connect_lazy_with(options.clone());
    Ok((reader.into(), writer.into(), beside.into()))
}

async fn try_postgres(options: &PgConnectOptions) -> Result<(), StoreError> {
    // A pool hides why it can't connect behind its own time-out, so try once without one.
    match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(Ok(connection)) => connection.close().await.map_err(|e| StoreError::from(&e)),
        Ok(Err(error)) => Err((&error).into()),
        Err(_) => Err(StoreError::Unavailable {
            reason: format!("no answer within {} seconds", CONNECT_TIMEOUT.as_secs()),
            hint: "check the host, the port and the firewalls on the way",
        }),
    }
}

/// Waits for its turn to open the database at `path`; released when the file is dropped, or the process dies.
async fn lock_file(path: PathBuf) -> Result<File, StoreError> {
    let mut name = path.into_os_string();
    name.push(".lock");
    let locked = tokio::task::spawn_blocking(move || {
        let file = private_options().open(&name)?;
        file.lock()?;
        Ok(file)
    });
    match locked.await {
        Ok(result) => result.map_err(cannot_open),
        Err(error) => Err(StoreError::Internal(error.to_string())),
    }
}

/// Makes the file before SQLite does, as SQLite would let others read it. Its companions (`-wal`, `-shm`) get its mode.
fn create_private(path: &Path) -> Result<(), StoreError> {
    private_options().open(path).map(drop).map_err(cannot_open)
}

fn private_options() -> std::fs::OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

fn cannot_open(error: std::io::Error) -> StoreError {
    let hint = match error.kind() {
        std::io::ErrorKind::StorageFull => "the disk is full; free some space and try again",
        _ => "check that the folder exists and that the user that Plimsoll runs as may write to it",
    };
    StoreError::Unavailable { reason: error.to_string(), hint }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use domain::event::EventKind;

    use super::*;
    use crate::{events, leases};

    async fn open() -> (Store, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::sqlite(dir.path().join("p.db"))).await.unwrap();
        (store, dir)
    }

    async fn pragma(connection: &DatabaseConnection, name: &str) -> String {
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, format!("PRAGMA {name}"));
        let row = connection.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index::<String>(0).or_else(|_| row.try_get_by_index::<i64>(0).map(|n| n.to_string())).unwrap()
    }

    #[tokio::test]
    async fn sqlite_is_durable_checked_and_patient() {
        let (store, _dir) = open().await;
        let want = [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1"), ("busy_timeout", "30000")];
        for (name, value) in want {
            assert_eq!(pragma(&store.writer, name).await, value, "{name}");
            assert_eq!(pragma(&store.reader, name).await, value, "{name}");
        }
        let refused = store.reader.execute_unprepared("DELETE FROM apps").await.unwrap_err();
        assert!(matches!(StoreError::from(refused), StoreError::Unavailable { .. }), "a reader never writes");
    }

    #[tokio::test]
    async fn a_full_disk_undoes_the_write_and_says_so() {
        let (store, _dir) = open().await;
        let pages = pragma(&store.writer, "page_count").await;
        // What SQLite does then is what it does on a disk that is full.
        pragma(&store.writer, &format!("max_page_count = {pages}")).await;
        let tx = store.write().await.unwrap();
        let event = EventKind::ServerStarted { version: "v".repeat(100_000) };
        let error = events::insert(&tx, None, None, None, &event, chrono::DateTime::UNIX_EPOCH).await.unwrap_err();
        assert!(error.to_string().contains("free some space"), "{error}");
        assert!(tx.commit().await.is_err());
        assert_eq!(events::latest(&store).await.unwrap(), 0);
        // With space again, it goes on.
        pragma(&store.writer, "max_page_count = 100000").await;
        let tx = store.write().await.unwrap();
        events::insert(&tx, None, None, None, &event, chrono::DateTime::UNIX_EPOCH).await.unwrap();
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn a_database_that_turned_read_only_says_so() {
        let (store, _dir) = open().await;
        store.writer.execute_unprepared("PRAGMA query_only = on").await.unwrap();
        let error = store.write().await.unwrap_err();
        assert!(error.to_string().contains("writable"), "{error}");
    }

    /// A disk of four MiB. Mounting it takes root.
    struct SmallDisk(tempfile::TempDir);

    impl SmallDisk {
        fn mount() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let mut mount = std::process::Command::new("mount");
            let done = mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(dir.path()).status().unwrap();
            assert!(done.success(), "mounting a small disk for this test takes root");
            Self(dir)
        }

        /// Takes all room but `left` bytes.
        fn fill(&self, left: usize) -> PathBuf {
            let path = self.0.path().join("filler");
            let mut room = 4 << 20;
            while room > 0 && std::fs::write(&path, vec![1; room]).is_err() {
                room -= 4096;
            }
            File::options().write(true).open(&path).unwrap().set_len(room.saturating_sub(left) as u64).unwrap();
            path
        }
    }

    impl Drop for SmallDisk {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        }
    }

    #[tokio::test]
    async fn after_a_full_disk_what_is_acknowledged_is_there() {
        let disk = SmallDisk::mount();
        let url = DatabaseUrl::sqlite(disk.0.path().join("db"));
        let store = Store::open(&url).await.unwrap();
        let mut refused = 0;
        for round in 0..20 {
            let filler = disk.fill(round * 2048);
            // Several in a row: the first to fail must not spoil the connection for those after it.
            for n in 0..3 {
                let name = format!("lease {round} {n} {}", "x".repeat(8000));
                let written = async {
                    let tx = store.write().await?;
                    leases::acquire(&tx, &name, "holder").await?;
                    tx.commit().await
                };
                match written.await {
                    Ok(()) => assert!(leases::find(&store, &name).await.unwrap().is_some(), "acknowledged, and lost"),
                    Err(_) => refused += 1,
                }
            }
            std::fs::remove_file(filler).unwrap();
            let tx = store.write().await.unwrap();
            leases::acquire(&tx, "kept", "holder").await.unwrap();
            tx.commit().await.unwrap();
            let kept = leases::find(&store, "kept").await.unwrap().map(|lease| lease.fence);
            assert_eq!(kept, Some(round as u64 + 1), "acknowledged, and lost");
        }
        assert!(refused > 0, "the disk was never full");
    }
}
