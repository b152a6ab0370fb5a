//! The event log. Its rows keep the names of what they tell of, so they outlive it.

use chrono::{DateTime, Utc};
use domain::access::Sees;
use domain::event::{Event, EventKind};
use domain::{DeploymentId, Name};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use crate::entity::apps;
use crate::entity::events::{ActiveModel, Column, Entity, Model};
use crate::row::{from_json, parse_option, seen, to_json};
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx, time};

/// Which events to list; everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub app: Option<Name>,
    pub environment: Option<Name>,
    pub deployment: Option<DeploymentId>,
    /// Only those of these apps, and none that are of no app. What an earlier app of the same name did is not theirs.
    pub sees: Sees,
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
    if let Some(seen) = seen_by(&filter.sees) {
        query = query.filter(seen);
    }
    query.all(session.connection()).await?.into_iter().map(Event::try_from).collect()
}

fn seen_by(sees: &Sees) -> Option<Expr> {
    let of_one = Query::select()
        .expr(Expr::value(1))
        .from(apps::Entity)
        .and_where(Expr::cust("apps.name = events.app AND apps.created_at <= events.at"))
        .and_where(seen(apps::Column::Id, sees)?)
        .to_owned();
    Some(Expr::exists(of_one))
}

/// Events of some kinds, between two cursors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch<'a> {
    pub kinds: &'a [&'a str],
    /// As in [`Filter::sees`].
    pub sees: &'a Sees,
    /// Only those behind this cursor, which bounds what is looked at: no index knows kinds.
    pub after: i64,
    /// And up to this one.
    pub until: i64,
}

fn of_kinds(stretch: &Stretch<'_>) -> Select<Entity> {
    let query = Entity::find()
        .filter(Column::Cursor.gt(stretch.after))
        .filter(Column::Cursor.lte(stretch.until))
        .filter(Column::Kind.is_in(stretch.kinds.iter().copied()));
    match seen_by(stretch.sees) {
        Some(seen) => query.filter(seen),
        None => query,
    }
}

/// In order, the first ones of a stretch.
pub async fn first_of(session: &impl Session, stretch: &Stretch<'_>, limit: u64) -> Result<Vec<Event>, StoreError> {
    let query = of_kinds(stretch).order_by_asc(Column::Cursor).limit(limit);
    query.all(session.connection()).await?.into_iter().map(Event::try_from).collect()
}

/// Newest first, the last ones of a stretch.
pub async fn last_of(session: &impl Session, stretch: &Stretch<'_>, limit: u64) -> Result<Vec<Event>, StoreError> {
    let query = of_kinds(stretch).order_by_desc(Column::Cursor).limit(limit);
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
