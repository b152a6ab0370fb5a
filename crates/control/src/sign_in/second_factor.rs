//! The second step: a code of the person's app, or a recovery code, for the ticket that the right password has earned.
//!
//! The ticket holds who it is for, sealed; nothing is kept meanwhile. It is good for that person as long as the password is the one that
//! was looked at. A code is taken in the transaction that begins the session, so that it is good once, whoever is how quick.

use chrono::{DateTime, TimeDelta, Utc};
use domain::UserId;
use domain::session::SignInMethod;
use identity::{recovery, totp};
use operations::{Error, ErrorKind};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use store::Tx;
use store::totp::Totp;
use store::users::User;

use super::record::Told;
use super::{Denied, Opened, Visitor};
use crate::Control;
use crate::audit::commit;
use crate::error::store_error;

const PURPOSE: &str = "second factor";
/// As long as it takes to find the phone.
const GOOD_FOR: TimeDelta = TimeDelta::minutes(5);

#[derive(Serialize, Deserialize)]
struct Ticket {
    user: UserId,
    /// In microseconds. Another password ends the ticket.
    password_changed_at: Option<i64>,
}

/// What a code turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Code,
    RecoveryCode,
}

impl Taken {
    const fn operation(self) -> &'static str {
        match self {
            Taken::Code => "auth.second_factor",
            Taken::RecoveryCode => "auth.recovery_code",
        }
    }
}

impl Control {
    /// Whether the person is asked for a code beside the password.
    pub(super) async fn has_second_factor(&self, user: &UserId) -> Result<bool, Error> {
        let found = store::totp::find(self.store(), user).await.map_err(store_error)?;
        Ok(found.is_some_and(|found| found.confirmed_at.is_some()))
    }

    /// For who had the right password.
    pub(super) fn second_factor_ticket(&self, user: &User) -> Result<SecretString, Error> {
        let ticket = Ticket { user: user.id.clone(), password_changed_at: of_password(user) };
        let sealed = self.inner.sign_ins.sealer.seal(PURPOSE, &ticket, store::clock::now() + GOOD_FOR);
        sealed.map(SecretString::from).map_err(|error| {
            tracing::error!("a ticket can't be sealed: {error}");
            Error::internal()
        })
    }

    /// Begins a session for who has the ticket of a right password and the code to it.
    ///
    /// # Errors
    /// `Unauthorized` for a code or a ticket that is not good. `RateLimited` after too many failures from there.
    pub async fn second_factor(&self, visitor: &Visitor, ticket: &str, code: &str) -> Result<Opened, Denied> {
        let opened = self.inner.sign_ins.sealer.open::<Ticket>(PURPOSE, ticket, store::clock::now());
        let ticket = opened.map_err(|_| over())?;
        let user = store::users::find(self.store(), &ticket.user).await.map_err(store_error)?;
        let user = user.filter(|user| is_good(&ticket, user)).ok_or_else(over)?;
        // Counted with the passwords: whoever knows one has no more guesses for the code than there are for both. And by itself, for
        // who knows one and has many places.
        let attempt = self.attempt_code(visitor, &user, code).await?;
        let now = store::time::micros(store::clock::now());
        let tx = self.write().await?;
        let user = store::users::find(&tx, &user.id).await.map_err(store_error)?;
        let user = user.filter(|user| is_good(&ticket, user)).ok_or_else(over)?;
        let Some(taken) = self.take_code(&tx, &user.id, code, now).await? else {
            // The next writer's turn comes with this one's end.
            drop(tx);
            self.failed(visitor, &attempt, Some(&user.email), "auth.second_factor").await;
            return Err(wrong().into());
        };
        let place = self.succeeded(&tx, &attempt, now).await?;
        let opened = self.open(&tx, &user, SignInMethod::Password, visitor, place, now).await?;
        store::users::signed_in(&tx, &user.id, now).await.map_err(store_error)?;
        let told =
            Told { operation: taken.operation(), target: opened.session.to_string(), failures: attempt.failures };
        let recorded = self.record_person(&tx, &user, visitor, told, now).await?;
        commit(tx, recorded).await?;
        Ok(opened)
    }

    /// Uses up a code of the person's app, or a recovery code. `None` when it is neither, or was used before.
    pub(super) async fn take_code(
        &self,
        tx: &Tx,
        user: &UserId,
        code: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Taken>, Error> {
        let found = store::totp::find(tx, user).await.map_err(store_error)?;
        let Some(found) = found.filter(|found| found.confirmed_at.is_some()) else { return Ok(None) };
        let hashes = self.recovery_digests(user, code);
        for hash in &hashes {
            if store::recovery_codes::take(tx, user, hash, now).await.map_err(store_error)? {
                return Ok(Some(Taken::RecoveryCode));
            }
        }
        if !hashes.is_empty() {
            return Ok(None);
        }
        let secret = self.open_second_factor(&found)?;
        // By the clock that the person's app goes by, too.
        let Some(step) = secret.check(code, Utc::now(), found.last_step) else { return Ok(None) };
        let taken = store::totp::take(tx, user, step).await.map_err(store_error)?;
        Ok(taken.then_some(Taken::Code))
    }

    /// A new secret, and how it is kept.
    pub(crate) fn new_second_factor(&self, user: &UserId) -> Result<(totp::Secret, Vec<u8>), Error> {
        let secret = totp::Secret::make();
        let sealed =
            self.world().vault.second_factor_keys().seal(user.as_str(), secret.as_bytes()).map_err(|error| {
                tracing::error!("a second factor can't be sealed: {error}");
                Error::internal()
            })?;
        Ok((secret, sealed))
    }

    pub(crate) fn open_second_factor(&self, kept: &Totp) -> Result<totp::Secret, Error> {
        let unreadable = |why: &dyn std::fmt::Display| {
            tracing::error!(user = %kept.user, "a second factor can't be read: {why}");
            Error::internal().hint("an owner switches it off: `plimsoll users remove-second-factor EMAIL`")
        };
        let keys = self.world().vault.second_factor_keys();
        let plain = keys.open(kept.user.as_str(), &kept.sealed).map_err(|error| unreadable(&error))?;
        totp::Secret::from_bytes(&plain).map_err(|error| unreadable(&error))
    }

    /// How a recovery code is kept by now, and how it was under earlier keys; nothing for what can't be one.
    pub(crate) fn recovery_digests(&self, user: &UserId, code: &str) -> Vec<String> {
        let keys = self.world().vault.recovery_keys();
        keys.iter().filter_map(|key| recovery::digest(key, user.as_str(), code)).collect()
    }
}

fn of_password(user: &User) -> Option<i64> {
    user.password_changed_at.map(|at| at.timestamp_micros())
}

fn is_good(ticket: &Ticket, user: &User) -> bool {
    !user.disabled && ticket.password_changed_at == of_password(user)
}

fn over() -> Error {
    Error::new(ErrorKind::Unauthorized, "that took too long, or what was begun is not good any more")
        .hint("sign in again, from the beginning")
}

pub(super) fn wrong() -> Error {
    Error::new(ErrorKind::Unauthorized, "that code is not good")
        .hint("type what the app shows now; each code is good once, and so is each recovery code")
}
