//! Instances of what is active: running, and healthy.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::DeploymentId;
use domain::deployment::DeploymentKind;
use domain::event::EventKind;
use domain::health::{Observation, Probe};
use domain::instance::InstanceState;
use operations::Error;
use runtime::{InstanceSpec, StartError};
use store::environments::Environment;
use tokio::sync::watch;

use super::Memory;
use crate::control::Inner;
use crate::deployment::stages::target;
use crate::deployment::state::{Order, Placement};
use crate::deployment::world::UserError;
use crate::deployment::{State, World};
use crate::error::{store_error, variables_error};
use crate::overview::Looping;

/// Health checks in a row that may fail before an instance is restarted.
const TOLERATED: u32 = 3;

/// What should run: read again only when something was written, as nothing is most of the time.
pub(super) struct Wanted {
    changes: watch::Receiver<u64>,
    read_at: Instant,
    instances: Arc<[(Arc<Environment>, Placement)]>,
}

/// Commits of other servers may go unnoticed.
const READ_AGAIN: Duration = Duration::from_secs(30);

/// Starts what is active and does not run: its supervisor was killed, or the machine restarted.
/// A supervisor that lives restarts its app by itself.
pub(super) async fn keep_running(inner: &Inner, memory: &mut Memory) {
    let (before, mut looping) = (inner.looping(), BTreeMap::new());
    for (environment, placement) in wanted(inner, memory).await.iter() {
        let name = placement.key.name();
        match inner.world.runtime.state(&name) {
            None | Some(InstanceState::Lost | InstanceState::Stopped { .. }) => {
                tracing::warn!(instance = name, "it does not run; starting it");
                if start(inner, environment, placement).await {
                    tell(inner, environment, EventKind::InstanceRestarted { instance: name }).await;
                }
            }
            Some(InstanceState::CrashLoop { last_exit, .. }) => {
                let since = before.get(&name).map(|known| known.since);
                if since.is_none() {
                    let event =
                        EventKind::InstanceCrashLooping { instance: name.clone(), last_exit: last_exit.clone() };
                    tell(inner, environment, event).await;
                }
                let found = Looping {
                    app_id: environment.app_id.clone(),
                    app: environment.app.clone(),
                    environment: environment.name.clone(),
                    last_exit,
                    since: since.unwrap_or_else(store::clock::now),
                };
                looping.insert(name, found);
            }
            Some(InstanceState::Running { .. } | InstanceState::Starting | InstanceState::Backoff { .. }) => {}
        }
    }
    // What could not be read says nothing of them.
    if memory.wanted.is_some() {
        inner.set_looping(looping);
    }
}

/// The instances of what is active. When they can't be read nothing is wanted for now.
async fn wanted(inner: &Inner, memory: &mut Memory) -> Arc<[(Arc<Environment>, Placement)]> {
    if let Some(known) = &memory.wanted
        && !known.changes.has_changed().unwrap_or(true)
        && known.read_at.elapsed() < READ_AGAIN
    {
        return known.instances.clone();
    }
    // Before reading: what is written meanwhile is read the next time.
    let mut changes = inner.world.store.changes();
    changes.borrow_and_update();
    match active_instances(inner).await {
        Ok(instances) => {
            let instances: Arc<[_]> = instances.into();
            memory.wanted = Some(Wanted { changes, read_at: Instant::now(), instances: instances.clone() });
            instances
        }
        Err(e) => {
            tracing::error!("can't list what should run: {e}");
            memory.wanted = None;
            Arc::default()
        }
    }
}

async fn active_instances(inner: &Inner) -> Result<Vec<(Arc<Environment>, Placement)>, store::StoreError> {
    let store = &inner.world.store;
    let ours = store::environments::list_all(store).await?.into_iter().filter(|e| e.host == inner.member.host);
    let active: HashMap<DeploymentId, Arc<Environment>> =
        ours.filter_map(|e| Some((e.active_deployment.clone()?, Arc::new(e)))).collect();
    let rows = store::instances::list_all(store).await?;
    let wanted = rows.into_iter().filter(|row| !row.retired).filter_map(|row| {
        let environment = active.get(&row.key.deployment)?.clone();
        Some((environment, Placement { key: row.key, port: row.port }))
    });
    Ok(wanted.collect())
}

