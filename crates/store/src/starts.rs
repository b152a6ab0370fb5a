//! Starting deployments that wait, any number in one transaction and with a fixed number of statements.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::deployment::DeploymentKind;
use domain::queue::{Candidate, Supersede};
use domain::{DeploymentId, ServerId};
use sea_orm::QueryResult;
use serde_json::Value;

use crate::deployments::kind;
use crate::queue::Entry;
use crate::row::{from_json, number, parse, parse_option};
use crate::rows::{Parameters, parts};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// So many are asked about at least, so that few missing ones don't become a statement each.
const AT_A_TIME: usize = 64;

/// One that waits, with what decides whether it may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    pub entry: Entry,
    pub kind: DeploymentKind,
    /// What is at work in its environment.
    pub running: Option<DeploymentId>,
    pub generation: u64,
    /// The newest generation that was handed out in its environment.
    pub newest: u64,
    /// The generation under which what serves there was asked for: see [`crate::environments::serving`].
    pub serving: u64,
    /// Of its environment.
    pub supersede: Supersede,
}

impl Ready {
    pub fn candidate(&self) -> Candidate {
        self.entry.candidate(self.running.clone())
    }
}

/// A deployment that a server has taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    pub deployment: DeploymentId,
    /// The epoch of its new owner.
    pub fence: u64,
    /// Who wanted it cancelled before.
    pub cancel_by: Option<String>,
    /// Its journal so far: nobody else can have added to it since.
    pub journal: Vec<Value>,
}

/// Those of these that still wait, and not for approval, by rank.
pub async fn ready(session: &impl Session, ids: &[DeploymentId]) -> Result<Vec<Ready>, StoreError> {
    let connection = session.connection();
    let mut all = Vec::with_capacity(ids.len());
    for part in parts(ids) {
        let mut parameters = Parameters::of(connection);
        let these = list(&mut parameters, part);
        let sql = format!(
            "SELECT q.*, d.kind, d.generation, e.running, e.supersede, e.generation AS newest, \
             CASE WHEN e.active_deployment IS NULL THEN 0 ELSE COALESCE(s.generation, e.active_generation) END AS serving \
             FROM queue q JOIN environments e ON e.id = q.environment_id JOIN deployments d ON d.id = q.deployment_id \
             LEFT JOIN deployments s ON s.id = e.active_deployment \
             WHERE q.deployment_id IN ({these}) AND NOT q.held"
        );
        for row in parameters.query(connection, sql).await? {
            all.push(of_row(&row)?);
        }
    }
    all.sort_by(|a, b| (a.entry.rank, &a.entry.deployment).cmp(&(b.entry.rank, &b.entry.deployment)));
    Ok(all)
}

/// As [`ready`], of the first of these that may start but for windows and limits: nothing is at work in their environments. As many as
/// `most`, if there are, and perhaps a few more: those that another server has taken since make room for those behind them.
pub async fn first_ready(session: &impl Session, ids: &[DeploymentId], most: usize) -> Result<Vec<Ready>, StoreError> {
    let (mut found, mut rest) = (Vec::new(), ids);
    while found.len() < most && !rest.is_empty() {
        let some;
        (some, rest) = rest.split_at(rest.len().min((most - found.len()).max(AT_A_TIME)));
        found.extend(ready(session, some).await?.into_iter().filter(|ready| ready.running.is_none()));
    }
    Ok(found)
}

/// Takes these out of the queue and makes them `server`'s, under a new epoch each, and what is at work in their
/// environments. Those that have finished are left out.
///
/// # Errors
/// `Conflict(EnvironmentBusy)` when another one is at work in one of the environments; then nothing may be committed.
pub async fn start(
    tx: &Tx,
    server: &ServerId,
    entries: &[Entry],
    now: DateTime<Utc>,
) -> Result<Vec<Started>, StoreError> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let connection = tx.connection();
    tx.wakes();
    let ids: Vec<DeploymentId> = entries.iter().map(|entry| entry.deployment.clone()).collect();
    let mut taken: BTreeMap<DeploymentId, Started> = BTreeMap::new();
    for part in parts(&ids) {
        let mut parameters = Parameters::of(connection);
        let (owner, these) = (parameters.add(server.as_str()), list(&mut parameters, part));
        let sql = format!(
            "UPDATE sagas SET owner = {owner}, fence = fence + 1 WHERE id IN ({these}) AND NOT finished \
             RETURNING id, fence, cancel_requested, cancel_by"
        );
        for row in parameters.query(connection, sql).await? {
            let deployment: DeploymentId = parse(&row.try_get::<String>("", "id")?)?;
            let by = row.try_get::<Option<String>>("", "cancel_by")?;
            let started = Started {
                deployment: deployment.clone(),
                fence: number("the fence of a saga", row.try_get("", "fence")?)?,
                cancel_by: by.filter(|_| row.try_get("", "cancel_requested").unwrap_or(false)),
                journal: Vec::new(),
            };
            taken.insert(deployment, started);
        }
        let mut parameters = Parameters::of(connection);
        let these = list(&mut parameters, part);
        parameters.execute(connection, format!("DELETE FROM queue WHERE deployment_id IN ({these})")).await?;
    }
    let begun: Vec<&Entry> = entries.iter().filter(|entry| taken.contains_key(&entry.deployment)).collect();
    occupy(tx, &begun).await?;
    note_turns(tx, &begun, now).await?;
    journals(tx, &ids, &mut taken).await?;
    // In the order of their turns.
    Ok(ids.iter().filter_map(|id| taken.remove(id)).collect())
}

