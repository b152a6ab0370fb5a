//! Where the policy is `skip_queued`, a newer deployment ends older ones of the same source that wait.
//!
//! There may be a hundred thousand of these, and while they are ended no server of the cluster can write: one transaction ends only
//! so many, also that which accepts the newer one. Each of the others ends when it is its turn, and takes as many with it, before any
//! of them is started. Nothing of this is written down: that one is superseded follows from what waits, a newer one of its source, so
//! that a server which is killed at any moment has nothing to take up again. If the newer one was moved before them, has run and
//! failed, or was cancelled meanwhile, those that are left run.

use domain::DeploymentId;
use domain::queue::Supersede;
use store::approvals::Approval;
use store::deployments::Record;
use store::environments::Environment;
use store::starts::Ready;
use store::supersede::Newer;
use store::{StoreError, Tx};

use crate::deployment::journal::{Unwanted, end_unstarted};

/// So many end in one transaction.
pub(super) const AT_ONCE: u64 = 100;

/// Ends what was asked for before in the environment, for the same source, and still waits, if its policy says so. One of which
/// others are `asked` may never run: it ends only what they are asked about, too, and the rest once they have said yes.
///
/// What carries out a plan counts as of the branch that the plan was made of, and is ended like the others. But it ends none
/// itself: they would bring the newest of the branch, and a plan's commit may be older.
pub(crate) async fn supersede(
    tx: &Tx,
    environment: &Environment,
    newer: &Record,
    asked: Option<&Approval>,
) -> Result<Vec<DeploymentId>, StoreError> {
    let newer = &newer.deployment;
    let (Supersede::SkipQueued, None, Some(source)) = (environment.supersede, &newer.metadata.plan, newer.asked())
    else {
        return Ok(Vec::new());
    };
    let (environment, generation) = (&environment.id, newer.generation);
    end_older(tx, &Newer { environment, generation, asked: &source, held: asked.is_some() }, AT_ONCE).await
}

/// Ends one whose turn it is, if a newer one of its source waits, and others with it: `left` more in this transaction. None when it is
/// to start.
pub(super) async fn at_turn(tx: &Tx, ready: &Ready, left: &mut u64) -> Result<Vec<DeploymentId>, StoreError> {
    let Ready { entry, generation, newest, supersede, .. } = ready;
    if *supersede != Supersede::SkipQueued || generation >= newest || entry.not_before.is_some() {
        return Ok(Vec::new());
    }
    let (id, environment) = (&entry.deployment, &entry.environment);
    let Some(source) = store::deployments::get(tx, id).await?.deployment.asked() else { return Ok(Vec::new()) };
    let Some(newer) = store::supersede::newer(tx, environment, &source, *generation).await? else {
        return Ok(Vec::new());
    };
    if !end(tx, id, newer).await? {
        return Ok(Vec::new());
    }
    let newer = Newer { environment, generation: newer, asked: &source, held: false };
    let mut ended = end_older(tx, &newer, *left).await?;
    *left = left.saturating_sub(ended.len() as u64);
    ended.push(id.clone());
    Ok(ended)
}

async fn end_older(tx: &Tx, newer: &Newer<'_>, most: u64) -> Result<Vec<DeploymentId>, StoreError> {
    let mut ended = Vec::new();
    for older in store::supersede::older(tx, newer, most).await? {
        if end(tx, &older, newer.generation).await? {
            ended.push(older);
        }
    }
    Ok(ended)
}

/// `false` when a stage of it has begun: then it goes on.
async fn end(tx: &Tx, deployment: &DeploymentId, newer: u64) -> Result<bool, StoreError> {
    let ended = end_unstarted(tx, deployment, Unwanted::Superseded { newer }).await?;
    if ended {
        store::queue::remove(tx, deployment).await?;
    }
    Ok(ended)
}