/// Probes what is active, and restarts what fails again and again.
pub(super) async fn check_health(inner: &Inner, memory: &mut Memory) {
    for (environment, placement) in wanted(inner, memory).await.iter() {
        let name = placement.key.name();
        let running = matches!(inner.world.runtime.state(&name), Some(InstanceState::Running { .. }));
        let observed = if running { probe(inner, environment, placement).await } else { None };
        let Some(Observation::Failed(why)) = observed else {
            memory.unhealthy.remove(&name);
            continue;
        };
        let failures = memory.unhealthy.entry(name.clone()).or_default();
        *failures += 1;
        tracing::warn!(instance = name, failures = *failures, "unhealthy: {why}");
        if *failures >= TOLERATED {
            memory.unhealthy.remove(&name);
            let stopped = inner.world.runtime.stop(&name).await;
            if stopped.is_ok() && start(inner, environment, placement).await {
                tell(inner, environment, EventKind::InstanceRestarted { instance: name }).await;
            }
        }
    }
}

/// The state of a deployment that is active, as far as running it needs.
pub(crate) async fn active_state(world: &World, environment: &Environment) -> Result<Option<State>, Error> {
    let store = &world.store;
    let (Some(deployment), Some(release)) = (&environment.active_deployment, &environment.active_release) else {
        return Ok(None);
    };
    let release = store::releases::get(store, release).await.map_err(store_error)?;
    let order = Order {
        kind: DeploymentKind::Rollback,
        deployment: deployment.clone(),
        app: environment.app_id.clone(),
        app_name: environment.app.clone(),
        environment: environment.id.clone(),
        environment_name: environment.name.clone(),
        generation: environment.active_generation,
        source: None,
        labels: Default::default(),
        promotion: None,
        plan: None,
        approval: None,
    };
    let (spec, commit) = (release.spec.clone(), release.commit.clone());
    let mut state = State::rollback(order, release.into(), spec, commit);
    let rows = store::instances::list_by_deployment(store, deployment).await.map_err(store_error)?;
    let wanted = rows.into_iter().filter(|row| !row.retired);
    state.placements = wanted.map(|r| Placement { key: r.key, port: r.port }).collect();
    Ok(Some(state))
}

async fn spec(inner: &Inner, environment: &Environment, placement: &Placement) -> Result<Option<InstanceSpec>, Error> {
    let Some(state) = active_state(&inner.world, environment).await? else { return Ok(None) };
    // Another server may have retired it since it was listed.
    if !state.placements.iter().any(|p| p.key == placement.key) {
        return Ok(None);
    }
    let (Some(spec), Some(release)) = (&state.spec, &state.release) else { return Ok(None) };
    let Some(component) = spec.component(&placement.key.component) else { return Ok(None) };
    let world = &inner.world;
    let variables = world.release_variables(&environment.id, &release.id).await.map_err(variables_error)?;
    let user = world.user(&environment.app_id).await.map_err(|e| match e {
        UserError::Store(e) => store_error(e),
        other => Error::unavailable(other.to_string()),
    })?;
    Ok(world.instance(&state, component, &placement.key, placement.port, &variables, user))
}

async fn start(inner: &Inner, environment: &Environment, placement: &Placement) -> bool {
    let name = placement.key.name();
    let mut spec = match spec(inner, environment, placement).await {
        Ok(Some(spec)) => spec,
        Ok(None) => return false,
        Err(e) => {
            tracing::error!(instance = name, "can't start it: {e}");
            return false;
        }
    };
    let mut started = inner.world.runtime.start(&spec).await;
    // A newer deployment that was taken back since has raised the bar. That this release is the
    // active one is the database's word, and stands above it.
    if let Err(StartError::OlderGeneration { current, .. }) = &started {
        spec.key.generation = *current;
        started = inner.world.runtime.start(&spec).await;
    }
    match started {
        Ok(_) => true,
        Err(e) => {
            tracing::error!(instance = name, "can't start it: {e}");
            false
        }
    }
}

async fn probe(inner: &Inner, environment: &Environment, placement: &Placement) -> Option<Observation> {
    let spec = spec(inner, environment, placement).await.ok()??;
    let release = store::releases::get(&inner.world.store, &placement.key.release).await.ok()?;
    let component = release.spec.component(&placement.key.component)?;
    match component.health.probe {
        Probe::Running => None,
        _ => Some(runtime::observe(&component.health, &target(&inner.world, &spec)).await),
    }
}

async fn tell(inner: &Inner, environment: &Environment, event: EventKind) {
    if matches!(event, EventKind::InstanceRestarted { .. }) {
        inner.world.counters.restarted();
    }
    let told = async {
        let tx = inner.world.store.write().await?;
        let deployment = environment.active_deployment.as_ref();
        store::events::insert(
            &tx,
            Some(&environment.app),
            Some(&environment.name),
            deployment,
            &event,
            store::clock::now(),
        )
        .await?;
        tx.commit().await
    };
    if let Err(e) = told.await {
        tracing::warn!("can't record an event: {e}");
    }
}
