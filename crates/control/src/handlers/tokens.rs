//! API tokens.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::access::{At, Grants, Permission, Role};
use domain::event::EventKind;
use domain::{AppId, Name};
use operations::tokens::{
    Access, Create, CreateRequest, Created, Grant, Holder, List, ListRequest, Revoke, RevokeRequest, Token, TokenState,
};
use operations::{Error, ErrorKind};
use secrecy::ExposeSecret;
use store::tokens::Token as Row;
use store::{Session, StoreError};

use super::{app_named, app_names, commit};
use crate::access::{Admitted, missing};
use crate::caller::{Caller, Credential, Handle};
use crate::error::store_error;
use crate::{Control, tokens};

/// In one token; each is a row to be found.
const MOST_GRANTS: usize = 100;

impl Handle<List> for Control {
    async fn handle(&self, who: &Admitted, _: ListRequest) -> Result<Vec<Token>, Error> {
        let now = store::clock::now();
        let mut rows = store::tokens::list(self.store()).await.map_err(store_error)?;
        if !who.may(Permission::People, At::Server) {
            let theirs = self.persons_grants(who).await?;
            rows.retain(|row| may_know(who, theirs.as_deref(), row));
        }
        let apps = rows.iter().flat_map(|row| row.grants.apps.keys().cloned());
        let names = app_names(self.store(), apps).await?;
        Ok(rows.into_iter().map(|row| shown(row, &names, now)).collect())
    }
}

impl Handle<Create> for Control {
    async fn handle(&self, who: &Admitted, request: CreateRequest) -> Result<Created, Error> {
        let now = store::time::micros(store::clock::now());
        // A lifetime is ten years at most.
        let expires_at = request.expires_in.map(|lifetime| now + lifetime.get());
        let (secret, token) = tokens::make(request.name.as_str(), now);

        let tx = self.write().await?;
        outlives_none(&tx, who, expires_at).await?;
        let (grants, names) = asked(&tx, who, &request).await?;
        let user = match request.holder {
            // Let through to one's own is a person alone.
            Holder::Me => Some(who.principal.person().cloned().ok_or_else(Error::internal)?),
            Holder::Machine => None,
        };
        let maker = who.behind().cloned();
        let token = Row { grants, user, created_by: who.name.clone(), maker, expires_at, ..token };
        let known = store::tokens::list(&tx).await.map_err(store_error)?;
        if known.iter().any(|t| t.name == token.name && t.user == token.user && is_taken(t, now)) {
            return Err(Error::conflict(format!("there is a token `{}` already", token.name))
                .hint("choose another name, or revoke that one first: `plimsoll tokens list` shows its id"));
        }
        store::tokens::insert(&tx, &token).await.map_err(store_error)?;
        let event = EventKind::TokenCreated { token: token.id.clone(), name: token.name.clone() };
        store::events::insert(&tx, None, None, None, &event, now).await.map_err(store_error)?;
        let token = shown(token, &names, now);
        who.noted().target(&token.id);
        // What is remembered is in the database, so it must not hold the token itself.
        let recorded = self.conclude::<Create>(&tx, who, &Created { token: token.clone(), secret: None }).await?;
        commit(tx, recorded).await?;
        Ok(Created { token, secret: Some(secret.expose_secret().to_owned()) })
    }
}

