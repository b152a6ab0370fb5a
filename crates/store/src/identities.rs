//! Who a sign-in provider's subjects are here.

use chrono::{DateTime, Utc};
use domain::UserId;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::entity::identities::{Column, Entity, Model};
use crate::row::{insert as insert_row, parse, text};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// A subject of a provider that is a person here, whatever address either of them has by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider's address, as it says it itself.
    pub issuer: String,
    pub subject: String,
    pub user: UserId,
    /// What the provider last called them.
    pub email: Option<String>,
    pub linked_at: DateTime<Utc>,
    /// When they last came by it.
    pub used_at: DateTime<Utc>,
}

/// Writes a new one. `Conflict(Id)` when the subject is somebody already.
pub async fn insert(tx: &Tx, identity: &Identity) -> Result<(), StoreError> {
    match insert_row::<Entity, _>(tx, identity.into()).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::Id { what: "identity" })),
    }
}

pub async fn find(session: &impl Session, issuer: &str, subject: &str) -> Result<Option<Identity>, StoreError> {
    let key = (issuer.to_owned(), subject.to_owned());
    Entity::find_by_id(key).one(session.connection()).await?.map(Identity::try_from).transpose()
}

/// Those of a person, oldest first.
pub async fn of_user(session: &impl Session, user: &UserId) -> Result<Vec<Identity>, StoreError> {
    let query = Entity::find().filter(Column::UserId.eq(user.as_str())).order_by_asc(Column::LinkedAt);
    query.all(session.connection()).await?.into_iter().map(Identity::try_from).collect()
}

/// Notes that they came by it, and what the provider calls them by now, when it has said that.
pub async fn used(
    tx: &Tx,
    issuer: &str,
    subject: &str,
    email: Option<&str>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut update = Entity::update_many()
        .col_expr(Column::UsedAt, Expr::value(time::to_db(at)))
        .filter(Column::Issuer.eq(issuer))
        .filter(Column::Subject.eq(subject));
    if let Some(email) = email {
        update = update.col_expr(Column::Email, Expr::value(text(email)));
    }
    update.exec(tx.connection()).await?;
    Ok(())
}

impl From<&Identity> for Model {
    fn from(identity: &Identity) -> Self {
        Model {
            issuer: identity.issuer.clone(),
            subject: identity.subject.clone(),
            user_id: identity.user.to_string(),
            email: identity.email.as_deref().map(text),
            linked_at: time::to_db(identity.linked_at),
            used_at: time::to_db(identity.used_at),
        }
    }
}

impl TryFrom<Model> for Identity {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Identity {
            issuer: row.issuer,
            subject: row.subject,
            user: parse(&row.user_id)?,
            email: row.email,
            linked_at: time::from_db(row.linked_at)?,
            used_at: time::from_db(row.used_at)?,
        })
    }
}
