//! The servers that run at the moment, and their heartbeats.
//!
//! A row is there from a server's start to its clean stop, or until a peer of the same host has made sure that its
//! process is gone. What it drove is without an owner from then on, for any server of the host to take.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ServerId;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::entity::servers::{Column, Entity, Model};
use crate::row::{insert as insert_row, long, number, parse, text};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, Store, StoreError, Tx, time};

/// One run of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub id: ServerId,
    pub host: String,
    pub pid: i32,
    /// Clock ticks after its machine's boot: with the pid it names one process.
    pub process_start: u64,
    /// [`Store::session`] of its connections.
    pub session: String,
    /// Of its API.
    pub url: String,
    pub version: String,
    pub started_at: DateTime<Utc>,
    /// Grows as long as it works.
    pub heartbeat: u64,
    /// Whole seconds.
    pub lease: Duration,
    /// It takes no more work.
    pub leaving: bool,
}

/// Writes a new server. `Conflict(Id)` when its id is taken.
pub async fn insert(tx: &Tx, server: &Server) -> Result<(), StoreError> {
    let row = Model {
        id: server.id.to_string(),
        host: text(&server.host),
        pid: server.pid.into(),
        process_start: long(server.process_start),
        session: server.session.clone(),
        url: text(&server.url),
        version: text(&server.version),
        started_at: time::to_db(server.started_at),
        heartbeat: long(server.heartbeat),
        lease_seconds: long(server.lease.as_secs()),
        leaving: server.leaving,
    };
    tx.wakes();
    match insert_row::<Entity, _>(tx, row).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "server" })),
    }
}

/// Adds one to the heartbeat. It waits for no writer: a heartbeat that waits for others would make them all look dead
/// when one of them stands still. `false` when the row is gone.
pub async fn beat(store: &Store, id: &ServerId) -> Result<bool, StoreError> {
    let beat = Entity::update_many()
        .col_expr(Column::Heartbeat, Expr::col(Column::Heartbeat).add(1))
        .filter(Column::Id.eq(id.as_str()));
    Ok(beat.exec(store.beside()).await?.rows_affected > 0)
}

/// All there are, by the connection that heartbeats use.
pub async fn observe(store: &Store) -> Result<Vec<Server>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::Id).all(store.beside()).await?;
    rows.into_iter().map(Server::try_from).collect()
}

/// All there are, oldest first.
pub async fn list(session: &impl Session) -> Result<Vec<Server>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::Id).all(session.connection()).await?;
    rows.into_iter().map(Server::try_from).collect()
}

/// Says that it takes no more work.
pub async fn leave(tx: &Tx, id: &ServerId) -> Result<(), StoreError> {
    let leaving = Entity::update_many().col_expr(Column::Leaving, Expr::value(true));
    leaving.filter(Column::Id.eq(id.as_str())).exec(tx.connection()).await?;
    tx.wakes();
    Ok(())
}

/// Forgets a server whose process is gone. `false` when somebody else did. What it drove has no owner then.
pub async fn remove(tx: &Tx, id: &ServerId) -> Result<bool, StoreError> {
    crate::sagas::release_owner(tx, id).await?;
    tx.wakes();
    Ok(Entity::delete_by_id(id.as_str()).exec(tx.connection()).await?.rows_affected > 0)
}

impl TryFrom<Model> for Server {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Server {
            id: parse(&row.id)?,
            host: row.host,
            pid: number("a process", row.pid)?,
            process_start: number("the start of a process", row.process_start)?,
            session: row.session,
            url: row.url,
            version: row.version,
            started_at: time::from_db(row.started_at)?,
            heartbeat: number("a heartbeat", row.heartbeat)?,
            lease: Duration::from_secs(number("a lease", row.lease_seconds)?),
            leaving: row.leaving,
        })
    }
}
