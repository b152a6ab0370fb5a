//! Members: what people are at one app.

use domain::access::{At, Permission, Role};
use domain::{AppId, Name};
use operations::members::{List, ListRequest, Member, Remove, RemoveRequest, Set, SetRequest};
use operations::{Error, ErrorKind};
use store::Tx;
use store::memberships::{self, Membership};
use store::users::User;

use super::app_named;
use super::users::person;
use crate::Control;
use crate::access::Admitted;
use crate::audit::commit;
use crate::caller::Handle;
use crate::error::store_error;

impl Handle<List> for Control {
    async fn handle(&self, _: &Admitted, request: ListRequest) -> Result<Vec<Member>, Error> {
        let app = app_named(self.store(), &request.app).await?;
        let rows = memberships::of_app(self.store(), &app.id).await.map_err(store_error)?;
        Ok(rows.into_iter().map(|(membership, user)| shown(membership, user, app.name.clone())).collect())
    }
}

impl Handle<Set> for Control {
    async fn handle(&self, who: &Admitted, request: SetRequest) -> Result<Member, Error> {
        let SetRequest { app, user, role } = request;
        let tx = self.write().await?;
        let app = app_named(&tx, &app).await?;
        let user = person(&tx, &user).await.map_err(|error| match error.code {
            ErrorKind::NotFound => {
                error.hint(format!("invite them: `plimsoll users invite EMAIL --app {} --role {role}`", app.name))
            }
            _ => error,
        })?;
        let before = memberships::find(&tx, &user.id, &app.id).await.map_err(store_error)?;
        let before = before.map(|membership| membership.role);
        may_touch(who, &app.id, before.max(Some(role)))?;
        if before == Some(Role::Owner) && role != Role::Owner {
            keep_an_owner(&tx, &app.id, &app.name, &user).await?;
        }
        let membership = Membership {
            user: user.id.clone(),
            app: app.id,
            role,
            granted_by: who.name.clone(),
            granted_at: store::time::micros(store::clock::now()),
        };
        memberships::set(&tx, &membership).await.map_err(store_error)?;
        who.noted().target(&user.id);
        who.noted().changed(&before, &Some(role));
        let response = shown(membership, user, app.name);
        let recorded = self.conclude::<Set>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

impl Handle<Remove> for Control {
    async fn handle(&self, who: &Admitted, request: RemoveRequest) -> Result<Member, Error> {
        let tx = self.write().await?;
        let app = app_named(&tx, &request.app).await?;
        let user = person(&tx, &request.user).await?;
        let found = memberships::find(&tx, &user.id, &app.id).await.map_err(store_error)?;
        let Some(membership) = found else {
            return Err(Error::not_found(format!("{} has no role at the app `{}` alone", user.email, app.name))
                .hint("what somebody is everywhere is changed with `plimsoll users set`"));
        };
        may_touch(who, &app.id, Some(membership.role))?;
        if membership.role == Role::Owner {
            keep_an_owner(&tx, &app.id, &app.name, &user).await?;
        }
        memberships::remove(&tx, &user.id, &app.id).await.map_err(store_error)?;
        who.noted().target(&user.id);
        who.noted().changed(&Some(membership.role), &None::<Role>);
        let response = shown(membership, user, app.name);
        let recorded = self.conclude::<Remove>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

/// Nobody gives, or takes, more than they have: an admin leaves owners alone.
fn may_touch(who: &Admitted, app: &AppId, role: Option<Role>) -> Result<(), Error> {
    if who.grants.at(app) >= role {
        return Ok(());
    }
    // Only an owner has more than whoever governs.
    who.must(Permission::Delete, At::App(app), "giving or taking the role owner")
}

/// `Conflict` when nobody would own the app, nor the server.
async fn keep_an_owner(tx: &Tx, app: &AppId, name: &Name, user: &User) -> Result<(), Error> {
    let others = memberships::has_owner(tx, app, &user.id).await.map_err(store_error)?
        || store::users::has_owner(tx, None).await.map_err(store_error)?;
    if others {
        return Ok(());
    }
    Err(Error::conflict(format!("{} is the last owner of `{name}`, who stays", user.email))
        .hint("make somebody else an owner of it first"))
}

/// The app's creator owns it.
pub(super) async fn own(tx: &Tx, who: &Admitted, app: &AppId) -> Result<(), Error> {
    let Some(user) = who.principal.person().filter(|_| who.grants.everywhere < Some(Role::Owner)) else {
        return Ok(());
    };
    let membership = Membership {
        user: user.clone(),
        app: app.clone(),
        role: Role::Owner,
        granted_by: who.name.clone(),
        granted_at: store::time::micros(store::clock::now()),
    };
    memberships::set(tx, &membership).await.map_err(store_error)
}

fn shown(membership: Membership, user: User, app: Name) -> Member {
    Member {
        user: user.id,
        email: user.email,
        name: user.name,
        app,
        role: membership.role,
        disabled: user.disabled,
        granted_by: membership.granted_by,
        granted_at: membership.granted_at,
    }
}
