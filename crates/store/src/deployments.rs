//! Deployments.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::access::Sees;
use domain::deployment::{Deployment, DeploymentKind, Metadata, PhaseTimes};
use domain::failure::Failure;
use domain::phase::Phase;
use domain::{AppId, DeploymentId, EnvironmentId, ReleaseId};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DbErr, EntityTrait, IdenStatic, IntoActiveModel, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, Select, Set,
};

use crate::advances::{self, Change};
use crate::entity::deployments::{Column, Entity, Model};
use crate::row::{from_json, from_json_option, insert as insert_row, long, number, parse, parse_option, text, to_json};
use crate::rows::{Parameters, parts};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, page, search, time};

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
    /// Only those of these apps.
    pub sees: Sees,
}

/// Of so many apps each is asked for its own.
const FEW: usize = 64;

/// What is true of deployments that have not ended: to the letter, as the indexes of those few are made with it.
pub(crate) const NOT_ENDED: &str = "phase NOT IN ('active', 'failed', 'cancelled', 'rolled_back')";

/// What is true of those that hold their environment: one that is active does until it has cleaned up behind itself.
pub(crate) const RUNNING: &str = "id IN (SELECT running FROM environments WHERE running IS NOT NULL)";

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

/// The app that it is of; `None` when it is not there.
pub async fn app_of(session: &impl Session, id: &DeploymentId) -> Result<Option<AppId>, StoreError> {
    let query = Entity::find_by_id(id.as_str()).select_only().column(Column::AppId).into_tuple::<String>();
    query.one(session.connection()).await?.map(|app| parse(&app)).transpose()
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
    let rows = match &filter.sees {
        Sees::Only(apps) if filter.app.is_none() && filter.environment.is_none() && apps.len() <= FEW => {
            of_each(session, filter, apps, before, limit).await?
        }
        Sees::All | Sees::Only(_) => page::of(session, filter.ids(before).limit(limit)).await?,
    };
    rows.into_iter().map(Record::try_from).collect()
}

/// The newest of some apps are among the newest of each: a few rows of each one's index, where a list of all of them would
/// read every row of every app to sort them.
async fn of_each(
    session: &impl Session,
    filter: &Filter,
    apps: &BTreeSet<AppId>,
    before: Option<&DeploymentId>,
    limit: u64,
) -> Result<Vec<Model>, StoreError> {
    let mut newest: BTreeMap<String, Model> = BTreeMap::new();
    for app in apps {
        let of_it = Filter { app: Some(app.clone()), sees: Sees::All, ..filter.clone() };
        let rows = page::of(session, of_it.ids(before).limit(limit)).await?;
        newest.extend(rows.into_iter().map(|row| (row.id.clone(), row)));
        while newest.len() as u64 > limit {
            newest.pop_first();
        }
    }
    Ok(newest.into_values().rev().collect())
}

impl Filter {
    /// Ids, newest first; all but the search.
    pub(crate) fn ids(&self, before: Option<&DeploymentId>) -> Select<Entity> {
        self.narrowed(before, |column| Expr::col((Entity, column)))
    }

    /// The same of what is found by something else, which is to be looked up first.
    pub(crate) fn ids_of_found(&self, before: Option<&DeploymentId>) -> Select<Entity> {
        self.narrowed(before, beside)
    }

