//! Sessions: from a cookie's secret to a caller.

use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use domain::SessionId;
use domain::access::Grants;
use domain::session::{IDLE, SessionEnd, SignInMethod};
use identity::secret::Kind;
use operations::{Error, ErrorKind};
use secrecy::{ExposeSecret, SecretString};
use store::sessions::Record;
use store::users::User;
use store::{Session, Store, Tx};
use ulid::Ulid;

use super::record::Told;
use super::{Opened, Visitor};
use crate::Control;
use crate::caller::{Caller, Credential, Principal, Via};
use crate::error::store_error;
use crate::turns::Turns;

/// After this it has ended, whatever was done in it.
const LONGEST: TimeDelta = TimeDelta::days(7);
/// So long after a password nobody asks for it again before something grave.
const CONFIRMED: TimeDelta = TimeDelta::minutes(10);
const USE_NOTED: TimeDelta = TimeDelta::minutes(1);

impl Control {
    /// Whose session this secret is.
    ///
    /// # Errors
    /// `Unauthorized` when it has ended, or there never was one.
    pub async fn authenticate_session(&self, sent: &str) -> Result<Caller, Error> {
        let Some(hash) = Kind::Session.hash(sent) else { return Err(over()) };
        let now = store::clock::now();
        // Looked up by hash: how long it takes says nothing about the sessions there are.
        let found = store::sessions::find_by_hash(self.store(), &hash).await.map_err(store_error)?;
        let Some((record, user)) = found.filter(|(record, user)| record.is_open(now, IDLE) && !user.disabled) else {
            return Err(over());
        };
        note_use(self.store(), &record, now);
        let grants = self.grants_of(&user).await?;
        let credential = Credential::Session { id: record.id, confirmed_until: record.confirmed_at + CONFIRMED };
        let caller = Caller::new(Principal::Person(user.id), credential, Grants::default(), user.name);
        Ok(Caller { grants, via: Via::Web, ..caller })
    }

    /// What a session allows by now, for those who came with it some time ago.
    ///
    /// # Errors
    /// `Unauthorized` when it has ended.
    pub(crate) async fn session_grants_by_now(&self, id: &SessionId) -> Result<std::sync::Arc<Grants>, Error> {
        let found = store::sessions::find(self.store(), id).await.map_err(store_error)?;
        let record = found.filter(|record| record.is_open(store::clock::now(), IDLE)).ok_or_else(over)?;
        let user = store::users::find(self.store(), &record.user).await.map_err(store_error)?;
        let user = user.filter(|user| !user.disabled).ok_or_else(over)?;
        self.grants_of(&user).await
    }

    /// Begins a session. The one that the browser came with ends, as nobody could sign out of it there any more.
    pub(super) async fn open(
        &self,
        tx: &Tx,
        user: &User,
        via: SignInMethod,
        visitor: &Visitor,
        place: SecretString,
        now: DateTime<Utc>,
    ) -> Result<Opened, Error> {
        if let Some(before) = self.came_with(tx, visitor).await? {
            self.end_replaced(tx, &before, visitor, now).await?;
        }
        let (secret, hash) = Kind::Session.make();
        let record = Record {
            id: SessionId::from_ulid(Ulid::generate()),
            user: user.id.clone(),
            hash,
            via,
            created_at: now,
            seen_at: now,
            ends_at: now + LONGEST,
            confirmed_at: now,
            address: visitor.address.to_string(),
            agent: visitor.agent.clone(),
            ended: None,
        };
        store::sessions::insert(tx, &record).await.map_err(store_error)?;
        Ok(Opened { session: record.id, secret, ends_at: record.ends_at, place })
    }

    /// The session that the browser's cookie names, open or not.
    pub(super) async fn came_with(
        &self,
        session: &impl Session,
        visitor: &Visitor,
    ) -> Result<Option<SessionId>, Error> {
        let sent = visitor.session.as_ref();
        let Some(hash) = sent.and_then(|sent| Kind::Session.hash(sent.expose_secret())) else { return Ok(None) };
        let found = store::sessions::find_by_hash(session, &hash).await.map_err(store_error)?;
        Ok(found.map(|(record, _)| record.id))
    }

    /// Ends a session whose place in its browser another one takes, as if its person had signed out. Nothing when it has ended.
    pub(super) async fn end_replaced(
        &self,
        tx: &Tx,
        id: &SessionId,
        visitor: &Visitor,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let found = store::sessions::find(tx, id).await.map_err(store_error)?;
        let Some(record) = found.filter(|record| record.is_open(now, IDLE)) else { return Ok(()) };
        let user = store::users::get(tx, &record.user).await.map_err(store_error)?;
        store::sessions::end(tx, id, now, SessionEnd::SignedOut).await.map_err(store_error)?;
        let told = Told { operation: "auth.sign_out", target: id.to_string(), failures: 0 };
        // That of the session that begins comes after it, and lets the transaction go.
        let _ = self.record_person(tx, &user, visitor, told, now).await?;
        Ok(())
    }
}

pub(super) fn over() -> Error {
    Error::new(ErrorKind::Unauthorized, "the session has ended").hint("sign in again")
}

/// Once in a minute, beside the request: a read must not become a write.
fn note_use(store: &Store, record: &Record, now: DateTime<Utc>) {
    static NOTING: LazyLock<Turns<()>> = LazyLock::new(Turns::default);
    if now - record.seen_at < USE_NOTED {
        return;
    }
    // A hundred requests at once are noted once; another session's turn comes with its next request.
    let Some(turn) = NOTING.take(&()) else { return };
    let (store, id) = (store.clone(), record.id.clone());
    tokio::spawn(async move {
        let _turn = turn;
        let noted = async {
            let tx = store.write().await?;
            store::sessions::touch(&tx, &id, now).await?;
            tx.commit().await
        };
        if let Err(e) = noted.await {
            tracing::debug!(session = %id, "its use is not noted: {e}");
        }
    });
}
