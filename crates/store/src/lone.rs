//! An addition to one journal with SQLite, when nobody else writes: on the caller's own thread. The way to another thread and back
//! takes as long as the disk.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::appends::Append;
use crate::row::{long, to_json};
use crate::{Store, StoreError, advances};

/// A connection that is called and not sent to. Of PostgreSQL there is none. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Lone(Arc<Mutex<Option<Connection>>>);

impl Lone {
    /// For a database that is there, with its log as the writer has set it.
    pub(crate) fn open(path: &Path) -> Result<Self, rusqlite::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        // As durable and as strict as the writer; but who is not alone takes the usual way, and waits there.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.busy_timeout(Duration::ZERO)?;
        Ok(Self(Arc::new(Mutex::new(Some(connection)))))
    }

    pub(crate) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Whether it was added, durably. If not, nothing was written, whatever the reason.
    fn append(&self, append: &Append) -> bool {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(connection) = connection.as_mut() else { return false };
        match added(connection, append) {
            Ok(added) => added,
            Err(error) => {
                tracing::debug!("an addition to a journal takes the usual way: {error}");
                false
            }
        }
    }
}

impl Store {
    /// Adds it in a transaction of its own, if nobody else writes or waits to. If not, nothing was written: the usual way does it, or
    /// tells why it can't be.
    pub(crate) fn append_lone(&self, append: &Append) -> bool {
        // What ends a saga has more to write.
        if append.end.is_some() || append.records.is_empty() || self.group.waits() {
            return false;
        }
        let Ok(_turn) = self.turn.try_lock() else { return false };
        let began = Instant::now();
        let added = waiting_for_the_disk(|| self.lone.append(append));
        if added {
            self.wakers.wake(false);
            self.writes.note(began.elapsed());
        }
        added
    }
}

/// Other tasks go on meanwhile, on another thread; where there is only one, they wait.
fn waiting_for_the_disk<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    #[error(transparent)]
    Content(#[from] StoreError),
}

/// `false` if the saga, or its deployment, is not as it must be.
fn added(connection: &mut Connection, append: &Append) -> Result<bool, Failed> {
    let Append { saga, fence, seq, records, advance, end: _ } = append;
    // Dropped without a commit, it is undone.
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let moved = tx
        .prepare_cached("UPDATE sagas SET seq = ?1 WHERE id = ?2 AND fence = ?3 AND seq = ?4 AND NOT finished")?
        .execute((long(seq + records.len() as u64), saga, long(*fence), long(*seq)))?;
    if moved == 0 {
        return Ok(false);
    }
    let mut insert = tx.prepare_cached("INSERT INTO saga_records (saga_id, seq, record) VALUES (?1, ?2, ?3)")?;
    for (seq, record) in (*seq..).zip(records) {
        insert.execute((saga, long(seq), to_json(record)?))?;
    }
    drop(insert);
    if let Some(advance) = advance {
        let mut changed = 0;
        for (sql, values) in advances::statements(advance)? {
            let values = values.into_iter().map(value).collect::<Result<Vec<_>, _>>()?;
            changed = tx.prepare_cached(&sql)?.execute(rusqlite::params_from_iter(values))?;
        }
        if changed == 0 {
            return Ok(false);
        }
    }
    tx.commit()?;
    Ok(true)
}

fn value(value: sea_orm::Value) -> Result<Value, StoreError> {
    Ok(match value {
        sea_orm::Value::BigInt(number) => number.map_or(Value::Null, Value::Integer),
        sea_orm::Value::Bool(flag) => flag.map_or(Value::Null, |flag| Value::Integer(flag.into())),
        sea_orm::Value::String(text) => text.map_or(Value::Null, Value::Text),
        other => return Err(StoreError::Internal(format!("a journal has no use for {other:?}"))),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{DatabaseUrl, sagas};

    async fn opened() -> (Store, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::sqlite(dir.path().join("db"))).await.unwrap();
        store.write_together(|tx| Box::pin(sagas::create(tx, "one", "test", 1))).await.unwrap();
        (store, dir)
    }

    fn record(seq: u64) -> Append {
        Append { saga: "one".into(), fence: 0, seq, records: vec![json!({ "n": seq })], end: None, advance: None }
    }

    #[tokio::test]
    async fn it_is_as_durable_and_strict_as_the_writer() {
        let (store, _dir) = opened().await;
        let connection = store.lone.0.lock().unwrap();
        for (name, want) in [("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 0)] {
            let found: i64 = connection.as_ref().unwrap().pragma_query_value(None, name, |row| row.get(0)).unwrap();
            assert_eq!(found, want, "{name}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_it_adds_is_read_and_woken_for_and_what_is_refused_is_not_there() {
        let (store, _dir) = opened().await;
        let mut changes = store.changes();
        changes.mark_unchanged();
        assert!(store.append_lone(&record(0)));
        assert!(changes.has_changed().unwrap());
        assert!(!store.append_lone(&record(0)), "its number is taken");
        assert!(!store.append_lone(&Append { fence: 7, ..record(1) }), "not of this epoch");
        assert!(store.append_lone(&record(1)));
        let read = sagas::load(&store, "one").await.unwrap();
        assert_eq!(read, [(0, json!({ "n": 0 })), (1, json!({ "n": 1 }))]);
    }

    #[tokio::test]
    async fn a_writer_of_this_process_or_of_another_one_comes_first() {
        let (store, dir) = opened().await;
        let tx = store.write().await.unwrap();
        assert!(!store.append_lone(&record(0)), "this process is writing");
        drop(tx);
        let other = Connection::open(dir.path().join("db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(!store.append_lone(&record(0)), "another process is writing");
        let waiting = tokio::spawn({
            let store = store.clone();
            async move { store.append_together(record(0), None).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished(), "it waits in the usual way");
        other.execute_batch("COMMIT").unwrap();
        waiting.await.unwrap().unwrap();
        assert!(store.append_lone(&record(1)));
    }

    #[tokio::test]
    async fn a_closed_store_adds_nothing() {
        let (store, _dir) = opened().await;
        store.clone().close().await;
        assert!(!store.append_lone(&record(0)));
    }
}
