//! Signs of life of deployments at work, which their owner gives every few seconds. They go with the end of the saga: one that is
//! active is at work until it has cleaned up behind itself.

use chrono::{DateTime, Utc};
use domain::DeploymentId;
use domain::phase::Phase;
use domain::stall::Signs;
use sea_orm::sea_query::{Expr, Query, UnionType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, Statement,
    Value,
};

use crate::deployments::{NOT_ENDED, RUNNING, Record};
use crate::entity::beats::{Column, Entity, Model};
use crate::entity::{deployments, environments, saga_records};
use crate::row::from_json;
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx, page, time};

/// What its owner knows of a deployment at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    pub deployment: DeploymentId,
    /// When it last printed something.
    pub output_at: Option<DateTime<Utc>>,
}

/// A deployment that has begun and holds its environment, with its signs of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Working {
    pub record: Record,
    pub signs: Signs,
    /// Why it was taken for stalled, if it was.
    pub stalled: Option<String>,
}

impl Working {
    /// It serves and cleans up behind itself, and nobody need look at it.
    pub fn cleans_up(&self) -> bool {
        let deployment = &self.record.deployment;
        deployment.phase.is_end() && deployment.stuck.is_none() && self.stalled.is_none()
    }
}

/// Deployments in one statement.
const BATCH: usize = 500;

/// Gives a sign of life for each, in one statement. Those that have ended meanwhile get none.
pub async fn beat(tx: &Tx, at: DateTime<Utc>, beats: &[Beat]) -> Result<(), StoreError> {
    let connection = tx.connection();
    let backend = connection.get_database_backend();
    for beats in beats.chunks(BATCH) {
        let mut values: Vec<Value> = Vec::new();
        let mut mark = |value: Value| {
            values.push(value);
            match backend {
                sea_orm::DbBackend::Postgres => format!("${}", values.len()),
                _ => "?".to_owned(),
            }
        };
        // Numbers are ours, and travel in the text.
        let (mut output, mut ids) = (String::new(), Vec::new());
        for beat in beats {
            if let Some(at) = beat.output_at {
                output += &format!(" WHEN id = {} THEN {}", mark(beat.deployment.as_str().into()), time::to_db(at));
            }
        }
        for beat in beats {
            ids.push(mark(beat.deployment.as_str().into()));
        }
        let output = match output.is_empty() {
            true => "CAST(NULL AS BIGINT)".to_owned(),
            false => format!("CASE{output} ELSE NULL END"),
        };
        let sql = format!(
            "INSERT INTO beats (deployment_id, beat_at, output_at, again) \
             SELECT id, {}, {output}, FALSE FROM deployments WHERE id IN ({}) AND ({NOT_ENDED} OR {RUNNING}) \
             ON CONFLICT (deployment_id) DO UPDATE SET beat_at = excluded.beat_at, \
             output_at = COALESCE(excluded.output_at, beats.output_at)",
            time::to_db(at),
            ids.join(", ")
        );
        connection.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    }
    Ok(())
}

/// Those that have begun and not ended, and those that are active and still clean up; oldest first.
pub async fn working(session: &impl Session) -> Result<Vec<Working>, StoreError> {
    let rows = page::of(session, at_work()).await?;
    let records: Vec<Record> = rows.into_iter().rev().map(Record::try_from).collect::<Result<_, _>>()?;
    let beats = Entity::find().all(session.connection()).await?;
    let beats: std::collections::HashMap<String, Model> =
        beats.into_iter().map(|beat| (beat.deployment_id.clone(), beat)).collect();
    let working = |record: Record| {
        let beat = beats.get(record.deployment.id.as_str());
        let signs = Signs {
            phase: record.deployment.phase,
            step_at: record.deployment.updated_at,
            beat_at: beat.map(|beat| time::from_db(beat.beat_at)).transpose()?,
            output_at: beat.and_then(|beat| beat.output_at).map(time::from_db).transpose()?,
            // One that is stuck or waits for another has nothing to show.
            waits: record.deployment.stuck.is_some() || record.deployment.metadata.waiting_for.is_some(),
        };
        Ok(Working { record, signs, stalled: beat.and_then(|beat| beat.stalled.clone()) })
    };
    records.into_iter().map(working).collect()
}

