//! People: who they are, what they are everywhere, and that somebody always owns the server.

use domain::access::Role;
use domain::email::Email;
use domain::event::EventKind;
use domain::session::{IDLE, SessionEnd};
use operations::users::{
    AppRole, Get, GetRequest, List, ListRequest, Remove, RemoveRequest, Set, SetRequest, User, UserDetail, UserRef,
};
use operations::{Error, Page};
use serde_json::json;
use store::users::User as Row;
use store::{Session, Tx};

use super::tokens::is_taken;
use super::{app_names, page_cursor, page_limit};
use crate::Control;
use crate::access::Admitted;
use crate::audit::commit;
use crate::caller::Handle;
use crate::error::store_error;

impl Handle<List> for Control {
    async fn handle(&self, _: &Admitted, request: ListRequest) -> Result<Page<User>, Error> {
        let limit = page_limit(request.limit)?;
        let after = page_cursor::<Email>(request.cursor.as_deref())?;
        let rows = store::users::list(self.store(), after.as_ref(), u64::from(limit) + 1).await.map_err(store_error)?;
        Ok(Page::of(rows.into_iter().map(shown).collect(), limit, |user: &User| user.email.to_string()))
    }
}

impl Handle<Get> for Control {
    async fn handle(&self, _: &Admitted, request: GetRequest) -> Result<UserDetail, Error> {
        let store = self.store();
        let row = person(store, &request.user).await?;
        let now = store::clock::now();
        let grants = store::memberships::grants(store, &row.id, row.everywhere).await.map_err(store_error)?;
        let sessions = store::sessions::of_user(store, &row.id, now).await.map_err(store_error)?;
        let tokens = store::tokens::of_user(store, &row.id).await.map_err(store_error)?;
        let apps = app_names(store, grants.apps.keys().cloned()).await?;
        let apps =
            apps.into_iter().filter_map(|(id, app)| grants.apps.get(&id).map(|role| AppRole { app, role: *role }));
        let mut apps: Vec<AppRole> = apps.collect();
        apps.sort_by(|a, b| a.app.cmp(&b.app));
        Ok(UserDetail {
            user: shown(row),
            apps,
            sessions: count(sessions.iter().filter(|session| session.is_open(now, IDLE))),
            tokens: count(tokens.iter().filter(|token| is_taken(token, now))),
        })
    }
}

impl Handle<Set> for Control {
    async fn handle(&self, who: &Admitted, request: SetRequest) -> Result<User, Error> {
        let SetRequest { user, everywhere, disabled } = request;
        if everywhere.is_none() && disabled.is_none() {
            return Err(Error::unprocessable("nothing says what is to be changed of the person")
                .hint("give `everywhere`, `disabled` or both"));
        }
        let tx = self.write().await?;
        let row = person(&tx, &user).await?;
        not_oneself(who, &row)?;
        let after = Row {
            everywhere: everywhere.map_or(row.everywhere, |role| role.role()),
            disabled: disabled.unwrap_or(row.disabled),
            ..row.clone()
        };
        if owns(&row) && !owns(&after) {
            keep_an_owner(&tx, &row).await?;
        }
        if after.everywhere != row.everywhere {
            store::users::set_everywhere(&tx, &row.id, after.everywhere).await.map_err(store_error)?;
        }
        if owns(&after) {
            // The one for the first owner has no use any more.
            store::invitations::withdraw_first(&tx).await.map_err(store_error)?;
        }
        if after.disabled != row.disabled {
            store::users::set_disabled(&tx, &row.id, after.disabled).await.map_err(store_error)?;
        }
        if after.disabled {
            let now = store::time::micros(store::clock::now());
            store::sessions::end_all(&tx, &row.id, None, now, SessionEnd::Disabled).await.map_err(store_error)?;
        }
        let told = |row: &Row| json!({ "everywhere": row.everywhere, "disabled": row.disabled });
        who.noted().changed(&told(&row), &told(&after));
        let response = shown(after);
        let recorded = self.conclude::<Set>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

impl Handle<Remove> for Control {
    async fn handle(&self, who: &Admitted, request: RemoveRequest) -> Result<User, Error> {
        let tx = self.write().await?;
        let row = person(&tx, &request.user).await?;
        not_oneself(who, &row)?;
        if owns(&row) {
            keep_an_owner(&tx, &row).await?;
        }
        let now = store::time::micros(store::clock::now());
        let tokens = store::tokens::of_user(&tx, &row.id).await.map_err(store_error)?;
        let refused = store::users::delete(&tx, &row.id).await.map_err(store_error)?;
        for token in tokens.into_iter().filter(|token| refused.contains(&token.id)) {
            let event = EventKind::TokenRevoked { token: token.id, name: token.name };
            store::events::insert(&tx, None, None, None, &event, now).await.map_err(store_error)?;
        }
        let response = shown(row);
        let recorded = self.conclude::<Remove>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

/// The person that a request names.
pub(super) async fn person(session: &impl Session, named: &UserRef) -> Result<Row, Error> {
    let found = match named {
        UserRef::Id(id) => store::users::find(session, id).await,
        UserRef::Email(email) => store::users::find_by_email(session, email).await,
    };
    found.map_err(store_error)?.ok_or_else(|| {
        Error::not_found(format!("there is nobody `{named}`"))
            .hint("list people with `plimsoll users list`, or invite somebody with `plimsoll users invite`")
    })
}

fn owns(row: &Row) -> bool {
    row.everywhere == Some(Role::Owner) && !row.disabled
}

/// Who shuts themselves out by a slip could not take it back.
fn not_oneself(who: &Admitted, row: &Row) -> Result<(), Error> {
    if who.principal.person() != Some(&row.id) {
        return Ok(());
    }
    Err(Error::conflict("that is you, and nobody changes their own role or removes themselves")
        .hint("ask another owner to do it"))
}

/// `Conflict` when nobody but this person owns the server.
async fn keep_an_owner(tx: &Tx, row: &Row) -> Result<(), Error> {
    if store::users::has_owner(tx, Some(&row.id)).await.map_err(store_error)? {
        return Ok(());
    }
    Err(Error::conflict(format!("{} is the last owner of the server, who stays", row.email)).hint(format!(
        "make somebody else an owner first: `plimsoll users set EMAIL --role owner`, or `plimsoll users invite EMAIL --role {}`",
        Role::Owner
    )))
}

fn count<T>(all: impl Iterator<Item = T>) -> u32 {
    u32::try_from(all.count()).unwrap_or(u32::MAX)
}

fn shown(row: Row) -> User {
    User {
        id: row.id,
        email: row.email,
        name: row.name,
        everywhere: row.everywhere,
        disabled: row.disabled,
        password: row.password.is_some(),
        created_at: row.created_at,
        created_by: row.created_by,
        last_sign_in_at: row.last_sign_in_at,
    }
}