    fn narrowed(&self, before: Option<&DeploymentId>, value: fn(Column) -> Expr) -> Select<Entity> {
        // Ids begin with the time at which they were made.
        let mut query = Entity::find().select_only().column(Column::Id).order_by_desc(Column::Id);
        if let Some(environment) = &self.environment {
            query = query.filter(value(Column::EnvironmentId).eq(environment.as_str()));
        } else if let Some(app) = &self.app {
            query = query.filter(value(Column::AppId).eq(app.as_str()));
        }
        if let Sees::Only(apps) = &self.sees {
            // Who sees many apps finds enough among the newest, and the index of apps would have to be sorted.
            query = query.filter(beside(Column::AppId).is_in(apps.iter().map(AppId::as_str)));
        }
        if let Some(phase) = self.phase {
            query = query.filter(value(Column::Phase).eq(phase.as_str()));
        }
        let open = self.open || self.phase.is_some_and(|phase| !phase.is_end());
        if open {
            query = query.filter(Expr::cust(NOT_ENDED));
        }
        if let Some(by) = &self.requested_by {
            // Those that have not ended are few, and those that one asked for may be most of all.
            let who = if open { beside(Column::RequestedBy) } else { value(Column::RequestedBy) };
            query = query.filter(who.eq(text(by)));
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

/// A column's value so that no index of it is taken, whatever the statistics say.
fn beside(column: Column) -> Expr {
    Expr::cust(format!("(deployments.{} || '')", column.as_str()))
}

/// How many have not ended, or are active and still clean up, by phase; and how many of them wait for an operator.
pub async fn count_open(session: &impl Session) -> Result<Vec<(Phase, u64, u64)>, StoreError> {
    let connection = session.connection();
    let mut rows: Vec<(String, i64, i64)> = open_counts().into_tuple().all(connection).await?;
    rows.extend(retiring_counts().into_tuple::<(String, i64, i64)>().all(connection).await?);
    rows.into_iter()
        .map(|(name, all, stuck)| Ok((phase(&name)?, number("a count", all)?, number("a count", stuck)?)))
        .collect()
}

pub(crate) fn open_counts() -> Select<Entity> {
    counts().filter(Expr::cust(NOT_ENDED))
}

/// Apart from the others: no index has both.
pub(crate) fn retiring_counts() -> Select<Entity> {
    counts().filter(Expr::cust(RUNNING)).filter(Expr::cust(format!("NOT ({NOT_ENDED})")))
}

fn counts() -> Select<Entity> {
    Entity::find()
        .select_only()
        // By the bare column SQLite goes through the index of the phases of all, as it is in the order of the groups.
        .expr_as(beside(Column::Phase), "name")
        .expr_as(Expr::cust("COUNT(*)"), "all_of_them")
        .expr_as(Expr::cust("COUNT(stuck)"), "stuck_ones")
        .group_by(beside(Column::Phase))
}

/// All that have not ended, oldest first.
pub async fn list_open(session: &impl Session) -> Result<Vec<Record>, StoreError> {
    let query = Entity::find().filter(Expr::cust(NOT_ENDED)).order_by_asc(Column::Id);
    query.all(session.connection()).await?.into_iter().map(Record::try_from).collect()
}

/// How many failures of each kind are looked at for [`unhealed`].
const LATELY: u64 = 500;

/// Failures after which nothing of their environment came to a good end, nor failed again; the newest first. Looks at the
/// newest failures alone, and takes four statements however many deployments there are.
pub async fn unhealed(session: &impl Session, sees: &Sees, limit: u64) -> Result<Vec<Record>, StoreError> {
    let connection = session.connection();
    let mut parameters = Parameters::of(connection);
    let mut ids = Vec::new();
    for phase in [Phase::Failed, Phase::RolledBack] {
        let filter = Filter { phase: Some(phase), sees: sees.clone(), ..Filter::default() };
        let query = filter.ids(None).limit(LATELY);
        ids.extend(query.into_tuple::<String>().all(connection).await?.into_iter().map(|id| parameters.add(id)));
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT id FROM deployments AS failed WHERE id IN ({}) AND NOT EXISTS (SELECT 1 FROM deployments AS later \
         WHERE later.environment_id = failed.environment_id AND later.phase IN ('active', 'failed', 'rolled_back') \
         AND later.id > failed.id) ORDER BY id DESC LIMIT {limit}",
        ids.join(", ")
    );
    let rows = parameters.query(connection, sql).await?;
    let ids: Vec<DeploymentId> =
        rows.iter().map(|row| parse(&row.try_get::<String>("", "id")?)).collect::<Result<_, StoreError>>()?;
    Ok(many(session, &ids.iter().collect::<Vec<_>>()).await?.into_values().rev().collect())
}

/// The newest successful ones: when each began to work and ended.
pub async fn succeeded(session: &impl Session, limit: u64) -> Result<Vec<Worked>, StoreError> {
    let query = Entity::find().filter(Column::Phase.eq(Phase::Active.as_str())).order_by_desc(Column::Id);
    let columns = [Column::AppId, Column::EnvironmentId, Column::Phases, Column::FinishedAt];
    let rows: Vec<WorkedRow> =
        query.select_only().columns(columns).limit(limit).into_tuple().all(session.connection()).await?;
    worked(rows)
}

/// The newest successful ones of each of these environments, so many of each at most. The statements are few, however many they are.
pub async fn succeeded_in(
    session: &impl Session,
    environments: &[&EnvironmentId],
    limit: u64,
) -> Result<Vec<Worked>, StoreError> {
    let connection = session.connection();
    let mut all = Vec::new();
    for part in parts(environments) {
        let mut parameters = Parameters::of(connection);
        let newest = part.iter().map(|environment| {
            let environment = parameters.add(environment.as_str());
            format!(
                "SELECT * FROM (SELECT app_id, environment_id, phases, finished_at FROM deployments WHERE \
                 environment_id = {environment} AND phase = '{}' ORDER BY id DESC LIMIT {limit}) AS newest",
                Phase::Active.as_str()
            )
        });
        let sql = newest.collect::<Vec<_>>().join(" UNION ALL ");
        let rows = parameters.query(connection, sql).await?;
        let row = |row: &QueryResult| -> Result<WorkedRow, DbErr> {
            let text = |column| row.try_get::<String>("", column);
            Ok((text("app_id")?, text("environment_id")?, text("phases")?, row.try_get("", "finished_at")?))
        };
        all.extend(worked(rows.iter().map(row).collect::<Result<_, _>>()?)?);
    }
    Ok(all)
}

type WorkedRow = (String, String, String, Option<i64>);

fn worked(rows: Vec<WorkedRow>) -> Result<Vec<Worked>, StoreError> {
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
