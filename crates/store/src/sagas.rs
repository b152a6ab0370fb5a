//! Sagas and their journals. What a record says is the saga engine's business: here it is JSON with a number.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde_json::Value;

use crate::entity::saga_records as records;
use crate::entity::sagas::{Column, Entity, Model};
use crate::row::{from_json, insert as insert_row, long, number, to_json};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, leases};

/// A saga without its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SagaRow {
    /// For a deployment: its id.
    pub id: String,
    pub name: String,
    pub version: u32,
    /// Of the last append; 0 before the first.
    pub fence: u64,
    /// Number of the next record; that is, how many there are.
    pub seq: u64,
    pub finished: bool,
    pub cancel_requested: bool,
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
    };
    match insert_row::<Entity, _>(tx, row).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "saga" })),
    }
}

/// Appends `records` as the numbers `expected_seq`, `expected_seq + 1`, … and returns the number of the next one.
///
/// # Errors
/// - `Fenced` when the lease [`leases::SERVER`] has a higher fence than `fence`, or a newer owner has appended.
/// - `Conflict(SagaSequence)` when the next record has another number: somebody else has appended.
/// - `Conflict(SagaFinished)` after [`finish`].
pub async fn append(tx: &Tx, id: &str, fence: u64, expected_seq: u64, records: &[Value]) -> Result<u64, StoreError> {
    leases::check(tx, leases::SERVER, fence).await?;
    let saga = get(tx, id).await?;
    if saga.fence > fence {
        return Err(StoreError::Fenced { what: format!("saga `{id}`"), by: saga.fence });
    }
    if saga.finished {
        return Err(StoreError::Conflict(Constraint::SagaFinished));
    }
    if saga.seq != expected_seq {
        return Err(StoreError::Conflict(Constraint::SagaSequence { expected: expected_seq, actual: saga.seq }));
    }
    let mut next = saga.seq;
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        rows.push(
            records::Model { saga_id: id.to_owned(), seq: long(next), record: to_json(record)? }.into_active_model(),
        );
        next += 1;
    }
    if !rows.is_empty() {
        records::Entity::insert_many(rows).exec_without_returning(tx.connection()).await?;
    }
    set(tx, id, [(Column::Seq, Expr::value(long(next))), (Column::Fence, Expr::value(long(fence)))]).await?;
    Ok(next)
}

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

/// Notes that somebody wants the saga cancelled.
pub async fn request_cancel(tx: &Tx, id: &str) -> Result<(), StoreError> {
    set(tx, id, [(Column::CancelRequested, Expr::value(true))]).await
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
        })
    }
}
