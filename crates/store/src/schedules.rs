//! Schedules of deployments.

use chrono::{DateTime, Utc};
use domain::access::Sees;
use domain::schedule::{Cron, LastRun, Missed};
use domain::{AppId, EnvironmentId, Name, ScheduleId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use serde_json::Value;

use crate::entity::schedules::{Column, Entity, Model};
use crate::row::{from_json, from_json_option, insert as insert_row, parse, seen, text, to_json};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// One schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub id: ScheduleId,
    pub app_id: AppId,
    pub environment_id: EnvironmentId,
    pub app: Name,
    pub environment: Name,
    /// One of its app has it.
    pub name: Name,
    pub cron: Cron,
    pub missed: Missed,
    pub enabled: bool,
    /// What is deployed; what it means is for the caller to know.
    pub template: Value,
    /// As people call whom it acts for: who made it, or changed last when it runs.
    pub created_by: String,
    /// Their id, or that of the token that they did it with; empty for one from before there were people.
    pub owner: String,
    pub created_at: DateTime<Utc>,
    /// `None` while it is disabled, or when nothing comes any more.
    pub next_at: Option<DateTime<Utc>>,
    /// The last plan that was carried out or given up: no later one may be before it.
    pub last_planned_at: Option<DateTime<Utc>>,
    pub last_run: Option<LastRun>,
}

/// Which schedules to list; everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub app: Option<AppId>,
    pub environment: Option<EnvironmentId>,
    pub sees: Sees,
}

/// Writes a new one. `Conflict(Id)` when its app has one of its name.
pub async fn insert(tx: &Tx, schedule: &Schedule) -> Result<(), StoreError> {
    let row = Model {
        id: schedule.id.to_string(),
        app_id: schedule.app_id.to_string(),
        environment_id: schedule.environment_id.to_string(),
        app: schedule.app.to_string(),
        environment: schedule.environment.to_string(),
        name: schedule.name.to_string(),
        cron: schedule.cron.to_string(),
        missed: schedule.missed.as_str().to_owned(),
        enabled: schedule.enabled,
        template: to_json(&schedule.template)?,
        created_by: text(&schedule.created_by),
        owner: schedule.owner.clone(),
        created_at: time::to_db(schedule.created_at),
        next_at: schedule.next_at.map(time::to_db),
        last_planned_at: schedule.last_planned_at.map(time::to_db),
        last_run: schedule.last_run.as_ref().map(to_json).transpose()?,
    };
    match insert_row::<Entity, _>(tx, row).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "schedule" })),
    }
}

pub async fn find(session: &impl Session, id: &ScheduleId) -> Result<Option<Schedule>, StoreError> {
    Entity::find_by_id(id.as_str()).one(session.connection()).await?.map(Schedule::try_from).transpose()
}

/// All of this name, of the apps that are seen.
pub async fn named(session: &impl Session, sees: &Sees, name: &Name) -> Result<Vec<Schedule>, StoreError> {
    let query = Entity::find().filter(Column::Name.eq(name.as_str())).order_by_asc(Column::Id);
    let query = query.apply_if(seen(Column::AppId, sees), QueryFilter::filter);
    query.all(session.connection()).await?.into_iter().map(Schedule::try_from).collect()
}

/// By app and name.
pub async fn list(session: &impl Session, filter: &Filter) -> Result<Vec<Schedule>, StoreError> {
    let mut query = Entity::find().order_by_asc(Column::App).order_by_asc(Column::Name);
    if let Some(app) = &filter.app {
        query = query.filter(Column::AppId.eq(app.as_str()));
    }
    if let Some(environment) = &filter.environment {
        query = query.filter(Column::EnvironmentId.eq(environment.as_str()));
    }
    if let Some(seen) = seen(Column::AppId, &filter.sees) {
        query = query.filter(seen);
    }
    query.all(session.connection()).await?.into_iter().map(Schedule::try_from).collect()
}

