//! Up to which event the leader has made messages for channels.

use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, IntoActiveModel};

use crate::entity::notice_cursor::{Column, Entity, Model};
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx, deliveries, events};

const ONLY: i32 = 1;

/// None before anybody has begun.
pub async fn find(session: &impl Session) -> Result<Option<i64>, StoreError> {
    Ok(Entity::find_by_id(ONLY).one(session.connection()).await?.map(|row| row.cursor))
}

/// Where it is; whoever asks first begins with what comes next. So nothing is lost that happens after somebody wanted to be told.
pub async fn begin(tx: &Tx) -> Result<i64, StoreError> {
    if let Some(cursor) = find(tx).await? {
        return Ok(cursor);
    }
    let latest = events::latest(tx).await?;
    set(tx, latest).await?;
    Ok(latest)
}

/// In the transaction that makes the messages for the events up to it.
pub async fn set(tx: &Tx, cursor: i64) -> Result<(), StoreError> {
    let again = OnConflict::column(Column::Id).update_column(Column::Cursor).to_owned();
    let row = Model { id: ONLY, cursor };
    Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// The first event that has to stay: it was not read yet, or a message that tells of it waits.
pub(crate) async fn first_needed(session: &impl Session) -> Result<Option<i64>, StoreError> {
    let unread = find(session).await?.map(|cursor| cursor.saturating_add(1));
    let waits = deliveries::first_needed(session).await?;
    Ok(unread.into_iter().chain(waits).min())
}
