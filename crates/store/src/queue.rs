//! Deployments that wait for their start. A row is there until the deployment is started or ended.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::access::Sees;
use domain::queue::{Candidate, Facts, Priority};
use domain::{AppId, DeploymentId, EnvironmentId, Name, ServerId};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, Statement, Value,
};

use crate::deployments::NOT_ENDED;
use crate::entity::apps;
use crate::entity::queue::{Column, Entity, Model};
use crate::row::{insert as insert_row, number, parse, parse_option, seen};
use crate::rows::Parameters;
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// Ids in one statement.
const CHUNK: usize = 500;

/// One that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub deployment: DeploymentId,
    pub app: AppId,
    pub environment: EnvironmentId,
    /// Whose servers start it.
    pub host: String,
    pub priority: Priority,
    /// Lower goes first: [`domain::queue::rank`].
    pub rank: i64,
    pub not_before: Option<DateTime<Utc>>,
    pub enqueued_at: DateTime<Utc>,
    /// From 1.
    pub attempt: u32,
    /// It waits for approval: nobody starts it, and it is in nobody's way.
    pub held: bool,
}

impl Entry {
    /// What decides whether it may start; `running` is at work in its environment.
    pub fn candidate(&self, running: Option<DeploymentId>) -> Candidate {
        Candidate {
            deployment: self.deployment.clone(),
            app: self.app.clone(),
            environment: self.environment.clone(),
            priority: self.priority,
            rank: self.rank,
            not_before: self.not_before,
            enqueued_at: self.enqueued_at,
            running,
        }
    }
}

/// Where a page of the queue ends: the next one begins behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub rank: i64,
    pub deployment: DeploymentId,
}

/// Which entries to list; everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub app: Option<AppId>,
    pub environment: Option<EnvironmentId>,
    pub sees: Sees,
}

/// Adds one. `Conflict(Id)` when it waits already.
pub async fn insert(tx: &Tx, entry: &Entry) -> Result<(), StoreError> {
    tx.wakes();
    match insert_row::<Entity, _>(tx, entry.into()).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "queue entry" })),
    }
}

pub async fn find(session: &impl Session, id: &DeploymentId) -> Result<Option<Entry>, StoreError> {
    let row = Entity::find_by_id(id.as_str()).one(session.connection()).await?;
    row.map(Entry::try_from).transpose()
}

/// Those of these that wait.
pub async fn find_all(session: &impl Session, ids: &[DeploymentId]) -> Result<Vec<Entry>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let query = Entity::find().filter(Column::DeploymentId.is_in(ids.iter().map(|id| id.as_str())));
    query.all(session.connection()).await?.into_iter().map(Entry::try_from).collect()
}

/// Takes one out: it is started, or ended. `None` when it does not wait.
pub async fn remove(tx: &Tx, id: &DeploymentId) -> Result<Option<Entry>, StoreError> {
    let Some(entry) = find(tx, id).await? else { return Ok(None) };
    Entity::delete_by_id(id.as_str()).exec(tx.connection()).await?;
    tx.wakes();
    Ok(Some(entry))
}

/// Gives one another place. `NotFound` when it does not wait.
pub async fn set_rank(tx: &Tx, id: &DeploymentId, rank: i64) -> Result<(), StoreError> {
    set(tx, id, [(Column::Rank, Expr::value(rank))]).await
}

/// Another time before which it does not start, and the rank that follows from it. `NotFound` when it does not wait.
pub async fn reschedule(
    tx: &Tx,
    id: &DeploymentId,
    not_before: Option<DateTime<Utc>>,
    rank: i64,
) -> Result<(), StoreError> {
    let not_before = Expr::value(not_before.map(time::to_db));
    set(tx, id, [(Column::NotBefore, not_before), (Column::Rank, Expr::value(rank))]).await
}

/// Another priority, and the rank that follows from it. `NotFound` when it does not wait.
pub async fn set_priority(tx: &Tx, id: &DeploymentId, priority: Priority, rank: i64) -> Result<(), StoreError> {
    set(tx, id, [(Column::Priority, Expr::value(priority.as_str())), (Column::Rank, Expr::value(rank))]).await
}

