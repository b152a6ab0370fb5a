//! Waits until this deployment may act on the environment: one at a time, and none that a
//! newer one has overtaken.

use std::time::Duration;

use async_trait::async_trait;
use domain::DeploymentId;
use domain::deployment::DeploymentKind;
use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use domain::plan::{Change, Fact, Touch};
use saga::{Retry, Stage, Step};
use store::deployments::DeploymentUpdate;
use store::environments::Claim as Answer;

use super::{CLAIM, store_away, store_retry};
use crate::deployment::explain::{Explain, Outlook, Scene, Undo};
use crate::deployment::promise::{keep, routes_refused, serving};
use crate::deployment::{Deploying, State, World, fail};

/// Waiting has no phase of its own: it is seen in the one before.
fn phase(state: &State) -> Phase {
    if state.order.kind == DeploymentKind::Deploy { Phase::Building } else { Phase::Queued }
}

/// The wait ends with the commit that frees the environment; this is the safety net.
const RECHECK: Duration = Duration::from_secs(1);

pub(crate) struct Claim;

#[async_trait]
impl<G: Deploying> Stage<G> for Claim {
    fn name(&self) -> &'static str {
        CLAIM
    }

    fn retry(&self) -> Retry {
        store_retry()
    }

    async fn run(&self, world: &World, mut state: State, step: &Step) -> Result<State, saga::Failure<Failure>> {
        let (order, phase) = (state.order.clone(), phase(&state));
        let mut changes = world.store.changes();
        let mut told: Option<DeploymentId> = None;
        loop {
            changes.borrow_and_update();
            let (answer, acting) = claim(world, &state).await.map_err(|e| store_away(phase, e))?;
            match answer {
                Answer::Granted => {
                    state.acting = acting;
                    keep_plan(world, &state, phase).await?;
                    return Ok(state);
                }
                Answer::Superseded { by_generation } => {
                    return Err(saga::Failure::permanent(superseded(phase, by_generation, order.generation)));
                }
                Answer::Held { by } => {
                    if told.as_ref() != Some(&by) {
                        note(world, &state, &by).await.map_err(|e| store_away(phase, e))?;
                        world.sink(&order.deployment, phase, None).say(&format!("waiting for {by} to finish"));
                        told = Some(by);
                    }
                }
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(RECHECK) => {}
                () = step.cancel.cancelled() => return Err(saga::Failure::cancelled(fail::cancelled(phase))),
            }
        }
    }

    async fn undo(&self, world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
        release(world, state).await.map_err(|e| store_away(phase(state), e))
    }
}

impl Explain for Claim {
    fn outlook(&self, scene: &Scene) -> Outlook {
        Outlook::run(format!("takes its turn in {}, where one deployment acts at a time", scene.environment))
            .touching([Touch::Claim { change: Change::Makes }])
    }

    fn taken_back(&self, _: &Scene) -> Undo {
        Undo::of("the next deployment may act")
    }
}

/// From here on nobody else changes what the environment serves: the last moment to find that the plan does not hold, and nothing
/// outside of the workspace was touched yet.
async fn keep_plan(world: &World, state: &State, phase: Phase) -> Result<(), saga::Failure<Failure>> {
    let order = &state.order;
    if order.plan.is_none() {
        return Ok(());
    }
    let away = |e| store_away(phase, e);
    let environment = store::environments::get(&world.store, &order.environment).await.map_err(away)?;
    let serving = serving(&world.store, &environment).await.map_err(away)?;
    let refused = routes_refused(world, state).await?;
    keep(order, phase, &[Fact::Serving(serving), Fact::RoutesRefused(refused)])
}

/// The answer, and the generation to act under if it is not the order's own.
async fn claim(world: &World, state: &State) -> Result<(Answer, Option<u64>), store::StoreError> {
    let order = &state.order;
    let tx = world.store.write().await?;
    let answer = store::environments::claim(&tx, &order.environment, &order.deployment, order.generation).await?;
    if answer != Answer::Granted {
        return Ok((answer, None));
    }
    // One that was accepted later may have acted before, and failed.
    let newest = store::environments::get(&tx, &order.environment).await?.generation;
    let acting = match newest > order.generation {
        true => Some(store::environments::next_generation(&tx, &order.environment).await?),
        false => None,
    };
    tx.commit().await?;
    Ok((answer, acting))
}

/// Another may act now.
pub(super) async fn release(world: &World, state: &State) -> Result<(), store::StoreError> {
    let tx = world.store.write().await?;
    store::environments::release_claim(&tx, &state.order.environment, &state.order.deployment).await?;
    tx.commit().await
}

/// Shows what it waits for; the next journaled step takes the note away.
async fn note(world: &World, state: &State, by: &DeploymentId) -> Result<(), store::StoreError> {
    let tx = world.store.write().await?;
    let id = &state.order.deployment;
    let mut metadata = store::deployments::get(&tx, id).await?.deployment.metadata;
    metadata.waiting_for = Some(format!("{by} to finish"));
    let update = DeploymentUpdate { metadata: Some(metadata), ..DeploymentUpdate::default() };
    store::deployments::update(&tx, id, store::clock::now(), update).await?;
    tx.commit().await
}

pub(crate) fn superseded(phase: Phase, newer: u64, own: u64) -> Failure {
    let message = format!("a newer deployment (generation {newer}) serves already; this one is generation {own}");
    fail::failure(phase, Cause::Superseded, message, "nothing to do: the newer version is live")
}
