//! API tokens: made here, shown once, stored as a hash.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use domain::TokenId;
use operations::{Error, ErrorKind};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use store::Store;
use store::tokens::Token;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use crate::caller::Caller;
use crate::error::store_error;

/// A token is this and 64 hexadecimal digits: 256 random bits, so a plain hash of it is enough.
const PREFIX: &str = "plim_";

const USE_NOTED: chrono::TimeDelta = chrono::TimeDelta::hours(1);

/// The token of the very first start, which may do everything. `None` when another server has made one meanwhile.
pub(crate) async fn first(store: &Store) -> Result<Option<SecretString>, Error> {
    let (secret, token) = make("first", Utc::now());
    let tx = store.write().await.map_err(store_error)?;
    if store::tokens::any(&tx).await.map_err(store_error)? {
        return Ok(None);
    }
    store::tokens::insert(&tx, &token).await.map_err(store_error)?;
    tx.commit().await.map_err(store_error)?;
    Ok(Some(secret))
}

/// A fresh token for clients on this machine; the one of the last start is void.
pub(crate) async fn local(store: &Store) -> Result<SecretString, Error> {
    let (secret, token) = make("local", Utc::now());
    let tx = store.write().await.map_err(store_error)?;
    store::tokens::replace_local(&tx, &token).await.map_err(store_error)?;
    tx.commit().await.map_err(store_error)?;
    Ok(secret)
}

/// Who holds this token.
pub(crate) async fn authenticate(store: &Store, presented: &str) -> Result<Caller, Error> {
    let refused = || {
        Error::new(ErrorKind::Unauthorized, "the token is not valid")
            .hint("set PLIMSOLL_TOKEN, or run the command as the user that runs the server")
    };
    if !presented.starts_with(PREFIX) || presented.len() > 128 {
        return Err(refused());
    }
    // Looked up by hash: how long it takes says nothing about the tokens there are.
    let now = Utc::now();
    match store::tokens::find_by_hash(store, &hash(presented)).await.map_err(store_error)? {
        Some(token) if !token.revoked && !has_expired(&token, now) => {
            note_use(store, &token, now);
            Ok(Caller {
                token: token.id,
                name: token.name,
                read_only: token.read_only,
                key: None,
                gone: CancellationToken::new(),
            })
        }
        _ => Err(refused()),
    }
}

pub(crate) fn has_expired(token: &Token, now: DateTime<Utc>) -> bool {
    token.expires_at.is_some_and(|end| end <= now)
}

/// Once in an hour, beside the request: people ask whether a token is in use, not when to the second, and a read
/// must not become a write.
fn note_use(store: &Store, token: &Token, now: DateTime<Utc>) {
    static NOTING: AtomicBool = AtomicBool::new(false);
    if token.local || token.last_used_at.is_some_and(|at| now - at < USE_NOTED) {
        return;
    }
    // A hundred requests at once are noted once; another token's turn comes with its next request.
    if NOTING.swap(true, Ordering::Relaxed) {
        return;
    }
    let (store, id) = (store.clone(), token.id.clone());
    tokio::spawn(async move {
        let noted = async {
            let tx = store.write().await?;
            store::tokens::touch(&tx, &id, now).await?;
            tx.commit().await
        };
        if let Err(e) = noted.await {
            tracing::debug!(token = %id, "its use is not noted: {e}");
        }
        NOTING.store(false, Ordering::Relaxed);
    });
}

/// A new token, and how it is kept.
pub(crate) fn make(name: &str, now: DateTime<Utc>) -> (SecretString, Token) {
    let text = format!("{PREFIX}{}", blake3::Hash::from_bytes(rand::random()).to_hex());
    let token = Token {
        id: TokenId::from_ulid(Ulid::generate()),
        name: name.to_owned(),
        prefix: text.chars().take(PREFIX.len() + 4).collect(),
        hash: hash(&text),
        local: false,
        created_at: now,
        last_used_at: None,
        revoked: false,
        expires_at: None,
        read_only: false,
    };
    let secret = SecretString::from(text);
    debug_assert!(secret.expose_secret().starts_with(PREFIX));
    (secret, token)
}

fn hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