/// Lets one start that was approved of, or has it wait for that again. `NotFound` when it does not wait.
pub async fn set_held(tx: &Tx, id: &DeploymentId, held: bool) -> Result<(), StoreError> {
    set(tx, id, [(Column::Held, Expr::value(held))]).await
}

/// In the order of their turns, those behind `after`.
pub async fn list(
    session: &impl Session,
    filter: &Filter,
    after: Option<&Place>,
    limit: u64,
) -> Result<Vec<Entry>, StoreError> {
    let mut query = Entity::find().order_by_asc(Column::Rank).order_by_asc(Column::DeploymentId).limit(limit);
    query = query.filter(matching(filter));
    if let Some(after) = after {
        query = query.filter(Condition::any().add(Column::Rank.gt(after.rank)).add(
            Condition::all().add(Column::Rank.eq(after.rank)).add(Column::DeploymentId.gt(after.deployment.as_str())),
        ));
    }
    query.all(session.connection()).await?.into_iter().map(Entry::try_from).collect()
}

/// How many wait.
pub async fn count(session: &impl Session, filter: &Filter) -> Result<u64, StoreError> {
    Ok(Entity::find().filter(matching(filter)).count(session.connection()).await?)
}

/// How many wait in each of these environments; those in which none does are left out.
pub async fn lengths(
    session: &impl Session,
    environments: &[&EnvironmentId],
) -> Result<BTreeMap<EnvironmentId, u64>, StoreError> {
    let mut lengths = BTreeMap::new();
    for some in environments.chunks(CHUNK) {
        let rows: Vec<(String, i64)> = Entity::find()
            .select_only()
            .column(Column::EnvironmentId)
            .expr_as(Expr::cust("COUNT(*)"), "all_of_them")
            .filter(Column::EnvironmentId.is_in(some.iter().map(|id| id.as_str())))
            .group_by(Column::EnvironmentId)
            .into_tuple()
            .all(session.connection())
            .await?;
        for (id, waiting) in rows {
            lengths.insert(parse(&id)?, number("a count", waiting)?);
        }
    }
    Ok(lengths)
}

/// How many go before this one; with the same filter its position in [`list`], from 0.
pub async fn ahead(session: &impl Session, filter: &Filter, of: &Entry) -> Result<u64, StoreError> {
    let before = Condition::any()
        .add(Column::Rank.lt(of.rank))
        .add(Condition::all().add(Column::Rank.eq(of.rank)).add(Column::DeploymentId.lt(of.deployment.as_str())));
    Ok(Entity::find().filter(matching(filter)).filter(before).count(session.connection()).await?)
}

/// The positions among all that wait, from 1, of these, which are in the order of [`list`]; at most a page of them. Those
/// that wait no more are left out.
pub async fn positions(session: &impl Session, entries: &[Entry]) -> Result<BTreeMap<DeploymentId, u64>, StoreError> {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(BTreeMap::new()) };
    let mut parameters = Parameters::of(session.connection());
    let mut place = |of: &Entry| {
        let (rank, id) = (parameters.add(of.rank), parameters.add(of.deployment.as_str()));
        format!("({rank}, {id})")
    };
    let (first, last) = (place(first), place(last));
    let these = parameters.rows(entries.iter().map(|entry| [entry.deployment.as_str().into()]));
    // Counted once up to the first of them, and numbered from there on: both along the index.
    let sql = format!(
        "SELECT deployment_id, number FROM (\
         SELECT q.deployment_id, row_number() OVER (ORDER BY q.rank, q.deployment_id) + \
         (SELECT count(*) FROM queue b WHERE (b.rank, b.deployment_id) < {first}) AS number \
         FROM queue q WHERE (q.rank, q.deployment_id) >= {first} AND (q.rank, q.deployment_id) <= {last}) numbered \
         WHERE deployment_id IN ({these})"
    );
    let mut positions = BTreeMap::new();
    for row in parameters.query(session.connection(), sql).await? {
        let position = number("a position", row.try_get::<i64>("", "number")?)?;
        positions.insert(parse(&row.try_get::<String>("", "deployment_id")?)?, position);
    }
    Ok(positions)
}

