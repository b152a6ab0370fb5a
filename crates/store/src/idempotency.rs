//! Idempotency keys: what was answered to a request, so that its repetition gets the same answer.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::Value;

use crate::entity::idempotency::{Column, Entity, Model};
use crate::row::{from_json, insert as insert_row, number, to_json};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// A request that was answered. The key belongs to whoever asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Id of the person, token or schedule that asked.
    pub owner: String,
    pub key: String,
    /// Name of the operation.
    pub operation: String,
    /// Of the request, to notice a key that is used for another one.
    pub request_digest: String,
    /// HTTP status.
    pub status: u16,
    pub response: Value,
    pub created_at: DateTime<Utc>,
}

pub async fn find(session: &impl Session, owner: &str, key: &str) -> Result<Option<Answer>, StoreError> {
    let row = Entity::find_by_id((owner.to_owned(), key.to_owned())).one(session.connection()).await?;
    row.map(Answer::try_from).transpose()
}

/// Keeps an answer. `Conflict(IdempotencyKey)` when its owner has used the key.
pub async fn insert(tx: &Tx, answer: &Answer) -> Result<(), StoreError> {
    let row = Model {
        owner: answer.owner.clone(),
        key: answer.key.clone(),
        operation: answer.operation.clone(),
        request_digest: answer.request_digest.clone(),
        status: answer.status.into(),
        response: to_json(&answer.response)?,
        created_at: time::to_db(answer.created_at),
    };
    match insert_row::<Entity, _>(tx, row).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::IdempotencyKey)),
    }
}

/// Forgets those older than `before`; returns how many.
pub async fn purge(tx: &Tx, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let delete = Entity::delete_many().filter(Column::CreatedAt.lt(time::to_db(before)));
    Ok(delete.exec(tx.connection()).await?.rows_affected)
}

impl TryFrom<Model> for Answer {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Answer {
            owner: row.owner,
            key: row.key,
            operation: row.operation,
            request_digest: row.request_digest,
            status: number("an HTTP status", row.status.into())?,
            response: from_json("a kept response", &row.response)?,
            created_at: time::from_db(row.created_at)?,
        })
    }
}
