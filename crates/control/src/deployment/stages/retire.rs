//! Cleans up behind an active deployment: drains and stops the previous release, moves the
//! `current` links, removes the workspace, and lets the next deployment act.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use domain::Name;
use domain::failure::Failure;
use domain::phase::Phase;
use domain::plan::{Change, Touch};
use domain::spec::{Component, Serve};
use saga::{Kind, Retry, Stage, Step};

use super::claim::release;
use super::cutover::ungated;
use super::prepare_routes::routes;
use super::pull_source::clear;
use super::{RETIRE, ingress_away, store_away};
use crate::deployment::explain::{Explain, Outlook, Scene, Undo};
use crate::deployment::{Deploying, State, World, fail};

const PHASE: Phase = Phase::Active;

/// Requests in flight to the previous release get this long.
const DRAIN: Duration = Duration::from_secs(30);

pub(crate) struct Retire;

#[async_trait]
impl<G: Deploying> Stage<G> for Retire {
    fn name(&self) -> &'static str {
        RETIRE
    }

    fn kind(&self) -> Kind {
        Kind::ForwardOnly
    }

    fn retry(&self) -> Retry {
        Retry::attempts(20).base(Duration::from_millis(250)).cap(Duration::from_secs(30))
    }

    async fn run(&self, world: &World, state: State, _: &Step) -> Result<State, saga::Failure<Failure>> {
        // Run again after the claim was given back, all of this is done, and the environment may be another one's by now.
        let environment = store::environments::get(&world.store, &state.order.environment);
        if environment.await.map_err(|e| store_away(PHASE, e))?.acting.as_ref() != Some(&state.order.deployment) {
            return Ok(state);
        }
        let plain = ungated(routes(world, &state).map_err(saga::Failure::permanent)?);
        world.ingress.cutover(plain).await.map_err(|e| ingress_away(PHASE, e))?;
        point_current(world, &state)?;
        if let Some(previous) = &state.previous {
            world.ingress.drain(&previous.deployment, DRAIN).await.map_err(|e| ingress_away(PHASE, e))?;
        }
        stop_others(world, &state).await?;
        clear(world, &state).await?;
        release(world, &state).await.map_err(|e| store_away(PHASE, e))?;
        Ok(state)
    }
}

impl Explain for Retire {
    fn outlook(&self, scene: &Scene) -> Outlook {
        let old = |(name, component): &(String, Name)| Touch::Instance {
            name: name.clone(),
            component: component.clone(),
            change: Change::Removes,
        };
        let had = |name: &Name| if scene.before.sites.contains(name) { Change::Switches } else { Change::Makes };
        let link = |component: &Component| Touch::StaticLink {
            component: component.name.clone(),
            change: had(&component.name),
        };
        let reason = match scene.serving() {
            Some(old) => format!("requests in flight to {old} get 30 s, then it is stopped; the workspace is removed"),
            None => "removes the workspace, and lets the next deployment act".to_owned(),
        };
        Outlook::run(reason)
            .touching(scene.before.instances.iter().map(old))
            .touching(scene.sites().map(link))
            .touching([Touch::Workspace { change: Change::Removes }, Touch::Claim { change: Change::Removes }])
    }

    fn taken_back(&self, scene: &Scene) -> Undo {
        let undo = Undo::of(
            "it is not taken back but tried 20 times; then the deployment is stuck until `plimsoll resume` or \
             `plimsoll abandon`, and no other deployment of the environment can act",
        );
        match scene.serving() {
            Some(old) if !scene.before.instances.is_empty() => {
                undo.leaving(format!("instances of {old} that were not stopped yet, without traffic"))
            }
            _ => undo,
        }
    }
}

/// `current` is for people and for other web servers; the ingress has its own way to the files.
fn point_current(world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
    let failed =
        |e: runtime::SiteError| saga::Failure::retry(fail::internal(PHASE, format!("can't move `current`: {e}")));
    let own = state.generation();
    for component in state.spec.iter().flat_map(|s| &s.components) {
        if matches!(component.serve, Serve::Static { .. }) {
            let site = state.site(&component.name);
            world.sites.switch(&site, own).map_err(failed)?;
            // The one before stays for a reader that has just followed `current`.
            let before = state.previous.as_ref().map_or(own, |p| p.generation);
            world.sites.prune(&site, &BTreeSet::from([own, before])).map_err(failed)?;
        }
    }
    Ok(())
}

/// Stops every instance in the environment that is not ours: the claim says that no other deployment acts.
/// Their folders stay, with their logs, until the reconciler finds them old.
async fn stop_others(world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
    let away = |e| store_away(PHASE, e);
    let order = &state.order;
    let rows = store::instances::list_by_environment(&world.store, &order.environment).await.map_err(away)?;
    for row in rows.into_iter().filter(|r| r.key.deployment != order.deployment) {
        let name = row.key.name();
        // First the wish, then the deed: a reconciler that looks in between must not start it again.
        let tx = world.store.write().await.map_err(away)?;
        store::instances::retire(&tx, &name).await.map_err(away)?;
        tx.commit().await.map_err(away)?;
        world.runtime.stop(&name).await.map_err(|e| {
            saga::Failure::retry(fail::internal(PHASE, format!("can't stop an instance of the previous release: {e}")))
        })?;
        let tx = world.store.write().await.map_err(away)?;
        store::instances::delete(&tx, &name).await.map_err(away)?;
        tx.commit().await.map_err(away)?;
    }
    Ok(())
}
