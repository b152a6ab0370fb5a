//! The event log. Its rows keep the names of what they tell of, so they outlive it.

use chrono::{DateTime, Utc};
use domain::event::{Event, EventKind};
use domain::{DeploymentId, Name};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::events::{ActiveModel, Column, Entity, Model};
use crate::row::{from_json, parse_option, to_json};
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx, time};

/// Which events to list; everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub app: Option<Name>,
    pub environment: Option<Name>,
    pub deployment: Option<DeploymentId>,
}

/// Writes an event and returns its cursor.
///
/// Cursors are handed out in the order of commits, so a reader that continues after the highest cursor it saw misses
/// nothing: writers take turns (see [`Store::write`](crate::Store::write)), and none can get a lower cursor
/// but become visible later. A rollback leaves a gap, which nobody has seen filled and nobody will.
pub async fn insert(
    tx: &Tx,
    app: Option<&Name>,
    environment: Option<&Name>,
    deployment: Option<&DeploymentId>,
    kind: &EventKind,
    at: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let row = ActiveModel {
        cursor: ActiveValue::NotSet,
        at: ActiveValue::Set(time::to_db(at)),
        app: ActiveValue::Set(app.map(ToString::to_string)),
        environment: ActiveValue::Set(environment.map(ToString::to_string)),
        deployment_id: ActiveValue::Set(deployment.map(ToString::to_string)),
        kind: ActiveValue::Set(kind.as_str().to_owned()),
        body: ActiveValue::Set(to_json(kind)?),
    };
    tx.tells();
    Ok(Entity::insert(row).exec(tx.connection()).await?.last_insert_id)
}

/// In order, those after the cursor `after` (0 for all).
pub async fn list(session: &impl Session, filter: &Filter, after: i64, limit: u64) -> Result<Vec<Event>, StoreError> {
    let mut query = Entity::find().filter(Column::Cursor.gt(after)).order_by_asc(Column::Cursor).limit(limit);
    if let Some(app) = &filter.app {
        query = query.filter(Column::App.eq(app.as_str()));
    }
    if let Some(environment) = &filter.environment {
        query = query.filter(Column::Environment.eq(environment.as_str()));
    }
    if let Some(deployment) = &filter.deployment {
        query = query.filter(Column::DeploymentId.eq(deployment.as_str()));
    }
    query.all(session.connection()).await?.into_iter().map(Event::try_from).collect()
}

/// The highest cursor; 0 when there is no event.
pub async fn latest(session: &impl Session) -> Result<i64, StoreError> {
    let newest = Entity::find().order_by_desc(Column::Cursor).limit(1).one(session.connection()).await?;
    Ok(newest.map_or(0, |row| row.cursor))
}

impl TryFrom<Model> for Event {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Event {
            cursor: row.cursor,
            at: time::from_db(row.at)?,
            app: parse_option(row.app.as_deref())?,
            environment: parse_option(row.environment.as_deref())?,
            deployment: parse_option(row.deployment_id.as_deref())?,
            kind: from_json("an event", &row.body)?,
        })
    }
}
