//! API tokens.

use chrono::{DateTime, Utc};
use domain::event::EventKind;
use operations::Error;
use operations::tokens::{
    Access, Create, CreateRequest, Created, List, ListRequest, Revoke, RevokeRequest, Token, TokenState,
};
use secrecy::ExposeSecret;
use store::StoreError;

use super::commit;
use crate::caller::{Caller, Handle};
use crate::error::store_error;
use crate::{Control, tokens};

impl Handle<List> for Control {
    async fn handle(&self, _: &Caller, _: ListRequest) -> Result<Vec<Token>, Error> {
        let now = Utc::now();
        let rows = store::tokens::list(self.store()).await.map_err(store_error)?;
        Ok(rows.into_iter().map(|row| shown(row, now)).collect())
    }
}

impl Handle<Create> for Control {
    async fn handle(&self, caller: &Caller, request: CreateRequest) -> Result<Created, Error> {
        let now = store::time::micros(Utc::now());
        // A lifetime is ten years at most.
        let expires_at = request.expires_in.map(|lifetime| now + lifetime.get());
        let (secret, token) = tokens::make(request.name.as_str(), now);
        let token = store::tokens::Token { read_only: request.read_only, expires_at, ..token };

        let tx = self.write().await?;
        let known = store::tokens::list(&tx).await.map_err(store_error)?;
        if known.iter().any(|t| t.name == token.name && state(t, now) == TokenState::Valid) {
            return Err(Error::conflict(format!("there is a token `{}` already", token.name))
                .hint("choose another name, or revoke that one first: `plimsoll tokens list` shows its id"));
        }
        store::tokens::insert(&tx, &token).await.map_err(store_error)?;
        let event = EventKind::TokenCreated { token: token.id.clone(), name: token.name.clone() };
        store::events::insert(&tx, None, None, None, &event, now).await.map_err(store_error)?;
        let token = shown(token, now);
        // What is remembered is in the database, so it must not hold the token itself.
        self.remember::<Create>(&tx, caller, &Created { token: token.clone(), secret: None }).await?;
        commit(tx).await?;
        Ok(Created { token, secret: Some(secret.expose_secret().to_owned()) })
    }
}

impl Handle<Revoke> for Control {
    async fn handle(&self, caller: &Caller, request: RevokeRequest) -> Result<Token, Error> {
        let now = store::time::micros(Utc::now());
        let tx = self.write().await?;
        let row = match store::tokens::get(&tx, &request.token).await {
            Err(StoreError::NotFound { .. }) => {
                return Err(Error::not_found(format!("there is no token `{}`", request.token))
                    .hint("list them with `plimsoll tokens list`"));
            }
            other => other.map_err(store_error)?,
        };
        if row.local {
            return Err(Error::conflict("the token of commands on the server's own machine can't be revoked")
                .hint("it is made anew at each start: restart the server, and the one before is void"));
        }
        if !row.revoked {
            store::tokens::revoke(&tx, &row.id).await.map_err(store_error)?;
            let event = EventKind::TokenRevoked { token: row.id.clone(), name: row.name.clone() };
            store::events::insert(&tx, None, None, None, &event, now).await.map_err(store_error)?;
        }
        let response = shown(store::tokens::Token { revoked: true, ..row }, now);
        self.remember::<Revoke>(&tx, caller, &response).await?;
        commit(tx).await?;
        Ok(response)
    }
}

fn state(token: &store::tokens::Token, now: DateTime<Utc>) -> TokenState {
    match (token.revoked, tokens::has_expired(token, now)) {
        (true, _) => TokenState::Revoked,
        (false, true) => TokenState::Expired,
        (false, false) => TokenState::Valid,
    }
}

fn shown(token: store::tokens::Token, now: DateTime<Utc>) -> Token {
    Token {
        state: state(&token, now),
        id: token.id,
        name: token.name,
        prefix: token.prefix,
        access: if token.read_only { Access::ReadOnly } else { Access::Full },
        created_at: token.created_at,
        expires_at: token.expires_at,
        last_used_at: token.last_used_at,
        local: token.local,
    }
}
