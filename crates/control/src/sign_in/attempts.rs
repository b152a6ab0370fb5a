//! How often somebody may try: see [`domain::lockout`].
//!
//! An attempt is counted before anything is looked at, and given back when it was good. Who is counted is a login together
//! with a place: the browser, if somebody has signed in with this login from it before, otherwise the network. The rows hold
//! digests that only this server can make.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::SessionId;
use domain::email::Email;
use domain::lockout::{self, Failures, KNOWN, Limit, OF_ALL_PLACES, OF_CODES, OF_ONE_PLACE};
use domain::network::counted;
use operations::{Error, ErrorKind};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use store::sign_ins;
use store::users::User;
use store::{Session, Tx};

use super::{Denied, Visitor};
use crate::Control;
use crate::audit::{Unasked, commit_unasked};
use crate::error::store_error;

const PURPOSE: &str = "place";

/// Under what an attempt counts.
struct Keys {
    place: String,
    /// Of the login from everywhere; `None` for a place that is known.
    everywhere: Option<String>,
    /// Of the codes of the person's second factor.
    codes: Option<String>,
    /// What is known after a success; `None` for who is signed in already.
    marks: Option<Marks>,
}

/// Where somebody is.
struct Marks {
    /// This login with this network and with this browser, to be known by.
    known_by: [String; 2],
    browser: String,
}

/// One that was counted.
pub(super) struct Attempt {
    keys: Keys,
    /// How many failed from there before.
    pub(super) failures: u32,
    /// This one was the last, if it fails.
    locks: bool,
    /// This code was the last from places that are not known, if it is wrong.
    locks_codes: bool,
}

impl Control {
    /// Counts an attempt, or says how long to wait.
    pub(super) async fn attempt(&self, visitor: &Visitor, login: &str) -> Result<Attempt, Denied> {
        let keys = self.keys(visitor, login).await?;
        self.count_attempt(keys).await
    }

    /// The same for a code of somebody's second factor. From places that are not known few are looked at, however many places there
    /// are. A recovery code is not to be guessed, so it is a way in for who has to wait.
    pub(super) async fn attempt_code(&self, visitor: &Visitor, user: &User, code: &str) -> Result<Attempt, Denied> {
        let keys = self.keys(visitor, user.email.as_str()).await?;
        let guessable = keys.everywhere.is_some() && self.recovery_digests(&user.id, code).is_empty();
        let digest = |text: &str| self.world().vault.sign_in_digest(text);
        let codes = guessable.then(|| format!("{}{}", sign_ins::LONG, digest(&format!("codes\0{}", user.id))));
        self.count_attempt(Keys { codes, ..keys }).await
    }

    /// The same for who is signed in and says their password once more: whoever else is in their network has no part in it.
    pub(super) async fn attempt_in_session(&self, session: &SessionId, user: &User) -> Result<Attempt, Denied> {
        let place = self.place_key(user.email.as_str(), &format!("session {session}"));
        self.count_attempt(Keys { place, everywhere: None, codes: None, marks: None }).await
    }

    async fn keys(&self, visitor: &Visitor, login: &str) -> Result<Keys, Error> {
        let now = store::time::micros(store::clock::now());
        let marks = self.marks(visitor, login, self.browser(visitor, now));
        let [network, device] = &marks.known_by;
        let by_browser = is_known(self.store(), device, now).await?;
        let by_network = is_known(self.store(), network, now).await?;
        let place = if by_browser { device.clone() } else { network.clone() };
        let everywhere = (!by_browser && !by_network).then(|| self.place_key(login, "everywhere"));
        Ok(Keys { place, everywhere, codes: None, marks: Some(marks) })
    }

    /// The name that a browser shows. It keeps it, whoever signs in with it: else it would be known no more for who did before.
    pub(super) fn browser(&self, visitor: &Visitor, now: DateTime<Utc>) -> Option<String> {
        let shown = visitor.place.as_ref()?;
        self.inner.sign_ins.sealer.open(PURPOSE, shown.expose_secret(), now).ok()
    }

    fn marks(&self, visitor: &Visitor, login: &str, browser: Option<String>) -> Marks {
        let browser = browser.unwrap_or_else(|| blake3::Hash::from_bytes(rand::random()).to_hex().to_string());
        let network = self.place_key(login, &format!("network {}", counted(visitor.address)));
        Marks { known_by: [network, self.place_key(login, &format!("browser {browser}"))], browser }
    }