/// Their ids, from two indexes.
pub(crate) fn at_work() -> Select<deployments::Entity> {
    // Those that wait may be many, and are not looked at.
    let begun = Phase::ALL.into_iter().filter(|phase| !phase.is_end() && *phase != Phase::Queued);
    let running = Query::select()
        .column(environments::Column::Running)
        .from(environments::Entity)
        .and_where(environments::Column::Running.is_not_null())
        .to_owned();
    let mut ids = deployments::Entity::find()
        .select_only()
        .column(deployments::Column::Id)
        .filter(deployments::Column::Phase.is_in(begun.map(Phase::as_str)));
    QueryTrait::query(&mut ids).union(UnionType::Distinct, running);
    ids
}

/// Notes why a deployment is taken for stalled, or that it is not; whether that is news.
pub async fn set_stalled(tx: &Tx, id: &DeploymentId, reason: Option<&str>) -> Result<bool, StoreError> {
    let Some(row) = Entity::find_by_id(id.as_str()).one(tx.connection()).await? else {
        // It never gave a sign of life, and the note needs a row.
        let Some(reason) = reason else { return Ok(false) };
        let at_work = Expr::cust(format!("({NOT_ENDED} OR {RUNNING})"));
        let open = deployments::Entity::find_by_id(id.as_str()).filter(at_work);
        if open.one(tx.connection()).await?.is_none() {
            return Ok(false);
        }
        let row = Model {
            deployment_id: id.to_string(),
            beat_at: 0,
            output_at: None,
            stalled: Some(crate::row::text(reason)),
            again: false,
        };
        return crate::row::insert::<Entity, _>(tx, row).await;
    };
    if row.stalled.is_some() == reason.is_some() {
        return Ok(false);
    }
    Entity::update_many()
        .col_expr(Column::Stalled, Expr::value(reason.map(crate::row::text)))
        .filter(Column::DeploymentId.eq(id.as_str()))
        .exec(tx.connection())
        .await?;
    Ok(true)
}

/// Asks the owner of a stalled deployment to drop its step and run it again; `false` when it is not stalled.
pub async fn ask_again(tx: &Tx, id: &DeploymentId) -> Result<bool, StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::Again, Expr::value(true))
        .filter(Column::DeploymentId.eq(id.as_str()))
        .filter(Column::Stalled.is_not_null());
    Ok(update.exec(tx.connection()).await?.rows_affected > 0)
}

/// Of all, those that are asked to.
pub async fn asked_again(session: &impl Session) -> Result<Vec<DeploymentId>, StoreError> {
    let rows = Entity::find().filter(Column::Again.eq(true)).all(session.connection()).await?;
    rows.into_iter().map(|row| crate::row::parse(&row.deployment_id)).collect()
}

/// It is being done.
pub async fn answer_again(tx: &Tx, id: &DeploymentId) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Again, Expr::value(false))
        .filter(Column::DeploymentId.eq(id.as_str()))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// How many are taken for stalled.
pub async fn count_stalled(session: &impl Session) -> Result<u64, StoreError> {
    use sea_orm::PaginatorTrait;
    Ok(Entity::find().filter(Column::Stalled.is_not_null()).count(session.connection()).await?)
}

/// The last record of a deployment's journal.
pub async fn last_record(session: &impl Session, id: &DeploymentId) -> Result<Option<serde_json::Value>, StoreError> {
    let query = saga_records::Entity::find()
        .filter(saga_records::Column::SagaId.eq(id.as_str()))
        .order_by_desc(saga_records::Column::Seq)
        .limit(1);
    let row = query.one(session.connection()).await?;
    row.map(|row| from_json("a record of a saga", &row.record)).transpose()
}

/// Nothing more is expected of these.
pub(crate) async fn end(tx: &Tx, ids: &[&DeploymentId]) -> Result<(), StoreError> {
    let of_them = Column::DeploymentId.is_in(ids.iter().map(|id| id.as_str()));
    Entity::delete_many().filter(of_them).exec(tx.connection()).await?;
    Ok(())
}