impl Handle<Revoke> for Control {
    async fn handle(&self, who: &Admitted, request: RevokeRequest) -> Result<Token, Error> {
        let now = store::time::micros(store::clock::now());
        let theirs = self.persons_grants(who).await?;
        let tx = self.write().await?;
        let row = match store::tokens::get(&tx, &request.token).await {
            Err(StoreError::NotFound { .. }) => return Err(missing::token(&request.token)),
            other => other.map_err(store_error)?,
        };
        // A token that was given less than its person has takes nothing from the stronger ones.
        if !who.may(Permission::People, At::Server) && !may_know(who, theirs.as_deref(), &row) {
            return Err(missing::token(&row.id));
        }
        if row.local {
            return Err(Error::conflict("the token of commands on the server's own machine can't be revoked")
                .hint("it is made anew at each start: restart the server, and the one before is void"));
        }
        // An admin leaves to owners what is an owner's; one's own is always one's own.
        if row.user.is_none() && !who.grants.covers(&row.grants) {
            return Err(Error::new(ErrorKind::Forbidden, "the token may do more than you")
                .hint("ask somebody who may do as much"));
        }
        if !row.revoked {
            store::tokens::revoke(&tx, &row.id).await.map_err(store_error)?;
            let event = EventKind::TokenRevoked { token: row.id.clone(), name: row.name.clone() };
            store::events::insert(&tx, None, None, None, &event, now).await.map_err(store_error)?;
        }
        let names = app_names(&tx, row.grants.apps.keys().cloned()).await?;
        let response = shown(Row { revoked: true, ..row }, &names, now);
        let recorded = self.conclude::<Revoke>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

/// One's own, the one that one came with, and those of machines at apps that one governs. `theirs` is what the person may do by
/// now.
fn may_know(who: &Admitted, theirs: Option<&Grants>, row: &Row) -> bool {
    let presented = who.credential.token() == Some(&row.id);
    let governed = row.user.is_none()
        && row.grants.everywhere.is_none()
        && !row.grants.apps.is_empty()
        && row.grants.apps.keys().all(|app| who.may(Permission::Govern, At::App(app)));
    presented || is_own(who, theirs, row) || governed
}

/// A token that was given less than its person has is not told where else that person has a role; but none of theirs is worth more
/// than they are.
fn is_own(who: &Caller, theirs: Option<&Grants>, row: &Row) -> bool {
    let of_person = row.user.is_some() && row.user.as_ref() == who.principal.person();
    let covered = || theirs.is_some_and(|theirs| who.grants.covers(&row.grants.within(theirs)));
    of_person && (matches!(who.credential, Credential::Session { .. }) || covered())
}

/// What a new token is to have, and the names of its apps.
///
/// # Errors
/// `Forbidden` when who makes it does not have it. `NotFound` for an app that they must not know of.
async fn asked(
    session: &impl Session,
    who: &Admitted,
    request: &CreateRequest,
) -> Result<(Grants, BTreeMap<AppId, Name>), Error> {
    if request.grants.len() > MOST_GRANTS {
        return Err(Error::unprocessable(format!("a token has {MOST_GRANTS} roles at most"))
            .hint("give it one role everywhere, or make several tokens"));
    }
    let (mut grants, mut names) = (Grants::default(), BTreeMap::new());
    for Grant { app, role } in &request.grants {
        let Some(name) = app else {
            grants.everywhere = grants.everywhere.max(Some(*role));
            continue;
        };
        let app = app_named(session, name).await?;
        if who.grants.at(&app.id).is_none() {
            return Err(missing::app(name));
        }
        let had = grants.apps.get(&app.id).copied();
        grants.apps.insert(app.id.clone(), had.map_or(*role, |had| had.max(*role)));
        names.insert(app.id, app.name);
    }
    if request.grants.is_empty() {
        grants = Grants::clone(&who.grants);
        names = app_names(session, grants.apps.keys().cloned()).await?;
        // What is left of apps that have gone is nobody's.
        grants.apps.retain(|app, _| names.contains_key(app));
    }
    if request.read_only {
        grants = grants.within(&Grants::everywhere(Role::Viewer));
    }
    may_give(who, request.holder, &grants)?;
    Ok((grants, names))
}

/// Nobody gives what is not theirs; and a machine gets roles only of who sees to people at each place.
fn may_give(who: &Admitted, holder: Holder, grants: &Grants) -> Result<(), Error> {
    if !who.grants.covers(grants) {
        return Err(Error::new(
            ErrorKind::Forbidden,
            "a token has no more than who makes it, and you have less than that",
        )
        .hint("ask for lower roles, or leave them out: then it has yours"));
    }
    if holder == Holder::Me {
        return Ok(());
    }
    if grants.everywhere.is_some() || grants.apps.is_empty() {
        return who.must(Permission::People, At::Server, "a machine's token for every app");
    }
    for app in grants.apps.keys() {
        who.must(Permission::Govern, At::App(app), "a machine's token for the app")?;
    }
    Ok(())
}

/// A token makes none that is good for longer than itself: whoever has it for an hour would have it for ever.
async fn outlives_none(session: &impl Session, who: &Admitted, expires_at: Option<DateTime<Utc>>) -> Result<(), Error> {
    let Some(id) = who.credential.token() else { return Ok(()) };
    let own = store::tokens::get(session, id).await.map_err(store_error)?;
    let end = match &who.credential {
        // An hour at most, whatever the API token is good for.
        Credential::Signed { until, .. } => Some(own.expires_at.map_or(*until, |end| end.min(*until))),
        Credential::Token(_) | Credential::Session { .. } | Credential::Inside => own.expires_at,
    };
    match end {
        Some(end) if expires_at.is_none_or(|wanted| wanted > end) => Err(Error::new(
            ErrorKind::Forbidden,
            format!("it would be good for longer than the token `{}` that makes it, which ends at {end}", own.name),
        )
        .hint("ask for a shorter time with `expires_in`, or make it with a token that does not end before")),
        _ => Ok(()),
    }
}

/// Whether it is taken, as far as itself goes.
pub(super) fn is_taken(token: &Row, now: DateTime<Utc>) -> bool {
    state(token, now) == TokenState::Valid
}

fn state(token: &Row, now: DateTime<Utc>) -> TokenState {
    match (token.revoked, tokens::has_expired(token, now)) {
        (true, _) => TokenState::Revoked,
        (false, true) => TokenState::Expired,
        (false, false) => TokenState::Valid,
    }
}

/// `names` has those of its apps that are there.
fn shown(token: Row, names: &BTreeMap<AppId, Name>, now: DateTime<Utc>) -> Token {
    let everywhere = token.grants.everywhere.map(|role| Grant { app: None, role });
    let at_apps = token
        .grants
        .apps
        .iter()
        .filter_map(|(id, role)| names.get(id).map(|name| Grant { app: Some(name.clone()), role: *role }));
    Token {
        state: state(&token, now),
        access: if token.read_only() { Access::ReadOnly } else { Access::Full },
        grants: everywhere.into_iter().chain(at_apps).collect(),
        user: token.user,
        created_by: token.created_by,
        id: token.id,
        name: token.name,
        prefix: token.prefix,
        created_at: token.created_at,
        expires_at: token.expires_at,
        last_used_at: token.last_used_at,
        local: token.local,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use domain::{TokenId, UserId};
    use ulid::Ulid;

    use super::*;
    use crate::caller::Principal;

    #[test]
    fn what_a_token_may_know_is_worth_no_more_than_itself() {
        let app = AppId::from_ulid(Ulid::generate());
        let zoe = UserId::from_ulid(Ulid::generate());
        let at_app = |role| Grants { everywhere: None, apps: [(app.clone(), role)].into() };
        let of_zoe = |grants| Row { user: Some(zoe.clone()), grants, ..tokens::make("laptop", Utc::now()).1 };
        let with = |grants: Grants| {
            let credential = Credential::Token(TokenId::from_ulid(Ulid::generate()));
            Caller::new(Principal::Person(zoe.clone()), credential, grants, "Zoe")
        };
        let (deployer, admin) = (at_app(Role::Deployer), at_app(Role::Admin));
        let (weak, strong) = (with(deployer.clone()), with(admin.clone()));
        assert!(!is_own(&weak, Some(&admin), &of_zoe(admin.clone())));
        assert!(is_own(&strong, Some(&admin), &of_zoe(admin.clone())));
        // It was an owner's; she is a deployer by now.
        assert!(is_own(&weak, Some(&deployer), &of_zoe(Grants::everywhere(Role::Owner))));
        assert!(!is_own(&weak, None, &of_zoe(deployer)), "not without knowing what it is worth");
    }
}
