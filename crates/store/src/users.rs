//! People who may sign in.

use chrono::{DateTime, Utc};
use domain::access::Role;
use domain::email::Email;
use domain::{TokenId, UserId};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;

use crate::entity::tokens;
use crate::entity::users::{Column, Entity, Model};
use crate::row::{from_json, insert as insert_row, long, number, parse, parse_option, text, to_json};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// A person.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    /// One person has it.
    pub email: Email,
    pub name: String,
    /// Hash of the password as a PHC string; `None` for who signs in another way.
    pub password: Option<String>,
    pub password_changed_at: Option<DateTime<Utc>>,
    /// May not sign in; what was signed in has ended.
    pub disabled: bool,
    /// The role at the server and at every app.
    pub everywhere: Option<Role>,
    /// Grows with each change of what the person may do: whoever has read the grants at a version knows them by it.
    pub grants_version: u64,
    /// What it means is for the caller to know.
    pub preferences: Value,
    pub created_at: DateTime<Utc>,
    /// Who invited the person, as people call them.
    pub created_by: String,
    pub last_sign_in_at: Option<DateTime<Utc>>,
}

/// Writes a new person. `Conflict(UserEmail)` when the address is taken.
pub async fn insert(tx: &Tx, user: &User) -> Result<(), StoreError> {
    match insert_row::<Entity, _>(tx, user.try_into()?).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::UserEmail { email: user.email.to_string() })),
    }
}

pub async fn get(session: &impl Session, id: &UserId) -> Result<User, StoreError> {
    find(session, id).await?.ok_or_else(|| StoreError::not_found("person", id))
}

pub async fn find(session: &impl Session, id: &UserId) -> Result<Option<User>, StoreError> {
    Entity::find_by_id(id.as_str()).one(session.connection()).await?.map(User::try_from).transpose()
}

pub async fn find_by_email(session: &impl Session, email: &Email) -> Result<Option<User>, StoreError> {
    let query = Entity::find().filter(Column::Email.eq(email.as_str()));
    query.one(session.connection()).await?.map(User::try_from).transpose()
}

/// By address, those after `after`.
pub async fn list(session: &impl Session, after: Option<&Email>, limit: u64) -> Result<Vec<User>, StoreError> {
    let mut query = Entity::find().order_by_asc(Column::Email).limit(limit);
    if let Some(after) = after {
        query = query.filter(Column::Email.gt(after.as_str()));
    }
    query.all(session.connection()).await?.into_iter().map(User::try_from).collect()
}

/// Whether somebody other than `but` owns the server and can sign in.
pub async fn has_owner(session: &impl Session, but: Option<&UserId>) -> Result<bool, StoreError> {
    let mut query =
        Entity::find().filter(Column::Everywhere.eq(Role::Owner.as_str())).filter(Column::Disabled.eq(false)).limit(1);
    if let Some(but) = but {
        query = query.filter(Column::Id.ne(but.as_str()));
    }
    Ok(query.one(session.connection()).await?.is_some())
}

pub async fn rename(tx: &Tx, id: &UserId, name: &str) -> Result<(), StoreError> {
    set(tx, id, [(Column::Name, Expr::value(text(name)))]).await
}

pub async fn set_preferences(tx: &Tx, id: &UserId, preferences: &Value) -> Result<(), StoreError> {
    set(tx, id, [(Column::Preferences, Expr::value(to_json(preferences)?))]).await
}

/// Gives a password, by its hash as a PHC string.
pub async fn set_password(tx: &Tx, id: &UserId, hash: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
    let columns =
        [(Column::Password, Expr::value(Some(hash))), (Column::PasswordChangedAt, Expr::value(Some(time::to_db(at))))];
    set(tx, id, columns).await
}

/// The same password by another hash, such as one that takes more work. Nothing when the password is not `old` any more.
pub async fn rehash_password(tx: &Tx, id: &UserId, old: &str, hash: &str) -> Result<(), StoreError> {
    let update = Entity::update_many()
        .col_expr(Column::Password, Expr::value(Some(hash)))
        .filter(Column::Id.eq(id.as_str()))
        .filter(Column::Password.eq(old));
    update.exec(tx.connection()).await?;
    Ok(())
}

