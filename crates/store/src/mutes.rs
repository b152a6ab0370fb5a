//! What people do not want to hear of, and how far they have read.

use chrono::{DateTime, Utc};
use domain::{AppId, Name, UserId};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use crate::entity::mutes::{Column, Entity, Model};
use crate::entity::{apps, inbox_marks};
use crate::row::parse;
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx, time};

/// An app of which a person is told nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    pub user: UserId,
    pub app: AppId,
    /// It ends by itself then.
    pub until: Option<DateTime<Utc>>,
}

/// Mutes an app, in the place of what there was. `Conflict(Reference)` when there is no such person or app.
pub async fn set(tx: &Tx, mute: &Mute) -> Result<(), StoreError> {
    let row =
        Model { user_id: mute.user.to_string(), app_id: mute.app.to_string(), until: mute.until.map(time::to_db) };
    let again = OnConflict::columns([Column::UserId, Column::AppId]).update_column(Column::Until).to_owned();
    Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Takes it back. The one that there was, whether it still lasted or not.
pub async fn remove(tx: &Tx, user: &UserId, app: &AppId) -> Result<Option<Mute>, StoreError> {
    let key = (user.to_string(), app.to_string());
    let Some(row) = Entity::find_by_id(key.clone()).one(tx.connection()).await? else { return Ok(None) };
    Entity::delete_by_id(key).exec(tx.connection()).await?;
    Ok(Some(mute(&row)?))
}

/// Those of a person that last at `now`, by the name of the app.
pub async fn of_user(
    session: &impl Session,
    user: &UserId,
    now: DateTime<Utc>,
) -> Result<Vec<(Mute, Name)>, StoreError> {
    let lasts = Condition::any().add(Column::Until.is_null()).add(Column::Until.gt(time::to_db(now)));
    let query = Entity::find()
        .find_also_related(apps::Entity)
        .filter(Column::UserId.eq(user.as_str()))
        .filter(lasts)
        .order_by_asc(apps::Column::Name);
    let rows = query.all(session.connection()).await?;
    let named = rows.into_iter().filter_map(|(row, app)| app.map(|app| (row, app)));
    named.map(|(row, app)| Ok((mute(&row)?, parse(&app.name)?))).collect()
}

fn mute(row: &Model) -> Result<Mute, StoreError> {
    Ok(Mute { user: parse(&row.user_id)?, app: parse(&row.app_id)?, until: row.until.map(time::from_db).transpose()? })
}

/// Up to which event a person has seen the notices.
pub async fn seen(session: &impl Session, user: &UserId) -> Result<Option<i64>, StoreError> {
    let row = inbox_marks::Entity::find_by_id(user.as_str()).one(session.connection()).await?;
    Ok(row.map(|row| row.seen_cursor))
}

/// Notes it, if it is further than before; how far it is now.
pub async fn note_seen(tx: &Tx, user: &UserId, cursor: i64) -> Result<i64, StoreError> {
    let before = seen(tx, user).await?;
    if let Some(before) = before.filter(|before| *before >= cursor) {
        return Ok(before);
    }
    let row = inbox_marks::Model { user_id: user.to_string(), seen_cursor: cursor };
    let again =
        OnConflict::column(inbox_marks::Column::UserId).update_column(inbox_marks::Column::SeenCursor).to_owned();
    inbox_marks::Entity::insert(row.into_active_model())
        .on_conflict(again)
        .exec_without_returning(tx.connection())
        .await?;
    Ok(cursor)
}
