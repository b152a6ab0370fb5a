//! Runs deployments: each in a task of its own, over the saga engine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::DeploymentId;
use domain::deployment::DeploymentKind;
use operations::Error;
use saga::{Cancel, CancelRefused, Engine, EngineError, Fence, JournalError, Outcome, Remedy, SagaId};
use store::{Store, StoreError};
use tokio::sync::Notify;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::journal::StoreJournal;
use super::strand::{free, strand};
use super::{Begun, Deploy, Deploying, Promotion, Rollback, World};

/// The engines, and the deployments that run on them.
pub(crate) struct Runner {
    shared: Arc<Shared>,
}

struct Shared {
    world: Arc<World>,
    deploy: Engine<Deploy>,
    rollback: Engine<Rollback>,
    promotion: Engine<Promotion>,
    /// Deployments at work here at the same time.
    workers: usize,
    table: Mutex<Table>,
    /// Told when one has ended.
    freed: Notify,
    /// Deployments whose step is to be dropped and run again.
    again: broadcast::Sender<DeploymentId>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

#[derive(Default)]
struct Table {
    running: HashMap<DeploymentId, Cancel>,
    /// Slots that are kept for deployments about to be recorded as started.
    reserved: usize,
    /// Those that can't go on, of which not even that could be written down, with the epoch.
    given_up: HashMap<DeploymentId, u64>,
}

/// A deployment that this server has taken, under its epoch.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) deployment: DeploymentId,
    pub(crate) kind: DeploymentKind,
    pub(crate) fence: u64,
    /// Who wanted it cancelled before it was taken.
    pub(crate) cancel_by: Option<String>,
    /// Its first step, if that was written in the transaction that took it.
    pub(crate) begun: Option<Begun>,
}

/// A slot that is kept free; given back when dropped.
pub(crate) struct Slot {
    shared: Arc<Shared>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.table().reserved -= 1;
    }
}

