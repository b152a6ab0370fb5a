//! Apps.

use chrono::{DateTime, Utc};
use domain::access::Sees;
use domain::source::Source;
use domain::{AppId, Name};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::apps::{Column, Entity, Model};
use crate::entity::{deployments, environments, instances, sagas};
use crate::row::{from_json_option, insert as insert_row, number, parse, seen, to_json};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, analytics, settings, time};

/// An app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    pub id: AppId,
    pub name: Name,
    pub source: Option<Source>,
    pub created_at: DateTime<Utc>,
    /// Deployments of it at work at the same time, at most; never 0.
    pub concurrency: u32,
}

/// Writes a new app, with the next number for its user. `Conflict(AppName)` when the name is taken.
pub async fn insert(tx: &Tx, app: &App) -> Result<(), StoreError> {
    let newest = Entity::find().order_by_desc(Column::UserNumber).one(tx.connection()).await?;
    let row = Model {
        id: app.id.to_string(),
        name: app.name.to_string(),
        source: app.source.as_ref().map(to_json).transpose()?,
        last_release: 0,
        user_number: newest.map_or(0, |row| row.user_number + 1),
        created_at: time::to_db(app.created_at),
        concurrency: app.concurrency.into(),
        last_started: 0,
    };
    match insert_row::<Entity, _>(tx, row).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::AppName { name: app.name.to_string() })),
    }
}

/// The number of the app's user: counts from 0, and no two apps have the same. Whose number it was is never known again,
/// so that of the newest app may be given anew when it was deleted, with all its files.
pub async fn user_number(session: &impl Session, id: &AppId) -> Result<u32, StoreError> {
    let row = Entity::find_by_id(id.as_str()).one(session.connection()).await?;
    number("the user of an app", row.ok_or_else(|| StoreError::not_found("app", id))?.user_number)
}

pub async fn find(session: &impl Session, name: &Name) -> Result<Option<App>, StoreError> {
    let row = Entity::find().filter(Column::Name.eq(name.as_str())).one(session.connection()).await?;
    row.map(App::try_from).transpose()
}

pub async fn get(session: &impl Session, id: &AppId) -> Result<App, StoreError> {
    let row = Entity::find_by_id(id.as_str()).one(session.connection()).await?;
    row.ok_or_else(|| StoreError::not_found("app", id))?.try_into()
}

/// By name, those after `after`.
pub async fn list(session: &impl Session, after: Option<&Name>, limit: u64) -> Result<Vec<App>, StoreError> {
    list_named(session, &Sees::All, None, after, limit).await
}

/// The same, only those that are seen and whose names hold `part`.
pub async fn list_named(
    session: &impl Session,
    sees: &Sees,
    part: Option<&str>,
    after: Option<&Name>,
    limit: u64,
) -> Result<Vec<App>, StoreError> {
    let mut query = Entity::find().order_by_asc(Column::Name).limit(limit);
    if let Some(part) = part {
        query = query.filter(Column::Name.contains(part));
    }
    if let Some(after) = after {
        query = query.filter(Column::Name.gt(after.as_str()));
    }
    if let Some(seen) = seen(Column::Id, sees) {
        query = query.filter(seen);
    }
    query.all(session.connection()).await?.into_iter().map(App::try_from).collect()
}

pub async fn set_source(tx: &Tx, id: &AppId, source: Option<&Source>) -> Result<(), StoreError> {
    let source = source.map(to_json).transpose()?;
    let update = Entity::update_many().col_expr(Column::Source, Expr::value(source)).filter(Column::Id.eq(id.as_str()));
    match update.exec(tx.connection()).await?.rows_affected {
        0 => Err(StoreError::not_found("app", id)),
        _ => Ok(()),
    }
}

pub async fn set_concurrency(tx: &Tx, id: &AppId, limit: u32) -> Result<(), StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::Concurrency, Expr::value(i64::from(limit)))
        .filter(Column::Id.eq(id.as_str()));
    tx.wakes();
    match update.exec(tx.connection()).await?.rows_affected {
        0 => Err(StoreError::not_found("app", id)),
        _ => Ok(()),
    }
}

/// Notes that one of its deployments starts: see [`domain::queue::turn`].
pub async fn started(tx: &Tx, id: &AppId, at: DateTime<Utc>) -> Result<(), StoreError> {
    let started = Expr::value(time::to_db(at));
    let update = Entity::update_many().col_expr(Column::LastStarted, started).filter(Column::Id.eq(id.as_str()));
    update.exec(tx.connection()).await?;
    Ok(())
}

/// Deletes an app that has no environment any more, with its releases. `Conflict(EnvironmentsLeft)` otherwise.
pub async fn delete(tx: &Tx, id: &AppId) -> Result<(), StoreError> {
    let app = get(tx, id).await?;
    let left =
        environments::Entity::find().filter(environments::Column::AppId.eq(id.as_str())).one(tx.connection()).await?;
    if left.is_some() {
        return Err(StoreError::Conflict(Constraint::EnvironmentsLeft { app: app.name.to_string() }));
    }
    purge(tx, id).await
}

/// Deletes an app and all that belongs to it; its events stay.
pub async fn purge(tx: &Tx, id: &AppId) -> Result<(), StoreError> {
    let connection = tx.connection();
    let of_app = deployments::Column::AppId.eq(id.as_str());
    let deployment_ids =
        Query::select().column(deployments::Column::Id).from(deployments::Entity).and_where(of_app.clone()).to_owned();
    // A saga does not refer to its deployment, as not all sagas have one.
    sagas::Entity::delete_many().filter(sagas::Column::Id.in_subquery(deployment_ids.clone())).exec(connection).await?;
    // These refer to releases, and keep them from being deleted by the cascade below whichever comes first.
    instances::Entity::delete_many()
        .filter(instances::Column::DeploymentId.in_subquery(deployment_ids))
        .exec(connection)
        .await?;
    let left = environments::Entity::find().filter(environments::Column::AppId.eq(id.as_str())).all(connection).await?;
    analytics::forget(tx, left.into_iter().map(|environment| environment.id).collect()).await?;
    settings::forget(tx, id).await?;
    environments::Entity::delete_many().filter(environments::Column::AppId.eq(id.as_str())).exec(connection).await?;
    match Entity::delete_by_id(id.as_str()).exec(connection).await?.rows_affected {
        0 => Err(StoreError::not_found("app", id)),
        _ => Ok(()),
    }
}

impl TryFrom<Model> for App {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(App {
            id: parse(&row.id)?,
            name: parse(&row.name)?,
            source: from_json_option("the source of an app", row.source.as_deref())?,
            created_at: time::from_db(row.created_at)?,
            concurrency: number("a limit", row.concurrency)?,
        })
    }
}
