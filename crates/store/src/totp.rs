//! Second factors of people: the secret that is shared with their app, sealed, and the newest code that was taken.

use chrono::{DateTime, Utc};
use domain::UserId;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use crate::entity::totp::{Column, Entity, Model};
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx, recovery_codes, time};

/// A second factor as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Totp {
    pub user: UserId,
    /// The shared secret, which only its keeper opens.
    pub sealed: Vec<u8>,
    pub begun_at: DateTime<Utc>,
    /// Since when it is asked for; never while nobody has shown that an app has the secret.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// The half minute, counted since 1970, of the newest code that was taken.
    pub last_step: Option<i64>,
}

pub async fn find(session: &impl Session, user: &UserId) -> Result<Option<Totp>, StoreError> {
    Entity::find_by_id(user.as_str()).one(session.connection()).await?.map(Totp::try_from).transpose()
}

/// Of everybody.
pub async fn list(session: &impl Session) -> Result<Vec<Totp>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::UserId).all(session.connection()).await?;
    rows.into_iter().map(Totp::try_from).collect()
}

/// The same secret, sealed anew.
pub async fn reseal(tx: &Tx, user: &UserId, sealed: &[u8]) -> Result<(), StoreError> {
    let update = Entity::update_many().col_expr(Column::Sealed, Expr::value(sealed.to_vec()));
    update.filter(Column::UserId.eq(user.as_str())).exec(tx.connection()).await?;
    Ok(())
}

/// Writes a secret that nobody has confirmed, in the place of another such. `false`, and nothing, when one is in use.
pub async fn begin(tx: &Tx, user: &UserId, sealed: &[u8], at: DateTime<Utc>) -> Result<bool, StoreError> {
    if find(tx, user).await?.is_some_and(|found| found.confirmed_at.is_some()) {
        return Ok(false);
    }
    let row = Model {
        user_id: user.to_string(),
        sealed: sealed.to_owned(),
        begun_at: time::to_db(at),
        confirmed_at: None,
        last_step: None,
    };
    let again = OnConflict::column(Column::UserId).update_columns([Column::Sealed, Column::BegunAt]).to_owned();
    Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(tx.connection()).await?;
    Ok(true)
}

/// Has it asked for from now on. `false` when that is so already, or nothing was begun.
pub async fn confirm(tx: &Tx, user: &UserId, at: DateTime<Utc>, step: i64) -> Result<bool, StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::ConfirmedAt, Expr::value(Some(time::to_db(at))))
        .col_expr(Column::LastStep, Expr::value(Some(step)))
        .filter(Column::UserId.eq(user.as_str()))
        .filter(Column::ConfirmedAt.is_null());
    Ok(update.exec(tx.connection()).await?.rows_affected > 0)
}

/// Notes the step of a code that was taken. `false` when the same or a later one was: the code is worth nothing then.
pub async fn take(tx: &Tx, user: &UserId, step: i64) -> Result<bool, StoreError> {
    let later = Condition::any().add(Column::LastStep.is_null()).add(Column::LastStep.lt(step));
    let update = Entity::update_many()
        .col_expr(Column::LastStep, Expr::value(Some(step)))
        .filter(Column::UserId.eq(user.as_str()))
        .filter(Column::ConfirmedAt.is_not_null())
        .filter(later);
    Ok(update.exec(tx.connection()).await?.rows_affected > 0)
}

/// Forgets it, and the recovery codes with it; `false` when there was none.
pub async fn remove(tx: &Tx, user: &UserId) -> Result<bool, StoreError> {
    recovery_codes::replace(tx, user, &[]).await?;
    Ok(Entity::delete_by_id(user.as_str()).exec(tx.connection()).await?.rows_affected > 0)
}

impl std::fmt::Debug for Totp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Totp(of {} since {:?})", self.user, self.confirmed_at)
    }
}

impl TryFrom<Model> for Totp {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Totp {
            user: crate::row::parse(&row.user_id)?,
            sealed: row.sealed,
            begun_at: time::from_db(row.begun_at)?,
            confirmed_at: row.confirmed_at.map(time::from_db).transpose()?,
            last_step: row.last_step,
        })
    }
}
