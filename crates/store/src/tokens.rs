//! API tokens, by their hash; the token itself is never here.

use chrono::{DateTime, Utc};
use domain::access::Grants;
use domain::{TokenId, UserId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::entity::tokens::{Column, Entity, Model};
use crate::entity::users;
use crate::row::{from_json, insert as insert_row, parse, parse_option, text, to_json};
use crate::session::sealed::Connected;
use crate::users::User;
use crate::{Constraint, Session, StoreError, Tx, time};

/// An API token as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub id: TokenId,
    pub name: String,
    /// The first characters of the token, for people to tell tokens apart.
    pub prefix: String,
    /// 64 hexadecimal digits.
    pub hash: String,
    /// Made by the server for those who use it on the same machine.
    pub local: bool,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked: bool,
    /// Refused from then on.
    pub expires_at: Option<DateTime<Utc>>,
    /// The person whose token it is: it is worth no more than the person may do. `None` for one of a machine.
    pub user: Option<UserId>,
    pub grants: Grants,
    /// As people call them; the host of a local one; empty for one from before there were people.
    pub created_by: String,
    /// The person who made it, or who made the token that made it: what it does is their doing where that counts. `None` for
    /// one of the server's own.
    pub maker: Option<UserId>,
}

impl Token {
    /// May look, and change nothing.
    pub fn read_only(&self) -> bool {
        self.grants.is_read_only()
    }
}

/// Writes a new token. `Conflict(TokenHash)` when its hash or id is known.
pub async fn insert(tx: &Tx, token: &Token) -> Result<(), StoreError> {
    match insert_row::<Entity, _>(tx, token.try_into()?).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::TokenHash)),
    }
}

/// Puts `token` in the place of the local one that its host has made, or that was there before each host had its own, which is
/// refused from then on. Returns it as it is kept: with the id of the one before, so that a client that repeats a request after a
/// restart of the server is recognised.
pub async fn replace_local(tx: &Tx, token: &Token) -> Result<Token, StoreError> {
    let made_here = Column::CreatedBy.is_in([token.created_by.as_str(), ""]);
    let query = Entity::find().filter(Column::Local.eq(true)).filter(made_here).order_by_asc(Column::Id);
    let local = query.one(tx.connection()).await?;
    let Some(local) = local else {
        let token = Token { local: true, ..token.clone() };
        insert(tx, &token).await?;
        return Ok(token);
    };
    let token = Token { id: parse(&local.id)?, local: true, ..token.clone() };
    let Model {
        id,
        name,
        prefix,
        hash,
        local: _,
        created_at,
        last_used_at,
        revoked,
        expires_at,
        read_only,
        user_id,
        grants,
        created_by,
        maker,
    } = (&token).try_into()?;
    Entity::update_many()
        .col_expr(Column::Name, Expr::value(name))
        .col_expr(Column::Prefix, Expr::value(prefix))
        .col_expr(Column::Hash, Expr::value(hash))
        .col_expr(Column::CreatedAt, Expr::value(created_at))
        .col_expr(Column::LastUsedAt, Expr::value(last_used_at))
        .col_expr(Column::Revoked, Expr::value(revoked))
        .col_expr(Column::ExpiresAt, Expr::value(expires_at))
        .col_expr(Column::ReadOnly, Expr::value(read_only))
        .col_expr(Column::UserId, Expr::value(user_id))
        .col_expr(Column::Grants, Expr::value(grants))
        .col_expr(Column::CreatedBy, Expr::value(created_by))
        .col_expr(Column::Maker, Expr::value(maker))
        .filter(Column::Id.eq(id))
        .exec(tx.connection())
        .await?;
    Ok(token)
}

/// The token with this hash, also when it is revoked: look at [`Token::revoked`].
pub async fn find_by_hash(session: &impl Session, hash: &str) -> Result<Option<Token>, StoreError> {
    let row = Entity::find().filter(Column::Hash.eq(hash)).one(session.connection()).await?;
    row.map(Token::try_from).transpose()
}

