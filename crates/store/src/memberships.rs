//! Roles of people at single apps.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::access::{Grants, Role};
use domain::{AppId, UserId};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use crate::entity::memberships::{Column, Entity, Model};
use crate::row::{parse, text};
use crate::session::sealed::Connected;
use crate::users::User;
use crate::{Session, StoreError, Tx, time, users};

/// A person's role at an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub user: UserId,
    pub app: AppId,
    pub role: Role,
    /// As people call them.
    pub granted_by: String,
    pub granted_at: DateTime<Utc>,
}

/// Gives a role, in the place of the one that the person had there. `Conflict(Reference)` when there is no such person or app.
pub async fn set(tx: &Tx, membership: &Membership) -> Result<(), StoreError> {
    let row = Model {
        user_id: membership.user.to_string(),
        app_id: membership.app.to_string(),
        role: membership.role.to_string(),
        granted_by: text(&membership.granted_by),
        granted_at: time::to_db(membership.granted_at),
    };
    let again = OnConflict::columns([Column::UserId, Column::AppId])
        .update_columns([Column::Role, Column::GrantedBy, Column::GrantedAt])
        .to_owned();
    Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(tx.connection()).await?;
    users::bump(tx, &membership.user).await
}

/// Takes the role; `false` when there was none.
pub async fn remove(tx: &Tx, user: &UserId, app: &AppId) -> Result<bool, StoreError> {
    let key = (user.to_string(), app.to_string());
    if Entity::delete_by_id(key).exec(tx.connection()).await?.rows_affected == 0 {
        return Ok(false);
    }
    users::bump(tx, user).await?;
    Ok(true)
}

pub async fn find(session: &impl Session, user: &UserId, app: &AppId) -> Result<Option<Membership>, StoreError> {
    let key = (user.to_string(), app.to_string());
    Entity::find_by_id(key).one(session.connection()).await?.map(Membership::try_from).transpose()
}

/// The members of an app, by their address.
pub async fn of_app(session: &impl Session, app: &AppId) -> Result<Vec<(Membership, User)>, StoreError> {
    let query = Entity::find()
        .find_also_related(crate::entity::users::Entity)
        .filter(Column::AppId.eq(app.as_str()))
        .order_by_asc(crate::entity::users::Column::Email);
    let rows = query.all(session.connection()).await?;
    let members = rows.into_iter().filter_map(|(row, user)| user.map(|user| (row, user)));
    members.map(|(row, user)| Ok((row.try_into()?, user.try_into()?))).collect()
}

/// What a person may do: the role everywhere, and those at apps.
pub async fn grants(session: &impl Session, user: &UserId, everywhere: Option<Role>) -> Result<Grants, StoreError> {
    let rows = Entity::find().filter(Column::UserId.eq(user.as_str())).all(session.connection()).await?;
    let apps = rows.iter().map(|row| Ok((parse(&row.app_id)?, parse(&row.role)?)));
    Ok(Grants { everywhere, apps: apps.collect::<Result<BTreeMap<_, _>, StoreError>>()? })
}

/// Whether somebody other than `but` owns the app and can sign in.
pub async fn has_owner(session: &impl Session, app: &AppId, but: &UserId) -> Result<bool, StoreError> {
    let query = Entity::find()
        .find_also_related(crate::entity::users::Entity)
        .filter(Column::AppId.eq(app.as_str()))
        .filter(Column::Role.eq(Role::Owner.as_str()))
        .filter(Column::UserId.ne(but.as_str()))
        .filter(crate::entity::users::Column::Disabled.eq(false));
    Ok(query.one(session.connection()).await?.is_some())
}

impl TryFrom<Model> for Membership {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Membership {
            user: parse(&row.user_id)?,
            app: parse(&row.app_id)?,
            role: parse(&row.role)?,
            granted_by: row.granted_by,
            granted_at: time::from_db(row.granted_at)?,
        })
    }
}
