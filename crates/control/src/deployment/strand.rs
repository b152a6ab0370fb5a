//! Deployments that this program can't go on with: another version of it has begun them, or their journal makes no sense to it.
//!
//! The row says that they are stuck, which their journal does not. So nobody waits for them in vain, and a program that knows
//! them can go on when an operator says so.

use chrono::Utc;
use domain::DeploymentId;
use domain::event::EventKind;
use store::deployments::DeploymentUpdate;
use store::{Store, StoreError, Tx};

/// Says that it is stuck and why, and lets go of it. Without effect when it is not driven under `fence` any more.
pub(crate) async fn strand(store: &Store, deployment: &DeploymentId, fence: u64, why: &str) -> Result<(), StoreError> {
    let tx = store.write().await?;
    if !driven(&tx, deployment, fence).await? {
        return Ok(());
    }
    let now = Utc::now();
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
    store::deployments::update(tx, deployment, Utc::now(), update).await
}
