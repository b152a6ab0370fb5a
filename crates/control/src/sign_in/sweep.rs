//! Rows of sessions, invitations and failures that nobody asks for any more.

use chrono::{TimeDelta, Utc};
use domain::lockout::{KNOWN, OF_ALL_PLACES};
use store::{Store, StoreError};

/// How long what is over stays, for those who look back.
const KEPT: TimeDelta = TimeDelta::days(30);

/// Forgets them; for who leads, now and then.
pub(crate) async fn sweep(store: &Store) -> Result<(), StoreError> {
    let now = store::time::micros(Utc::now());
    let tx = store.write().await?;
    let mut gone = store::sessions::purge(&tx, now - KEPT).await?;
    gone += store::invitations::purge(&tx, now - KEPT).await?;
    gone += store::sign_ins::purge(&tx, now, now - OF_ALL_PLACES.within, now - KNOWN).await?;
    gone += store::device_logins::purge(&tx, now).await?;
    if gone > 0 {
        tx.commit().await?;
        tracing::debug!(gone, "old sessions, invitations and failures to sign in are forgotten");
    }
    Ok(())
}
