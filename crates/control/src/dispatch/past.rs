//! Going past a closed window: who did so, when, why and past which rule stays on record.

use chrono::{DateTime, Utc};
use domain::deployment::Deployment;
use domain::event::EventKind;
use domain::window::{self, Verdict};
use domain::{BypassId, WindowId};
use store::bypasses::Bypass;
use store::environments::Environment;
use store::{Constraint, StoreError, Tx};
use ulid::Ulid;

use super::rules;

/// Lets a deployment past all windows, and records who wanted that and why. Where others have to approve of that, it is held
/// in the queue until they do, and the record says who did.
pub(crate) async fn bypass(
    tx: &Tx,
    environment: &Environment,
    deployment: &Deployment,
    reason: &str,
) -> Result<(), StoreError> {
    let at = deployment.created_at;
    let held = held(tx, environment, at).await?;
    record(tx, deployment, held, reason, at).await
}

/// A rollback is how an outage is ended: no window holds one. Where one would at `at`, which is when it is accepted or
/// when it starts, that is recorded, once.
pub(crate) async fn let_back(
    tx: &Tx,
    environment: &Environment,
    deployment: &Deployment,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let Some(held) = held(tx, environment, at).await? else { return Ok(()) };
    match record(tx, deployment, Some(held), "a rollback is not held by windows", at).await {
        Err(StoreError::Conflict(Constraint::Id { .. })) => Ok(()),
        other => other,
    }
}

/// What closes the environment.
async fn held(tx: &Tx, environment: &Environment, at: DateTime<Utc>) -> Result<Option<(WindowId, String)>, StoreError> {
    let records = store::windows::list(tx, Some(at)).await?;
    Ok(match window::verdict(&rules(&records, &environment.app_id, &environment.name), at) {
        Verdict::Open { .. } => None,
        Verdict::Closed { by, why, until: None } => Some((by, why)),
        Verdict::Closed { by, why, until: Some(until) } => {
            Some((by, format!("{why}, until {}", until.format("%Y-%m-%d %H:%M:%S UTC"))))
        }
    })
}

async fn record(
    tx: &Tx,
    deployment: &Deployment,
    held: Option<(WindowId, String)>,
    reason: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (window, rule) = held.unzip();
    let row = Bypass {
        id: BypassId::from_ulid(Ulid::generate()),
        deployment: deployment.id.clone(),
        app: deployment.app.clone(),
        environment: deployment.environment.clone(),
        window,
        rule: rule.clone(),
        reason: reason.to_owned(),
        requested_by: deployment.requested_by.clone(),
        approved_by: None,
        at,
    };
    store::bypasses::insert(tx, &row).await?;
    let event = EventKind::WindowBypassed { by: deployment.requested_by.clone(), reason: row.reason, rule };
    let (app, environment) = (Some(&deployment.app), Some(&deployment.environment));
    store::events::insert(tx, app, environment, Some(&deployment.id), &event, at).await?;
    Ok(())
}
