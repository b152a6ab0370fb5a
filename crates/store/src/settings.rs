//! Settings of the server and of apps, as JSON by name.

use domain::AppId;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::entity::settings::{Column, Entity, Model};
use crate::row::{from_json, parse, to_json};
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx};

/// How long what is past is kept.
pub const RETENTION: &str = "retention";
/// When a deployment is taken for stalled.
pub const STALLS: &str = "stalls";
/// The mail server that mails are handed to; its password is sealed.
pub const MAIL: &str = "mail";

/// The scope of the server's own; no id looks like it.
const SERVER: &str = "";

fn scope(app: Option<&AppId>) -> String {
    app.map_or_else(|| SERVER.to_owned(), ToString::to_string)
}

/// What is set for an app, or for the server.
pub async fn find<T: DeserializeOwned>(
    session: &impl Session,
    app: Option<&AppId>,
    name: &str,
) -> Result<Option<T>, StoreError> {
    let row = Entity::find_by_id((scope(app), name.to_owned())).one(session.connection()).await?;
    row.map(|row| from_json("a setting", &row.value)).transpose()
}

/// The apps that have a setting of their own, with it.
pub async fn of_apps<T: DeserializeOwned>(session: &impl Session, name: &str) -> Result<Vec<(AppId, T)>, StoreError> {
    let query = Entity::find().filter(Column::Name.eq(name)).filter(Column::Scope.ne(SERVER));
    let rows = query.all(session.connection()).await?;
    rows.into_iter().map(|row| Ok((parse(&row.scope)?, from_json("a setting", &row.value)?))).collect()
}

/// Sets it; `None` takes it back.
pub async fn set<T: Serialize>(tx: &Tx, app: Option<&AppId>, name: &str, value: Option<&T>) -> Result<(), StoreError> {
    let Some(value) = value else {
        Entity::delete_by_id((scope(app), name.to_owned())).exec(tx.connection()).await?;
        return Ok(());
    };
    let row = Model { scope: scope(app), name: name.to_owned(), value: to_json(value)? };
    let again = OnConflict::columns([Column::Scope, Column::Name]).update_column(Column::Value).to_owned();
    Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Forgets what was set for an app.
pub(crate) async fn forget(tx: &Tx, app: &AppId) -> Result<(), StoreError> {
    Entity::delete_many().filter(Column::Scope.eq(app.as_str())).exec(tx.connection()).await?;
    Ok(())
}