    fn place_key(&self, login: &str, place: &str) -> String {
        self.world().vault.sign_in_digest(&format!("{}\0{place}", form(login)))
    }

    async fn count_attempt(&self, keys: Keys) -> Result<Attempt, Denied> {
        // Looked at without a turn to write first: who has to wait costs the others nothing.
        wait(self.store(), &keys, store::time::micros(store::clock::now())).await?;
        let tx = self.write().await?;
        // The turn may have come late, and to others of a later time first: a count must not see time go back.
        let now = store::time::micros(store::clock::now());
        wait(&tx, &keys, now).await?;
        let counts = count(&tx, &keys.place, OF_ONE_PLACE, now).await?;
        if let Some(everywhere) = &keys.everywhere {
            count(&tx, everywhere, OF_ALL_PLACES, now).await?;
        }
        let codes = match &keys.codes {
            Some(codes) => Some(count(&tx, codes, OF_CODES, now).await?),
            None => None,
        };
        commit_unasked(tx, Unasked::Attempt).await?;
        Ok(Attempt {
            keys,
            failures: counts.count - 1,
            locks: counts.locked_until.is_some(),
            locks_codes: codes.is_some_and(|codes| codes.locked_until.is_some()),
        })
    }

    /// It was good: its place is known from now on. What the browser is to keep of that.
    pub(super) async fn succeeded(
        &self,
        tx: &Tx,
        attempt: &Attempt,
        now: DateTime<Utc>,
    ) -> Result<SecretString, Error> {
        self.forgive(tx, attempt).await?;
        let Some(marks) = &attempt.keys.marks else {
            tracing::error!("an attempt in a session can't begin one");
            return Err(Error::internal());
        };
        self.know(tx, marks, now).await
    }

    /// It was good, and that is all that follows.
    pub(super) async fn forgive(&self, tx: &Tx, attempt: &Attempt) -> Result<(), Error> {
        let keys = &attempt.keys;
        for key in [Some(&keys.place), keys.codes.as_ref()].into_iter().flatten() {
            sign_ins::forgive(tx, key).await.map_err(store_error)?;
        }
        if let Some(everywhere) = &keys.everywhere {
            // The others may be somebody else's.
            one_less(tx, everywhere, OF_ALL_PLACES).await?;
        }
        Ok(())
    }

