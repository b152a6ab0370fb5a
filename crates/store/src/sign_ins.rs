//! Sign-ins that failed lately, and places from where somebody signed in.
//!
//! A key is a digest that the caller makes of who and where, with a secret of the server: the rows tell neither. What they mean
//! for the next attempt is for the caller to decide.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter};

use crate::entity::{known_places, sign_in_failures};
use crate::row::number;
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx, time};

/// With what a key begins whose failures count for long.
pub const LONG: &str = "long ";

/// Attempts that failed under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    pub count: u32,
    /// Of the first one.
    pub since: DateTime<Utc>,
    /// Until then nobody is let in under the key, whatever they know.
    pub locked_until: Option<DateTime<Utc>>,
}

pub async fn failures(session: &impl Session, key: &str) -> Result<Option<Failures>, StoreError> {
    let row = sign_in_failures::Entity::find_by_id(key).one(session.connection()).await?;
    row.map(Failures::try_from).transpose()
}

/// Writes what has failed under a key, in the place of what was there.
pub async fn fail(tx: &Tx, key: &str, failures: &Failures) -> Result<(), StoreError> {
    use sign_in_failures::{Column, Entity, Model};
    let row = Model {
        key: key.to_owned(),
        failures: i32::try_from(failures.count).unwrap_or(i32::MAX),
        since: time::to_db(failures.since),
        locked_until: failures.locked_until.map(time::to_db),
    };
    let again = OnConflict::column(Column::Key)
        .update_columns([Column::Failures, Column::Since, Column::LockedUntil])
        .to_owned();
    Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Forgets what has failed under a key; `false` when nothing had.
pub async fn forgive(tx: &Tx, key: &str) -> Result<bool, StoreError> {
    Ok(sign_in_failures::Entity::delete_by_id(key).exec(tx.connection()).await?.rows_affected > 0)
}

/// When somebody last signed in under this key.
pub async fn known(session: &impl Session, key: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
    let row = known_places::Entity::find_by_id(key).one(session.connection()).await?;
    row.map(|row| time::from_db(row.seen_at)).transpose()
}

/// Notes that somebody signed in under this key.
pub async fn know(tx: &Tx, key: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
    use known_places::{Column, Entity, Model};
    let row = Model { key: key.to_owned(), seen_at: time::to_db(at) };
    let again = OnConflict::column(Column::Key).update_column(Column::SeenAt).to_owned();
    Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// From when on rows may still be asked for.
#[derive(Debug, Clone, Copy)]
pub struct Needed {
    /// Failures that began then or later.
    pub failed: DateTime<Utc>,
    /// The same of keys that begin with [`LONG`].
    pub long: DateTime<Utc>,
    /// Places that were seen then or later.
    pub seen: DateTime<Utc>,
}

/// Forgets failures that are not needed and lock nobody at `now`, and places that are not needed; how many.
pub async fn purge(tx: &Tx, now: DateTime<Utc>, needed: Needed) -> Result<u64, StoreError> {
    use sign_in_failures::Column;
    let unlocked = Condition::any().add(Column::LockedUntil.is_null()).add(Column::LockedUntil.lte(time::to_db(now)));
    let long = Column::Key.starts_with(LONG);
    let began = Condition::any()
        .add(Column::Since.lt(time::to_db(needed.long)))
        .add(Condition::all().add(Column::Since.lt(time::to_db(needed.failed))).add(long.not()));
    let failures = sign_in_failures::Entity::delete_many().filter(began).filter(unlocked).exec(tx.connection()).await?;
    let places = known_places::Entity::delete_many()
        .filter(known_places::Column::SeenAt.lt(time::to_db(needed.seen)))
        .exec(tx.connection())
        .await?;
    Ok(failures.rows_affected + places.rows_affected)
}

impl TryFrom<sign_in_failures::Model> for Failures {
    type Error = StoreError;

    fn try_from(row: sign_in_failures::Model) -> Result<Self, StoreError> {
        Ok(Failures {
            count: number("a count of failures", row.failures.into())?,
            since: time::from_db(row.since)?,
            locked_until: row.locked_until.map(time::from_db).transpose()?,
        })
    }
}
