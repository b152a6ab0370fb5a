//! Sessions of people, by the hash of their secret; the secret itself is never here.

use chrono::{DateTime, Utc};
use domain::session::{SessionEnd, SignInMethod};
use domain::{SessionId, UserId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::entity::sessions::{Column, Entity, Model};
use crate::entity::users;
use crate::row::{insert as insert_row, parse, text};
use crate::session::sealed::Connected;
use crate::users::User;
use crate::{Constraint, Session, StoreError, Tx, time};

/// A session as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub id: SessionId,
    pub user: UserId,
    /// SHA-256 of the cookie's secret, 64 hexadecimal digits.
    pub hash: String,
    pub via: SignInMethod,
    pub created_at: DateTime<Utc>,
    /// When it was used last, to the minute.
    pub seen_at: DateTime<Utc>,
    /// At the latest; being idle ends it before.
    pub ends_at: DateTime<Utc>,
    /// When its person last proved to be who they are.
    pub confirmed_at: DateTime<Utc>,
    /// Where it was begun.
    pub address: String,
    /// What the browser called itself, at most 200 characters.
    pub agent: String,
    /// Since when it is refused, and why.
    pub ended: Option<(DateTime<Utc>, SessionEnd)>,
}

/// Characters of [`Record::agent`].
const LONGEST_AGENT: usize = 200;

impl Record {
    /// Whether it counts at `now`, when one that was not used for `idle` does not.
    pub fn is_open(&self, now: DateTime<Utc>, idle: chrono::TimeDelta) -> bool {
        self.ended.is_none() && now < self.ends_at && now - self.seen_at < idle
    }
}

/// Writes a new one. `Conflict(Id)` when its id or hash is taken.
pub async fn insert(tx: &Tx, record: &Record) -> Result<(), StoreError> {
    match insert_row::<Entity, _>(tx, record.into()).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "session" })),
    }
}

/// The one whose secret has this hash, with its person, whether it still counts or not: ask [`Record::is_open`] and
/// [`User::disabled`].
pub async fn find_by_hash(session: &impl Session, hash: &str) -> Result<Option<(Record, User)>, StoreError> {
    let query = Entity::find().find_also_related(users::Entity).filter(Column::Hash.eq(hash));
    match query.one(session.connection()).await? {
        Some((row, Some(user))) => Ok(Some((row.try_into()?, user.try_into()?))),
        _ => Ok(None),
    }
}

pub async fn find(session: &impl Session, id: &SessionId) -> Result<Option<Record>, StoreError> {
    Entity::find_by_id(id.as_str()).one(session.connection()).await?.map(Record::try_from).transpose()
}

/// Those of a person that have not ended at `now`, newest first; some may have been idle for too long.
pub async fn of_user(session: &impl Session, user: &UserId, now: DateTime<Utc>) -> Result<Vec<Record>, StoreError> {
    let query = Entity::find()
        .filter(Column::UserId.eq(user.as_str()))
        .filter(Column::EndedAt.is_null())
        .filter(Column::EndsAt.gt(time::to_db(now)))
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id);
    query.all(session.connection()).await?.into_iter().map(Record::try_from).collect()
}

/// Notes that it was used. Nothing when it has ended.
pub async fn touch(tx: &Tx, id: &SessionId, at: DateTime<Utc>) -> Result<(), StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::SeenAt, Expr::value(time::to_db(at)))
        .filter(Column::Id.eq(id.as_str()))
        .filter(Column::EndedAt.is_null());
    update.exec(tx.connection()).await?;
    Ok(())
}

/// Notes that its person proved to be who they are, and gives it another secret, by its hash. `NotFound` when it has ended.
pub async fn confirm(tx: &Tx, id: &SessionId, hash: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::Hash, Expr::value(hash))
        .col_expr(Column::ConfirmedAt, Expr::value(time::to_db(at)))
        .filter(Column::Id.eq(id.as_str()))
        .filter(Column::EndedAt.is_null());
    match update.exec(tx.connection()).await?.rows_affected {
        0 => Err(StoreError::not_found("session", id)),
        _ => Ok(()),
    }
}

/// Refuses it from now on; `false` when that was so before, or there is none.
pub async fn end(tx: &Tx, id: &SessionId, at: DateTime<Utc>, why: SessionEnd) -> Result<bool, StoreError> {
    let update = Entity::update_many().filter(Column::Id.eq(id.as_str())).filter(Column::EndedAt.is_null());
    Ok(ended(update, at, why).exec(tx.connection()).await?.rows_affected > 0)
}

/// Refuses all of a person from now on, but `but`; how many were open.
pub async fn end_all(
    tx: &Tx,
    user: &UserId,
    but: Option<&SessionId>,
    at: DateTime<Utc>,
    why: SessionEnd,
) -> Result<u64, StoreError> {
    let mut update = Entity::update_many()
        .filter(Column::UserId.eq(user.as_str()))
        .filter(Column::EndedAt.is_null())
        .filter(Column::EndsAt.gt(time::to_db(at)));
    if let Some(but) = but {
        update = update.filter(Column::Id.ne(but.as_str()));
    }
    Ok(ended(update, at, why).exec(tx.connection()).await?.rows_affected)
}

fn ended(update: sea_orm::UpdateMany<Entity>, at: DateTime<Utc>, why: SessionEnd) -> sea_orm::UpdateMany<Entity> {
    update
        .col_expr(Column::EndedAt, Expr::value(Some(time::to_db(at))))
        .col_expr(Column::EndedWhy, Expr::value(Some(why.as_str())))
}

/// Forgets those whose time was over before `before`; how many.
pub async fn purge(tx: &Tx, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let delete = Entity::delete_many().filter(Column::EndsAt.lt(time::to_db(before)));
    Ok(delete.exec(tx.connection()).await?.rows_affected)
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Record({} of {} {:?})", self.id, self.user, self.ended)
    }
}

impl From<&Record> for Model {
    fn from(record: &Record) -> Self {
        Model {
            id: record.id.to_string(),
            user_id: record.user.to_string(),
            hash: record.hash.clone(),
            via: record.via.as_str().to_owned(),
            created_at: time::to_db(record.created_at),
            seen_at: time::to_db(record.seen_at),
            ends_at: time::to_db(record.ends_at),
            confirmed_at: time::to_db(record.confirmed_at),
            address: text(&record.address),
            agent: text(&record.agent).chars().take(LONGEST_AGENT).collect(),
            ended_at: record.ended.map(|(at, _)| time::to_db(at)),
            ended_why: record.ended.map(|(_, why)| why.as_str().to_owned()),
        }
    }
}

impl TryFrom<Model> for Record {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let unknown = |name: &str| StoreError::corrupt(format!("`{name}` of a session"), "there is none of that name");
        let ended = match (row.ended_at, row.ended_why.as_deref()) {
            (Some(at), Some(why)) => {
                Some((time::from_db(at)?, SessionEnd::from_name(why).ok_or_else(|| unknown(why))?))
            }
            _ => None,
        };
        Ok(Record {
            id: parse(&row.id)?,
            user: parse(&row.user_id)?,
            hash: row.hash,
            via: SignInMethod::from_name(&row.via).ok_or_else(|| unknown(&row.via))?,
            created_at: time::from_db(row.created_at)?,
            seen_at: time::from_db(row.seen_at)?,
            ends_at: time::from_db(row.ends_at)?,
            confirmed_at: time::from_db(row.confirmed_at)?,
            address: row.address,
            agent: row.agent,
            ended,
        })
    }
}
