//! An addition to one journal with SQLite, when nobody else waits to write: one way to SQLite's thread and back, which takes longer
//! than the statements do.

use std::sync::atomic::Ordering;
use std::time::Instant;

use sea_orm::{ConnectionTrait, Value};

use crate::advances;
use crate::appends::Append;
use crate::row::{long, to_json};
use crate::rows::Parameters;
use crate::{Store, StoreError};

/// What ends a saga has more to write.
pub(crate) fn may(append: &Append) -> bool {
    append.end.is_none() && !append.records.is_empty()
}

impl Store {
    /// Adds it in a transaction of its own; `false` when that was refused, and nothing was written. For a caller whose turn to write it
    /// is, and who asked [`may`].
    pub(crate) async fn append_lone(&self, append: &Append) -> Result<bool, StoreError> {
        let began = Instant::now();
        let mut parameters = Parameters::shared();
        let sql = transaction(&mut parameters, append)?;
        self.doubted.store(true, Ordering::Relaxed);
        match parameters.query(&self.writer, sql).await {
            Ok(moved) => {
                self.doubted.store(false, Ordering::Relaxed);
                self.wakers.wake(false);
                self.writes.note(began.elapsed());
                Ok(!moved.is_empty())
            }
            Err(error) => {
                // What fails leaves the transaction open, where SQLite has not undone it by itself: then there is none, which is as well.
                let undone = self.writer.execute_unprepared("ROLLBACK").await;
                tracing::debug!(?undone, "an addition to a journal failed: {error}");
                Err(error)
            }
        }
    }
}

/// A row comes back if the saga is as it must be; if not, none of it changes anything.
fn transaction(parameters: &mut Parameters, append: &Append) -> Result<String, StoreError> {
    let Append { saga, fence, seq, records, advance, end: _ } = append;
    let moved: [Value; 4] =
        [saga.as_str().into(), long(*fence).into(), long(*seq).into(), long(seq + records.len() as u64).into()];
    let [id, fence, before, after] = moved.map(|value| parameters.add(value));
    let mut moving = format!(
        "UPDATE sagas SET seq = {after} WHERE id = {id} AND fence = {fence} AND seq = {before} AND NOT finished"
    );
    if let Some(advance) = advance {
        let deployment = parameters.add(advance.change.deployment.as_str());
        moving.push_str(&format!(" AND EXISTS (SELECT 1 FROM deployments WHERE id = {deployment})"));
    }
    let mut rows: Vec<[Value; 3]> = Vec::with_capacity(records.len());
    for (seq, record) in (*seq..).zip(records) {
        rows.push([saga.as_str().into(), long(seq).into(), to_json(record)?.into()]);
    }
    let rows = parameters.rows(rows);
    let mut sql = format!(
        "BEGIN IMMEDIATE; {moving} RETURNING id; \
         INSERT INTO saga_records (saga_id, seq, record) SELECT * FROM ({rows}) WHERE (SELECT changes()) > 0; "
    );
    if let Some(advance) = advance {
        for statement in advances::statements(parameters, advance)? {
            sql.push_str(&statement);
            sql.push_str("; ");
        }
    }
    sql.push_str("COMMIT");
    Ok(sql)
}
