//! Deployments.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::deployment::{Deployment, DeploymentKind, Metadata, PhaseTimes};
use domain::failure::Failure;
use domain::phase::Phase;
use domain::{AppId, DeploymentId, EnvironmentId, ReleaseId};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Select, Set,
};

use crate::advances::{self, Change};
use crate::entity::deployments::{Column, Entity, Model};
use crate::row::{from_json, from_json_option, insert as insert_row, long, number, parse, parse_option, text, to_json};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, search, time};

/// A deployment with the ids of what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub app_id: AppId,
    pub environment_id: EnvironmentId,
    pub deployment: Deployment,
}

/// Which deployments to list; everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub app: Option<AppId>,
    pub environment: Option<EnvironmentId>,
    pub phase: Option<Phase>,
    /// Only those that have not ended.
    pub open: bool,
    /// Name of the token that asked for it.
    pub requested_by: Option<String>,
    /// Only those that were asked for at this time or later, to the millisecond.
    pub since: Option<DateTime<Utc>>,
    /// Only those that were asked for before this time.
    pub until: Option<DateTime<Utc>>,
    /// The beginning of an id, seven digits or more of a commit, or a tag.
    pub search: Option<String>,
}

/// What is true of deployments that have not ended: to the letter, as the indexes of those few are made with it.
pub(crate) const NOT_ENDED: &str = "phase NOT IN ('active', 'failed', 'cancelled', 'rolled_back')";

/// What to change of a deployment; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentUpdate {
    /// Must be a legal next phase, or the present one. Entering an end sets `finished_at`.
    pub phase: Option<Phase>,
    /// Percent.
    pub progress: Option<u8>,
    pub metadata: Option<Metadata>,
    pub phases: Option<Vec<PhaseTimes>>,
    pub failure: Option<Failure>,
    /// Id and number.
    pub release: Option<(ReleaseId, u32)>,
    pub cancelling: Option<bool>,
    /// `Some(None)`: an operator has helped.
    pub stuck: Option<Option<String>>,
}

/// Writes a new deployment. `Conflict(Id)` when its id, or its generation of the environment, is taken.
pub async fn insert(tx: &Tx, record: &Record) -> Result<(), StoreError> {
    match insert_row::<Entity, _>(tx, record.try_into()?).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "deployment" })),
    }
}

pub async fn get(session: &impl Session, id: &DeploymentId) -> Result<Record, StoreError> {
    row(session, id).await?.try_into()
}

/// Those of these that there are; at most a page of them.
pub async fn many(session: &impl Session, ids: &[&DeploymentId]) -> Result<BTreeMap<DeploymentId, Record>, StoreError> {
    let query = Entity::find().filter(Column::Id.is_in(ids.iter().map(|id| id.as_str())));
    let records = query.all(session.connection()).await?.into_iter().map(Record::try_from);
    records.map(|record| record.map(|record| (record.deployment.id.clone(), record))).collect()
}

/// Newest first, those that were made before `before`.
pub async fn list(
    session: &impl Session,
    filter: &Filter,
    before: Option<&DeploymentId>,
    limit: u64,
) -> Result<Vec<Record>, StoreError> {
    if let Some(word) = &filter.search {
        return search::list(session, filter, word, before, limit).await;
    }
    let rows = filter.select(before).limit(limit).all(session.connection()).await?;
    rows.into_iter().map(Record::try_from).collect()
}

impl Filter {
    /// Newest first; all but the search.
    pub(crate) fn select(&self, before: Option<&DeploymentId>) -> Select<Entity> {
        // Ids begin with the time at which they were made.
        let mut query = Entity::find().order_by_desc(Column::Id);
        if let Some(environment) = &self.environment {
            query = query.filter(Column::EnvironmentId.eq(environment.as_str()));
        } else if let Some(app) = &self.app {
            query = query.filter(Column::AppId.eq(app.as_str()));
        }
        if let Some(phase) = self.phase {
            query = query.filter(Column::Phase.eq(phase.as_str()));
        }
        if self.open {
            query = query.filter(Expr::cust(NOT_ENDED));
        }
        if let Some(by) = &self.requested_by {
            query = query.filter(Column::RequestedBy.eq(text(by)));
        }
        if let Some(since) = self.since {
            query = query.filter(Column::Id.gte(search::first_id(since)));
        }
        if let Some(until) = self.until {
            query = query.filter(Column::Id.lt(search::first_id(until)));
        }
        if let Some(before) = before {
            query = query.filter(Column::Id.lt(before.as_str()));
        }
        query
    }
}

/// How many have not ended, by phase, and how many of them wait for an operator.
pub async fn count_open(session: &impl Session) -> Result<Vec<(Phase, u64, u64)>, StoreError> {
    let rows: Vec<(String, i64, i64)> = Entity::find()
        .select_only()
        .column(Column::Phase)
        .expr_as(Expr::cust("COUNT(*)"), "all_of_them")
        .expr_as(Expr::cust("COUNT(stuck)"), "stuck_ones")
        .filter(Expr::cust(NOT_ENDED))
        .group_by(Column::Phase)
        .into_tuple()
        .all(session.connection())
        .await?;
    rows.into_iter()
        .map(|(name, all, stuck)| Ok((phase(&name)?, number("a count", all)?, number("a count", stuck)?)))
        .collect()
}

/// All that have not ended, oldest first.
pub async fn list_open(session: &impl Session) -> Result<Vec<Record>, StoreError> {
    let query = Entity::find().filter(Expr::cust(NOT_ENDED)).order_by_asc(Column::Id);
    query.all(session.connection()).await?.into_iter().map(Record::try_from).collect()
}

