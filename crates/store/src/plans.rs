//! Plans: what deployments would do, each under the digest of the facts that it rests on, until it expires.

use chrono::{DateTime, Utc};
use domain::access::Sees;
use domain::plan::{Plan, PlanRef};
use domain::release::Digest;
use domain::{AppId, EnvironmentId, PlanId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use crate::entity::plans::{Column, Entity, Model};
use crate::row::{from_json, insert as insert_row, parse, seen, text, to_json};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// A plan as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Orders plans by the time at which they were made; a plan that is made again gets a new one.
    pub id: PlanId,
    pub app: AppId,
    pub environment: EnvironmentId,
    pub plan: Plan,
}

/// Which plans to list; everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub app: Option<AppId>,
    pub environment: Option<EnvironmentId>,
    pub sees: Sees,
}

/// Keeps a plan. One of the same digest that is there rests on the same facts; it is replaced, as its estimates are older.
/// `Conflict(Id)` when its id is taken.
pub async fn put(tx: &Tx, kept: &Kept) -> Result<(), StoreError> {
    let digest = Column::Digest.eq(kept.plan.digest.as_str());
    Entity::delete_many().filter(digest).exec(tx.connection()).await?;
    match insert_row::<Entity, _>(tx, kept.try_into()?).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "plan" })),
    }
}

/// Those of the apps that are seen whose digest begins like this and that have not expired, two at most: more tell no more.
pub async fn find(
    session: &impl Session,
    sees: &Sees,
    plan: &PlanRef,
    now: DateTime<Utc>,
) -> Result<Vec<Kept>, StoreError> {
    // Digests are compared by bytes, and `g` comes behind all their digits: a range takes the index on both databases,
    // which a pattern does not.
    let query = Entity::find()
        .filter(Column::Digest.gte(plan.as_str()))
        .filter(Column::Digest.lt(format!("{plan}g")))
        .filter(Column::ExpiresAt.gt(time::to_db(now)))
        .apply_if(seen(Column::AppId, sees), QueryFilter::filter)
        .order_by_asc(Column::Digest)
        .limit(2);
    query.all(session.connection()).await?.into_iter().map(Kept::try_from).collect()
}

/// Newest first, those that were made before `before` and have not expired.
pub async fn list(
    session: &impl Session,
    filter: &Filter,
    now: DateTime<Utc>,
    before: Option<&PlanId>,
    limit: u64,
) -> Result<Vec<Kept>, StoreError> {
    // Ids begin with the time at which they were made.
    let mut query =
        Entity::find().filter(Column::ExpiresAt.gt(time::to_db(now))).order_by_desc(Column::Id).limit(limit);
    if let Some(app) = &filter.app {
        query = query.filter(Column::AppId.eq(app.as_str()));
    }
    if let Some(environment) = &filter.environment {
        query = query.filter(Column::EnvironmentId.eq(environment.as_str()));
    }
    if let Some(seen) = seen(Column::AppId, &filter.sees) {
        query = query.filter(seen);
    }
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before.as_str()));
    }
    query.all(session.connection()).await?.into_iter().map(Kept::try_from).collect()
}

/// Forgets what has expired, and of this environment all but the newest `most`. How many are gone.
pub async fn sweep(tx: &Tx, environment: &EnvironmentId, now: DateTime<Utc>, most: u64) -> Result<u64, StoreError> {
    let expired = Entity::delete_many().filter(Column::ExpiresAt.lte(time::to_db(now))).exec(tx.connection()).await?;
    let of = || Column::EnvironmentId.eq(environment.as_str());
    let oldest: Option<String> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(of())
        .order_by_desc(Column::Id)
        .offset(most)
        .limit(1)
        .into_tuple()
        .one(tx.connection())
        .await?;
    let mut gone = expired.rows_affected;
    if let Some(oldest) = oldest {
        let crowded = Entity::delete_many().filter(of()).filter(Column::Id.lte(oldest)).exec(tx.connection()).await?;
        gone += crowded.rows_affected;
    }
    Ok(gone)
}

impl TryFrom<&Kept> for Model {
    type Error = StoreError;

    fn try_from(kept: &Kept) -> Result<Self, StoreError> {
        Ok(Model {
            id: kept.id.to_string(),
            digest: kept.plan.digest.to_string(),
            environment_id: kept.environment.to_string(),
            app_id: kept.app.to_string(),
            body: to_json(&kept.plan)?,
            created_by: text(&kept.plan.created_by),
            created_at: time::to_db(kept.plan.created_at),
            expires_at: time::to_db(kept.plan.expires_at),
        })
    }
}

impl TryFrom<Model> for Kept {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let plan: Plan = from_json("a plan", &row.body)?;
        if plan.digest != Digest(row.digest.clone()) {
            return Err(StoreError::corrupt(format!("the plan {}", row.digest), "its body is of another one"));
        }
        Ok(Kept { id: parse(&row.id)?, app: parse(&row.app_id)?, environment: parse(&row.environment_id)?, plan })
    }
}
