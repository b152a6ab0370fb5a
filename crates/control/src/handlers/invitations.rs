//! Invitations: made, listed, taken back. What becomes of them when they are accepted is in [`crate::sign_in`].

use std::collections::BTreeMap;
use std::time::Duration;

use domain::access::{At, Grants, Permission, Role};
use domain::{AppId, InvitationId, Name};
use identity::secret::Kind;
use operations::invitations::{
    Invitation, Invite, InviteRequest, Invited, List, ListRequest, Withdraw, WithdrawRequest,
};
use operations::{Error, ErrorKind};
use secrecy::ExposeSecret;
use store::invitations::{Invitation as Row, Inviter};
use store::users::User;
use ulid::Ulid;

use super::{app_named, app_names};
use crate::Control;
use crate::access::{Admitted, missing};
use crate::audit::commit;
use crate::caller::{Caller, Handle, Principal, Via};
use crate::error::store_error;

/// An invitation is a way in: it does not lie about for longer.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

impl Handle<Invite> for Control {
    async fn handle(&self, who: &Admitted, request: InviteRequest) -> Result<Invited, Error> {
        let InviteRequest { email, role, app, expires_in } = request;
        if expires_in.get() > LONGEST {
            return Err(Error::unprocessable(format!("`expires_in` is 30 days at most, not {expires_in}"))
                .hint("invite again when it has expired"));
        }
        let (secret, hash) = Kind::Invitation.make();
        let tx = self.write().await?;
        let app = match app {
            Some(name) => Some(app_named(&tx, &name).await?),
            None => None,
        };
        may_give(who, app.as_ref().map(|app| &app.id), role)?;
        if let Some(email) = &email
            && let Some(user) = store::users::find_by_email(&tx, email).await.map_err(store_error)?
        {
            let vouched = store::invitations::vouches(&tx, &user.id, email).await.map_err(store_error)?;
            return Err(is_here_already(&user, vouched, app.as_ref().map(|app| &app.name), role));
        }
        let now = store::time::micros(store::clock::now());
        let row = Row {
            id: InvitationId::from_ulid(Ulid::generate()),
            hash,
            email,
            everywhere: app.is_none().then_some(role),
            app: app.as_ref().map(|app| (app.id.clone(), role)),
            created_by: who.name.clone(),
            inviter: inviter(who),
            vouches: who.may(Permission::People, At::Server),
            created_at: now,
            expires_at: now + expires_in.get(),
            accepted: None,
        };
        store::invitations::insert(&tx, &row).await.map_err(store_error)?;
        let names = app.into_iter().map(|app| (app.id, app.name)).collect();
        let invitation = shown(row, &names).ok_or_else(Error::internal)?;
        who.noted().target(&invitation.id);
        // What is remembered is in the database, so it must not hold the secret itself.
        let public_url = self.inner.options.public_url.clone();
        let mut invited = Invited { invitation, secret: None, public_url };
        let recorded = self.conclude::<Invite>(&tx, who, &invited).await?;
        commit(tx, recorded).await?;
        invited.secret = Some(secret.expose_secret().to_owned());
        Ok(invited)
    }
}

impl Handle<List> for Control {
    async fn handle(&self, who: &Admitted, request: ListRequest) -> Result<Vec<Invitation>, Error> {
        let app = match &request.app {
            Some(name) => Some(app_named(self.store(), name).await?.id),
            None => None,
        };
        let mut rows =
            store::invitations::open(self.store(), app.as_ref(), store::clock::now()).await.map_err(store_error)?;
        if !who.may(Permission::People, At::Server) {
            rows.retain(|row| row.app.as_ref().is_some_and(|(app, _)| who.may(Permission::Govern, At::App(app))));
        }
        let apps = rows.iter().filter_map(|row| row.app.as_ref().map(|(app, _)| app.clone()));
        let names = app_names(self.store(), apps).await?;
        Ok(rows.into_iter().filter_map(|row| shown(row, &names)).collect())
    }
}

