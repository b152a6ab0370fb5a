//! Recovery codes of people, by digests that the caller makes; the codes themselves are never here.

use chrono::{DateTime, Utc};
use domain::UserId;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use crate::entity::recovery_codes::{Column, Entity, Model};
use crate::row::insert as insert_row;
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx, time};

/// Puts these in the place of all that the person had.
pub async fn replace(tx: &Tx, user: &UserId, hashes: &[String]) -> Result<(), StoreError> {
    Entity::delete_many().filter(Column::UserId.eq(user.as_str())).exec(tx.connection()).await?;
    for hash in hashes {
        insert_row::<Entity, _>(tx, Model { user_id: user.to_string(), hash: hash.clone(), used_at: None }).await?;
    }
    Ok(())
}

/// Uses one up. `false` when it is none of the person's, or was used before.
pub async fn take(tx: &Tx, user: &UserId, hash: &str, at: DateTime<Utc>) -> Result<bool, StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::UsedAt, Expr::value(Some(time::to_db(at))))
        .filter(Column::UserId.eq(user.as_str()))
        .filter(Column::Hash.eq(hash))
        .filter(Column::UsedAt.is_null());
    Ok(update.exec(tx.connection()).await?.rows_affected > 0)
}

/// How many are left.
pub async fn left(session: &impl Session, user: &UserId) -> Result<u64, StoreError> {
    let query = Entity::find().filter(Column::UserId.eq(user.as_str())).filter(Column::UsedAt.is_null());
    Ok(query.count(session.connection()).await?)
}
