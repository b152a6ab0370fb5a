//! What would run with other inputs than people approved of is asked about anew.

use chrono::{DateTime, Utc};
use domain::approval::{ApprovalKind, ApprovalState, next_round};
use domain::event::EventKind;
use domain::{AppId, EnvironmentId};
use store::{StoreError, Tx};

use super::tell;

/// Where something was changed.
pub(crate) enum Scope<'a> {
    Environment(&'a EnvironmentId),
    App(&'a AppId),
}

/// Of all that has not begun there the votes so far count no more, and the time for them begins anew.
pub(crate) async fn reset(tx: &Tx, scope: Scope<'_>, why: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    let environments = match scope {
        Scope::Environment(id) => vec![id.clone()],
        Scope::App(app) => {
            let all = store::environments::list(tx, app).await?;
            all.into_iter().map(|environment| environment.id).collect()
        }
    };
    for environment in environments {
        for approval in store::approvals::not_begun(tx, &environment).await? {
            let expires_at = now + (approval.expires_at - approval.created_at);
            let subject = next_round(&approval.subject);
            store::approvals::reset(tx, &approval.id, &subject, expires_at).await?;
            if approval.state == ApprovalState::Approved {
                store::queue::set_held(tx, &approval.deployment, true).await?;
                if approval.kind == ApprovalKind::Bypass {
                    store::bypasses::approve(tx, &approval.deployment, None).await?;
                }
            }
            let event = EventKind::ApprovalReset { approval: approval.id.clone(), why: why.to_owned() };
            tell(tx, &approval, &event, now).await?;
        }
    }
    Ok(())
}