/// Changes the role everywhere.
pub async fn set_everywhere(tx: &Tx, id: &UserId, role: Option<Role>) -> Result<(), StoreError> {
    set(tx, id, [(Column::Everywhere, Expr::value(role.map(Role::as_str))), grants_changed()]).await
}

pub async fn set_disabled(tx: &Tx, id: &UserId, disabled: bool) -> Result<(), StoreError> {
    set(tx, id, [(Column::Disabled, Expr::value(disabled)), grants_changed()]).await
}

/// Notes that the person has signed in.
pub async fn signed_in(tx: &Tx, id: &UserId, at: DateTime<Utc>) -> Result<(), StoreError> {
    set(tx, id, [(Column::LastSignInAt, Expr::value(Some(time::to_db(at))))]).await
}

/// Forgets a person with sessions and memberships, and refuses their tokens from now on; which those are.
pub async fn delete(tx: &Tx, id: &UserId) -> Result<Vec<TokenId>, StoreError> {
    // A token keeps its row, as does any that was revoked: its id is in records that outlive it. No reference does this for us,
    // see the migration.
    let of_user = tokens::Column::UserId.eq(id.as_str());
    let query = tokens::Entity::find().filter(of_user.clone()).filter(tokens::Column::Revoked.eq(false));
    let rows = query.order_by_asc(tokens::Column::Id).all(tx.connection()).await?;
    let revoke = tokens::Entity::update_many().col_expr(tokens::Column::Revoked, Expr::value(true)).filter(of_user);
    revoke.exec(tx.connection()).await?;
    match Entity::delete_by_id(id.as_str()).exec(tx.connection()).await?.rows_affected {
        0 => Err(StoreError::not_found("person", id)),
        _ => rows.iter().map(|row| parse(&row.id)).collect(),
    }
}

/// Notes that the person may do something else than before.
pub(crate) async fn bump(tx: &Tx, id: &UserId) -> Result<(), StoreError> {
    set(tx, id, [grants_changed()]).await
}

fn grants_changed() -> (Column, Expr) {
    (Column::GrantsVersion, Expr::col(Column::GrantsVersion).add(1))
}

async fn set<const N: usize>(tx: &Tx, id: &UserId, columns: [(Column, Expr); N]) -> Result<(), StoreError> {
    let mut update = Entity::update_many().filter(Column::Id.eq(id.as_str()));
    for (column, value) in columns {
        update = update.col_expr(column, value);
    }
    match update.exec(tx.connection()).await?.rows_affected {
        0 => Err(StoreError::not_found("person", id)),
        _ => Ok(()),
    }
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "User({} `{}` v{})", self.id, self.email, self.grants_version)
    }
}

impl TryFrom<&User> for Model {
    type Error = StoreError;

    fn try_from(user: &User) -> Result<Self, StoreError> {
        Ok(Model {
            id: user.id.to_string(),
            email: user.email.to_string(),
            name: text(&user.name),
            password: user.password.clone(),
            password_changed_at: user.password_changed_at.map(time::to_db),
            disabled: user.disabled,
            everywhere: user.everywhere.map(|role| role.to_string()),
            grants_version: long(user.grants_version),
            preferences: to_json(&user.preferences)?,
            created_at: time::to_db(user.created_at),
            created_by: text(&user.created_by),
            last_sign_in_at: user.last_sign_in_at.map(time::to_db),
        })
    }
}

impl TryFrom<Model> for User {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(User {
            id: parse(&row.id)?,
            email: parse(&row.email)?,
            name: row.name,
            password: row.password,
            password_changed_at: row.password_changed_at.map(time::from_db).transpose()?,
            disabled: row.disabled,
            everywhere: parse_option(row.everywhere.as_deref())?,
            grants_version: number("the version of somebody's grants", row.grants_version)?,
            preferences: from_json("somebody's preferences", &row.preferences)?,
            created_at: time::from_db(row.created_at)?,
            created_by: row.created_by,
            last_sign_in_at: row.last_sign_in_at.map(time::from_db).transpose()?,
        })
    }
}
