//! The generation of what has waited for a time of its own, or for a yes: it is counted from then, not from when it was ordered.

use domain::{DeploymentId, EnvironmentId};
use store::{StoreError, Tx};

use crate::deployment::journal::regenerate;

/// Its time is now: it becomes the newest of its environment, whatever was deployed since it was ordered.
pub(crate) async fn renew(tx: &Tx, deployment: &DeploymentId, environment: &EnvironmentId) -> Result<(), StoreError> {
    let generation = store::deployments::get(tx, deployment).await?.deployment.generation;
    if generation == store::environments::get(tx, environment).await?.generation {
        return Ok(());
    }
    let newest = store::environments::next_generation(tx, environment).await?;
    match regenerate(tx, deployment, newest).await {
        // It had begun before an older version of Plimsoll was stopped: it goes on as what it is.
        Err(StoreError::Conflict(_)) => Ok(()),
        other => other,
    }
}