impl Handle<Withdraw> for Control {
    async fn handle(&self, who: &Admitted, request: WithdrawRequest) -> Result<Invitation, Error> {
        let gone = || missing::invitation(&request.invitation);
        let tx = self.write().await?;
        let row = store::invitations::find(&tx, &request.invitation).await.map_err(store_error)?.ok_or_else(gone)?;
        let names = app_names(&tx, row.app.iter().map(|(app, _)| app.clone())).await?;
        let invitation = shown(row.clone(), &names).ok_or_else(gone)?;
        may_give(who, row.app.as_ref().map(|(app, _)| app), invitation.role)?;
        if !store::invitations::withdraw(&tx, &row.id).await.map_err(store_error)? {
            return Err(gone());
        }
        let recorded = self.conclude::<Withdraw>(&tx, who, &invitation).await?;
        commit(tx, recorded).await?;
        Ok(invitation)
    }
}

/// Everywhere, who decides about people; at an app, who has the role there themselves.
fn may_give(who: &Admitted, app: Option<&AppId>, role: Role) -> Result<(), Error> {
    let Some(app) = app else { return who.must(Permission::People, At::Server, "an invitation to every app") };
    who.must(Permission::Govern, At::App(app), "an invitation")?;
    let wanted = Grants { everywhere: None, apps: BTreeMap::from([(app.clone(), role)]) };
    if who.grants.covers(&wanted) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Forbidden,
        format!("nobody gives more than they have: this needs the role {role} at the app"),
    )
    .hint("ask an owner of the app"))
}

/// Somebody has the address. Whoever took one that is not theirs must not be given more by who means its owner.
fn is_here_already(user: &User, vouched: bool, app: Option<&Name>, role: Role) -> Error {
    let email = &user.email;
    let give = match app {
        Some(app) => format!("`plimsoll members set {email} --app {app} --role {role}`"),
        None => format!("`plimsoll users set {email} --role {role}`"),
    };
    let hint = match vouched {
        true => format!("give them the role: {give}"),
        false => format!(
            "no owner of the server has vouched for whose address that is: make sure that it is theirs, then give them the role: {give}; \
             else an owner removes them (`plimsoll users remove {email}`) and invites the address"
        ),
    };
    let since = user.created_at.format("%Y-%m-%d");
    Error::conflict(format!("{email} can sign in already, since {since}")).hint(hint)
}

/// On whose right it rests. Whoever runs commands on the server's machine can't lose theirs, and that token is made anew at each start.
fn inviter(who: &Caller) -> Inviter {
    match &who.principal {
        _ if who.via == Via::Local => Inviter::Nobody,
        Principal::Person(id) => Inviter::Person(id.clone()),
        Principal::Machine(id) => Inviter::Machine(id.clone()),
        // Neither is let through to invite.
        Principal::Schedule(_) | Principal::System => Inviter::System,
    }
}

/// `None` when its app has gone meanwhile.
fn shown(row: Row, names: &BTreeMap<AppId, Name>) -> Option<Invitation> {
    let (app, role) = match &row.app {
        Some((app, role)) => (Some(names.get(app)?.clone()), *role),
        None => (None, row.everywhere?),
    };
    Some(Invitation {
        id: row.id,
        email: row.email,
        app,
        role,
        created_by: row.created_by,
        created_at: row.created_at,
        expires_at: row.expires_at,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_give_more_to_who_may_have_taken_the_address() {
        let user = User {
            id: domain::UserId::from_ulid(Ulid::from_parts(1, 1)),
            email: "ceo@example.org".parse().unwrap(),
            name: "Eve".to_owned(),
            password: None,
            password_changed_at: None,
            disabled: false,
            everywhere: None,
            grants_version: 1,
            preferences: serde_json::Value::Null,
            created_at: chrono::DateTime::UNIX_EPOCH,
            created_by: "adam".to_owned(),
            last_sign_in_at: None,
        };
        let shop: Name = "shop".parse().unwrap();
        let said = |vouched, app| {
            let error = is_here_already(&user, vouched, app, Role::Admin);
            assert_eq!(error.detail, "ceo@example.org can sign in already, since 1970-01-01");
            error.hint.unwrap()
        };
        assert_eq!(
            said(true, Some(&shop)),
            "give them the role: `plimsoll members set ceo@example.org --app shop --role admin`"
        );
        assert_eq!(said(true, None), "give them the role: `plimsoll users set ceo@example.org --role admin`");
        let careful = said(false, None);
        assert!(careful.starts_with("no owner of the server has vouched"), "{careful}");
        assert!(careful.contains("users set") && careful.contains("users remove"), "{careful}");
    }
}