/// The newest successful ones, of one environment or of all: when each began to work and ended.
pub async fn succeeded(
    session: &impl Session,
    environment: Option<&EnvironmentId>,
    limit: u64,
) -> Result<Vec<Worked>, StoreError> {
    let mut query = Entity::find().filter(Column::Phase.eq(Phase::Active.as_str())).order_by_desc(Column::Id);
    if let Some(environment) = environment {
        query = query.filter(Column::EnvironmentId.eq(environment.as_str()));
    }
    let columns = [Column::AppId, Column::EnvironmentId, Column::Phases, Column::FinishedAt];
    let rows: Vec<(String, String, String, Option<i64>)> =
        query.select_only().columns(columns).limit(limit).into_tuple().all(session.connection()).await?;
    let mut all = Vec::with_capacity(rows.len());
    for (app, environment, phases, finished) in rows {
        let phases: Vec<PhaseTimes> = from_json("the phases of a deployment", &phases)?;
        let began = phases.iter().find(|times| times.phase != Phase::Queued).map(|times| times.started_at);
        if let (Some(began), Some(finished)) = (began, finished) {
            let (app, environment) = (parse(&app)?, parse(&environment)?);
            all.push(Worked { app, environment, began, finished: time::from_db(finished)? });
        }
    }
    Ok(all)
}

/// From when to when a deployment was at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worked {
    pub app: AppId,
    pub environment: EnvironmentId,
    pub began: DateTime<Utc>,
    pub finished: DateTime<Utc>,
}

/// Changes a deployment and returns it. `IllegalPhase` when its phase can't become the new one.
pub async fn update(
    tx: &Tx,
    id: &DeploymentId,
    at: DateTime<Utc>,
    update: DeploymentUpdate,
) -> Result<Deployment, StoreError> {
    let from = phase(&row(tx, id).await?.phase)?;
    advances::change(tx, &[&Change { deployment: id.clone(), from, update, at }]).await?;
    Ok(get(tx, id).await?.deployment)
}

/// Another generation of its environment, for one that was ordered for later.
pub async fn set_generation(tx: &Tx, id: &DeploymentId, generation: u64) -> Result<(), StoreError> {
    let mut change = row(tx, id).await?.into_active_model();
    change.generation = Set(long(generation));
    change.update_without_returning(tx.connection()).await?;
    Ok(())
}

async fn row(session: &impl Session, id: &DeploymentId) -> Result<Model, StoreError> {
    let row = Entity::find_by_id(id.as_str()).one(session.connection()).await?;
    row.ok_or_else(|| StoreError::not_found("deployment", id))
}

fn phase(name: &str) -> Result<Phase, StoreError> {
    Phase::from_name(name)
        .ok_or_else(|| StoreError::corrupt(format!("the phase `{name}`"), "there is none of that name"))
}

pub(crate) fn kind(name: &str) -> Result<DeploymentKind, StoreError> {
    DeploymentKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == name)
        .ok_or_else(|| StoreError::corrupt(format!("the kind of deployment `{name}`"), "there is none of that name"))
}

impl TryFrom<&Record> for Model {
    type Error = StoreError;

    fn try_from(record: &Record) -> Result<Self, StoreError> {
        let d = &record.deployment;
        Ok(Model {
            id: d.id.to_string(),
            app_id: record.app_id.to_string(),
            environment_id: record.environment_id.to_string(),
            app: d.app.to_string(),
            environment: d.environment.to_string(),
            kind: d.kind.as_str().to_owned(),
            generation: long(d.generation),
            phase: d.phase.as_str().to_owned(),
            progress: i32::from(d.progress),
            source: d.source.as_ref().map(to_json).transpose()?,
            release_id: d.release.as_ref().map(ToString::to_string),
            release_number: d.release_number.map(i64::from),
            metadata: to_json(&d.metadata)?,
            phases: to_json(&d.phases)?,
            failure: d.failure.as_ref().map(to_json).transpose()?,
            cancelling: d.cancelling,
            stuck: d.stuck.as_deref().map(text),
            requested_by: text(&d.requested_by),
            created_at: time::to_db(d.created_at),
            updated_at: time::to_db(d.updated_at),
            finished_at: d.finished_at.map(time::to_db),
            commit_sha: d.metadata.commit.as_ref().map(|commit| commit.sha.clone()),
        })
    }
}

impl TryFrom<Model> for Record {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let deployment = Deployment {
            id: parse(&row.id)?,
            app: parse(&row.app)?,
            environment: parse(&row.environment)?,
            kind: kind(&row.kind)?,
            generation: number("a generation", row.generation)?,
            phase: phase(&row.phase)?,
            progress: number("the progress of a deployment", row.progress.into())?,
            source: from_json_option("the source of a deployment", row.source.as_deref())?,
            release: parse_option(row.release_id.as_deref())?,
            release_number: row.release_number.map(|n| number("the number of a release", n)).transpose()?,
            metadata: from_json("the metadata of a deployment", &row.metadata)?,
            phases: from_json("the phases of a deployment", &row.phases)?,
            failure: from_json_option("the failure of a deployment", row.failure.as_deref())?,
            cancelling: row.cancelling,
            stuck: row.stuck,
            requested_by: row.requested_by,
            created_at: time::from_db(row.created_at)?,
            updated_at: time::from_db(row.updated_at)?,
            finished_at: row.finished_at.map(time::from_db).transpose()?,
        };
        Ok(Record { app_id: parse(&row.app_id)?, environment_id: parse(&row.environment_id)?, deployment })
    }
}