    /// The same for who was let in without an attempt: by a provider, or by an invitation. `browser` is the name that theirs has shown.
    pub(super) async fn known_from_now(
        &self,
        tx: &Tx,
        visitor: &Visitor,
        email: &Email,
        browser: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<SecretString, Error> {
        self.know(tx, &self.marks(visitor, email.as_str(), browser), now).await
    }

    async fn know(&self, tx: &Tx, marks: &Marks, now: DateTime<Utc>) -> Result<SecretString, Error> {
        for key in &marks.known_by {
            sign_ins::know(tx, key, now).await.map_err(store_error)?;
        }
        self.place_ticket(&marks.browser, now)
    }

    /// Nothing came of it, and that was not the visitor's fault.
    pub(super) async fn give_back(&self, attempt: &Attempt) -> Result<(), Error> {
        let keys = &attempt.keys;
        let tx = self.write().await?;
        one_less(&tx, &keys.place, OF_ONE_PLACE).await?;
        for (key, limit) in [(&keys.everywhere, OF_ALL_PLACES), (&keys.codes, OF_CODES)] {
            if let Some(key) = key {
                one_less(&tx, key, limit).await?;
            }
        }
        commit_unasked(tx, Unasked::Attempt).await
    }

    /// It failed. The first failure and the one that locks are in the audit log; those between tell nothing more.
    pub(super) async fn failed(
        &self,
        visitor: &Visitor,
        attempt: &Attempt,
        email: Option<&Email>,
        operation: &'static str,
    ) {
        if attempt.locks_codes {
            tracing::warn!(
                address = %visitor.address,
                "too many wrong codes of somebody whose password is known there: places that are not known have to wait a day"
            );
        }
        if attempt.locks {
            tracing::warn!(address = %visitor.address, "too many failures to sign in from there: it has to wait");
        }
        if attempt.failures > 0 && !attempt.locks && !attempt.locks_codes {
            return;
        }
        let mut detail = json!({ "failures": attempt.failures + 1, "has_to_wait": attempt.locks });
        let recorded = match attempt.locks_codes {
            true => {
                detail["wrong_codes"] = OF_CODES.failures.into();
                self.record_grave_failure(visitor, email, operation, detail).await
            }
            false => self.record_failure(visitor, email, operation, detail).await,
        };
        // The answer is the same whether this can be written or not.
        if let Err(error) = recorded {
            tracing::warn!("a failure to sign in is not in the audit log: {error}");
        }
    }

    fn place_ticket(&self, browser: &str, now: DateTime<Utc>) -> Result<SecretString, Error> {
        let ticket = self.inner.sign_ins.sealer.seal(PURPOSE, &browser, now + KNOWN);
        ticket.map(SecretString::from).map_err(|error| {
            tracing::error!("a ticket can't be sealed: {error}");
            Error::internal()
        })
    }
}

/// Logins that look up the same person are counted as one. Others as they were typed, in bounded length.
fn form(login: &str) -> String {
    match login.parse::<Email>() {
        Ok(email) => email.to_string(),
        Err(_) => login.trim().to_lowercase().chars().take(Email::MAX).collect(),
    }
}

async fn is_known(session: &impl Session, key: &str, now: DateTime<Utc>) -> Result<bool, Error> {
    let seen = sign_ins::known(session, key).await.map_err(store_error)?;
    Ok(seen.is_some_and(|seen| now - seen < KNOWN))
}

async fn failures(session: &impl Session, key: &str) -> Result<Option<Failures>, Error> {
    let found = sign_ins::failures(session, key).await.map_err(store_error)?;
    Ok(found.map(|found| Failures { count: found.count, since: found.since, locked_until: found.locked_until }))
}

async fn wait(session: &impl Session, keys: &Keys, now: DateTime<Utc>) -> Result<(), Denied> {
    let mut waits = failures(session, &keys.place).await?.and_then(|failures| failures.wait(now));
    if let Some(everywhere) = &keys.everywhere {
        waits = waits.max(failures(session, everywhere).await?.and_then(|failures| failures.wait(now)));
    }
    if let Some(wait) = waits {
        return Err(too_many(wait.to_std().unwrap_or(Duration::ZERO)));
    }
    let Some(codes) = &keys.codes else { return Ok(()) };
    match failures(session, codes).await?.and_then(|failures| failures.wait(now)) {
        None => Ok(()),
        Some(wait) => Err(too_many_codes(wait.to_std().unwrap_or(Duration::ZERO))),
    }
}

async fn count(tx: &Tx, key: &str, limit: Limit, now: DateTime<Utc>) -> Result<Failures, Error> {
    let counted = Failures::and_one_more(failures(tx, key).await?, limit, now);
    write(tx, key, counted).await?;
    Ok(counted)
}

async fn one_less(tx: &Tx, key: &str, limit: Limit) -> Result<(), Error> {
    let Some(found) = failures(tx, key).await? else { return Ok(()) };
    match lockout::Failures::and_one_less(found, limit) {
        Some(left) => write(tx, key, left).await,
        None => sign_ins::forgive(tx, key).await.map(drop).map_err(store_error),
    }
}

async fn write(tx: &Tx, key: &str, failures: Failures) -> Result<(), Error> {
    let Failures { count, since, locked_until } = failures;
    sign_ins::fail(tx, key, &sign_ins::Failures { count, since, locked_until }).await.map_err(store_error)
}

fn too_many(wait: Duration) -> Denied {
    let minutes = wait.as_secs().div_ceil(60).max(1);
    let minutes = if minutes == 1 { "a minute".to_owned() } else { format!("{minutes} minutes") };
    let error = Error::new(ErrorKind::RateLimited, "too many attempts to sign in")
        .hint(format!("wait {minutes}; until then not even the right password is looked at"));
    Denied { error, wait: Some(wait) }
}

fn too_many_codes(wait: Duration) -> Denied {
    let hours = wait.as_secs().div_ceil(3600).max(1);
    let hours = if hours == 1 { "an hour".to_owned() } else { format!("{hours} hours") };
    let error = Error::new(ErrorKind::RateLimited, "too many wrong codes came from places where you have not signed in before")
        .hint(format!("sign in where you have before, use a recovery code, or wait {hours}; if it was not you who tried, change your password"));
    Denied { error, wait: Some(wait) }
}
