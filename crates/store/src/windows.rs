//! Deploy windows and freezes.

use chrono::{DateTime, Utc};
use domain::window::{Rule, Window};
use domain::{AppId, Name, WindowId};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder};

use crate::entity::windows::{Column, Entity, Model};
use crate::row::{from_json, insert as insert_row, parse, parse_option, text, to_json};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// A rule, and where it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub id: WindowId,
    /// Of this app alone.
    pub app: Option<(AppId, Name)>,
    /// In environments of this name alone.
    pub environment: Option<Name>,
    pub rule: Rule,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
}

impl Record {
    /// Whether it holds in this environment.
    pub fn holds(&self, app: &AppId, environment: &Name) -> bool {
        self.app.as_ref().is_none_or(|(id, _)| id == app)
            && self.environment.as_ref().is_none_or(|name| name == environment)
    }

    pub fn window(&self) -> Window {
        Window { id: self.id.clone(), rule: self.rule.clone() }
    }
}

/// Writes a new one. `Conflict(Id)` when its id is taken.
pub async fn insert(tx: &Tx, record: &Record) -> Result<(), StoreError> {
    let ends_at = match &record.rule {
        Rule::Freeze(freeze) => freeze.until.map(time::to_db),
        Rule::Deploy(_) => None,
    };
    let row = Model {
        id: record.id.to_string(),
        app_id: record.app.as_ref().map(|(id, _)| id.to_string()),
        app: record.app.as_ref().map(|(_, name)| name.to_string()),
        environment: record.environment.as_ref().map(ToString::to_string),
        rule: to_json(&record.rule)?,
        ends_at,
        created_by: text(&record.created_by),
        created_at: time::to_db(record.created_at),
    };
    tx.wakes();
    match insert_row::<Entity, _>(tx, row).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "window" })),
    }
}

pub async fn find(session: &impl Session, id: &WindowId) -> Result<Option<Record>, StoreError> {
    Entity::find_by_id(id.as_str()).one(session.connection()).await?.map(Record::try_from).transpose()
}

/// Removes one; `false` when it was not there.
pub async fn remove(tx: &Tx, id: &WindowId) -> Result<bool, StoreError> {
    tx.wakes();
    Ok(Entity::delete_by_id(id.as_str()).exec(tx.connection()).await?.rows_affected > 0)
}

/// Oldest first, those that have not ended at `now`; all when that is absent.
pub async fn list(session: &impl Session, now: Option<DateTime<Utc>>) -> Result<Vec<Record>, StoreError> {
    let mut query = Entity::find().order_by_asc(Column::Id);
    if let Some(now) = now {
        let ends = Column::EndsAt.gt(time::to_db(now));
        query = query.filter(Condition::any().add(Column::EndsAt.is_null()).add(ends));
    }
    query.all(session.connection()).await?.into_iter().map(Record::try_from).collect()
}

impl TryFrom<Model> for Record {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let app = parse_option(row.app_id.as_deref())?.zip(parse_option(row.app.as_deref())?);
        Ok(Record {
            id: parse(&row.id)?,
            app,
            environment: parse_option(row.environment.as_deref())?,
            rule: from_json("the rule of a window", &row.rule)?,
            created_by: row.created_by,
            created_at: time::from_db(row.created_at)?,
        })
    }
}
