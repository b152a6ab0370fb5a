//! Sagas and their journals. What a record says is the saga engine's business: here it is JSON with a number.

use domain::ServerId;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, Statement};
use serde_json::Value;

use crate::entity::saga_records as records;
use crate::entity::sagas::{Column, Entity, Model};
use crate::row::{from_json, insert as insert_row, long, number, parse_option, text, to_json};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx};

/// A saga without its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaRow {
    /// For a deployment: its id.
    pub id: String,
    pub name: String,
    pub version: u32,
    /// The epoch of its owner: one more with each [`take`]; 0 before the first.
    pub fence: u64,
    /// Number of the next record; that is, how many there are.
    pub seq: u64,
    pub finished: bool,
    /// Somebody wants it cancelled, and its owner has not answered yet.
    pub cancel_requested: bool,
    /// The server that drives it.
    pub owner: Option<ServerId>,
    /// Who wants it cancelled.
    pub cancel_by: Option<String>,
    /// Why the last wish to cancel was refused, in the words of the saga engine.
    pub cancel_refused: Option<String>,
    /// Who wants a stuck one to be tried again.
    pub resume_by: Option<String>,
}

/// Writes a new saga without records. `Conflict(Id)` when there is one of this id.
pub async fn create(tx: &Tx, id: &str, name: &str, version: u32) -> Result<(), StoreError> {
    let row = Model {
        id: id.to_owned(),
        name: name.to_owned(),
        version: version.into(),
        fence: 0,
        seq: 0,
        finished: false,
        cancel_requested: false,
        owner: None,
        cancel_by: None,
        cancel_refused: None,
        resume_by: None,
    };
    match insert_row::<Entity, _>(tx, row).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "saga" })),
    }
}

/// Appends `records` as the numbers `expected_seq`, `expected_seq + 1`, … and returns the number of the next one.
///
/// # Errors
/// - `Fenced` when the saga has another owner than the one whose epoch is `fence`.
/// - `Conflict(SagaSequence)` when the next record has another number: somebody else has appended.
/// - `Conflict(SagaFinished)` after [`finish`].
pub async fn append(tx: &Tx, id: &str, fence: u64, expected_seq: u64, records: &[Value]) -> Result<u64, StoreError> {
    let next = expected_seq + records.len() as u64;
    if write_records(tx, id, fence, expected_seq, next, records).await? {
        return Ok(next);
    }
    // Why it was refused is only asked then: one statement is what most appends cost.
    let saga = get(tx, id).await?;
    if saga.fence != fence {
        return Err(StoreError::Fenced { what: format!("saga `{id}`"), by: saga.fence });
    }
    if saga.finished {
        return Err(StoreError::Conflict(Constraint::SagaFinished));
    }
    Err(StoreError::Conflict(Constraint::SagaSequence { expected: expected_seq, actual: saga.seq }))
}

/// Moves the saga's counter and inserts the records, in one statement for the database; `false` when the saga is not as it must be,
/// and nothing was written.
async fn write_records(
    tx: &Tx,
    id: &str,
    fence: u64,
    seq: u64,
    next: u64,
    records: &[Value],
) -> Result<bool, StoreError> {
    let connection = tx.connection();
    let backend = connection.get_database_backend();
    let mut values: Vec<sea_orm::Value> = vec![long(next).into(), id.into(), long(fence).into(), long(seq).into()];
    for (number, record) in (seq..).zip(records) {
        values.extend([id.into(), long(number).into(), to_json(record)?.into()]);
    }
    let rows = |placeholders: &dyn Fn(usize) -> String| {
        (0..records.len()).map(|n| placeholders(5 + 3 * n)).collect::<Vec<_>>().join(", ")
    };
    let sql = match (backend, records.is_empty()) {
        (DbBackend::Postgres, true) => MOVE_POSTGRES.to_owned(),
        (DbBackend::Postgres, false) => format!(
            "WITH moved AS ({MOVE_POSTGRES} RETURNING 1) INSERT INTO saga_records (saga_id, seq, record) \
             SELECT r.saga_id, r.seq, r.record FROM (VALUES {}) AS r (saga_id, seq, record), moved",
            rows(&|n| format!("(${n}::text, ${}::bigint, ${}::text)", n + 1, n + 2))
        ),
        (_, true) => MOVE.to_owned(),
        // Two statements that go to SQLite as one: each way to its thread and back takes longer than they do.
        (_, false) => format!(
            "{MOVE}; INSERT INTO saga_records (saga_id, seq, record) \
             SELECT * FROM (VALUES {}) WHERE (SELECT changes()) = 1",
            rows(&|_| "(?, ?, ?)".to_owned())
        ),
    };
    let done = connection.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    Ok(done.rows_affected() > 0)
}

