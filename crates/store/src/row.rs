//! Between columns and values.

use std::fmt::Display;
use std::str::FromStr;

use domain::AppId;
use domain::access::Sees;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveModelBehavior, ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::session::sealed::Connected;
use crate::{StoreError, Tx};

/// Inserts a row; `false` when one with the same key or unique value exists, which leaves the transaction usable
/// on both databases (a failed statement would not on PostgreSQL).
pub(crate) async fn insert<E, A>(tx: &Tx, row: E::Model) -> Result<bool, StoreError>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<A>,
    A: ActiveModelTrait<Entity = E> + ActiveModelBehavior + Send,
{
    let insert = E::insert(row.into_active_model()).on_conflict(OnConflict::new().do_nothing().to_owned());
    Ok(insert.exec_without_returning(tx.connection()).await? > 0)
}

/// What is of the apps that are seen, by the column with their ids; `None` when all are.
///
/// The databases take tens of thousands of values in a statement. Nobody has roles in so many apps one by one: who has,
/// has one everywhere.
pub(crate) fn seen(column: impl ColumnTrait, sees: &Sees) -> Option<Expr> {
    match sees {
        Sees::All => None,
        Sees::Only(apps) => Some(column.is_in(apps.iter().map(AppId::as_str))),
    }
}

/// An id or a name out of a text column.
pub(crate) fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|e| StoreError::corrupt(format!("`{text}`"), e))
}

pub(crate) fn parse_option<T: FromStr<Err: Display>>(text: Option<&str>) -> Result<Option<T>, StoreError> {
    text.map(parse).transpose()
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Internal(format!("a value can't be written as JSON: {e}")))
}

pub(crate) fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::corrupt(what, e))
}

pub(crate) fn from_json_option<T: DeserializeOwned>(what: &str, text: Option<&str>) -> Result<Option<T>, StoreError> {
    text.map(|text| from_json(what, text)).transpose()
}

/// A number that is not negative, or fits a smaller type.
pub(crate) fn number<T: TryFrom<i64>>(what: &str, value: i64) -> Result<T, StoreError> {
    T::try_from(value).map_err(|_| StoreError::corrupt(what, format!("{value} is out of range")))
}

/// For a column of 64 bits; our counters never get near its end.
pub(crate) fn long(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Free text; PostgreSQL can't store a NUL character, and output of programs may hold one.
pub(crate) fn text(value: &str) -> String {
    value.replace('\0', "\u{fffd}")
}
