//! Uploads: what was announced of a file; how much of it is there, the file itself says.

use chrono::{DateTime, Utc};
use domain::UploadId;
use domain::upload::Checksum;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::uploads::{Column, Entity, Model};
use crate::row::{insert as insert_row, long, number, parse, text};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// A file that was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub id: UploadId,
    /// As its owner calls it; no path of ours.
    pub name: String,
    /// Bytes.
    pub size: u64,
    pub digest: Checksum,
    /// Name of the token that announced it.
    pub requested_by: String,
    /// Id of who announced it; empty for one from before there were people.
    pub owner: String,
    /// All of it is there, and has the digest.
    pub complete: bool,
    /// A deployment was asked for with it.
    pub used: bool,
    pub created_at: DateTime<Utc>,
    /// When something of it arrived last.
    pub touched_at: DateTime<Utc>,
}

/// Writes a new upload. `Conflict(Id)` when its id is taken.
pub async fn insert(tx: &Tx, upload: &Upload) -> Result<(), StoreError> {
    match insert_row::<Entity, _>(tx, upload.into()).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "upload" })),
    }
}

pub async fn find(session: &impl Session, id: &UploadId) -> Result<Option<Upload>, StoreError> {
    let row = Entity::find_by_id(id.as_str()).one(session.connection()).await?;
    row.map(Upload::try_from).transpose()
}

/// Newest first, those that were announced before `before`, by `owner` if that is given.
pub async fn list(
    session: &impl Session,
    owner: Option<&str>,
    before: Option<&UploadId>,
    limit: u64,
) -> Result<Vec<Upload>, StoreError> {
    // Ids begin with the time at which they were made.
    let mut query = Entity::find().order_by_desc(Column::Id).limit(limit);
    if let Some(owner) = owner {
        query = query.filter(Column::Owner.eq(owner));
    }
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before.as_str()));
    }
    query.all(session.connection()).await?.into_iter().map(Upload::try_from).collect()
}

/// All; their number is limited where they are announced.
pub async fn list_all(session: &impl Session) -> Result<Vec<Upload>, StoreError> {
    Entity::find().order_by_asc(Column::Id).all(session.connection()).await?.into_iter().map(Upload::try_from).collect()
}

/// Notes that something of it has arrived. `NotFound` when it is gone.
pub async fn touch(tx: &Tx, id: &UploadId, at: DateTime<Utc>) -> Result<(), StoreError> {
    set(tx, id, Column::TouchedAt, Expr::value(time::to_db(at))).await
}

/// Notes that it is complete. `NotFound` when it is gone.
pub async fn complete(tx: &Tx, id: &UploadId) -> Result<(), StoreError> {
    set(tx, id, Column::Complete, Expr::value(true)).await
}

/// Notes that a deployment was asked for with it. `NotFound` when it is gone.
pub async fn used(tx: &Tx, id: &UploadId) -> Result<(), StoreError> {
    set(tx, id, Column::Used, Expr::value(true)).await
}

/// Forgets it; `false` if that was done before.
pub async fn delete(tx: &Tx, id: &UploadId) -> Result<bool, StoreError> {
    Ok(Entity::delete_by_id(id.as_str()).exec(tx.connection()).await?.rows_affected > 0)
}

async fn set(tx: &Tx, id: &UploadId, column: Column, value: Expr) -> Result<(), StoreError> {
    let update = Entity::update_many().col_expr(column, value).filter(Column::Id.eq(id.as_str()));
    match update.exec(tx.connection()).await?.rows_affected {
        0 => Err(StoreError::not_found("upload", id)),
        _ => Ok(()),
    }
}

impl From<&Upload> for Model {
    fn from(upload: &Upload) -> Self {
        Model {
            id: upload.id.to_string(),
            name: text(&upload.name),
            size: long(upload.size),
            digest: upload.digest.to_string(),
            requested_by: text(&upload.requested_by),
            owner: upload.owner.clone(),
            complete: upload.complete,
            used: upload.used,
            created_at: time::to_db(upload.created_at),
            touched_at: time::to_db(upload.touched_at),
        }
    }
}

impl TryFrom<Model> for Upload {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Upload {
            id: parse(&row.id)?,
            name: row.name,
            size: number("the size of an upload", row.size)?,
            digest: parse(&row.digest)?,
            requested_by: row.requested_by,
            owner: row.owner,
            complete: row.complete,
            used: row.used,
            created_at: time::from_db(row.created_at)?,
            touched_at: time::from_db(row.touched_at)?,
        })
    }
}