const MOVE: &str = "UPDATE sagas SET seq = ? WHERE id = ? AND fence = ? AND seq = ? AND NOT finished";
const MOVE_POSTGRES: &str = "UPDATE sagas SET seq = $1 WHERE id = $2 AND fence = $3 AND seq = $4 AND NOT finished";

/// All records with their numbers, in order; empty for a saga that does not exist.
pub async fn load(session: &impl Session, id: &str) -> Result<Vec<(u64, Value)>, StoreError> {
    let query = records::Entity::find().filter(records::Column::SagaId.eq(id)).order_by_asc(records::Column::Seq);
    let rows = query.all(session.connection()).await?;
    let record = |row: records::Model| {
        Ok((number("the number of a record", row.seq)?, from_json("a record of a saga", &row.record)?))
    };
    rows.into_iter().map(record).collect()
}

pub async fn get(session: &impl Session, id: &str) -> Result<SagaRow, StoreError> {
    let row = Entity::find_by_id(id).one(session.connection()).await?;
    row.ok_or_else(|| StoreError::not_found("saga", id))?.try_into()
}

/// Those that have not finished, by id.
pub async fn open(session: &impl Session) -> Result<Vec<SagaRow>, StoreError> {
    let query = Entity::find().filter(Column::Finished.eq(false)).order_by_asc(Column::Id);
    query.all(session.connection()).await?.into_iter().map(SagaRow::try_from).collect()
}

/// Nothing more will be appended.
pub async fn finish(tx: &Tx, id: &str) -> Result<(), StoreError> {
    set(tx, id, [(Column::Finished, Expr::value(true))]).await
}

/// Makes `server` the owner, if `before` is what the owner is now, and returns its epoch. From then on everybody else's
/// appends are refused. `None` when somebody else was quicker, or the saga has finished.
pub async fn take(tx: &Tx, id: &str, server: &ServerId, before: Option<&ServerId>) -> Result<Option<u64>, StoreError> {
    let saga = get(tx, id).await?;
    if saga.finished || saga.owner.as_ref() != before {
        return Ok(None);
    }
    let fence = saga.fence + 1;
    let owner = Expr::value(Some(server.to_string()));
    set(tx, id, [(Column::Owner, owner), (Column::Fence, Expr::value(long(fence)))]).await?;
    tx.wakes();
    Ok(Some(fence))
}

/// Lets another server take it: this one will not go on with it. Without effect when `fence` is not the epoch any more.
pub async fn give_up(tx: &Tx, id: &str, fence: u64) -> Result<(), StoreError> {
    let nobody = Expr::value(None::<String>);
    let update = Entity::update_many()
        .col_expr(Column::Owner, nobody)
        .filter(Column::Id.eq(id))
        .filter(Column::Fence.eq(long(fence)));
    update.exec(tx.connection()).await?;
    tx.wakes();
    Ok(())
}

/// Everything that `server` drove has no owner, and its appends are refused from now on.
pub async fn release_owner(tx: &Tx, server: &ServerId) -> Result<u64, StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::Owner, Expr::value(None::<String>))
        .col_expr(Column::Fence, Expr::col(Column::Fence).add(1))
        .filter(Column::Owner.eq(server.as_str()))
        .filter(Column::Finished.eq(false));
    tx.wakes();
    Ok(update.exec(tx.connection()).await?.rows_affected)
}