/// One is at work in an environment at a time.
async fn occupy(tx: &Tx, begun: &[&Entry]) -> Result<(), StoreError> {
    let connection = tx.connection();
    for part in parts(begun) {
        let mut parameters = Parameters::of(connection);
        let rows = part.iter().map(|entry| [entry.deployment.as_str().into(), entry.environment.as_str().into()]);
        let rows = parameters.rows(rows);
        let sql = format!(
            "WITH next (deployment, environment) AS ({rows}) UPDATE environments SET running = next.deployment FROM next \
             WHERE environments.id = next.environment \
             AND (environments.running IS NULL OR environments.running = next.deployment)"
        );
        if parameters.execute(connection, sql).await? < part.len() as u64 {
            return Err(busy(tx, part).await?);
        }
    }
    Ok(())
}

async fn busy(tx: &Tx, part: &[&Entry]) -> Result<StoreError, StoreError> {
    for entry in part {
        let running = crate::environments::get(tx, &entry.environment).await?.running;
        if let Some(by) = running.filter(|by| *by != entry.deployment) {
            return Ok(StoreError::Conflict(Constraint::EnvironmentBusy { by }));
        }
    }
    Ok(StoreError::Internal("two deployments of one environment were to be started together".to_owned()))
}

/// Notes that their apps have had a turn: see [`domain::queue::turn`].
async fn note_turns(tx: &Tx, begun: &[&Entry], now: DateTime<Utc>) -> Result<(), StoreError> {
    let apps: BTreeSet<_> = begun.iter().map(|entry| &entry.app).collect();
    let apps: Vec<_> = apps.into_iter().collect();
    for part in parts(&apps) {
        let mut parameters = Parameters::of(tx.connection());
        let at = parameters.add(time::to_db(now));
        let these = parameters.rows(part.iter().map(|app| [app.as_str().into()]));
        let sql = format!("UPDATE apps SET last_started = {at} WHERE id IN ({these})");
        parameters.execute(tx.connection(), sql).await?;
    }
    Ok(())
}

async fn journals(
    tx: &Tx,
    ids: &[DeploymentId],
    taken: &mut BTreeMap<DeploymentId, Started>,
) -> Result<(), StoreError> {
    for part in parts(ids) {
        let mut parameters = Parameters::of(tx.connection());
        let these = list(&mut parameters, part);
        let sql = format!("SELECT saga_id, record FROM saga_records WHERE saga_id IN ({these}) ORDER BY saga_id, seq");
        for row in parameters.query(tx.connection(), sql).await? {
            let id: DeploymentId = parse(&row.try_get::<String>("", "saga_id")?)?;
            if let Some(started) = taken.get_mut(&id) {
                let record: String = row.try_get("", "record")?;
                started.journal.push(from_json("a record of a saga", &record)?);
            }
        }
    }
    Ok(())
}

fn list(parameters: &mut Parameters, ids: &[DeploymentId]) -> String {
    parameters.rows(ids.iter().map(|id| [id.as_str().into()]))
}

fn of_row(row: &QueryResult) -> Result<Ready, StoreError> {
    let text = |name: &str| row.try_get::<String>("", name);
    let generation = |name: &str| number("a generation", row.try_get("", name)?);
    Ok(Ready {
        entry: Entry {
            deployment: parse(&text("deployment_id")?)?,
            app: parse(&text("app_id")?)?,
            environment: parse(&text("environment_id")?)?,
            host: text("host")?,
            priority: parse(&text("priority")?)?,
            rank: row.try_get("", "rank")?,
            not_before: row.try_get::<Option<i64>>("", "not_before")?.map(time::from_db).transpose()?,
            enqueued_at: time::from_db(row.try_get("", "enqueued_at")?)?,
            attempt: number("an attempt", row.try_get::<i32>("", "attempt")?.into())?,
            held: row.try_get("", "held")?,
        },
        kind: kind(&text("kind")?)?,
        running: parse_option(row.try_get::<Option<String>>("", "running")?.as_deref())?,
        generation: generation("generation")?,
        newest: generation("newest")?,
        serving: generation("serving")?,
        supersede: parse(&text("supersede")?)?,
    })
}
