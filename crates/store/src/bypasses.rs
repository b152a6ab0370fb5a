//! Deployments that went past a closed window: who wanted it, and why. They stay when the deployment goes.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::access::Sees;
use domain::deployment::DeploymentKind;
use domain::{BypassId, DeploymentId, Name, WindowId};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::bypasses::{Column, Entity, Model};
use crate::entity::{apps, deployments};
use crate::row::{insert as insert_row, parse, parse_option, seen, text};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bypass {
    pub id: BypassId,
    pub deployment: DeploymentId,
    pub app: Name,
    pub environment: Name,
    /// The rule that held when it was accepted; none when the environment was open just then.
    pub window: Option<WindowId>,
    /// What that rule said.
    pub rule: Option<String>,
    pub reason: String,
    pub requested_by: String,
    /// Who approved of it, where an approval policy asks for that.
    pub approved_by: Option<String>,
    pub at: DateTime<Utc>,
}

/// Writes a record. `Conflict(Id)` when its deployment has one.
pub async fn insert(tx: &Tx, bypass: &Bypass) -> Result<(), StoreError> {
    let row = Model {
        id: bypass.id.to_string(),
        deployment_id: bypass.deployment.to_string(),
        app: bypass.app.to_string(),
        environment: bypass.environment.to_string(),
        window_id: bypass.window.as_ref().map(ToString::to_string),
        rule: bypass.rule.as_deref().map(text),
        reason: text(&bypass.reason),
        requested_by: text(&bypass.requested_by),
        approved_by: bypass.approved_by.as_deref().map(text),
        at: time::to_db(bypass.at),
    };
    match insert_row::<Entity, _>(tx, row).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "bypass" })),
    }
}

/// The record of a deployment, if it has one.
pub async fn find(session: &impl Session, of: &DeploymentId) -> Result<Option<Bypass>, StoreError> {
    let query = Entity::find().filter(Column::DeploymentId.eq(of.as_str()));
    query.one(session.connection()).await?.map(Bypass::try_from).transpose()
}

/// Notes who approved of it, or that what they approved of has changed.
pub async fn approve(tx: &Tx, of: &DeploymentId, by: Option<&str>) -> Result<(), StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::ApprovedBy, Expr::value(by.map(text)))
        .filter(Column::DeploymentId.eq(of.as_str()));
    update.exec(tx.connection()).await?;
    Ok(())
}

/// Which of these deployments windows do not hold: those with a record here, and rollbacks, which end an outage.
pub async fn among(session: &impl Session, of: &[&DeploymentId]) -> Result<BTreeSet<DeploymentId>, StoreError> {
    let mut found = BTreeSet::new();
    // SQLite takes so many values in a statement, and no more.
    for some in of.chunks(500) {
        let ids = || some.iter().map(|id| id.as_str());
        let recorded =
            Entity::find().select_only().column(Column::DeploymentId).filter(Column::DeploymentId.is_in(ids()));
        let rollbacks = deployments::Entity::find()
            .select_only()
            .column(deployments::Column::Id)
            .filter(deployments::Column::Id.is_in(ids()))
            .filter(deployments::Column::Kind.eq(DeploymentKind::Rollback.as_str()));
        let connection = session.connection();
        let recorded = recorded.into_tuple::<String>().all(connection).await?;
        for id in recorded.into_iter().chain(rollbacks.into_tuple::<String>().all(connection).await?) {
            found.insert(parse(&id)?);
        }
    }
    Ok(found)
}

/// Newest first, those of the apps that are seen, before `before`. As they outlive their deployments, they are of the app that
/// has their name, if it was there already.
pub async fn list(
    session: &impl Session,
    sees: &Sees,
    before: Option<&BypassId>,
    limit: u64,
) -> Result<Vec<Bypass>, StoreError> {
    let mut query = Entity::find().order_by_desc(Column::Id).limit(limit);
    if let Some(seen) = seen(apps::Column::Id, sees) {
        let of_one = Query::select()
            .expr(Expr::value(1))
            .from(apps::Entity)
            .and_where(Expr::cust("apps.name = bypasses.app AND apps.created_at <= bypasses.at"))
            .and_where(seen)
            .to_owned();
        query = query.filter(Expr::exists(of_one));
    }
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before.as_str()));
    }
    query.all(session.connection()).await?.into_iter().map(Bypass::try_from).collect()
}

impl TryFrom<Model> for Bypass {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Bypass {
            id: parse(&row.id)?,
            deployment: parse(&row.deployment_id)?,
            app: parse(&row.app)?,
            environment: parse(&row.environment)?,
            window: parse_option(row.window_id.as_deref())?,
            rule: row.rule,
            reason: row.reason,
            requested_by: row.requested_by,
            approved_by: row.approved_by,
            at: time::from_db(row.at)?,
        })
    }
}