/// The same with the person whose it is, if it is somebody's.
pub async fn find_with_user(session: &impl Session, hash: &str) -> Result<Option<(Token, Option<User>)>, StoreError> {
    let query = Entity::find().find_also_related(users::Entity).filter(Column::Hash.eq(hash));
    let Some((token, user)) = query.one(session.connection()).await? else { return Ok(None) };
    Ok(Some((token.try_into()?, user.map(User::try_from).transpose()?)))
}

pub async fn get(session: &impl Session, id: &TokenId) -> Result<Token, StoreError> {
    let row = Entity::find_by_id(id.as_str()).one(session.connection()).await?;
    row.ok_or_else(|| StoreError::not_found("token", id))?.try_into()
}

/// Has a token that is not local ever been made? Revoked ones count: only a first start makes one by itself.
pub async fn any(session: &impl Session) -> Result<bool, StoreError> {
    Ok(Entity::find().filter(Column::Local.eq(false)).one(session.connection()).await?.is_some())
}

/// All, oldest first.
pub async fn list(session: &impl Session) -> Result<Vec<Token>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::Id).all(session.connection()).await?;
    rows.into_iter().map(Token::try_from).collect()
}

/// Those of a person, oldest first.
pub async fn of_user(session: &impl Session, user: &UserId) -> Result<Vec<Token>, StoreError> {
    let query = Entity::find().filter(Column::UserId.eq(user.as_str())).order_by_asc(Column::Id);
    query.all(session.connection()).await?.into_iter().map(Token::try_from).collect()
}

/// Notes that the token was used.
pub async fn touch(tx: &Tx, id: &TokenId, at: DateTime<Utc>) -> Result<(), StoreError> {
    set(tx, id, Column::LastUsedAt, Expr::value(Some(time::to_db(at)))).await
}

/// Refuses the token from now on.
pub async fn revoke(tx: &Tx, id: &TokenId) -> Result<(), StoreError> {
    set(tx, id, Column::Revoked, Expr::value(true)).await
}

async fn set(tx: &Tx, id: &TokenId, column: Column, value: Expr) -> Result<(), StoreError> {
    let update = Entity::update_many().col_expr(column, value).filter(Column::Id.eq(id.as_str()));
    match update.exec(tx.connection()).await?.rows_affected {
        0 => Err(StoreError::not_found("token", id)),
        _ => Ok(()),
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({} `{}` {}…)", self.id, self.name, self.prefix)
    }
}

impl TryFrom<&Token> for Model {
    type Error = StoreError;

    fn try_from(token: &Token) -> Result<Self, StoreError> {
        Ok(Model {
            id: token.id.to_string(),
            name: token.name.clone(),
            prefix: token.prefix.clone(),
            hash: token.hash.clone(),
            local: token.local,
            created_at: time::to_db(token.created_at),
            last_used_at: token.last_used_at.map(time::to_db),
            revoked: token.revoked,
            expires_at: token.expires_at.map(time::to_db),
            read_only: token.read_only(),
            user_id: token.user.as_ref().map(ToString::to_string),
            grants: to_json(&token.grants)?,
            created_by: text(&token.created_by),
            maker: token.maker.as_ref().map(ToString::to_string),
        })
    }
}

impl TryFrom<Model> for Token {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let grants: Grants = from_json("the grants of a token", &row.grants)?;
        Ok(Token {
            id: parse(&row.id)?,
            name: row.name,
            prefix: row.prefix,
            hash: row.hash,
            local: row.local,
            created_at: time::from_db(row.created_at)?,
            last_used_at: row.last_used_at.map(time::from_db).transpose()?,
            revoked: row.revoked,
            expires_at: row.expires_at.map(time::from_db).transpose()?,
            user: parse_option(row.user_id.as_deref())?,
            grants,
            created_by: row.created_by,
            maker: parse_option(row.maker.as_deref())?,
        })
    }
}
