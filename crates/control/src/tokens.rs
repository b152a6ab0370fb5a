//! API tokens: made here, shown once, stored as a hash.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use domain::TokenId;
use domain::access::{Grants, Role};
use domain::audit::MacKey;
use identity::digest;
use operations::{Error, ErrorKind};
use secrecy::{ExposeSecret, SecretString};
use store::tokens::Token;
use store::users::User;
use store::{Store, StoreError};
use ulid::Ulid;

use crate::Control;
use crate::audit::record_first;
use crate::caller::{Caller, Credential, Principal, Via};
use crate::error::store_error;
use crate::turns::Turns;

const USE_NOTED: chrono::TimeDelta = chrono::TimeDelta::hours(1);

/// The token of the very first start, which may do everything. `None` when another server has made one meanwhile.
pub(crate) async fn first(store: &Store, audit: &[MacKey]) -> Result<Option<SecretString>, Error> {
    let (secret, token) = make("first", store::clock::now());
    let tx = store.write().await.map_err(store_error)?;
    if store::tokens::any(&tx).await.map_err(store_error)? {
        return Ok(None);
    }
    store::tokens::insert(&tx, &token).await.map_err(store_error)?;
    record_first(&tx, audit, "tokens.create", token.id.as_str()).await?;
    tx.commit().await.map_err(store_error)?;
    Ok(Some(secret))
}

/// A fresh token for clients on this machine; the one of the last start of a server there is void.
pub(crate) async fn local(store: &Store, host: &str) -> Result<SecretString, Error> {
    let (secret, token) = make("local", store::clock::now());
    let token = Token { created_by: host.to_owned(), ..token };
    let tx = store.write().await.map_err(store_error)?;
    store::tokens::replace_local(&tx, &token).await.map_err(store_error)?;
    tx.commit().await.map_err(store_error)?;
    Ok(secret)
}

/// Who holds this token. A person's is worth the lesser of its own roles and theirs, at each place.
pub(crate) async fn authenticate(control: &Control, presented: &str) -> Result<Caller, Error> {
    if identity::jwt::is_plausible(presented) {
        return by_signed(control, presented).await;
    }
    if !identity::token::is_plausible(presented) {
        return Err(refused());
    }
    // Looked up by hash: how long it takes says nothing about the tokens there are.
    let now = store::clock::now();
    let found = store::tokens::find_with_user(control.store(), &digest::of(presented)).await.map_err(store_error)?;
    let Some((token, user)) = found.filter(|(token, user)| is_good(token, user.as_ref(), now)) else {
        return Err(refused());
    };
    note_use(control.store(), &token, now);
    let grants = worth(control, &token, user.as_ref()).await?;
    Ok(holder(token, user, grants))
}

/// The same for what was signed in the place of an API token: that token's row is read all the same, so that what is withdrawn
/// ends at once.
async fn by_signed(control: &Control, presented: &str) -> Result<Caller, Error> {
    let now = store::clock::now();
    let signed = &control.inner.sign_ins.signed;
    let claims = signed.verify(presented, now).map_err(|_| refused())?;
    let until = DateTime::from_timestamp(claims.exp, 0).ok_or_else(refused)?;
    let token = match store::tokens::get(control.store(), &claims.sub).await {
        Err(StoreError::NotFound { .. }) => return Err(refused()),
        other => other.map_err(store_error)?,
    };
    let user = match &token.user {
        Some(user) => store::users::find(control.store(), user).await.map_err(store_error)?,
        None => None,
    };
    // None is ever made of the local one, which is another one at each start.
    if token.local || !is_good(&token, user.as_ref(), now) {
        return Err(refused());
    }
    note_use(control.store(), &token, now);
    let grants = worth(control, &token, user.as_ref()).await?;
    let credential = Credential::Signed { token: token.id.clone(), until };
    Ok(Caller { credential, ..holder(token, user, grants) })
}

pub(crate) fn refused() -> Error {
    Error::new(ErrorKind::Unauthorized, "the token is not valid")
        .hint("set PLIMSOLL_TOKEN, or run the command as the user that runs the server")
}

