//! Deployments that were begun and that nobody drives: their server stopped or died, or an operator helps a stuck one on.

use std::collections::BTreeSet;

use domain::DeploymentId;
use domain::deployment::DeploymentKind;
use store::StoreError;
use store::queue::Orphan;

use crate::control::Inner;
use crate::deployment::runner::{Taken, let_go};

/// Takes all of this host and goes on with them.
pub(super) async fn orphans(inner: &Inner) -> Result<(), StoreError> {
    let store = &inner.world.store;
    for orphan in store::queue::orphans(store, &inner.member.host).await? {
        if inner.stopping.is_cancelled() {
            return Ok(());
        }
        // A saga is called after the kind of deployment that it is.
        let Some(kind) = DeploymentKind::ALL.into_iter().find(|kind| kind.as_str() == orphan.saga) else {
            tracing::error!(deployment = %orphan.deployment, "this version does not know the saga `{}`", orphan.saga);
            continue;
        };
        let Some(taken) = take(inner, &orphan, kind).await? else { continue };
        tracing::info!(deployment = %taken.deployment, epoch = taken.fence, "going on with it");
        // What its server was building with, if that could not end it itself.
        inner.world.executor.sweep(taken.deployment.as_str()).await;
        match orphan.resume_by {
            Some(by) => resume(inner, taken, &by).await,
            None => inner.runner.spawn(taken, None),
        }
    }
    Ok(())
}

/// What this server has taken and does not drive: the database's answer to the taking was lost. Only what was so at the look
/// before, as it takes a moment from one to the other; `suspects` are those.
pub(super) async fn lost(inner: &Inner, suspects: &mut BTreeSet<DeploymentId>) -> Result<(), StoreError> {
    let before = std::mem::take(suspects);
    for saga in store::sagas::of_owner(&inner.world.store, &inner.member.id).await? {
        let kind = DeploymentKind::ALL.into_iter().find(|kind| kind.as_str() == saga.name);
        let (Ok(deployment), Some(kind)) = (saga.id.parse::<DeploymentId>(), kind) else { continue };
        if inner.runner.is_running(&deployment) || inner.runner.is_given_up(&deployment, saga.fence) {
            continue;
        }
        if before.contains(&deployment) {
            tracing::warn!(%deployment, "it was taken and not begun; going on with it");
            let cancel_by = saga.cancel_by.filter(|_| saga.cancel_requested);
            inner.runner.spawn(Taken { deployment, kind, fence: saga.fence, cancel_by, begun: None }, None);
        } else {
            suspects.insert(deployment);
        }
    }
    Ok(())
}

async fn take(inner: &Inner, orphan: &Orphan, kind: DeploymentKind) -> Result<Option<Taken>, StoreError> {
    let id = orphan.deployment.as_str();
    let tx = inner.world.store.write().await?;
    let saga = store::sagas::get(&tx, id).await?;
    let Some(fence) = store::sagas::take(&tx, id, &inner.member.id, orphan.owner.as_ref()).await? else {
        return Ok(None);
    };
    store::sagas::request_resume(&tx, id, None).await?;
    tx.commit().await?;
    let cancel_by = saga.cancel_by.filter(|_| saga.cancel_requested);
    Ok(Some(Taken { deployment: orphan.deployment.clone(), kind, fence, cancel_by, begun: None }))
}

async fn resume(inner: &Inner, taken: Taken, by: &str) {
    let (deployment, fence) = (taken.deployment.clone(), taken.fence);
    let Err(e) = inner.runner.unstick(taken, by).await else { return };
    tracing::error!(%deployment, "can't resume: {e}");
    if let Err(e) = let_go(&inner.world.store, &deployment, fence).await {
        tracing::warn!(%deployment, "can't let others resume it: {e}");
    }
}
