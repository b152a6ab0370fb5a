//! Hosts: the machines, each with one data folder, whose servers bring deployments to pass.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::entity::hosts::{Column, Entity, Model};
use crate::entity::{environments, queue};
use crate::row::{insert as insert_row, text};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    /// What the data folder calls itself; another folder can't take the name.
    pub folder_id: String,
    /// Of the key file, which is the same on all hosts.
    pub key_fingerprint: String,
    pub created_at: DateTime<Utc>,
}

/// Makes the host known, or finds that it is. The first host of a database gets all environments there are: they came
/// from a backup, or from a time when a server was alone. What served on another host before the backup has no files on this
/// one, and is deployed again: nobody knows whether that host is ever back.
///
/// # Errors
/// - `Conflict(HostName)` when another data folder has the name.
/// - `Conflict(HostKey)` when the key file is another one than that of the other hosts.
pub async fn register(tx: &Tx, host: &Host) -> Result<(), StoreError> {
    let known = list(tx).await?;
    let others = known.iter().filter(|other| other.key_fingerprint != host.key_fingerprint);
    // Its own folder comes last: of another one the key file could be copied.
    if let Some(other) = others.min_by_key(|other| other.folder_id == host.folder_id) {
        return Err(StoreError::Conflict(Constraint::HostKey { host: other.name.clone() }));
    }
    if let Some(same) = known.iter().find(|other| other.name == host.name) {
        return match same.folder_id == host.folder_id {
            true => Ok(()),
            false => Err(StoreError::Conflict(Constraint::HostName { host: host.name.clone() })),
        };
    }
    // A folder that is called by another name from now on: its environments go with it.
    let before = known.iter().find(|other| other.folder_id == host.folder_id).map(|other| other.name.clone());
    if let Some(before) = &before {
        Entity::delete_by_id(before.as_str()).exec(tx.connection()).await?;
    }
    let row = Model {
        name: text(&host.name),
        folder_id: host.folder_id.clone(),
        key_fingerprint: host.key_fingerprint.clone(),
        created_at: time::to_db(host.created_at),
    };
    insert_row::<Entity, _>(tx, row).await?;
    let from = match (known.is_empty(), before) {
        (true, _) => None,
        (false, Some(before)) => Some(before),
        (false, None) => Some(String::new()),
    };
    place(tx, from.as_deref(), &host.name).await
}

/// All of them have this key file from now on: a server with another one is refused.
pub async fn set_key(tx: &Tx, key_fingerprint: &str) -> Result<(), StoreError> {
    let update = Entity::update_many().col_expr(Column::KeyFingerprint, Expr::value(key_fingerprint));
    update.exec(tx.connection()).await?;
    Ok(())
}

/// By name.
pub async fn list(session: &impl Session) -> Result<Vec<Host>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::Name).all(session.connection()).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Host {
                name: row.name,
                folder_id: row.folder_id,
                key_fingerprint: row.key_fingerprint,
                created_at: time::from_db(row.created_at)?,
            })
        })
        .collect()
}

/// All environments of `from` (of any host without it) live on `to` from now on, and what is queued for them.
async fn place(tx: &Tx, from: Option<&str>, to: &str) -> Result<(), StoreError> {
    let mut all = environments::Entity::update_many().col_expr(environments::Column::Host, Expr::value(to));
    let mut queued = queue::Entity::update_many().col_expr(queue::Column::Host, Expr::value(to));
    if let Some(from) = from {
        all = all.filter(environments::Column::Host.eq(from));
        queued = queued.filter(queue::Column::Host.eq(from));
    }
    all.exec(tx.connection()).await?;
    queued.exec(tx.connection()).await?;
    tx.wakes();
    Ok(())
}
