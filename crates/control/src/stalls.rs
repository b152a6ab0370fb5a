//! Signs of life of what runs here, and a look at those of all: which deployments have come to a stand?

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use domain::AppId;
use domain::event::EventKind;
use domain::stall::{Look, Remedy, Stall, StallPolicy, Watch};
use store::beats::{self, Beat, Working};
use store::settings::{self, STALLS};
use store::{Session, StoreError};
use tokio_util::sync::CancellationToken;

use crate::control::Inner;

/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(2);
/// Between two looks. One that came later saw nothing in between, and begins anew.
const LOOK: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(8);

/// Gives signs of life for what runs here, until the server stops. A server without deployments writes nothing.
pub(crate) async fn beat(inner: Weak<Inner>, stopping: CancellationToken) {
    while stopping.run_until_cancelled(tokio::time::sleep(BEAT)).await.is_some() {
        let Some(inner) = inner.upgrade() else { return };
        let outputs = &inner.world.outputs;
        let all: Arc<[Beat]> = inner
            .runner
            .running()
            .into_iter()
            .map(|deployment| Beat { output_at: outputs.printed_at(&deployment), deployment })
            .collect();
        if all.is_empty() {
            continue;
        }
        // With the journals of others, if some are written at the moment.
        let written = inner.world.store.write_together(move |tx| {
            let all = Arc::clone(&all);
            Box::pin(async move { beats::beat(tx, store::clock::now(), &all).await })
        });
        if let Some(Err(e)) = stopping.run_until_cancelled(written).await {
            tracing::debug!("no sign of life could be given: {e}");
        }
        if let Some(Err(e)) = stopping.run_until_cancelled(run_again(&inner)).await {
            tracing::debug!("can't look for steps to run again: {e}");
        }
    }
}

/// Runs the steps again that somebody asked for and that this server drives.
async fn run_again(inner: &Inner) -> Result<(), StoreError> {
    for id in beats::asked_again(&inner.world.store).await? {
        if inner.runner.is_running(&id) {
            let tx = inner.world.store.write().await?;
            beats::answer_again(&tx, &id).await?;
            tx.commit().await?;
            inner.runner.run_again(&id);
        }
    }
    Ok(())
}

/// Looks for what is stalled, until the server stops. One server of all does.
pub(crate) async fn watch(inner: Weak<Inner>, stopping: CancellationToken) {
    let (born, mut watch) = (Instant::now(), Watch::default());
    let mut looked = born;
    let mut quiet = None;
    while stopping.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        let Some(inner) = inner.upgrade() else { return };
        if inner.member.leading().borrow().is_none() {
            watch.restart();
            continue;
        }
        if looked.elapsed() > PATIENCE {
            watch.restart();
        }
        // At rest there is nothing to read: what begins is written first.
        let changes = *inner.world.store.changes().borrow();
        if quiet == Some(changes) {
            looked = Instant::now();
            continue;
        }
        match stopping.run_until_cancelled(look(&inner, &mut watch, born.elapsed())).await {
            Some(Ok(working)) => {
                looked = Instant::now();
                quiet = (working == 0).then_some(changes);
            }
            Some(Err(e)) => tracing::warn!("can't look for stalled deployments: {e}"),
            None => return,
        }
    }
}

/// How many are at work.
async fn look(inner: &Inner, watch: &mut Watch, now: Duration) -> Result<usize, StoreError> {
    let all = beats::working(&inner.world.store).await?;
    let count = all.len();
    watch.keep(|id| all.iter().any(|working| &working.record.deployment.id == id));
    for working in all {
        let deployment = &working.record.deployment;
        let policy = policy(&inner.world.store, &working.record.app_id).await?;
        match (watch.look(&deployment.id, working.signs, &policy, now), &working.stalled) {
            (Look::Stalled(stall), None) => note(inner, &working, Some(stall), policy.then).await?,
            (Look::Moves, Some(_)) => note(inner, &working, None, policy.then).await?,
            (Look::Moves | Look::Still, None) | (Look::Still | Look::Stalled(_), Some(_)) => {}
        }
    }
    Ok(count)
}

/// What holds for an app: its own policy, else the server's, else the default.
pub(crate) async fn policy(session: &impl Session, app: &AppId) -> Result<StallPolicy, StoreError> {
    match settings::find(session, Some(app), STALLS).await? {
        Some(own) => Ok(own),
        None => Ok(settings::find(session, None, STALLS).await?.unwrap_or_default()),
    }
}

/// Tells of it once, and asks whoever drives it for what the policy says.
async fn note(inner: &Inner, working: &Working, stall: Option<Stall>, then: Remedy) -> Result<(), StoreError> {
    let record = &working.record;
    let deployment = &record.deployment;
    let reason = stall.map(|stall| stall.to_string());
    let event = match &reason {
        Some(reason) => EventKind::DeploymentStalled { phase: deployment.phase, reason: reason.clone() },
        None => EventKind::DeploymentRecovered { phase: deployment.phase },
    };
    let tx = inner.world.store.write().await?;
    if !beats::set_stalled(&tx, &deployment.id, reason.as_deref()).await? {
        return Ok(());
    }
    let (app, environment) = (Some(&deployment.app), Some(&deployment.environment));
    store::events::insert(&tx, app, environment, Some(&deployment.id), &event, store::clock::now()).await?;
    // With what is told: a server that ends between the two would leave it told of, and nothing done.
    match (&reason, then) {
        (Some(reason), Remedy::Fail) if !deployment.phase.is_end() => {
            let by = format!("stall detection: {reason}");
            store::sagas::request_cancel(&tx, deployment.id.as_str(), &by).await?;
        }
        // What is active can't be taken back: its last step is tried again.
        (Some(_), Remedy::Resume | Remedy::Fail) => drop(beats::ask_again(&tx, &deployment.id).await?),
        (Some(_), Remedy::Report) | (None, _) => {}
    }
    tx.commit().await?;
    if let Some(reason) = reason {
        tracing::warn!(deployment = %deployment.id, phase = %deployment.phase, "stalled: {reason}");
    }
    Ok(())
}
