//! How many deployments work at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::DeploymentId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A deployment holds a slot while it works. One that only waits for another gives its
/// slot up, so that a queue before one environment can't keep all others from starting.
#[derive(Clone)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    held: Arc<Mutex<HashMap<DeploymentId, OwnedSemaphorePermit>>>,
}

impl Slots {
    pub(crate) fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count.max(1))), held: Arc::default() }
    }

    /// Waits for a slot, first come first served.
    pub(crate) async fn take(&self, deployment: &DeploymentId) {
        // The semaphore is never closed.
        if let Ok(permit) = self.free.clone().acquire_owned().await {
            self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(deployment.clone(), permit);
        }
    }

    /// Gives the slot up; fine if there is none.
    pub(crate) fn give_up(&self, deployment: &DeploymentId) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(deployment);
    }
}
