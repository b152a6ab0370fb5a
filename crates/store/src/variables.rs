//! Variables of environments. Their values arrive sealed; this crate can't read them.

use domain::EnvironmentId;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use crate::entity::variables::{Column, Entity, Model};
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx};

/// A variable with its sealed value.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    pub sealed: Vec<u8>,
}

/// Sets one, new or not.
pub async fn set(tx: &Tx, environment: &EnvironmentId, name: &str, sealed: &[u8]) -> Result<(), StoreError> {
    let row = Model { environment_id: environment.to_string(), name: name.to_owned(), sealed: sealed.to_owned() };
    let replace = OnConflict::columns([Column::EnvironmentId, Column::Name]).update_column(Column::Sealed).to_owned();
    Entity::insert(row.into_active_model()).on_conflict(replace).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Removes one; `false` when it was not set.
pub async fn unset(tx: &Tx, environment: &EnvironmentId, name: &str) -> Result<bool, StoreError> {
    let key = (environment.to_string(), name.to_owned());
    Ok(Entity::delete_by_id(key).exec(tx.connection()).await?.rows_affected > 0)
}

/// All of an environment, by name.
pub async fn list(session: &impl Session, environment: &EnvironmentId) -> Result<Vec<Variable>, StoreError> {
    let query = Entity::find().filter(Column::EnvironmentId.eq(environment.as_str())).order_by_asc(Column::Name);
    let rows = query.all(session.connection()).await?;
    Ok(rows.into_iter().map(|row| Variable { name: row.name, sealed: row.sealed }).collect())
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Variable({})", self.name)
    }
}