/// Whether one with another rank would go before entries of other apps that go before it now.
pub async fn passes_others(session: &impl Session, of: &Entry, rank: i64) -> Result<bool, StoreError> {
    let goes_before = Condition::any()
        .add(Column::Rank.lt(of.rank))
        .add(Condition::all().add(Column::Rank.eq(of.rank)).add(Column::DeploymentId.lt(of.deployment.as_str())));
    let query = Entity::find().filter(Column::Rank.gte(rank)).filter(goes_before);
    Ok(query.filter(Column::AppId.ne(of.app.as_str())).limit(1).one(session.connection()).await?.is_some())
}

/// The next one before an entry or behind it.
pub async fn neighbour(session: &impl Session, of: &Entry, way: Direction) -> Result<Option<Entry>, StoreError> {
    let query = Entity::find();
    let (same, id) = (Column::Rank.eq(of.rank), of.deployment.as_str());
    let query = match way {
        Direction::Before => query
            .filter(
                Condition::any()
                    .add(Column::Rank.lt(of.rank))
                    .add(Condition::all().add(same).add(Column::DeploymentId.lt(id))),
            )
            .order_by_desc(Column::Rank)
            .order_by_desc(Column::DeploymentId),
        Direction::Behind => query
            .filter(
                Condition::any()
                    .add(Column::Rank.gt(of.rank))
                    .add(Condition::all().add(same).add(Column::DeploymentId.gt(id))),
            )
            .order_by_asc(Column::Rank)
            .order_by_asc(Column::DeploymentId),
    };
    query.one(session.connection()).await?.map(Entry::try_from).transpose()
}

/// A way along the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Before,
    Behind,
}

/// The first of an environment's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub candidate: Candidate,
    /// Of its environment: what windows are for.
    pub name: Name,
}

/// The first of each environment's queue on `host` whose time has come, where nothing is at work; by a loose scan of
/// the index, so that a long queue of one costs no more than a short one. With `only`, the first of that priority.
pub async fn heads(
    session: &impl Session,
    host: &str,
    now: DateTime<Utc>,
    only: Option<Priority>,
) -> Result<Vec<Head>, StoreError> {
    let connection = session.connection();
    // SQLite can't join with what depends on another table's row, so there the row is found twice.
    let head = match connection.get_database_backend() {
        DbBackend::Postgres => format!("CROSS JOIN LATERAL (SELECT q.* {FIRST_OF_PLACE}) h"),
        _ => format!("JOIN queue h ON h.deployment_id = (SELECT q.deployment_id {FIRST_OF_PLACE})"),
    };
    let sql = format!(
        "{PLACES} SELECT h.deployment_id, h.app_id, h.environment_id, h.priority, h.rank, h.not_before, h.enqueued_at, \
         e.running, e.name FROM place JOIN environments e ON e.id = place.id AND e.running IS NULL {head}"
    );
    let only: Value = match only {
        Some(priority) => priority.as_str().into(),
        None => Value::String(None),
    };
    let rows = rows(connection, &sql, [host.into(), time::to_db(now).into(), only]).await?;
    let head = |row| Ok(Head { candidate: candidate(row)?, name: parse(&row.try_get::<String>("", "name")?)? });
    rows.iter().map(head).collect()
}

/// Whether one waits on the same host that goes before `of` and may start, but for windows and limits: its time has come,
/// and nothing is at work in its environment. Those of higher rank are never before it: see [`domain::queue::turn`].
pub async fn any_before(session: &impl Session, of: &Entry, now: DateTime<Utc>) -> Result<bool, StoreError> {
    // The places are made one by one, so that the first that has one ends it.
    let sql = format!(
        "{PLACES} SELECT place.id FROM place WHERE EXISTS (\
         SELECT 1 FROM queue q JOIN environments e ON e.id = q.environment_id AND e.running IS NULL \
         WHERE q.host = $1 AND q.environment_id = place.id AND NOT q.held \
         AND (q.not_before IS NULL OR q.not_before <= $2) AND q.rank < $3) LIMIT 1"
    );
    let values = [of.host.as_str().into(), time::to_db(now).into(), of.rank.into()];
    Ok(!rows(session.connection(), &sql, values).await?.is_empty())
}

