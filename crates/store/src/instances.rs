//! The instances that should exist, with the ports that were given to them.

use domain::instance::InstanceKey;
use domain::{DeploymentId, EnvironmentId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::instances::{Column, Entity, Model};
use crate::row::{insert as insert_row, long, number, parse};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx};

/// An instance that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub key: InstanceKey,
    /// Its own until the row is deleted.
    pub port: Option<u16>,
    /// It is to be stopped; the row goes when it has.
    pub retired: bool,
}

/// The instance with this key: the one that is there, with the port it got then, or a new one with `port`.
/// `Conflict(Port)` when another has the port.
pub async fn insert_or_get(tx: &Tx, key: &InstanceKey, port: Option<u16>) -> Result<Instance, StoreError> {
    let name = key.name();
    if let Some(row) = Entity::find_by_id(name.as_str()).one(tx.connection()).await? {
        return row.try_into();
    }
    let row = Model {
        name,
        environment_id: key.environment.to_string(),
        deployment_id: key.deployment.to_string(),
        release_id: key.release.to_string(),
        generation: long(key.generation),
        component: key.component.to_string(),
        index: key.index.into(),
        port: port.map(i32::from),
        retired: false,
    };
    match (insert_row::<Entity, _>(tx, row).await?, port) {
        (true, _) => Ok(Instance { key: key.clone(), port, retired: false }),
        (false, Some(port)) => Err(StoreError::Conflict(Constraint::Port { port })),
        (false, None) => Err(StoreError::Conflict(Constraint::Id { what: "instance" })),
    }
}

/// Those of an environment, by name.
pub async fn list_by_environment(session: &impl Session, id: &EnvironmentId) -> Result<Vec<Instance>, StoreError> {
    let query = Entity::find().filter(Column::EnvironmentId.eq(id.as_str())).order_by_asc(Column::Name);
    query.all(session.connection()).await?.into_iter().map(Instance::try_from).collect()
}

/// Those of these environments that are not to be stopped, by name; as many statements as there are hundreds of environments.
pub async fn of_environments(session: &impl Session, ids: &[&EnvironmentId]) -> Result<Vec<Instance>, StoreError> {
    let mut all = Vec::new();
    for some in ids.chunks(500) {
        let query = Entity::find().filter(Column::EnvironmentId.is_in(some.iter().map(|id| id.as_str())));
        let query = query.filter(Column::Retired.eq(false)).order_by_asc(Column::Name);
        for row in query.all(session.connection()).await? {
            all.push(row.try_into()?);
        }
    }
    Ok(all)
}

/// Those that a deployment started, by name.
pub async fn list_by_deployment(session: &impl Session, id: &DeploymentId) -> Result<Vec<Instance>, StoreError> {
    let query = Entity::find().filter(Column::DeploymentId.eq(id.as_str())).order_by_asc(Column::Name);
    query.all(session.connection()).await?.into_iter().map(Instance::try_from).collect()
}

/// All, by name.
pub async fn list_all(session: &impl Session) -> Result<Vec<Instance>, StoreError> {
    let query = Entity::find().order_by_asc(Column::Name);
    query.all(session.connection()).await?.into_iter().map(Instance::try_from).collect()
}

/// The ports that belong to instances, retired ones too, ascending.
pub async fn ports(session: &impl Session) -> Result<Vec<u16>, StoreError> {
    let query =
        Entity::find().select_only().column(Column::Port).filter(Column::Port.is_not_null()).order_by_asc(Column::Port);
    let ports: Vec<i32> = query.into_tuple().all(session.connection()).await?;
    ports.into_iter().map(|port| number("a port", port.into())).collect()
}

/// Marks an instance to be stopped. Repeating it is without effect.
pub async fn retire(tx: &Tx, name: &str) -> Result<(), StoreError> {
    // Who keeps instances running must not start it again.
    tx.tells();
    let update = Entity::update_many().col_expr(Column::Retired, Expr::value(true)).filter(Column::Name.eq(name));
    match update.exec(tx.connection()).await?.rows_affected {
        0 => Err(StoreError::not_found("instance", name)),
        _ => Ok(()),
    }
}

/// Forgets an instance, which frees its port; `false` when there was none.
pub async fn delete(tx: &Tx, name: &str) -> Result<bool, StoreError> {
    tx.tells();
    Ok(Entity::delete_by_id(name).exec(tx.connection()).await?.rows_affected > 0)
}

impl TryFrom<Model> for Instance {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Instance {
            key: InstanceKey {
                environment: parse(&row.environment_id)?,
                deployment: parse(&row.deployment_id)?,
                release: parse(&row.release_id)?,
                generation: number("a generation", row.generation)?,
                component: parse(&row.component)?,
                index: number("the index of an instance", row.index)?,
            },
            port: row.port.map(|port| number("a port", port.into())).transpose()?,
            retired: row.retired,
        })
    }
}
