//! Approval policies: what each environment asks for before something is deployed to it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::approval::Policy;
use domain::lifetime::Lifetime;
use domain::{AppId, Name};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use crate::entity::approval_policies::{Column, Entity, Model};
use crate::row::{long, number, parse, text};
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx, time};

/// The policy of one environment, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub app: AppId,
    pub environment: Name,
    pub policy: Policy,
    /// As people call them.
    pub changed_by: String,
    pub changed_at: DateTime<Utc>,
}

/// Writes one, in the place of the one that there was.
pub async fn set(tx: &Tx, record: &Record) -> Result<(), StoreError> {
    let mut again = OnConflict::columns([Column::AppId, Column::Environment]);
    again.update_columns([
        Column::Required,
        Column::Role,
        Column::Rollbacks,
        Column::Bypasses,
        Column::ExpiresSeconds,
        Column::ChangedBy,
        Column::ChangedAt,
    ]);
    let insert = Entity::insert(Model::from(record).into_active_model()).on_conflict(again);
    insert.exec_without_returning(tx.connection()).await?;
    Ok(())
}

pub async fn find(session: &impl Session, app: &AppId, environment: &Name) -> Result<Option<Record>, StoreError> {
    let id = (app.as_str().to_owned(), environment.as_str().to_owned());
    Entity::find_by_id(id).one(session.connection()).await?.map(Record::try_from).transpose()
}

/// Of one app, by environment.
pub async fn of_app(session: &impl Session, app: &AppId) -> Result<Vec<Record>, StoreError> {
    let query = Entity::find().filter(Column::AppId.eq(app.as_str())).order_by_asc(Column::Environment);
    query.all(session.connection()).await?.into_iter().map(Record::try_from).collect()
}

/// `false` when there was none.
pub async fn remove(tx: &Tx, app: &AppId, environment: &Name) -> Result<bool, StoreError> {
    let id = (app.as_str().to_owned(), environment.as_str().to_owned());
    Ok(Entity::delete_by_id(id).exec(tx.connection()).await?.rows_affected > 0)
}

impl From<&Record> for Model {
    fn from(record: &Record) -> Self {
        let Policy { required, role, rollbacks, bypasses, expires_in } = &record.policy;
        Model {
            app_id: record.app.to_string(),
            environment: record.environment.to_string(),
            required: i32::from(*required),
            role: role.to_string(),
            rollbacks: *rollbacks,
            bypasses: *bypasses,
            expires_seconds: long(expires_in.get().as_secs()),
            changed_by: text(&record.changed_by),
            changed_at: time::to_db(record.changed_at),
        }
    }
}

impl TryFrom<Model> for Record {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let seconds = number("a time for votes", row.expires_seconds)?;
        let expires_in = Lifetime::try_from(Duration::from_secs(seconds));
        Ok(Record {
            app: parse(&row.app_id)?,
            environment: parse(&row.environment)?,
            policy: Policy {
                required: number("a number of people", row.required.into())?,
                role: parse(&row.role)?,
                rollbacks: row.rollbacks,
                bypasses: row.bypasses,
                expires_in: expires_in.map_err(|e| StoreError::corrupt("a time for votes", e))?,
            },
            changed_by: row.changed_by,
            changed_at: time::from_db(row.changed_at)?,
        })
    }
}