/// # Errors
/// `Unauthorized` when what was signed has ended.
pub(crate) fn not_over(until: DateTime<Utc>) -> Result<(), Error> {
    match until > store::clock::now() {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Unauthorized, "the signed token is over")
            .hint("make another one of your API token: POST /api/v1/auth/jwt")),
    }
}

/// Whether a token is taken, with the person whose it is.
fn is_good(token: &Token, user: Option<&User>, now: DateTime<Utc>) -> bool {
    let theirs = match (&token.user, user) {
        (None, _) => true,
        (Some(_), Some(user)) => !user.disabled,
        // They have gone.
        (Some(_), None) => false,
    };
    theirs && !token.revoked && !has_expired(token, now)
}

/// What a token allows.
async fn worth(control: &Control, token: &Token, user: Option<&User>) -> Result<Grants, Error> {
    match user {
        Some(user) => Ok(token.grants.within(&*control.grants_of(user).await?)),
        None => Ok(token.grants.clone()),
    }
}

/// What a token allows by now, for those who came with it some time ago.
///
/// # Errors
/// `Unauthorized` when it was withdrawn or has expired, or the person whose it is may not come in any more.
pub(crate) async fn grants_by_now(control: &Control, id: &TokenId) -> Result<Grants, Error> {
    let (token, user) = by_now(control, id).await?;
    worth(control, &token, user.as_ref()).await
}

/// For whom a token acts, and what it allows by now.
///
/// # Errors
/// As [`grants_by_now`].
pub(crate) async fn acts_for(control: &Control, id: &TokenId) -> Result<Caller, Error> {
    let (token, user) = by_now(control, id).await?;
    let grants = worth(control, &token, user.as_ref()).await?;
    Ok(holder(token, user, grants))
}

async fn by_now(control: &Control, id: &TokenId) -> Result<(Token, Option<User>), Error> {
    let over =
        || Error::new(ErrorKind::Unauthorized, "the token is not valid any more").hint("come back with another one");
    let token = match store::tokens::get(control.store(), id).await {
        Err(StoreError::NotFound { .. }) => return Err(over()),
        other => other.map_err(store_error)?,
    };
    let user = match &token.user {
        Some(user) => store::users::find(control.store(), user).await.map_err(store_error)?,
        None => None,
    };
    match is_good(&token, user.as_ref(), store::clock::now()) {
        true => Ok((token, user)),
        false => Err(over()),
    }
}

fn holder(token: Token, user: Option<User>, grants: Grants) -> Caller {
    let via = if token.local { Via::Local } else { Via::Api };
    let (principal, name) = match user {
        Some(user) => (Principal::Person(user.id), user.name),
        None => (Principal::Machine(token.id.clone()), token.name),
    };
    let maker = token.maker;
    Caller { via, maker, ..Caller::new(principal, Credential::Token(token.id), grants, name) }
}

pub(crate) fn has_expired(token: &Token, now: DateTime<Utc>) -> bool {
    token.expires_at.is_some_and(|end| end <= now)
}

/// Once in an hour, beside the request: people ask whether a token is in use, not when to the second, and a read
/// must not become a write.
fn note_use(store: &Store, token: &Token, now: DateTime<Utc>) {
    static NOTING: LazyLock<Turns<()>> = LazyLock::new(Turns::default);
    if token.local || token.last_used_at.is_some_and(|at| now - at < USE_NOTED) {
        return;
    }
    // A hundred requests at once are noted once; another token's turn comes with its next request.
    let Some(turn) = NOTING.take(&()) else { return };
    let (store, id) = (store.clone(), token.id.clone());
    tokio::spawn(async move {
        let _turn = turn;
        let noted = async {
            let tx = store.write().await?;
            store::tokens::touch(&tx, &id, now).await?;
            tx.commit().await
        };
        if let Err(e) = noted.await {
            tracing::debug!(token = %id, "its use is not noted: {e}");
        }
    });
}