/// The environments in which some wait, by a loose scan of the index.
const PLACES: &str = "WITH RECURSIVE place(id) AS (\
                      SELECT min(environment_id) FROM queue WHERE host = $1 \
                      UNION ALL \
                      SELECT (SELECT min(q.environment_id) FROM queue q WHERE q.host = $1 \
                      AND q.environment_id > place.id) FROM place WHERE place.id IS NOT NULL)";

const FIRST_OF_PLACE: &str = "FROM queue q WHERE q.host = $1 AND q.environment_id = place.id \
                              AND NOT q.held AND (q.not_before IS NULL OR q.not_before <= $2) \
                              AND ($3 IS NULL OR q.priority = $3) ORDER BY q.rank, q.deployment_id LIMIT 1";

/// Those on `host` whose time has come, where nothing is at work, and which windows do not hold (rollbacks, and those
/// with a bypass); by rank.
pub async fn passing(session: &impl Session, host: &str, now: DateTime<Utc>) -> Result<Vec<Candidate>, StoreError> {
    let columns = "q.deployment_id, q.app_id, q.environment_id, q.priority, q.rank, q.not_before, q.enqueued_at, \
                   e.running";
    let waits = "JOIN environments e ON e.id = q.environment_id AND e.running IS NULL \
                 WHERE q.host = $1 AND NOT q.held AND (q.not_before IS NULL OR q.not_before <= $2)";
    // Each half begins with what is little, and not with the queue, which may be long: SQLite keeps to the order of a CROSS
    // JOIN. One that is in both is told of once.
    let sql = format!(
        "SELECT {columns} FROM bypasses b CROSS JOIN queue q {waits} AND q.deployment_id = b.deployment_id \
         UNION \
         SELECT {columns} FROM (SELECT id FROM deployments WHERE kind = 'rollback' AND {NOT_ENDED}) d \
         CROSS JOIN queue q {waits} AND q.deployment_id = d.id \
         ORDER BY rank, deployment_id"
    );
    let rows = rows(session.connection(), &sql, [host.into(), time::to_db(now).into()]).await?;
    rows.iter().map(candidate).collect()
}

/// How many deployments each of these apps has at work, its limit, and when it started one last.
pub async fn facts(session: &impl Session, of: &BTreeSet<AppId>) -> Result<BTreeMap<AppId, Facts>, StoreError> {
    // What is at work is little, however many there are that wait: each is looked up. One that is stuck takes nobody's place.
    let sql = "SELECT e.app_id, count(*) AS running FROM environments e WHERE e.running IS NOT NULL \
               AND (SELECT d.stuck FROM deployments d WHERE d.id = e.running) IS NULL GROUP BY e.app_id";
    let mut running: BTreeMap<String, u32> = BTreeMap::new();
    for row in rows(session.connection(), sql, []).await? {
        running.insert(row.try_get("", "app_id")?, number("a count", row.try_get("", "running")?)?);
    }
    let ids: Vec<&str> = of.iter().map(AppId::as_str).collect();
    let mut all = BTreeMap::new();
    for some in ids.chunks(CHUNK) {
        // There may be thousands of them at each look: only what is asked for.
        let query = apps::Entity::find()
            .select_only()
            .columns([apps::Column::Id, apps::Column::Concurrency, apps::Column::LastStarted])
            .filter(apps::Column::Id.is_in(some.iter().copied()));
        let found: Vec<(String, i64, i64)> = query.into_tuple().all(session.connection()).await?;
        for (id, concurrency, last_started) in found {
            let running = running.get(&id).copied().unwrap_or(0);
            all.insert(parse(&id)?, Facts { running, limit: number("a limit", concurrency)?, last_started });
        }
    }
    Ok(all)
}

