//! What additions to journals mean for their deployments: rows and events, those of many with a fixed number of statements.

use chrono::{DateTime, Utc};
use domain::event::EventKind;
use domain::phase::Phase;
use domain::{DeploymentId, Name};
use sea_orm::Value;

use crate::deployments::DeploymentUpdate;
use crate::row::{text, to_json};
use crate::rows::{Parameters, parts};
use crate::session::sealed::Connected;
use crate::{StoreError, Tx, analytics, deployments, search, time};

/// The change of a deployment, and what people are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    pub app: Name,
    pub environment: Name,
    pub change: Change,
    /// In this order.
    pub events: Vec<EventKind>,
    /// When what they tell of happened.
    pub at: DateTime<Utc>,
}

/// The change of a deployment's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub deployment: DeploymentId,
    /// The phase that its row has.
    pub from: Phase,
    pub update: DeploymentUpdate,
    pub at: DateTime<Utc>,
}

impl Change {
    /// The phase that it enters, if that is another one.
    ///
    /// # Errors
    /// `IllegalPhase` when the one it is in can't become that.
    fn entered(&self) -> Result<Option<Phase>, StoreError> {
        let from = self.from;
        match self.update.phase.filter(|to| *to != from) {
            Some(to) if !from.may_become(to) => {
                Err(StoreError::IllegalPhase { deployment: self.deployment.clone(), from, to })
            }
            entered => Ok(entered),
        }
    }

    fn row(&self) -> Result<[Value; COLUMNS], StoreError> {
        let entered = self.entered()?;
        let at = time::to_db(self.at);
        let DeploymentUpdate { phase: _, progress, metadata, phases, failure, release, cancelling, stuck } =
            &self.update;
        let (release, number) = release.clone().unzip();
        Ok([
            self.deployment.as_str().into(),
            at.into(),
            entered.map(|phase| phase.as_str().to_owned()).into(),
            entered.filter(|phase| phase.is_end()).map(|_| at).into(),
            progress.map(i64::from).into(),
            metadata.as_ref().map(to_json).transpose()?.into(),
            metadata.as_ref().and_then(|metadata| Some(metadata.commit.as_ref()?.sha.clone())).into(),
            phases.as_ref().map(to_json).transpose()?.into(),
            failure.as_ref().map(to_json).transpose()?.into(),
            release.map(|release| release.to_string()).into(),
            number.map(i64::from).into(),
            (*cancelling).into(),
            stuck.is_some().into(),
            stuck.as_ref().and_then(|stuck| stuck.as_deref().map(text)).into(),
        ])
    }
}

/// Tells of these and changes their rows.
///
/// # Errors
/// `IllegalPhase` when a phase can't become the next one, `NotFound` for a row that is not there; then nothing may be committed.
pub(crate) async fn all(tx: &Tx, advances: &[&Advance]) -> Result<(), StoreError> {
    let rows = advances.iter().map(|advance| events(advance)).collect::<Result<Vec<_>, _>>()?.concat();
    for part in parts(&rows) {
        let mut parameters = Parameters::of(tx.connection());
        let sql = insert_events(&mut parameters, part);
        parameters.execute(tx.connection(), sql).await?;
        tx.tells();
    }
    change(tx, &advances.iter().map(|advance| &advance.change).collect::<Vec<_>>()).await
}

/// The statements of one, for whoever sends them himself; the last must change one row. An end takes more than that, and is not for this.
pub(crate) fn statements(advance: &Advance) -> Result<Vec<(String, Vec<Value>)>, StoreError> {
    let mut statements = Vec::with_capacity(2);
    let rows = events(advance)?;
    if !rows.is_empty() {
        let mut parameters = Parameters::of_sqlite();
        statements.push((insert_events(&mut parameters, &rows), parameters.values()));
    }
    let mut parameters = Parameters::of_sqlite();
    let row = parameters.rows([advance.change.row()?]);
    statements.push((update(&row), parameters.values()));
    Ok(statements)
}

/// Changes these rows. With the same errors as [`all`].
pub(crate) async fn change(tx: &Tx, changes: &[&Change]) -> Result<(), StoreError> {
    for part in parts(changes) {
        let rows = part.iter().map(|change| change.row()).collect::<Result<Vec<_>, _>>()?;
        let mut parameters = Parameters::of(tx.connection());
        let rows = parameters.rows(rows);
        if parameters.execute(tx.connection(), update(&rows)).await? < part.len() as u64 {
            for change in part {
                deployments::get(tx, &change.deployment).await?;
            }
            return Err(StoreError::Internal("a deployment was to be changed twice at once".to_owned()));
        }
    }
    for change in changes {
        if change.entered()?.is_some_and(Phase::is_end) {
            ended(tx, &change.deployment).await?;
        }
    }
    Ok(())
}

async fn ended(tx: &Tx, id: &DeploymentId) -> Result<(), StoreError> {
    let record = deployments::get(tx, id).await?;
    analytics::note(tx, &record).await?;
    match &record.deployment.release {
        Some(release) => search::tag(tx, id, release).await,
        None => Ok(()),
    }
}

/// Those of [`Change::row`].
const COLUMNS: usize = 14;

fn update(rows: &str) -> String {
    // What is not said stays as it is. Without its commit a deployment has other metadata, too.
    format!(
        "WITH next (id, at, phase, finished_at, progress, metadata, commit_sha, phases, failure, release_id, \
         release_number, cancelling, helped, stuck) AS ({rows}) UPDATE deployments SET \
         updated_at = next.at, \
         phase = COALESCE(next.phase, deployments.phase), \
         finished_at = COALESCE(next.finished_at, deployments.finished_at), \
         progress = COALESCE(next.progress, deployments.progress), \
         metadata = COALESCE(next.metadata, deployments.metadata), \
         commit_sha = CASE WHEN next.metadata IS NULL THEN deployments.commit_sha ELSE next.commit_sha END, \
         phases = COALESCE(next.phases, deployments.phases), \
         failure = COALESCE(next.failure, deployments.failure), \
         release_id = COALESCE(next.release_id, deployments.release_id), \
         release_number = COALESCE(next.release_number, deployments.release_number), \
         cancelling = COALESCE(next.cancelling, deployments.cancelling), \
         stuck = CASE WHEN next.helped THEN next.stuck ELSE deployments.stuck END \
         FROM next WHERE deployments.id = next.id"
    )
}

type EventRow = [Value; 6];

fn events(advance: &Advance) -> Result<Vec<EventRow>, StoreError> {
    let row = |kind: &EventKind| {
        Ok([
            time::to_db(advance.at).into(),
            advance.app.as_str().into(),
            advance.environment.as_str().into(),
            advance.change.deployment.as_str().into(),
            kind.as_str().into(),
            to_json(kind)?.into(),
        ])
    };
    advance.events.iter().map(row).collect()
}

fn insert_events(parameters: &mut Parameters, rows: &[EventRow]) -> String {
    let rows = parameters.rows(rows.iter().cloned());
    // In their order, as that of their cursors is the order in which they are told.
    format!("INSERT INTO events (at, app, environment, deployment_id, kind, body) SELECT * FROM ({rows}) AS told")
}
