//! Routes of what is active.

use domain::spec::Serve;
use store::environments::Environment;

use crate::control::Inner;
use crate::deployment::stages::{routes, ungated};
use crate::deployment::{State, World};

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
        if let Err(e) = restore_one(inner, environment).await {
            tracing::error!(app = %environment.app, environment = %environment.name, "can't restore its routes: {e}");
        }
    }
}

async fn restore_one(inner: &Inner, environment: &Environment) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let world = &inner.world;
    let table = world.ingress.table().await?;
    let is_damaged = world.ingress.status().await?.damaged.contains(&environment.id);
    if table.environments.contains_key(&environment.id) && !is_damaged {
        return Ok(());
    }
    let Some(state) = super::instances::active_state(inner, environment).await? else { return Ok(()) };
    relink(world, &state)?;
    let mut active = routes(world, &state).map_err(|e| e.message)?;
    // The links are those of the active generation, whatever the table asks for.
    active.generation = active.generation.max(table.floor(&environment.id));
    world.ingress.cutover(ungated(active)).await?;
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