/// The open ones that `server` drives, by id.
pub async fn of_owner(session: &impl Session, server: &ServerId) -> Result<Vec<SagaRow>, StoreError> {
    let query = Entity::find().filter(Column::Owner.eq(server.as_str())).filter(Column::Finished.eq(false));
    let rows = query.order_by_asc(Column::Id).all(session.connection()).await?;
    rows.into_iter().map(SagaRow::try_from).collect()
}

/// Notes that `by` wants the saga cancelled; its owner answers with [`answer_cancel`].
pub async fn request_cancel(tx: &Tx, id: &str, by: &str) -> Result<(), StoreError> {
    tx.wakes();
    let by = Expr::value(Some(text(by)));
    let refused = Expr::value(None::<String>);
    let set_to =
        [(Column::CancelRequested, Expr::value(true)), (Column::CancelBy, by), (Column::CancelRefused, refused)];
    set(tx, id, set_to).await
}

/// The owner's word on a wish to cancel: accepted (it is in the journal), or why not.
pub async fn answer_cancel(tx: &Tx, id: &str, refused: Option<&str>) -> Result<(), StoreError> {
    tx.wakes();
    let refused = Expr::value(refused.map(str::to_owned));
    set(tx, id, [(Column::CancelRequested, Expr::value(false)), (Column::CancelRefused, refused)]).await
}

/// Those of an owner whose cancel is wished for and not answered.
pub async fn cancels_of(session: &impl Session, server: &ServerId) -> Result<Vec<SagaRow>, StoreError> {
    let query = Entity::find()
        .filter(Column::Owner.eq(server.as_str()))
        .filter(Column::Finished.eq(false))
        .filter(Column::CancelRequested.eq(true));
    query.all(session.connection()).await?.into_iter().map(SagaRow::try_from).collect()
}

/// Notes that `by` wants a stuck saga to be tried again (`None`: it was).
pub async fn request_resume(tx: &Tx, id: &str, by: Option<&str>) -> Result<(), StoreError> {
    tx.wakes();
    set(tx, id, [(Column::ResumeBy, Expr::value(by.map(text)))]).await
}

/// Replaces the first record of a saga that no stage has begun of. `Conflict(SagaSequence)` when there is another one.
pub async fn reopen(tx: &Tx, id: &str, opening: &Value) -> Result<(), StoreError> {
    let saga = get(tx, id).await?;
    if saga.seq != 1 {
        return Err(StoreError::Conflict(Constraint::SagaSequence { expected: 1, actual: saga.seq }));
    }
    let record = to_json(opening)?;
    let update = records::Entity::update_many().col_expr(records::Column::Record, Expr::value(record));
    let update = update.filter(records::Column::SagaId.eq(id)).filter(records::Column::Seq.eq(0));
    update.exec(tx.connection()).await?;
    Ok(())
}

async fn set<const N: usize>(tx: &Tx, id: &str, values: [(Column, Expr); N]) -> Result<(), StoreError> {
    let mut update = Entity::update_many().filter(Column::Id.eq(id));
    for (column, value) in values {
        update = update.col_expr(column, value);
    }
    match update.exec(tx.connection()).await?.rows_affected {
        0 => Err(StoreError::not_found("saga", id)),
        _ => Ok(()),
    }
}

impl TryFrom<Model> for SagaRow {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(SagaRow {
            id: row.id,
            name: row.name,
            version: number("the version of a saga", row.version)?,
            fence: number("the fence of a saga", row.fence)?,
            seq: number("the length of a saga", row.seq)?,
            finished: row.finished,
            cancel_requested: row.cancel_requested,
            owner: parse_option(row.owner.as_deref())?,
            cancel_by: row.cancel_by,
            cancel_refused: row.cancel_refused,
            resume_by: row.resume_by,
        })
    }
}
