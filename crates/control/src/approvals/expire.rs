//! Ends what nobody voted on in time. The leader's, as schedules are.

use chrono::{DateTime, Utc};
use domain::approval::ApprovalState;
use operations::Error;
use store::leases;

use crate::Control;
use crate::dispatch::count_end;
use crate::error::store_error;

/// In one look; more are looked at right after.
const BATCH: u64 = 50;

/// Ends what has expired, and returns when something expires next.
pub(crate) async fn expire(control: &Control, epoch: u64, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Error> {
    let store = control.store();
    let next = store::approvals::next_expiry(store).await.map_err(store_error)?;
    if next.is_none_or(|next| next > now) {
        return Ok(next);
    }
    for expired in store::approvals::expired(store, now, BATCH).await.map_err(store_error)? {
        let tx = store.write().await.map_err(store_error)?;
        leases::check(&tx, leases::LEADER, epoch).await.map_err(store_error)?;
        // Somebody may have voted meanwhile.
        let found = store::approvals::find(&tx, &expired.id).await.map_err(store_error)?;
        let Some(found) = found.filter(|a| a.state == ApprovalState::Pending && a.expires_at <= now) else { continue };
        let until = found.expires_at.format("%Y-%m-%d %H:%M:%S UTC");
        let why = format!("too few people had voted by {until}");
        super::end(&tx, &found, ApprovalState::Expired, why, now).await.map_err(store_error)?;
        tx.commit().await.map_err(store_error)?;
        tracing::info!(approval = %found.id, deployment = %found.deployment, "nobody approved of it in time");
        count_end(&control.inner, &found.deployment).await;
    }
    store::approvals::next_expiry(store).await.map_err(store_error)
}
