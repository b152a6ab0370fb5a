//! What is counted of deployments when they end: rows by scope and day, added to in the transaction that ends one.
//!
//! A scope is an environment, or all of them together. The rows of an environment go with it; the sums of all stay.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::analytics::{Bucket, Counted, Ending, Facts, FailurePoint, Measure, Replaced, Sample, day_of, facts};
use domain::deployment::DeploymentKind;
use domain::phase::Phase;
use domain::{DeploymentId, EnvironmentId};
use sea_orm::sea_query::{Alias, Expr, OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::deployments::Record;
use crate::entity::deployments::{Column, Entity};
use crate::entity::{durations, failure_points};
use crate::row::{long, number, parse};
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx, time};

/// Whose counts to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    All,
    /// These together.
    Environments(Vec<EnvironmentId>),
}

/// The scope of all environments together; no id looks like it.
const ALL: &str = "";

impl Scope {
    pub fn includes(&self, environment: &EnvironmentId) -> bool {
        match self {
            Scope::All => true,
            Scope::Environments(ids) => ids.contains(environment),
        }
    }

    fn names(&self) -> Vec<String> {
        match self {
            Scope::All => vec![ALL.to_owned()],
            Scope::Environments(ids) => ids.iter().map(ToString::to_string).collect(),
        }
    }
}

/// How often what was timed took how long, from the day of `since` on.
pub async fn counted(session: &impl Session, scope: &Scope, since: DateTime<Utc>) -> Result<Vec<Counted>, StoreError> {
    use durations::Column as Of;
    let rows: Vec<(String, String, i64, i64)> = sums(scope, since)
        .columns([Of::Measure, Of::Ending, Of::Bucket])
        // PostgreSQL's sum of such numbers is of another type.
        .expr_as(Expr::cust("CAST(SUM(times) AS BIGINT)"), "total")
        .into_tuple()
        .all(session.connection())
        .await?;
    let counted = rows.into_iter().map(|(measure, ending, bucket, times)| known(&measure, &ending, bucket, times));
    counted.filter_map(Result::transpose).collect()
}

/// The same for each day by itself, by its number: see [`day_of`].
pub async fn counted_by_day(
    session: &impl Session,
    scope: &Scope,
    since: DateTime<Utc>,
) -> Result<Vec<(i32, Counted)>, StoreError> {
    use durations::Column as Of;
    let rows: Vec<(i64, String, String, i64, i64)> = sums(scope, since)
        .columns([Of::Day, Of::Measure, Of::Ending, Of::Bucket])
        .expr_as(Expr::cust("CAST(SUM(times) AS BIGINT)"), "total")
        .group_by(Of::Day)
        .into_tuple()
        .all(session.connection())
        .await?;
    let counted = rows.into_iter().map(|(day, measure, ending, bucket, times)| {
        let counted = known(&measure, &ending, bucket, times)?;
        counted.map(|counted| Ok((number("a day", day)?, counted))).transpose()
    });
    counted.filter_map(Result::transpose).collect()
}

/// The rows of a scope from a day on, of each measure, ending and bucket together.
fn sums(scope: &Scope, since: DateTime<Utc>) -> Select<durations::Entity> {
    use durations::Column as Of;
    durations::Entity::find()
        .select_only()
        .filter(Of::Scope.is_in(scope.names()))
        .filter(Of::Day.gte(i64::from(day_of(since))))
        .group_by(Of::Measure)
        .group_by(Of::Ending)
        .group_by(Of::Bucket)
}

/// `None` for what a newer version counted: it is of no use to this one.
fn known(measure: &str, ending: &str, bucket: i64, times: i64) -> Result<Option<Counted>, StoreError> {
    let Some((measure, ending)) = Measure::from_name(measure).zip(Ending::from_name(ending)) else { return Ok(None) };
    let bucket = Bucket(number("a bucket", bucket)?);
    Ok(Some(Counted { measure, ending, bucket, times: number("a count", times)? }))
}

/// Where deployments failed, from the day of `since` on.
pub async fn failures(
    session: &impl Session,
    scope: &Scope,
    since: DateTime<Utc>,
) -> Result<Vec<FailurePoint>, StoreError> {
    use failure_points::Column as Of;
    let rows: Vec<(String, String, i64, String)> = failure_points::Entity::find()
        .select_only()
        .columns([Of::Phase, Of::Cause])
        .expr_as(Expr::cust("CAST(SUM(times) AS BIGINT)"), "total")
        // Ids begin with the time at which they were made.
        .expr_as(Expr::cust("MAX(last)"), "newest")
        .filter(Of::Scope.is_in(scope.names()))
        .filter(Of::Day.gte(i64::from(day_of(since))))
        .group_by(Of::Phase)
        .group_by(Of::Cause)
        .into_tuple()
        .all(session.connection())
        .await?;
    let point = |(phase, cause, count, last): (String, String, i64, String)| {
        let known = Phase::from_name(&phase).zip(of_word(&cause));
        let Some((phase, cause)) = known else { return Ok(None) };
        Ok(Some(FailurePoint { phase, cause, count: number("a count", count)?, last: parse(&last)? }))
    };
    rows.into_iter().map(point).filter_map(Result::transpose).collect()
}

/// Counts a deployment that has come to its end.
pub(crate) async fn note(tx: &Tx, record: &Record) -> Result<(), StoreError> {
    let deployment = &record.deployment;
    let replaced = match (deployment.kind, deployment.phase) {
        (DeploymentKind::Rollback, Phase::Active) => replaced(tx, record).await?,
        _ => None,
    };
    let new_commit = match (&deployment.metadata.commit, deployment.phase) {
        (Some(commit), Phase::Active) => !has_had(tx, record, &commit.sha).await?,
        _ => false,
    };
    let mut sums = Sums::default();
    sums.add(&record.environment_id, &deployment.id, &facts(deployment, replaced, new_commit));
    sums.write(tx.connection()).await
}

