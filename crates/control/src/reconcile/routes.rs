//! Routes of what is active.

use domain::EnvironmentId;
use domain::spec::Serve;
use ingress::{EnvironmentRoutes, RouteTable, Target};
use store::environments::Environment;

use super::instances::active_state;
use crate::control::Inner;
use crate::deployment::stages::{routes, ungated};
use crate::deployment::{State, World};

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Puts back the routes of active releases that the ingress has lost or can't read, as with a data folder
/// whose route table was damaged beyond both copies.
pub(super) async fn restore(inner: &Inner) {
    let environments = match store::environments::list_all(&inner.world.store).await {
        Ok(environments) => environments,
        Err(e) => return tracing::error!("can't list the environments: {e}"),
    };
    // Also where a deployment acts: its generation is higher, so that its own routes replace these.
    let ours = |e: &&Environment| e.active_deployment.is_some() && e.host == inner.member.host;
    for environment in environments.iter().filter(ours) {
        let restored = restore_one(&inner.world, environment).await;
        told(environment, restored);
    }
}

/// Has each environment in which nothing is at work serve what the database says: a deployment that was abandoned has left its
/// own routes there, or what is to stand by.
pub(super) async fn correct(inner: &Inner) {
    // The ingress is being started again; the next look is soon enough.
    let Ok(table) = inner.world.ingress.table().await else { return };
    // Read after the table: what has begun since decides under a higher generation than is in there.
    let environments = match store::environments::list_all(&inner.world.store).await {
        Ok(environments) => environments,
        Err(e) => return tracing::error!("can't list the environments: {e}"),
    };
    for environment in environments.iter().filter(|e| is_idle(e) && e.host == inner.member.host) {
        let corrected = correct_in(&inner.world, &table, environment).await;
        told(environment, corrected);
    }
}

/// The same of one environment, if it is of this machine.
pub(crate) async fn correct_idle(world: &World, host: &str, id: &EnvironmentId) -> Result<(), Failed> {
    let table = world.ingress.table().await?;
    let environment = store::environments::get(&world.store, id).await?;
    match is_idle(&environment) && environment.host == host {
        true => correct_in(world, &table, &environment).await,
        false => Ok(()),
    }
}

fn told(environment: &Environment, done: Result<(), Failed>) {
    if let Err(e) = done {
        tracing::error!(app = %environment.app, environment = %environment.name, "can't restore its routes: {e}");
    }
}

/// Nothing is at work in it.
pub(super) fn is_idle(environment: &Environment) -> bool {
    environment.running.is_none() && environment.acting.is_none()
}

async fn restore_one(world: &World, environment: &Environment) -> Result<(), Failed> {
    let table = world.ingress.table().await?;
    let is_damaged = world.ingress.status().await?.damaged.contains(&environment.id);
    if table.environments.contains_key(&environment.id) && !is_damaged {
        return Ok(());
    }
    let Some(state) = active_state(world, environment).await? else { return Ok(()) };
    put(world, &table, environment, &state).await
}

/// The same of an environment whose routes nobody else may change meanwhile: who asks has claimed it.
pub(crate) async fn correct_one(world: &World, environment: &Environment) -> Result<(), Failed> {
    correct_in(world, &world.ingress.table().await?, environment).await
}

async fn correct_in(world: &World, table: &RouteTable, environment: &Environment) -> Result<(), Failed> {
    // What the ingress has lost is put back by `restore`, at the start and when the ingress says so.
    let Some(there) = table.environments.get(&environment.id) else { return Ok(()) };
    if environment.active_deployment.as_ref() == Some(&there.deployment) && !has_standby(there) {
        return Ok(());
    }
    match active_state(world, environment).await? {
        Some(state) => {
            let active = ungated(routes(world, &state).map_err(|e| e.message)?);
            if leads_to(there, &active) { Ok(()) } else { put(world, table, environment, &state).await }
        }
        None => {
            world.ingress.remove(&environment.id, there.generation).await?;
            tracing::warn!(app = %environment.app, environment = %environment.name, "removed its routes: nothing is active");
            Ok(())
        }
    }
}

fn has_standby(routes: &EnvironmentRoutes) -> bool {
    let is_there = |target: &Target| matches!(target, Target::Upstreams { standby, .. } if !standby.is_empty());
    routes.routes.iter().any(|route| is_there(&route.target))
}

/// Whether requests end up where they do with `active`. Hosts don't matter: what serves goes on, whatever the server is called by now.
fn leads_to(there: &EnvironmentRoutes, active: &EnvironmentRoutes) -> bool {
    let same = |a: &Target, b: &Target| match (a, b) {
        (
            Target::Upstreams { upstreams: ours, standby, .. },
            Target::Upstreams { upstreams: theirs, standby: other, .. },
        ) => standby == other && ours.len() == theirs.len() && ours.iter().all(|address| theirs.contains(address)),
        (a, b) => a == b,
    };
    there.release == active.release
        && there.routes.len() == active.routes.len()
        && there.routes.iter().all(|route| {
            active.routes.iter().any(|other| other.component == route.component && same(&route.target, &other.target))
        })
}

async fn put(world: &World, table: &RouteTable, environment: &Environment, state: &State) -> Result<(), Failed> {
    relink(world, state)?;
    let mut active = ungated(routes(world, state).map_err(|e| e.message)?);
    // The links are those of the active generation, whatever the table asks for. A later deployment that was taken back or
    // abandoned has decided last, and the table takes another decision of its generation from it alone.
    active.generation = active.generation.max(table.floor(&environment.id));
    if let Some(there) = table.environments.get(&environment.id).filter(|there| there.generation == active.generation) {
        active.deployment = there.deployment.clone();
    }
    world.ingress.cutover(active).await?;
    tracing::warn!(app = %environment.app, environment = %environment.name, "restored its routes");
    Ok(())
}

/// The links of static components, which may be as lost as the table was.
fn relink(world: &World, state: &State) -> Result<(), runtime::SiteError> {
    for component in state.spec.iter().flat_map(|s| &s.components) {
        if let (Serve::Static { publish, .. }, Some(release)) = (&component.serve, &state.release) {
            let files = world.layout.release(&state.order.app, release.artifact());
            let target = files.join(&component.root).join(publish);
            let site = state.site(&component.name);
            world.sites.link(&site, state.order.generation, &target)?;
            // For people and other web servers; a newer one that is current stays.
            match world.sites.switch(&site, state.order.generation) {
                Ok(_) | Err(runtime::SiteError::OlderGeneration { .. }) => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(())
}