/// Those whose next run is planned for `now` or before, the longest due first.
pub async fn due(session: &impl Session, now: DateTime<Utc>, limit: u64) -> Result<Vec<Schedule>, StoreError> {
    let query = Entity::find().filter(Column::NextAt.lte(time::to_db(now))).order_by_asc(Column::NextAt).limit(limit);
    query.all(session.connection()).await?.into_iter().map(Schedule::try_from).collect()
}

/// When the next one is planned that is not due at `now`.
pub async fn next(session: &impl Session, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
    let query = Entity::find().filter(Column::NextAt.gt(time::to_db(now))).order_by_asc(Column::NextAt).limit(1);
    let first = query.one(session.connection()).await?;
    first.and_then(|row| row.next_at).map(time::from_db).transpose()
}

/// Moves the plan on to `next`, of a schedule as it was read. `false` when it is not as it was any more: somebody else has
/// carried the plan out, or changed the schedule, by whose old cron expression `next` may be, and the caller must not.
pub async fn advance(
    tx: &Tx,
    read: &Schedule,
    next: Option<DateTime<Utc>>,
    last_run: &LastRun,
) -> Result<bool, StoreError> {
    // Nobody else writes until this transaction ends.
    if find(tx, &read.id).await?.as_ref() != Some(read) {
        return Ok(false);
    }
    let update = Entity::update_many()
        .col_expr(Column::NextAt, Expr::value(next.map(time::to_db)))
        .col_expr(Column::LastPlannedAt, Expr::value(read.next_at.map(time::to_db)))
        .col_expr(Column::LastRun, Expr::value(Some(to_json(last_run)?)))
        .filter(Column::Id.eq(read.id.as_str()));
    Ok(update.exec(tx.connection()).await?.rows_affected > 0)
}

/// Writes when it runs, whether it does, and for whom: `cron`, `missed`, `enabled`, `next_at`, `owner` and `created_by`. `NotFound` when it is not there.
pub async fn change(tx: &Tx, schedule: &Schedule) -> Result<(), StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::Cron, Expr::value(schedule.cron.to_string()))
        .col_expr(Column::Missed, Expr::value(schedule.missed.as_str()))
        .col_expr(Column::Enabled, Expr::value(schedule.enabled))
        .col_expr(Column::NextAt, Expr::value(schedule.next_at.map(time::to_db)))
        .col_expr(Column::Owner, Expr::value(schedule.owner.as_str()))
        .col_expr(Column::CreatedBy, Expr::value(text(&schedule.created_by)))
        .filter(Column::Id.eq(schedule.id.as_str()));
    match update.exec(tx.connection()).await?.rows_affected {
        0 => Err(StoreError::not_found("schedule", &schedule.id)),
        _ => Ok(()),
    }
}

/// Removes one; `false` when it was not there.
pub async fn remove(tx: &Tx, id: &ScheduleId) -> Result<bool, StoreError> {
    Ok(Entity::delete_by_id(id.as_str()).exec(tx.connection()).await?.rows_affected > 0)
}

impl TryFrom<Model> for Schedule {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let missed = Missed::from_name(&row.missed)
            .ok_or_else(|| StoreError::corrupt(format!("the policy `{}`", row.missed), "there is none of that name"))?;
        Ok(Schedule {
            id: parse(&row.id)?,
            app_id: parse(&row.app_id)?,
            environment_id: parse(&row.environment_id)?,
            app: parse(&row.app)?,
            environment: parse(&row.environment)?,
            name: parse(&row.name)?,
            cron: parse(&row.cron)?,
            missed,
            enabled: row.enabled,
            template: from_json("the template of a schedule", &row.template)?,
            created_by: row.created_by,
            owner: row.owner,
            created_at: time::from_db(row.created_at)?,
            next_at: row.next_at.map(time::from_db).transpose()?,
            last_planned_at: row.last_planned_at.map(time::from_db).transpose()?,
            last_run: from_json_option("the last run of a schedule", row.last_run.as_deref())?,
        })
    }
}
