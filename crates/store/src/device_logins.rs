//! Programs that wait for a person to let them in, by the hash of their secret; the secret itself is never here.

use chrono::{DateTime, Utc};
use domain::device::UserCode;
use domain::{SessionId, UserId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::entity::device_logins::{Column, Entity, Model};
use crate::row::{insert as insert_row, parse, text};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// One that waits, or has its answer and has not fetched it.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceLogin {
    /// SHA-256 of the secret that the program polls with, 64 hexadecimal digits.
    pub hash: String,
    /// What its person reads there and types here.
    pub user_code: UserCode,
    /// What the program calls itself.
    pub name: String,
    /// Where it asked from.
    pub address: String,
    pub answer: Option<Answer>,
    pub created_at: DateTime<Utc>,
    /// Over from then on.
    pub expires_at: DateTime<Utc>,
}

/// What a person said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Approved(Approval),
    Refused,
}

/// A program may act for a person, who said so in a session of theirs: who that was is known by it alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub by: UserId,
    pub session: SessionId,
    pub at: DateTime<Utc>,
}

const WAITING: &str = "waiting";
const APPROVED: &str = "approved";
const REFUSED: &str = "refused";

impl DeviceLogin {
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.expires_at <= now
    }
}

/// Writes a new one. `Conflict(Id)` when its hash or code is taken.
pub async fn insert(tx: &Tx, login: &DeviceLogin) -> Result<(), StoreError> {
    match insert_row::<Entity, _>(tx, login.into()).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "login of a program" })),
    }
}

/// The one whose secret has this hash, whether it is over or not.
pub async fn find(session: &impl Session, hash: &str) -> Result<Option<DeviceLogin>, StoreError> {
    Entity::find_by_id(hash).one(session.connection()).await?.map(DeviceLogin::try_from).transpose()
}

pub async fn find_by_code(session: &impl Session, code: &UserCode) -> Result<Option<DeviceLogin>, StoreError> {
    let query = Entity::find().filter(Column::UserCode.eq(code.as_str()));
    query.one(session.connection()).await?.map(DeviceLogin::try_from).transpose()
}

/// From where those asked that are not over at `now`.
pub async fn open(session: &impl Session, now: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
    let query = Entity::find().select_only().column(Column::Address).filter(Column::ExpiresAt.gt(time::to_db(now)));
    Ok(query.into_tuple().all(session.connection()).await?)
}

/// Notes the answer to one that waits at `now`; `false` when it has one, or is over.
pub async fn answer(tx: &Tx, code: &UserCode, answer: &Answer, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let Columns { state, user, session, at } = columns(Some(answer));
    let update = Entity::update_many()
        .col_expr(Column::State, Expr::value(state))
        .col_expr(Column::UserId, Expr::value(user))
        .col_expr(Column::SessionId, Expr::value(session))
        .col_expr(Column::AnsweredAt, Expr::value(at))
        .filter(Column::UserCode.eq(code.as_str()))
        .filter(Column::State.eq(WAITING))
        .filter(Column::ExpiresAt.gt(time::to_db(now)));
    Ok(update.exec(tx.connection()).await?.rows_affected > 0)
}

/// Forgets one: its answer was fetched. `false` when it was not there.
pub async fn remove(tx: &Tx, hash: &str) -> Result<bool, StoreError> {
    Ok(Entity::delete_by_id(hash).exec(tx.connection()).await?.rows_affected > 0)
}

/// Forgets those that were over before `before`; how many.
pub async fn purge(tx: &Tx, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let delete = Entity::delete_many().filter(Column::ExpiresAt.lt(time::to_db(before)));
    Ok(delete.exec(tx.connection()).await?.rows_affected)
}

/// How an answer is kept.
struct Columns {
    state: &'static str,
    user: Option<String>,
    session: Option<String>,
    at: Option<i64>,
}

fn columns(answer: Option<&Answer>) -> Columns {
    let nobody = |state| Columns { state, user: None, session: None, at: None };
    match answer {
        None => nobody(WAITING),
        Some(Answer::Approved(Approval { by, session, at })) => Columns {
            state: APPROVED,
            user: Some(by.to_string()),
            session: Some(session.to_string()),
            at: Some(time::to_db(*at)),
        },
        Some(Answer::Refused) => nobody(REFUSED),
    }
}

impl std::fmt::Debug for DeviceLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceLogin({} `{}` {:?})", self.user_code, self.name, self.answer)
    }
}

impl From<&DeviceLogin> for Model {
    fn from(login: &DeviceLogin) -> Self {
        let Columns { state, user, session, at } = columns(login.answer.as_ref());
        Model {
            hash: login.hash.clone(),
            user_code: login.user_code.to_string(),
            name: text(&login.name),
            address: text(&login.address),
            state: state.to_owned(),
            user_id: user,
            session_id: session,
            answered_at: at,
            created_at: time::to_db(login.created_at),
            expires_at: time::to_db(login.expires_at),
        }
    }
}

impl TryFrom<Model> for DeviceLogin {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let approval = row.user_id.as_deref().zip(row.session_id.as_deref()).zip(row.answered_at);
        let answer = match (row.state.as_str(), approval) {
            (WAITING, None) => None,
            (APPROVED, Some(((by, session), at))) => {
                Some(Answer::Approved(Approval { by: parse(by)?, session: parse(session)?, at: time::from_db(at)? }))
            }
            (REFUSED, None) => Some(Answer::Refused),
            (state, _) => return Err(StoreError::corrupt("the login of a program", format!("its state is `{state}`"))),
        };
        Ok(DeviceLogin {
            hash: row.hash,
            user_code: parse(&row.user_code)?,
            name: row.name,
            address: row.address,
            answer,
            created_at: time::from_db(row.created_at)?,
            expires_at: time::from_db(row.expires_at)?,
        })
    }
}
