//! Signing in, by password or by invitation, and out again.
//!
//! What somebody shows is judged here, whichever page it came from: a cookie's secret becomes a [`Caller`], an address and a
//! password become a session. Nothing tells whether there is an account: the same is read, the same work done and the same
//! said for one that is not there, is disabled, or has no password. Attempts are counted before the password is looked at
//! ([`attempts`]), so that guesses sent at once don't get past the count.

mod accept;
mod allowance;
mod attempts;
mod device;
mod first_code;
mod grants;
mod inviter;
pub(crate) mod oidc;
mod password;
mod record;
mod second_factor;
mod sessions;
mod setup;
mod signed;
mod sweep;

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::email::Email;
use domain::session::{SessionEnd, SignInMethod};
use domain::{SessionId, UserId};
use identity::sealed::Sealer;
use identity::secret::Kind;
use identity::{Hasher, Password, Verified};
use operations::{Error, ErrorKind};
use secrecy::SecretString;
use store::users::User;

pub use accept::Acceptance;
pub use oidc::{CameBack, OidcRefusal, SentAway};
pub(crate) use setup::first;
pub(crate) use sweep::sweep;

use crate::Control;
use crate::audit::{Unasked, commit, commit_unasked};
use crate::caller::{Caller, Credential};
use crate::error::store_error;
use crate::vault::Vault;
use grants::Kept;
use record::Told;
use signed::Signing;

/// What signing in needs of a server.
pub(crate) struct SignIns {
    hasher: Hasher,
    /// Of what browsers keep to be known by.
    sealer: Sealer,
    grants: Kept,
    pub(crate) signed: Signing,
    provider: oidc::Known,
    /// For failures in the audit log.
    allowance: allowance::Allowance,
}

/// A browser, or a program, at the door.
#[derive(Clone)]
pub struct Visitor {
    pub address: IpAddr,
    /// What it calls itself; empty when it does not.
    pub agent: String,
    /// The request's id, as in the log.
    pub request_id: Option<String>,
    /// What [`Opened::place`] gave it the last time.
    pub place: Option<SecretString>,
    /// The secret of the session that its cookie names, whatever that is worth by now.
    pub session: Option<SecretString>,
}

/// A session has begun, or goes on under another secret.
pub struct Opened {
    pub session: SessionId,
    /// For the cookie.
    pub secret: SecretString,
    /// At the latest; being idle ends it before.
    pub ends_at: DateTime<Utc>,
    /// Tells this browser from strangers in the same network, for [`PLACE_KEPT`].
    pub place: SecretString,
}

/// What a right password leads to.
pub enum SignedIn {
    Opened(Opened),
    /// A code is asked for besides; whoever brings it shows this.
    SecondFactor {
        ticket: SecretString,
    },
}

/// What somebody shows to confirm that it is still them.
pub enum Proof<'a> {
    Password(&'a str),
    /// Of the second factor, or a recovery code.
    Code(&'a str),
}

/// So long a browser is known where somebody has signed in.
pub const PLACE_KEPT: chrono::TimeDelta = domain::lockout::KNOWN;

/// Why somebody was not let in.
#[derive(Debug)]
pub struct Denied {
    pub error: Error,
    /// Before that it is no use to come back.
    pub wait: Option<Duration>,
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        Self { error, wait: None }
    }
}

/// After which it may be that fewer people are signing in.
const BUSY: Duration = Duration::from_secs(3);

impl SignIns {
    /// `address` is the server's public one.
    pub(crate) fn new(vault: &Vault, address: Option<String>) -> Self {
        let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            hasher: Hasher::new(processors),
            sealer: Sealer::new(vault.ticket_key()),
            grants: Kept::default(),
            signed: Signing::new(vault, address),
            provider: oidc::Known::default(),
            allowance: allowance::Allowance::default(),
        }
    }
}

