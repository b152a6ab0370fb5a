//! Rows of sessions, invitations and failures that nobody asks for any more.

use chrono::TimeDelta;
use domain::lockout::{KNOWN, OF_ALL_PLACES, OF_CODES};
use store::sign_ins::Needed;
use store::{Store, StoreError};

/// How long what is over stays, for those who look back.
const KEPT: TimeDelta = TimeDelta::days(30);

/// Forgets them; for who leads, now and then.
pub(crate) async fn sweep(store: &Store) -> Result<(), StoreError> {
    let now = store::time::micros(store::clock::now());
    let tx = store.write().await?;
    let mut gone = store::sessions::purge(&tx, now - KEPT).await?;
    gone += store::invitations::purge(&tx, now - KEPT).await?;
    let needed = Needed { failed: now - OF_ALL_PLACES.within, long: now - OF_CODES.within, seen: now - KNOWN };
    gone += store::sign_ins::purge(&tx, now, needed).await?;
    gone += store::device_logins::purge(&tx, now).await?;
    if gone > 0 {
        tx.commit().await?;
        tracing::debug!(gone, "old sessions, invitations and failures to sign in are forgotten");
    }
    Ok(())
}
