//! Telling people: the leader reads the event log behind a cursor, makes messages for channels, and sends them.
//!
//! The event log is the outbox. An event is there as soon as what it tells of is, so nothing is lost between the two; a message
//! is written in one transaction with the cursor's advance, under the leader's epoch, so none is made twice. That it is
//! sent is noted before, what came of it after: a crash between the two sends it again later, under the same id, by which a receiver can
//! tell; a write that fails holds it up.
//!
//! A receiver costs a deployment nothing: attempts are tasks of their own, few at the same time and one for each channel, hold no
//! transaction while they wait, and end by themselves.

mod deliver;
mod driver;
mod group;
mod mail;
mod read;
mod told;

use std::sync::Weak;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use operations::{Error, ErrorKind};
use store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::Control;
use crate::control::Inner;
use deliver::Post;
use read::Reader;

pub(crate) use deliver::test;
pub(crate) use driver::{Secrets, seal};
pub(crate) use mail::{StoredMail, open_mail, seal_mail};
pub(crate) use told::Listener;

/// Between two looks: a burst of commits is looked at once.
const APART: Duration = Duration::from_millis(200);
/// The clock may jump: so often it is asked whether something is due.
const LOOK: Duration = Duration::from_secs(5);
/// After an error, so that a database that is away is not asked without pause.
const PAUSE: Duration = Duration::from_secs(2);
/// How long messages stay that are done with.
const KEPT: TimeDelta = TimeDelta::days(30);

/// What there is as long as this server leads. Dropped, the attempts that are under way end.
struct Leading {
    epoch: u64,
    reader: Reader,
    post: Post,
}

/// Until the server stops.
pub(crate) async fn run(inner: Weak<Inner>, stopping: CancellationToken) {
    let Some((mut leading, mut changes)) =
        inner.upgrade().map(|inner| (inner.member.leading(), inner.world.store.changes()))
    else {
        return;
    };
    let mut work: Option<Leading> = None;
    loop {
        let epoch = *leading.borrow_and_update();
        changes.borrow_and_update();
        let Some(strong) = inner.upgrade() else { return };
        let next = match stopping.run_until_cancelled(look(Control { inner: strong }, epoch, &mut work)).await {
            None => return,
            Some(Ok(next)) => next,
            Some(Err(e)) => {
                // Another server leads now.
                if e.code == ErrorKind::Conflict {
                    work = None;
                } else {
                    tracing::warn!("nobody can be told what happened: {}", e.detail);
                }
                Some(store::clock::now() + PAUSE)
            }
        };
        let wait = async {
            tokio::time::sleep(APART).await;
            tokio::select! {
                _ = leading.changed() => {}
                // Nothing to do for who does not lead.
                _ = changes.changed(), if epoch.is_some() => {}
                () = ended(&mut work) => {}
                () = tokio::time::sleep(until(next)) => {}
            }
        };
        if stopping.run_until_cancelled(wait).await.is_none() {
            return;
        }
    }
}

/// Makes messages of what has happened and begins to send what is due; when something is due next.
async fn look(
    control: Control,
    epoch: Option<u64>,
    work: &mut Option<Leading>,
) -> Result<Option<DateTime<Utc>>, Error> {
    let Some(epoch) = epoch else {
        *work = None;
        return Ok(None);
    };
    if work.as_ref().is_none_or(|work| work.epoch != epoch) {
        *work = None;
        let reader = Reader::begin(&control, epoch).await?;
        *work = Some(Leading { epoch, reader, post: Post::default() });
    }
    let Some(work) = work else { return Ok(None) };
    work.reader.read(&control, epoch).await?;
    work.post.send(&control, epoch).await
}

/// When an attempt has ended.
async fn ended(work: &mut Option<Leading>) {
    match work {
        Some(work) => work.post.ended().await,
        None => std::future::pending().await,
    }
}

fn until(next: Option<DateTime<Utc>>) -> Duration {
    next.map_or(LOOK, |next| (next - store::clock::now()).to_std().unwrap_or_default().min(LOOK))
}

/// Forgets messages that were done with long ago; for who leads, now and then.
pub(crate) async fn sweep(store: &Store) -> Result<(), StoreError> {
    let before = store::time::micros(store::clock::now()) - KEPT;
    loop {
        let tx = store.write().await?;
        let gone = store::deliveries::purge(&tx, before).await?;
        if gone == 0 {
            return Ok(());
        }
        tx.commit().await?;
        if gone < store::deliveries::BATCH {
            return Ok(());
        }
    }
}

impl Control {
    /// The one way to addresses that users name. What the system trusts is read at the first use: most servers never need it.
    pub(crate) async fn outgoing(&self) -> Result<outgoing::Outgoing, outgoing::OutgoingError> {
        let made = self.inner.outgoing.get_or_try_init(|| async {
            let allowed = self.inner.options.allow_outgoing.clone();
            let made = tokio::task::spawn_blocking(move || outgoing::Outgoing::new(allowed)).await;
            made.unwrap_or_else(|e| Err(outgoing::OutgoingError::Trust { reason: e.to_string() }))
        });
        made.await.cloned()
    }
}

/// What is wrong with what somebody asked for.
pub(crate) fn refused(field: &str, why: impl std::fmt::Display) -> Error {
    Error::unprocessable(format!("`{field}`: {why}"))
}
