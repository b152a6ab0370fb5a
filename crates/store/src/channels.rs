//! Channels: who is told, by which way, of what. What is secret of them is sealed before it comes here.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::access::Sees;
use domain::channel::{ChannelKind, Wants};
use domain::notice::Topic;
use domain::{AppId, ChannelId, Name};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use serde::{Deserialize, Serialize};

use crate::entity::apps;
use crate::entity::channels::{Column, Entity, Model};
use crate::row::{from_json, insert as insert_row, parse, seen, text, to_json};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// A way to people or programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    pub id: ChannelId,
    /// Of this app alone.
    pub app: Option<(AppId, Name)>,
    pub kind: ChannelKind,
    pub name: String,
    pub settings: Settings,
    /// The channel's data key, wrapped, and what it seals.
    pub wrapped: Vec<u8>,
    pub sealed: Vec<u8>,
    pub topics: BTreeSet<Topic>,
    /// In environments of these names alone; in all when empty.
    pub environments: Vec<Name>,
    pub enabled: bool,
    pub failing_since: Option<DateTime<Utc>>,
    /// As people call them.
    pub created_by: String,
    pub created_at: DateTime<Utc>,
}

/// What everybody may see who may see the channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Scheme and host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Mailboxes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
}

impl Channel {
    /// What it is told of.
    pub fn wants(&self) -> Wants {
        Wants {
            app: self.app.as_ref().map(|(_, name)| name.clone()),
            environments: self.environments.clone(),
            topics: self.topics.clone(),
            since: self.created_at,
        }
    }
}

/// Writes a new one. `Conflict(Id)` when its id is taken.
pub async fn insert(tx: &Tx, channel: &Channel) -> Result<(), StoreError> {
    match insert_row::<Entity, _>(tx, row(channel)?).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "channel" })),
    }
}