/// What served before a rollback.
async fn replaced(tx: &Tx, record: &Record) -> Result<Option<Replaced>, StoreError> {
    let before: Option<(String, Option<i64>)> = Entity::find()
        .select_only()
        .columns([Column::Kind, Column::FinishedAt])
        .filter(Column::EnvironmentId.eq(record.environment_id.as_str()))
        .filter(Column::Generation.lt(long(record.deployment.generation)))
        .filter(Column::Phase.eq(Phase::Active.as_str()))
        .order_by_desc(Column::Generation)
        .limit(1)
        .into_tuple()
        .one(tx.connection())
        .await?;
    let Some((kind, Some(at))) = before else { return Ok(None) };
    let kind = DeploymentKind::ALL.into_iter().find(|k| k.as_str() == kind);
    kind.map(|kind| Ok(Replaced { kind, active_at: time::from_db(at)? })).transpose()
}

/// Has another deployment brought this commit to the environment before?
async fn has_had(tx: &Tx, record: &Record, sha: &str) -> Result<bool, StoreError> {
    let other = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::CommitSha.eq(sha))
        .filter(Column::EnvironmentId.eq(record.environment_id.as_str()))
        .filter(Column::Phase.eq(Phase::Active.as_str()))
        .filter(Column::Id.ne(record.deployment.id.as_str()))
        .limit(1)
        .into_tuple::<String>()
        .one(tx.connection())
        .await?;
    Ok(other.is_some())
}

/// Forgets what was counted of environments; the sums of all stay.
pub(crate) async fn forget(tx: &Tx, environments: Vec<String>) -> Result<(), StoreError> {
    let connection = tx.connection();
    let of = durations::Column::Scope.is_in(environments.iter());
    durations::Entity::delete_many().filter(of).exec(connection).await?;
    let of = failure_points::Column::Scope.is_in(environments.iter());
    failure_points::Entity::delete_many().filter(of).exec(connection).await?;
    Ok(())
}

/// What is to be added to the rows: each once, as one statement can't meet a row twice.
#[derive(Default)]
pub(crate) struct Sums {
    durations: BTreeMap<(String, Sample), i64>,
    failures: BTreeMap<(String, i32, &'static str, String), (i64, DeploymentId)>,
}

/// Rows in one statement, of six values each.
const BATCH: usize = 500;

impl Sums {
    pub(crate) fn add(&mut self, environment: &EnvironmentId, deployment: &DeploymentId, facts: &Facts) {
        for scope in [ALL, environment.as_str()] {
            for sample in &facts.samples {
                *self.durations.entry((scope.to_owned(), *sample)).or_default() += 1;
            }
            if let Some((day, phase, cause)) = &facts.failure {
                let key = (scope.to_owned(), *day, phase.as_str(), word(cause));
                let (times, last) = self.failures.entry(key).or_insert_with(|| (0, deployment.clone()));
                *times += 1;
                *last = deployment.clone().max(last.clone());
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.durations.len()
    }

    /// Adds them up with what is there. Tables and columns by name, as a migration writes so, too.
    pub(crate) async fn write(self, connection: &impl ConnectionTrait) -> Result<(), StoreError> {
        let names = |names: &[&'static str]| names.iter().map(|name| Alias::new(*name)).collect::<Vec<_>>();
        let backend = connection.get_database_backend();
        let durations: Vec<_> = self.durations.into_iter().collect();
        for rows in durations.chunks(BATCH) {
            let key = ["scope", "day", "measure", "ending", "bucket"];
            let mut insert = Query::insert();
            insert.into_table(Alias::new("durations")).columns(names(&[&key[..], &["times"]].concat()));
            for ((scope, sample), times) in rows {
                insert.values_panic([
                    scope.as_str().into(),
                    i64::from(sample.day).into(),
                    sample.measure.name().into(),
                    sample.ending.as_str().into(),
                    i64::from(sample.bucket.0).into(),
                    Expr::value(*times),
                ]);
            }
            let add = Expr::cust("durations.times + excluded.times");
            insert.on_conflict(OnConflict::columns(names(&key)).value(Alias::new("times"), add).to_owned());
            connection.execute_raw(backend.build(&insert)).await?;
        }
        let failures: Vec<_> = self.failures.into_iter().collect();
        for rows in failures.chunks(BATCH) {
            let key = ["scope", "day", "phase", "cause"];
            let mut insert = Query::insert();
            insert.into_table(Alias::new("failure_points")).columns(names(&[&key[..], &["times", "last"]].concat()));
            for ((scope, day, phase, cause), (times, last)) in rows {
                insert.values_panic([
                    scope.as_str().into(),
                    i64::from(*day).into(),
                    (*phase).into(),
                    cause.as_str().into(),
                    (*times).into(),
                    Expr::value(last.as_str()),
                ]);
            }
            let add = Expr::cust("failure_points.times + excluded.times");
            let newer = Expr::cust(
                "CASE WHEN excluded.last > failure_points.last THEN excluded.last ELSE failure_points.last END",
            );
            let conflict = OnConflict::columns(names(&key))
                .values([(Alias::new("times"), add), (Alias::new("last"), newer)])
                .to_owned();
            insert.on_conflict(conflict);
            connection.execute_raw(backend.build(&insert)).await?;
        }
        Ok(())
    }
}

/// The name of a plain enum's value, as it is in JSON.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn of_word<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(word.into()).ok()
}
