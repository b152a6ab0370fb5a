//! Ends what nobody voted on in time. The leader's, as schedules are.

use chrono::{DateTime, Utc};
use domain::approval::ApprovalState;
use domain::audit::{ActorKind, Detail, Draft, Outcome, Via};
use operations::Error;
use serde_json::json;
use store::approvals::Approval;
use store::leases;

use crate::Control;
use crate::audit::commit;
use crate::caller::Principal;
use crate::dispatch::count_end;
use crate::error::store_error;

/// In one look; more are looked at right after.
const BATCH: u64 = 50;

/// What the audit log calls it: nobody can ask for it.
const OPERATION: &str = "approvals.expire";

/// Ends what has expired, and returns when something expires next.
pub(crate) async fn expire(control: &Control, epoch: u64, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Error> {
    let store = control.store();
    let next = store::approvals::next_expiry(store).await.map_err(store_error)?;
    if next.is_none_or(|next| next > now) {
        return Ok(next);
    }
    for expired in store::approvals::expired(store, now, BATCH).await.map_err(store_error)? {
        let tx = control.write().await?;
        leases::check(&tx, leases::LEADER, epoch).await.map_err(store_error)?;
        // Somebody may have voted meanwhile.
        let found = store::approvals::find(&tx, &expired.id).await.map_err(store_error)?;
        let Some(found) = found.filter(|a| a.state == ApprovalState::Pending && a.expires_at <= now) else { continue };
        let until = found.expires_at.format("%Y-%m-%d %H:%M:%S UTC");
        let why = format!("too few people had voted by {until}");
        let recorded = control.record(&tx, record(&found, &why, now)).await?;
        super::end(&tx, &found, ApprovalState::Expired, why, now).await.map_err(store_error)?;
        commit(tx, recorded).await?;
        tracing::info!(approval = %found.id, deployment = %found.deployment, "nobody approved of it in time");
        count_end(&control.inner, &found.deployment).await;
    }
    store::approvals::next_expiry(store).await.map_err(store_error)
}

/// That time has ended it, as no person has.
fn record(approval: &Approval, why: &str, now: DateTime<Utc>) -> Draft {
    let detail = json!({
        "deployment": approval.deployment, "subject": approval.subject, "requested_by": approval.requester_name,
        "required": approval.required, "why": why,
    });
    Draft {
        at: now,
        actor: Principal::System.id().to_owned(),
        actor_kind: ActorKind::System,
        actor_name: "the server".to_owned(),
        token: None,
        via: Via::Tick,
        address: None,
        request: None,
        operation: OPERATION.to_owned(),
        app_id: Some(approval.app_id.clone()),
        app: Some(approval.app.clone()),
        environment: Some(approval.environment.clone()),
        target: Some(approval.id.to_string()),
        outcome: Outcome::Done,
        of: None,
        detail: Detail::new(detail),
    }
}