/// Writes anew what can change of one that is there.
pub async fn update(tx: &Tx, channel: &Channel) -> Result<(), StoreError> {
    let row = row(channel)?;
    Entity::update_many()
        .col_expr(Column::Name, Expr::value(row.name))
        .col_expr(Column::Settings, Expr::value(row.settings))
        .col_expr(Column::Wrapped, Expr::value(row.wrapped))
        .col_expr(Column::Sealed, Expr::value(row.sealed))
        .col_expr(Column::Topics, Expr::value(row.topics))
        .col_expr(Column::Environments, Expr::value(row.environments))
        .col_expr(Column::Enabled, Expr::value(row.enabled))
        .col_expr(Column::FailingSince, Expr::value(row.failing_since))
        .filter(Column::Id.eq(row.id))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Removes one with all messages to it; `false` when it was not there.
pub async fn remove(tx: &Tx, id: &ChannelId) -> Result<bool, StoreError> {
    Ok(Entity::delete_by_id(id.as_str()).exec(tx.connection()).await?.rows_affected > 0)
}

pub async fn find(session: &impl Session, id: &ChannelId) -> Result<Option<Channel>, StoreError> {
    let query = Entity::find_by_id(id.as_str()).find_also_related(apps::Entity);
    query.one(session.connection()).await?.map(channel).transpose()
}

/// All of them, oldest first; few, as each app may have only so many.
pub async fn list(session: &impl Session) -> Result<Vec<Channel>, StoreError> {
    let query = Entity::find().find_also_related(apps::Entity).order_by_asc(Column::Id);
    query.all(session.connection()).await?.into_iter().map(channel).collect()
}

/// Those that are told.
pub async fn enabled(session: &impl Session) -> Result<Vec<Channel>, StoreError> {
    let query = Entity::find().find_also_related(apps::Entity).filter(Column::Enabled.eq(true));
    query.order_by_asc(Column::Id).all(session.connection()).await?.into_iter().map(channel).collect()
}

/// Those of these apps whose messages do not arrive, and of the server when all are asked for: the longest so first.
pub async fn failing(session: &impl Session, of: &Sees, limit: u64) -> Result<Vec<Channel>, StoreError> {
    let query = failures(of).limit(limit);
    query.find_also_related(apps::Entity).all(session.connection()).await?.into_iter().map(channel).collect()
}

fn failures(of: &Sees) -> Select<Entity> {
    // A time, rather than anything but null: that is looked up in the index.
    let query = Entity::find().filter(Column::FailingSince.gt(0));
    let query = query.order_by_asc(Column::FailingSince).order_by_asc(Column::Id);
    match seen(Column::AppId, of) {
        Some(seen) => query.filter(seen),
        None => query,
    }
}

/// How many an app has, or the server.
pub async fn count(session: &impl Session, app: Option<&AppId>) -> Result<u64, StoreError> {
    let of = match app {
        Some(app) => Condition::all().add(Column::AppId.eq(app.as_str())),
        None => Condition::all().add(Column::AppId.is_null()),
    };
    Ok(Entity::find().filter(of).count(session.connection()).await?)
}

/// Notes that the last message has arrived.
pub async fn works(tx: &Tx, id: &ChannelId) -> Result<(), StoreError> {
    let update = Entity::update_many().col_expr(Column::FailingSince, Expr::value(None::<i64>));
    update.filter(Column::Id.eq(id.as_str())).exec(tx.connection()).await?;
    Ok(())
}

/// Notes that a message has not arrived; since when is what it was before.
pub async fn fails(tx: &Tx, id: &ChannelId, at: DateTime<Utc>) -> Result<(), StoreError> {
    let update = Entity::update_many().col_expr(Column::FailingSince, Expr::value(time::to_db(at)));
    let first = update.filter(Column::Id.eq(id.as_str())).filter(Column::FailingSince.is_null());
    first.exec(tx.connection()).await?;
    Ok(())
}

/// Its receiver wants nothing more.
pub async fn disable(tx: &Tx, id: &ChannelId) -> Result<(), StoreError> {
    let update = Entity::update_many().col_expr(Column::Enabled, Expr::value(false));
    update.filter(Column::Id.eq(id.as_str())).exec(tx.connection()).await?;
    Ok(())
}

fn row(channel: &Channel) -> Result<Model, StoreError> {
    Ok(Model {
        id: channel.id.to_string(),
        app_id: channel.app.as_ref().map(|(id, _)| id.to_string()),
        kind: channel.kind.to_string(),
        name: text(&channel.name),
        settings: to_json(&channel.settings)?,
        wrapped: channel.wrapped.clone(),
        sealed: channel.sealed.clone(),
        topics: to_json(&channel.topics)?,
        environments: to_json(&channel.environments)?,
        enabled: channel.enabled,
        failing_since: channel.failing_since.map(time::to_db),
        created_by: text(&channel.created_by),
        created_at: time::to_db(channel.created_at),
    })
}

fn channel((row, app): (Model, Option<apps::Model>)) -> Result<Channel, StoreError> {
    Ok(Channel {
        id: parse(&row.id)?,
        app: app.map(|app| Ok::<_, StoreError>((parse(&app.id)?, parse(&app.name)?))).transpose()?,
        kind: parse(&row.kind)?,
        name: row.name,
        settings: from_json("the settings of a channel", &row.settings)?,
        wrapped: row.wrapped,
        sealed: row.sealed,
        topics: from_json("the topics of a channel", &row.topics)?,
        environments: from_json("the environments of a channel", &row.environments)?,
        enabled: row.enabled,
        failing_since: row.failing_since.map(time::from_db).transpose()?,
        created_by: row.created_by,
        created_at: time::from_db(row.created_at)?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::explain::plan;
    use crate::{DatabaseUrl, Store};

    #[tokio::test]
    async fn those_that_work_are_not_gone_through_for_those_that_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::sqlite(dir.path().join("db"))).await.unwrap();
        let app = AppId::from_ulid(ulid::Ulid::from_parts(1, 1));
        let found = plan(&store, failures(&Sees::All).limit(50)).await;
        assert!(found.contains("INDEX channels_failing_since (failing_since>?)"), "{found}");
        // An app has few channels.
        let found = plan(&store, failures(&Sees::Only(BTreeSet::from([app]))).limit(50)).await;
        assert!(found.contains("INDEX channels_app_id (app_id=?)"), "{found}");
        store.close().await;
    }
}