/// The same of one app.
pub async fn facts_of(session: &impl Session, app: &AppId) -> Result<Facts, StoreError> {
    let found = facts(session, &BTreeSet::from([app.clone()])).await?;
    found.get(app).copied().ok_or_else(|| StoreError::not_found("app", app))
}

/// When the next one on `host` may start that has to wait for its time.
pub async fn next_time(
    session: &impl Session,
    host: &str,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let query = Entity::find()
        .select_only()
        .expr_as(Expr::col(Column::NotBefore).min(), "at")
        .filter(Column::Host.eq(host))
        .filter(Column::Held.eq(false))
        .filter(Column::NotBefore.gt(time::to_db(now)));
    let at: Option<Option<i64>> = query.into_tuple().one(session.connection()).await?;
    at.flatten().map(time::from_db).transpose()
}

/// Started deployments on `host` that nobody drives: what a server left that stopped or died, or what an operator wants
/// to be resumed. Those that are stuck wait for that.
pub async fn orphans(session: &impl Session, host: &str) -> Result<Vec<Orphan>, StoreError> {
    let sql = "SELECT s.id, s.name, s.owner, s.resume_by FROM environments e JOIN sagas s ON s.id = e.running \
               JOIN deployments d ON d.id = e.running \
               WHERE e.running IS NOT NULL AND e.host = $1 AND s.finished = FALSE \
               AND (d.stuck IS NULL OR s.resume_by IS NOT NULL) \
               AND (s.owner IS NULL OR s.owner NOT IN (SELECT id FROM servers))";
    let found = rows(session.connection(), sql, [host.into()]).await?;
    found
        .iter()
        .map(|row| {
            let (id, owner): (String, Option<String>) = (row.try_get("", "id")?, row.try_get("", "owner")?);
            Ok(Orphan {
                deployment: parse(&id)?,
                saga: row.try_get("", "name")?,
                owner: parse_option(owner.as_deref())?,
                resume_by: row.try_get("", "resume_by")?,
            })
        })
        .collect()
}

/// A started deployment that nobody drives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    pub deployment: DeploymentId,
    /// Name of its saga.
    pub saga: String,
    /// Who drove it, and is gone.
    pub owner: Option<ServerId>,
    /// An operator who wants it to be tried again.
    pub resume_by: Option<String>,
}

/// All that wait in an environment, in the order of their turns.
pub async fn of_environment(session: &impl Session, id: &EnvironmentId) -> Result<Vec<Entry>, StoreError> {
    let query = Entity::find().filter(Column::EnvironmentId.eq(id.as_str()));
    let query = query.order_by_asc(Column::Rank).order_by_asc(Column::DeploymentId);
    query.all(session.connection()).await?.into_iter().map(Entry::try_from).collect()
}

/// The first of all, or the last.
pub async fn end(session: &impl Session, way: Direction) -> Result<Option<Entry>, StoreError> {
    let query = match way {
        Direction::Before => Entity::find().order_by_asc(Column::Rank).order_by_asc(Column::DeploymentId),
        Direction::Behind => Entity::find().order_by_desc(Column::Rank).order_by_desc(Column::DeploymentId),
    };
    query.one(session.connection()).await?.map(Entry::try_from).transpose()
}

/// The first of an environment's queue whose time has come. One that waits for approval, or for its time, is in nobody's way.
pub async fn head_of(
    session: &impl Session,
    id: &EnvironmentId,
    now: DateTime<Utc>,
) -> Result<Option<DeploymentId>, StoreError> {
    Ok(heads_of(session, &[id], now).await?.remove(id))
}

