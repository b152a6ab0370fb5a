//! Runs deployments: each in a task of its own, over the saga engine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::DeploymentId;
use domain::deployment::DeploymentKind;
use operations::Error;
use saga::{Cancel, CancelRefused, Engine, EngineError, Fence, JournalError, Outcome, Remedy, SagaId};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::journal::StoreJournal;
use super::{Deploy, Deploying, Promotion, Rollback, World};
use crate::error::store_error;

/// The engines, and the deployments that run on them.
pub(crate) struct Runner {
    shared: Arc<Shared>,
}

struct Shared {
    world: Arc<World>,
    deploy: Engine<Deploy>,
    rollback: Engine<Rollback>,
    promotion: Engine<Promotion>,
    fence: Fence,
    running: Mutex<HashMap<DeploymentId, Cancel>>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Runner {
    pub(crate) fn new(
        world: Arc<World>,
        fence: u64,
        tasks: TaskTracker,
        stopping: CancellationToken,
    ) -> Result<Self, Error> {
        let plan = |e: saga::PlanError| {
            tracing::error!("the stages of a saga are in no legal order: {e}");
            Error::internal()
        };
        let journal = Arc::new(StoreJournal::new(world.store.clone(), world.counters.clone()));
        let deploy = Engine::new(journal.clone(), world.clone(), Vec::new()).map_err(plan)?;
        let rollback = Engine::new(journal.clone(), world.clone(), Vec::new()).map_err(plan)?;
        let promotion = Engine::new(journal, world.clone(), Vec::new()).map_err(plan)?;
        let shared = Shared {
            world,
            deploy,
            rollback,
            promotion,
            fence: Fence(fence),
            running: Mutex::default(),
            tasks,
            stopping,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Starts, or goes on with, a deployment that is recorded. Running already: nothing happens.
    pub(crate) fn spawn(&self, deployment: DeploymentId, kind: DeploymentKind) {
        let cancel = Cancel::new();
        {
            let mut running = self.shared.running();
            if running.contains_key(&deployment) || self.shared.stopping.is_cancelled() {
                return;
            }
            running.insert(deployment.clone(), cancel.clone());
        }
        let shared = self.shared.clone();
        let span = tracing::info_span!("deployment", %deployment);
        let run = async move {
            let stopping = shared.stopping.clone();
            // Dropping the run is as safe as being killed: the journal says where it stands.
            stopping.run_until_cancelled(shared.drive(&deployment, kind, &cancel)).await;
            shared.world.slots.give_up(&deployment);
            shared.world.outputs.close(&deployment);
            shared.running().remove(&deployment);
            // The archive it was made from may have served its purpose.
            if let Err(e) = crate::uploads::sweep(&shared.world, chrono::Utc::now()).await {
                tracing::warn!("can't look for uploads that nobody needs: {e}");
            }
        };
        self.shared.tasks.spawn(run.instrument(span));
    }

    /// Goes on with everything that had not ended when the last server did.
    pub(crate) async fn resume_all(&self) -> Result<(), Error> {
        for row in store::sagas::open(&self.shared.world.store).await.map_err(store_error)? {
            // A saga is called after the kind of deployment that it is.
            let Some(kind) = DeploymentKind::ALL.into_iter().find(|kind| kind.as_str() == row.name) else {
                tracing::error!(
                    saga = row.id,
                    name = row.name,
                    "this version does not know the saga; it stays as it is"
                );
                continue;
            };
            match row.id.parse() {
                Ok(deployment) => self.spawn(deployment, kind),
                Err(e) => tracing::error!("a saga without a deployment: {e}"),
            }
        }
        Ok(())
    }

    /// Records the wish to cancel; `Ok` is a promise that it will be taken back.
    pub(crate) async fn cancel(&self, deployment: &DeploymentId, by: &str) -> Result<(), CancelRefused> {
        let cancel = self.shared.running().get(deployment).cloned();
        match cancel {
            Some(cancel) => cancel.request(format!("cancelled by {by}")).await,
            None => Err(CancelRefused::Ended),
        }
    }

    /// Tries the step again at which a deployment got stuck.
    pub(crate) async fn unstick(
        &self,
        deployment: &DeploymentId,
        kind: DeploymentKind,
        by: &str,
    ) -> Result<(), EngineError> {
        let id = SagaId::new(deployment.as_str());
        match kind {
            DeploymentKind::Deploy => {
                self.shared.deploy.unstick(&id, self.shared.fence, Remedy::Retry, by).await?;
            }
            DeploymentKind::Rollback => {
                self.shared.rollback.unstick(&id, self.shared.fence, Remedy::Retry, by).await?;
            }
            DeploymentKind::Promotion => {
                self.shared.promotion.unstick(&id, self.shared.fence, Remedy::Retry, by).await?;
            }
        }
        // The run that got stuck may still be on its way out; a spawn would find it there and do nothing.
        while self.is_running(deployment) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.spawn(deployment.clone(), kind);
        Ok(())
    }

    /// The lease under which this server writes.
    pub(crate) fn fence(&self) -> u64 {
        self.shared.fence.0
    }

    fn is_running(&self, deployment: &DeploymentId) -> bool {
        self.shared.running().contains_key(deployment)
    }
}

impl Shared {
    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<DeploymentId, Cancel>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn drive(&self, deployment: &DeploymentId, kind: DeploymentKind, cancel: &Cancel) {
        // A cancel does not wait for a slot: with the request placed, the run begins at once and takes it back.
        tokio::select! {
            () = self.world.slots.take(deployment) => {}
            () = cancel.asked() => {}
        }
        match kind {
            DeploymentKind::Deploy => self.run(&self.deploy, deployment, cancel).await,
            DeploymentKind::Rollback => self.run(&self.rollback, deployment, cancel).await,
            DeploymentKind::Promotion => self.run(&self.promotion, deployment, cancel).await,
        }
    }

    /// Runs to an outcome, waiting out a database that is away.
    async fn run<G: Deploying>(&self, engine: &Engine<G>, deployment: &DeploymentId, cancel: &Cancel) {
        let id = SagaId::new(deployment.as_str());
        let mut pause = Duration::from_millis(200);
        loop {
            match engine.run(&id, self.fence, cancel).await {
                Ok(Outcome::Stuck { stage, error, .. }) => {
                    tracing::error!(%deployment, stage, "stuck: {error}");
                    return;
                }
                Ok(outcome) => {
                    tracing::info!(%deployment, outcome = outcome.name(), "deployment ended");
                    return;
                }
                Err(EngineError::Journal { source: JournalError::Fenced { held, current }, .. }) => {
                    tracing::error!(%deployment, %held, %current, "another server has taken over; stopping");
                    self.stopping.cancel();
                    return;
                }
                Err(EngineError::Journal { source: JournalError::Unavailable(why), .. }) => {
                    tracing::warn!(%deployment, "the journal is unavailable, trying again: {why}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(10));
                }
                Err(e) => {
                    tracing::error!(%deployment, "can't go on: {e}");
                    return;
                }
            }
        }
    }
}
