//! Leases with fencing tokens: the newest holder wins, and whoever held before is refused at its next write.
//!
//! There is no expiry: whoever takes over has made sure by other means that it may. The fence is what keeps the one
//! before from doing harm.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};

use crate::entity::leases::{Column, Entity, Model};
use crate::row::{number, text};
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx};

/// The lease that each start of a server takes: how many starts there were.
pub const SERVER: &str = "server";

/// The lease of the server that leads: see [`crate::Leadership`].
pub const LEADER: &str = "leader";

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub name: String,
    pub holder: String,
    /// From 1, one more with each [`acquire`].
    pub fence: u64,
}

/// Takes the lease from whoever has it, and returns the new fence.
pub async fn acquire(tx: &Tx, name: &str, holder: &str) -> Result<u64, StoreError> {
    let row = Model { name: name.to_owned(), holder: text(holder), fence: 1 };
    let next = OnConflict::column(Column::Name)
        .update_column(Column::Holder)
        .value(Column::Fence, Expr::col((Entity, Column::Fence)).add(1))
        .to_owned();
    Entity::insert(row.into_active_model()).on_conflict(next).exec_without_returning(tx.connection()).await?;
    match find(tx, name).await? {
        Some(lease) => Ok(lease.fence),
        None => Err(StoreError::not_found("lease", name)),
    }
}

/// `Fenced` when the lease has been acquired again since `fence` was given out, or `fence` never was.
pub async fn check(tx: &Tx, name: &str, fence: u64) -> Result<(), StoreError> {
    match find(tx, name).await? {
        Some(lease) if lease.fence == fence => Ok(()),
        lease => Err(StoreError::Fenced { what: format!("lease `{name}`"), by: lease.map_or(0, |lease| lease.fence) }),
    }
}

pub async fn find(session: &impl Session, name: &str) -> Result<Option<Lease>, StoreError> {
    let row = Entity::find().filter(Column::Name.eq(name)).one(session.connection()).await?;
    row.map(|row| Ok(Lease { name: row.name, holder: row.holder, fence: number("a fence", row.fence)? })).transpose()
}