/// The same of each of these that has one; at most a page of them.
pub async fn heads_of(
    session: &impl Session,
    ids: &[&EnvironmentId],
    now: DateTime<Utc>,
) -> Result<BTreeMap<EnvironmentId, DeploymentId>, StoreError> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut parameters = Parameters::of(session.connection());
    let these = parameters.rows(ids.iter().map(|id| [id.as_str().into()]));
    let now = parameters.add(time::to_db(now));
    // One look into the index for each, however many wait.
    let sql = format!(
        "SELECT e.id, (SELECT q.deployment_id FROM queue q WHERE q.environment_id = e.id \
         AND NOT q.held AND (q.not_before IS NULL OR q.not_before <= {now}) \
         ORDER BY q.rank, q.deployment_id LIMIT 1) AS head FROM environments e WHERE e.id IN ({these})"
    );
    let mut heads = BTreeMap::new();
    for row in parameters.query(session.connection(), sql).await? {
        let head: Option<String> = row.try_get("", "head")?;
        if let Some(head) = head {
            heads.insert(parse(&row.try_get::<String>("", "id")?)?, parse(&head)?);
        }
    }
    Ok(heads)
}

fn matching(filter: &Filter) -> Condition {
    let mut all = Condition::all();
    if let Some(app) = &filter.app {
        all = all.add(Column::AppId.eq(app.as_str()));
    }
    if let Some(environment) = &filter.environment {
        all = all.add(Column::EnvironmentId.eq(environment.as_str()));
    }
    all.add_option(seen(Column::AppId, &filter.sees))
}

async fn set<const N: usize>(tx: &Tx, id: &DeploymentId, values: [(Column, Expr); N]) -> Result<(), StoreError> {
    let mut update = Entity::update_many().filter(Column::DeploymentId.eq(id.as_str()));
    for (column, value) in values {
        update = update.col_expr(column, value);
    }
    tx.wakes();
    match update.exec(tx.connection()).await?.rows_affected {
        0 => Err(StoreError::not_found("queue entry", id)),
        _ => Ok(()),
    }
}

/// Runs a statement whose parameters are `$1`, `$2`, … on both databases.
async fn rows<const N: usize>(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: [Value; N],
) -> Result<Vec<QueryResult>, StoreError> {
    let backend = connection.get_database_backend();
    // SQLite has numbered parameters, too, with another sign; PostgreSQL wants to know the type of one that is only
    // compared with NULL.
    let sql = match backend {
        DbBackend::Sqlite => sql.replace('$', "?"),
        _ => sql.replace("$3 IS NULL", "$3::text IS NULL"),
    };
    Ok(connection.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?)
}

fn candidate(row: &QueryResult) -> Result<Candidate, StoreError> {
    let text = |name: &str| row.try_get::<String>("", name);
    Ok(Candidate {
        deployment: parse(&text("deployment_id")?)?,
        app: parse(&text("app_id")?)?,
        environment: parse(&text("environment_id")?)?,
        priority: parse(&text("priority")?)?,
        rank: row.try_get("", "rank")?,
        not_before: row.try_get::<Option<i64>>("", "not_before")?.map(time::from_db).transpose()?,
        enqueued_at: time::from_db(row.try_get("", "enqueued_at")?)?,
        running: parse_option(row.try_get::<Option<String>>("", "running")?.as_deref())?,
    })
}

impl From<&Entry> for Model {
    fn from(e: &Entry) -> Self {
        Model {
            deployment_id: e.deployment.to_string(),
            app_id: e.app.to_string(),
            environment_id: e.environment.to_string(),
            host: e.host.clone(),
            priority: e.priority.as_str().to_owned(),
            rank: e.rank,
            not_before: e.not_before.map(time::to_db),
            enqueued_at: time::to_db(e.enqueued_at),
            attempt: i32::try_from(e.attempt).unwrap_or(i32::MAX),
            held: e.held,
        }
    }
}

impl TryFrom<Model> for Entry {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Entry {
            deployment: parse(&row.deployment_id)?,
            app: parse(&row.app_id)?,
            environment: parse(&row.environment_id)?,
            host: row.host,
            priority: parse(&row.priority)?,
            rank: row.rank,
            not_before: row.not_before.map(time::from_db).transpose()?,
            enqueued_at: time::from_db(row.enqueued_at)?,
            attempt: number("an attempt", row.attempt.into())?,
            held: row.held,
        })
    }
}