/// A new token, and how it is kept.
pub(crate) fn make(name: &str, now: DateTime<Utc>) -> (SecretString, Token) {
    let secret = identity::token::make();
    let text = secret.expose_secret();
    let token = Token {
        id: TokenId::from_ulid(Ulid::generate()),
        name: name.to_owned(),
        prefix: identity::token::shown(text),
        hash: digest::of(text),
        local: false,
        created_at: now,
        last_used_at: None,
        revoked: false,
        expires_at: None,
        user: None,
        grants: Grants::everywhere(Role::Owner),
        created_by: String::new(),
        maker: None,
    };
    (secret, token)
}
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use domain::UserId;
    use serde_json::json;
    use store::DatabaseUrl;

    use super::*;

    fn person(disabled: bool) -> User {
        let now = Utc::now();
        User {
            id: UserId::from_ulid(Ulid::generate()),
            email: "zoe@example.org".parse().unwrap(),
            name: "Zoe".to_owned(),
            password: None,
            password_changed_at: None,
            disabled,
            everywhere: Some(Role::Viewer),
            grants_version: 1,
            preferences: json!({}),
            created_at: now,
            created_by: "ann".to_owned(),
            last_sign_in_at: None,
        }
    }

    #[test]
    fn a_persons_token_ends_with_them() {
        let now = Utc::now();
        let (zoe, away) = (person(false), person(true));
        let (_, machine) = make("ci", now);
        let of = |user: &User| Token { user: Some(user.id.clone()), ..machine.clone() };
        assert!(is_good(&machine, None, now) && is_good(&of(&zoe), Some(&zoe), now));
        assert!(!is_good(&of(&away), Some(&away), now), "she was disabled");
        assert!(!is_good(&of(&zoe), None, now), "she was removed");
        let revoked = Token { revoked: true, ..machine.clone() };
        let expired = Token { expires_at: Some(now), ..of(&zoe) };
        assert!(!is_good(&revoked, None, now) && !is_good(&expired, Some(&zoe), now));
    }

    #[test]
    fn a_note_that_was_cut_short_does_not_keep_others_from_being_written() {
        let dir = tempfile::tempdir().unwrap();
        let database = DatabaseUrl::sqlite(dir.path().join("db"));
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (_, token) = make("ci", Utc::now());
        runtime().block_on(async {
            let store = Store::open(&database).await.unwrap();
            let tx = store.write().await.unwrap();
            store::tokens::insert(&tx, &token).await.unwrap();
            tx.commit().await.unwrap();
            // The runtime ends before it gets its turn to run.
            note_use(&store, &token, Utc::now());
        });
        runtime().block_on(async {
            let store = Store::open(&database).await.unwrap();
            assert_eq!(store::tokens::get(&store, &token.id).await.unwrap().last_used_at, None);
            note_use(&store, &token, Utc::now());
            let noted = async {
                while store::tokens::get(&store, &token.id).await.unwrap().last_used_at.is_none() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), noted).await.unwrap();
        });
    }

    #[test]
    fn who_comes_with_a_persons_token_is_that_person() {
        let zoe = person(false);
        let (_, token) = make("laptop", Utc::now());
        let theirs = holder(token.clone(), Some(zoe.clone()), Grants::default());
        assert_eq!((theirs.principal.clone(), theirs.name.as_str()), (Principal::Person(zoe.id), "Zoe"));
        assert_eq!(theirs.credential, Credential::Token(token.id.clone()));
        let machine = holder(token.clone(), None, Grants::default());
        assert_eq!(
            (machine.principal.clone(), machine.name.as_str()),
            (Principal::Machine(token.id.clone()), "laptop")
        );
        // And what a program does, whoever made its token answers for.
        assert_eq!((theirs.behind(), machine.behind()), (theirs.principal.person(), None));
        let made = holder(store::tokens::Token { maker: theirs.behind().cloned(), ..token }, None, Grants::default());
        assert_eq!((made.principal.person(), made.behind()), (None, theirs.behind()));
    }
}