impl Runner {
    pub(crate) fn new(
        world: Arc<World>,
        workers: usize,
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
        let deploy = deploy.chance(store::clock::now, rand::random);
        let rollback = rollback.chance(store::clock::now, rand::random);
        let promotion = promotion.chance(store::clock::now, rand::random);
        let shared = Shared {
            world,
            deploy,
            rollback,
            promotion,
            workers: workers.max(1),
            table: Mutex::default(),
            freed: Notify::new(),
            again: broadcast::Sender::new(64),
            tasks,
            stopping,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// How many more may be started here.
    pub(crate) fn free(&self) -> usize {
        let table = self.shared.table();
        self.shared.workers.saturating_sub(table.running.len() + table.reserved)
    }

    /// Keeps a slot, if one is free.
    pub(crate) fn reserve(&self) -> Option<Slot> {
        let mut table = self.shared.table();
        let free = table.running.len() + table.reserved < self.shared.workers && !self.shared.stopping.is_cancelled();
        free.then(|| {
            table.reserved += 1;
            Slot { shared: self.shared.clone() }
        })
    }

    /// Ready when a deployment has ended here since the last time.
    pub(crate) async fn freed(&self) {
        self.shared.freed.notified().await;
    }

    /// The first step of a deployment whose journal is `journal`. `None` when that can't be said: then running it tells why.
    pub(crate) fn begin(
        &self,
        deployment: &DeploymentId,
        kind: DeploymentKind,
        journal: Vec<serde_json::Value>,
    ) -> Option<Begun> {
        let id = SagaId::new(deployment.as_str());
        let journal: Vec<_> = journal.into_iter().map(serde_json::from_value).collect::<Result<_, _>>().ok()?;
        let begun = match kind {
            DeploymentKind::Deploy => self.shared.deploy.begin(&id, &journal),
            DeploymentKind::Rollback => self.shared.rollback.begin(&id, &journal),
            DeploymentKind::Promotion => self.shared.promotion.begin(&id, &journal),
        };
        begun.ok()
    }

    /// Starts, or goes on with, a deployment that this server has taken. If an earlier run of it, which somebody had taken
    /// away meanwhile, is still on its way out, this one waits for it. Who takes over what another has left may go beyond
    /// the number of slots: what was begun is not to wait.
    pub(crate) fn spawn(&self, taken: Taken, slot: Option<Slot>) {
        let Taken { deployment, kind, fence, cancel_by, mut begun } = taken;
        let cancel = Cancel::new();
        if let Some(by) = cancel_by {
            cancel.place(reason(&by));
        }
        if self.shared.stopping.is_cancelled() {
            return;
        }
        let entered = self.shared.enter(&deployment, &cancel);
        // In this order the number of those at work is never too low.
        drop(slot);
        let shared = self.shared.clone();
        let span = tracing::info_span!("deployment", %deployment);
        let run = async move {
            let stopping = shared.stopping.clone();
            let mut entered = entered;
            while !entered {
                tokio::time::sleep(Duration::from_millis(10)).await;
                entered = shared.enter(&deployment, &cancel);
            }
            // Dropping the run is as safe as being killed: the journal says where it stands.
            let driven = async {
                let mut again = shared.again.subscribe();
                loop {
                    let begun = begun.take();
                    tokio::select! {
                        () = shared.drive(&deployment, kind, Fence(fence), &cancel, begun) => return,
                        () = asked(&mut again, &deployment) => tracing::warn!("its step is dropped and run again"),
                    }
                }
            };
            stopping.run_until_cancelled(driven).await;
            shared.world.outputs.close(&deployment);
            shared.table().running.remove(&deployment);
            shared.freed.notify_one();
            // The archive it was made from may have served its purpose. A server that stops leaves that to the next one.
            let swept = stopping.run_until_cancelled(crate::uploads::sweep(&shared.world, store::clock::now()));
            if let Some(Err(e)) = swept.await {
                tracing::warn!("can't look for uploads that nobody needs: {e}");
            }
        };
        self.shared.tasks.spawn(run.instrument(span));
    }

    /// Records the wish to cancel what runs here; `Ok` is a promise that it will be taken back. `None` when it does not run
    /// here.
    pub(crate) async fn cancel(&self, deployment: &DeploymentId, by: &str) -> Option<Result<(), CancelRefused>> {
        let cancel = self.shared.table().running.get(deployment).cloned()?;
        Some(cancel.request(reason(by)).await)
    }

    /// Tries the step again at which a deployment got stuck that this server has taken. One that was stuck as another version
    /// did not know it goes on where it was.
    pub(crate) async fn unstick(&self, taken: Taken, by: &str) -> Result<(), EngineError> {
        let id = SagaId::new(taken.deployment.as_str());
        let fence = Fence(taken.fence);
        let resumed = match taken.kind {
            DeploymentKind::Deploy => self.shared.deploy.unstick(&id, fence, Remedy::Retry, by).await.map(drop),
            DeploymentKind::Rollback => self.shared.rollback.unstick(&id, fence, Remedy::Retry, by).await.map(drop),
            DeploymentKind::Promotion => self.shared.promotion.unstick(&id, fence, Remedy::Retry, by).await.map(drop),
        };
        match resumed {
            Err(EngineError::NotStuck { .. }) => {
                let freed = free(&self.shared.world.store, &taken.deployment, taken.fence).await;
                freed.map_err(|e| EngineError::Journal { id, source: JournalError::Unavailable(e.to_string()) })?;
            }
            other => other?,
        }
        self.spawn(taken, None);
        Ok(())
    }

    pub(crate) fn is_running(&self, deployment: &DeploymentId) -> bool {
        self.shared.table().running.contains_key(deployment)
    }

    /// What runs here.
    pub(crate) fn running(&self) -> Vec<DeploymentId> {
        self.shared.table().running.keys().cloned().collect()
    }

    /// Drops the step at which a deployment is that runs here, and runs it again, as after a crash.
    pub(crate) fn run_again(&self, deployment: &DeploymentId) {
        // Nobody hears it when nothing runs.
        let _ = self.shared.again.send(deployment.clone());
    }

    /// It was tried under this epoch, and can't go on in this program.
    pub(crate) fn is_given_up(&self, deployment: &DeploymentId, fence: u64) -> bool {
        self.shared.table().given_up.get(deployment) == Some(&fence)
    }
}

/// Whoever wants to resume it may take it.
pub(crate) async fn let_go(store: &Store, deployment: &DeploymentId, fence: u64) -> Result<(), StoreError> {
    let tx = store.write().await?;
    store::sagas::give_up(&tx, deployment.as_str(), fence).await?;
    tx.commit().await
}

fn reason(by: &str) -> String {
    format!("cancelled by {by}")
}

/// Ready when the deployment is to run its step again.
async fn asked(again: &mut broadcast::Receiver<DeploymentId>, deployment: &DeploymentId) {
    loop {
        match again.recv().await {
            Ok(id) if &id == deployment => return,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Shared {
    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `false` while another run of it is there.
    fn enter(&self, deployment: &DeploymentId, cancel: &Cancel) -> bool {
        let mut table = self.table();
        let free = !table.running.contains_key(deployment);
        if free {
            table.running.insert(deployment.clone(), cancel.clone());
        }
        free
    }

    async fn drive(
        &self,
        deployment: &DeploymentId,
        kind: DeploymentKind,
        fence: Fence,
        cancel: &Cancel,
        begun: Option<Begun>,
    ) {
        match kind {
            DeploymentKind::Deploy => self.run(&self.deploy, deployment, fence, cancel, begun).await,
            DeploymentKind::Rollback => self.run(&self.rollback, deployment, fence, cancel, begun).await,
            DeploymentKind::Promotion => self.run(&self.promotion, deployment, fence, cancel, begun).await,
        }
    }

    /// Runs to an outcome, waiting out a database that is away.
    async fn run<G: Deploying>(
        &self,
        engine: &Engine<G>,
        deployment: &DeploymentId,
        fence: Fence,
        cancel: &Cancel,
        mut begun: Option<Begun>,
    ) {
        let id = SagaId::new(deployment.as_str());
        let mut pause = Duration::from_millis(200);
        loop {
            let ran = match begun.take() {
                Some(begun) => engine.run_begun(&id, fence, begun, cancel).await,
                None => engine.run(&id, fence, cancel).await,
            };
            match ran {
                Ok(Outcome::Stuck { stage, error, .. }) => {
                    tracing::error!(%deployment, stage, "stuck: {error}");
                    // What gets stuck here is nobody's any more; what was stuck when it was taken is still ours, if the answer to its
                    // taking was lost.
                    if let Err(e) = let_go(&self.world.store, deployment, fence.0).await {
                        tracing::warn!(%deployment, "can't let others resume it: {e}");
                    }
                    return;
                }
                Ok(outcome) => {
                    tracing::info!(%deployment, outcome = outcome.name(), "deployment ended");
                    return;
                }
                Err(EngineError::Journal { source: JournalError::Fenced { held, current }, .. }) => {
                    // Whatever this run still does is refused; the rest of the server is not concerned.
                    tracing::warn!(%deployment, %held, %current, "another server has taken this deployment over");
                    return;
                }
                // A conflict under an epoch that is still ours is one with ourselves: what a run wrote that was dropped came to be
                // written after we had read. Either way the journal says what is so when it is read again.
                Err(EngineError::Journal {
                    source: why @ (JournalError::Unavailable(_) | JournalError::Conflict { .. }),
                    ..
                }) => {
                    tracing::warn!(%deployment, "it goes on from its journal in a moment: {why}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(10));
                }
                Err(e) => {
                    tracing::error!(%deployment, "can't go on: {e}");
                    let why = format!("this version of Plimsoll can't go on with it: {e}");
                    match strand(&self.world.store, deployment, fence.0, &why).await {
                        Ok(()) => return,
                        Err(StoreError::Unavailable { .. }) => {
                            tokio::time::sleep(pause).await;
                            pause = (pause * 2).min(Duration::from_secs(10));
                        }
                        Err(e) => {
                            tracing::error!(%deployment, "nor can that be said: {e}");
                            self.table().given_up.insert(deployment.clone(), fence.0);
                            return;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::Utc;
    use domain::phase::Phase;
    use saga::{Event, Journal, Record};

    use super::super::harness::{bare, places, record};
    use super::*;

    /// A run was dropped while the database wrote for it, and the next one had read its journal before that was done.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_dropped_run_wrote_late_leaves_nothing_stuck() {
        let world = Arc::new(bare(0, CancellationToken::new()).await);
        let (app, environment, _) = places(&world).await;
        let mut state = record(&world, &app, &environment, "production", "one").await;
        // It fails at its first step, and nothing else is needed for it.
        state.order.source = None;
        let deployment = state.order.deployment.clone();
        let id = SagaId::new(deployment.as_str());
        let stopping = CancellationToken::new();
        let runner = Runner::new(world.clone(), 1, TaskTracker::new(), stopping.clone()).unwrap();
        runner.shared.deploy.start(&id, Fence(0), state).await.unwrap();
        let journal = store::sagas::load(&world.store, id.as_str()).await.unwrap();
        let journal = journal.into_iter().map(|(_, value)| value).collect();
        let begun = runner.begin(&deployment, DeploymentKind::Deploy, journal).unwrap();

        // What it begins with, and a record of which it does not know.
        let mut records: Vec<_> = begun.records().cloned().collect();
        let late = Record { seq: begun.after().next_seq(), at: Utc::now(), event: Event::Interrupted };
        let after = begun.after().apply(&late).unwrap();
        records.push(late);
        let journal = StoreJournal::new(world.store.clone(), world.counters.clone());
        Journal::<Deploy>::append(&journal, &id, Fence(0), 1, &records, &after).await.unwrap();
        let taken = Taken {
            deployment: deployment.clone(),
            kind: DeploymentKind::Deploy,
            fence: 0,
            cancel_by: None,
            begun: Some(begun),
        };
        runner.spawn(taken, None);

        let ended = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                let row = store::deployments::get(&world.store, &deployment).await.unwrap().deployment;
                assert_eq!(row.stuck, None);
                if row.phase.is_end() {
                    return row;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let ended = ended.await.unwrap();
        assert_eq!(ended.phase, Phase::Failed);
        assert!(ended.failure.unwrap().message.contains("the app has no source"));
        stopping.cancel();
    }
}