impl Control {
    /// Begins a session for who has this address and password, or asks for the second factor.
    ///
    /// # Errors
    /// `Unauthorized`, in the same words whatever was wrong. `RateLimited` after too many failures from there, `Unavailable`
    /// when too many sign in at this moment, or the database is away.
    pub async fn sign_in(&self, visitor: &Visitor, login: &str, password: &str) -> Result<SignedIn, Denied> {
        self.has_room()?;
        let attempt = self.attempt(visitor, login).await?;
        let email = login.parse::<Email>().ok();
        let user = match &email {
            Some(email) => store::users::find_by_email(self.store(), email).await.map_err(store_error)?,
            None => None,
        };
        let password = Password::new(password);
        let right = self.verify(user.as_ref(), &password, &attempt).await?;
        let Some((user, hash)) = user.filter(|user| right.is_some() && !user.disabled).zip(right) else {
            self.failed(visitor, &attempt, email.as_ref(), "auth.sign_in").await;
            return Err(wrong().into());
        };
        if self.has_second_factor(&user.id).await? {
            if let (Some(old), Some(hash)) = (&user.password, hash.outdated) {
                let tx = self.write().await?;
                store::users::rehash_password(&tx, &user.id, old, &hash).await.map_err(store_error)?;
                commit_unasked(tx, Unasked::Rehash).await?;
            }
            // It did not fail; but nothing is forgiven before the code was right, or guessing those would have no end.
            self.give_back(&attempt).await?;
            return Ok(SignedIn::SecondFactor { ticket: self.second_factor_ticket(&user)? });
        }
        let now = store::time::micros(store::clock::now());
        let tx = self.write().await?;
        let user = unchanged(store::users::find(&tx, &user.id).await.map_err(store_error)?, &user)?;
        if let (Some(old), Some(hash)) = (&user.password, hash.outdated) {
            store::users::rehash_password(&tx, &user.id, old, &hash).await.map_err(store_error)?;
        }
        let place = self.succeeded(&tx, &attempt, now).await?;
        let opened = self.open(&tx, &user, SignInMethod::Password, visitor, place, now).await?;
        store::users::signed_in(&tx, &user.id, now).await.map_err(store_error)?;
        let told = Told { operation: "auth.sign_in", target: opened.session.to_string(), failures: attempt.failures };
        let recorded = self.record_person(&tx, &user, visitor, told, now).await?;
        commit(tx, recorded).await?;
        Ok(SignedIn::Opened(opened))
    }

    /// Ends the caller's session.
    ///
    /// # Errors
    /// `Invalid` for who came with a token.
    pub async fn sign_out(&self, caller: &Caller, visitor: &Visitor) -> Result<(), Error> {
        let (session, user) = self.signed_in_person(caller).await?;
        let now = store::time::micros(store::clock::now());
        let tx = self.write().await?;
        // Twice is once.
        if store::sessions::end(&tx, &session, now, SessionEnd::SignedOut).await.map_err(store_error)? {
            let told = Told { operation: "auth.sign_out", target: session.to_string(), failures: 0 };
            let recorded = self.record_person(&tx, &user, visitor, told, now).await?;
            commit(tx, recorded).await?;
        }
        Ok(())
    }

