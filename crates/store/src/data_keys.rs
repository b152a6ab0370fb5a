//! The key of each environment that its variables and snapshots are sealed with; itself wrapped by the key file's.

use domain::EnvironmentId;
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, IntoActiveModel, QueryOrder};

use crate::entity::data_keys::{Column, Entity, Model};
use crate::row::parse;
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx};

/// The wrapped key, if the environment has one.
pub async fn find(session: &impl Session, environment: &EnvironmentId) -> Result<Option<Vec<u8>>, StoreError> {
    let row = Entity::find_by_id(environment.as_str()).one(session.connection()).await?;
    Ok(row.map(|row| row.wrapped))
}

/// All of them, each with its environment.
pub async fn list(session: &impl Session) -> Result<Vec<(EnvironmentId, Vec<u8>)>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::EnvironmentId).all(session.connection()).await?;
    rows.into_iter().map(|row| Ok((parse(&row.environment_id)?, row.wrapped))).collect()
}

/// Sets or replaces it.
pub async fn set(tx: &Tx, environment: &EnvironmentId, wrapped: &[u8]) -> Result<(), StoreError> {
    let row = Model { environment_id: environment.to_string(), wrapped: wrapped.to_owned() };
    let replace = OnConflict::column(Column::EnvironmentId).update_column(Column::Wrapped).to_owned();
    Entity::insert(row.into_active_model()).on_conflict(replace).exec_without_returning(tx.connection()).await?;
    Ok(())
}
