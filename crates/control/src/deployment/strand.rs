//! Deployments that this program can't go on with: another version of it has begun them, or their journal makes no sense to it.
//!
//! The row says that they are stuck, which their journal does not. So nobody waits for them in vain, and a program that knows
//! them can go on when an operator says so.

use domain::DeploymentId;
use domain::deployment::{Abandoned, Metadata, PhaseTimes};
use domain::event::EventKind;
use domain::failure::Cause;
use domain::phase::Phase;
use store::deployments::{DeploymentUpdate, Record};
use store::{Store, StoreError, Tx};

use super::fail;
use super::project::left;

/// Says that it is stuck and why, and lets go of it. Without effect when it is not driven under `fence` any more.
pub(crate) async fn strand(store: &Store, deployment: &DeploymentId, fence: u64, why: &str) -> Result<(), StoreError> {
    let tx = store.write().await?;
    if !driven(&tx, deployment, fence).await? {
        return Ok(());
    }
    let now = store::clock::now();
    let row = say(&tx, deployment, Some(why)).await?;
    let event = EventKind::DeploymentStuck { phase: row.phase, message: why.to_owned() };
    store::events::insert(&tx, Some(&row.app), Some(&row.environment), Some(deployment), &event, now).await?;
    store::sagas::give_up(&tx, deployment.as_str(), fence).await?;
    tx.commit().await
}

/// Takes that back, of one that is driven under `fence`: this program knows it.
pub(crate) async fn free(store: &Store, deployment: &DeploymentId, fence: u64) -> Result<(), StoreError> {
    let tx = store.write().await?;
    if !driven(&tx, deployment, fence).await? {
        return Ok(());
    }
    say(&tx, deployment, None).await?;
    tx.commit().await
}

/// Ends one as it is that somebody abandons, in its row alone. Nobody goes on with it, whatever program that is.
pub(crate) async fn end(tx: &Tx, record: &Record, by: &str) -> Result<(), StoreError> {
    let (deployment, now) = (&record.deployment, store::clock::now());
    let id = &deployment.id;
    let abandoned = Abandoned { by: by.to_owned(), left: Vec::new() };
    let mut update = DeploymentUpdate { stuck: Some(None), cancelling: Some(false), ..DeploymentUpdate::default() };
    // What was active serves on.
    if !deployment.phase.is_end() {
        let phase = Phase::Failed;
        let why = deployment.stuck.clone().unwrap_or_default();
        let failure = fail::failure(deployment.phase, Cause::Internal, why, "deploy again when you are ready");
        let failure = left(failure, &abandoned);
        let mut phases = deployment.phases.clone();
        if let Some(last) = phases.last_mut() {
            last.finished_at = Some(now);
        }
        phases.push(PhaseTimes { phase, started_at: now, finished_at: Some(now) });
        let (app, environment) = (Some(&deployment.app), Some(&deployment.environment));
        for event in [
            EventKind::PhaseChanged { phase, progress: phase.progress() },
            EventKind::DeploymentFinished { phase, failure: Some(failure.clone()) },
        ] {
            store::events::insert(tx, app, environment, Some(id), &event, now).await?;
        }
        update.phase = Some(phase);
        update.progress = Some(phase.progress());
        update.phases = Some(phases);
        update.failure = Some(failure);
    }
    update.metadata = Some(Metadata { abandoned: Some(abandoned), ..deployment.metadata.clone() });
    store::deployments::update(tx, id, now, update).await?;
    store::sagas::finish(tx, id.as_str()).await?;
    store::environments::end(tx, &record.environment_id, id).await
}

async fn driven(tx: &Tx, deployment: &DeploymentId, fence: u64) -> Result<bool, StoreError> {
    let saga = store::sagas::get(tx, deployment.as_str()).await?;
    Ok(saga.fence == fence && !saga.finished)
}

async fn say(
    tx: &Tx,
    deployment: &DeploymentId,
    stuck: Option<&str>,
) -> Result<domain::deployment::Deployment, StoreError> {
    let update = DeploymentUpdate { stuck: Some(stuck.map(str::to_owned)), ..DeploymentUpdate::default() };
    store::deployments::update(tx, deployment, store::clock::now(), update).await
}