    /// Takes the password of whoever is signed in, or a code of their second factor, as the proof that it is still them. The session
    /// goes on under another secret: whoever has got hold of the one before has nothing of it.
    ///
    /// # Errors
    /// As for [`sign_in`](Self::sign_in), and `Invalid` for who came with a token.
    pub async fn confirm(&self, caller: &Caller, visitor: &Visitor, proof: Proof<'_>) -> Result<Opened, Denied> {
        self.has_room()?;
        let (session, user) = self.signed_in_person(caller).await?;
        let attempt = match proof {
            Proof::Password(_) => self.attempt(visitor, user.email.as_str()).await?,
            Proof::Code(code) => self.attempt_code(visitor, &user, code).await?,
        };
        if let Proof::Password(password) = proof
            && self.verify(Some(&user), &Password::new(password), &attempt).await?.is_none()
        {
            self.failed(visitor, &attempt, Some(&user.email), "auth.confirm").await;
            return Err(Error::new(ErrorKind::Unauthorized, "that is not your password").into());
        }
        let now = store::time::micros(store::clock::now());
        let (secret, hash) = Kind::Session.make();
        let tx = self.write().await?;
        let user = unchanged(store::users::find(&tx, &user.id).await.map_err(store_error)?, &user)?;
        if let Proof::Code(code) = proof
            && self.take_code(&tx, &user.id, code, now).await?.is_none()
        {
            drop(tx);
            self.failed(visitor, &attempt, Some(&user.email), "auth.confirm").await;
            return Err(second_factor::wrong().into());
        }
        let place = self.succeeded(&tx, &attempt, now).await?;
        let record = store::sessions::find(&tx, &session).await.map_err(store_error)?.ok_or_else(sessions::over)?;
        store::sessions::confirm(&tx, &session, &hash, now).await.map_err(|_| sessions::over())?;
        let told = Told { operation: "auth.confirm", target: session.to_string(), failures: attempt.failures };
        let recorded = self.record_person(&tx, &user, visitor, told, now).await?;
        commit(tx, recorded).await?;
        Ok(Opened { session, secret, ends_at: record.ends_at, place })
    }

    /// Whether nobody can sign in yet who owns the server.
    pub async fn owner_is_missing(&self) -> Result<bool, Error> {
        Ok(!store::users::has_owner(self.store(), None).await.map_err(store_error)?)
    }

    /// Looked at first: whom nobody can look after costs no write.
    fn has_room(&self) -> Result<(), Denied> {
        if self.inner.sign_ins.hasher.has_room() { Ok(()) } else { Err(busy(identity::Busy)) }
    }

    /// `None` when the password is not the one of `user`, whom there may not be.
    async fn verify(
        &self,
        user: Option<&User>,
        password: &Password,
        attempt: &attempts::Attempt,
    ) -> Result<Option<Rehashed>, Denied> {
        let hasher = &self.inner.sign_ins.hasher;
        let kept = user.and_then(|user| user.password.clone());
        let verified = match hasher.verify(password.clone(), kept).await {
            Ok(verified) => verified,
            Err(busy) => {
                // Nothing was looked at, so nothing has failed.
                self.give_back(attempt).await?;
                return Err(self::busy(busy));
            }
        };
        Ok(match verified {
            // When it is busy, the next time will do.
            Verified::Right { outdated: true } => Some(Rehashed { outdated: hasher.hash(password.clone()).await.ok() }),
            Verified::Right { outdated: false } => Some(Rehashed { outdated: None }),
            Verified::Wrong => None,
            Verified::Unreadable => {
                tracing::error!(user = ?user.map(|user| &user.id), "the hash of a password can't be read");
                None
            }
        })
    }

    async fn signed_in_person(&self, caller: &Caller) -> Result<(SessionId, User), Error> {
        let (Credential::Session { id, .. }, Some(user)) = (&caller.credential, caller.principal.person()) else {
            return Err(Error::invalid("there is no session here: the request came with a token")
                .hint("a token ends when it is revoked: `plimsoll tokens revoke`"));
        };
        let user: &UserId = user;
        let found = store::users::find(self.store(), user).await.map_err(store_error)?;
        Ok((id.clone(), found.ok_or_else(sessions::over)?))
    }
}

/// The password was right.
struct Rehashed {
    /// Its new hash, when the one that is kept was made with less work than today's.
    outdated: Option<String>,
}

/// The person as the transaction sees them, if what was looked at before it still holds.
fn unchanged(now: Option<User>, before: &User) -> Result<User, Error> {
    now.filter(|user| !user.disabled && user.password == before.password).ok_or_else(wrong)
}

fn wrong() -> Error {
    Error::new(ErrorKind::Unauthorized, "there is nobody with this e-mail address and password")
        .hint("look at both again; after several failures this place has to wait")
}

fn busy(_: identity::Busy) -> Denied {
    let error = Error::unavailable("too many people are signing in at this moment").hint("try again in a few seconds");
    Denied { error, wait: Some(BUSY) }
}
