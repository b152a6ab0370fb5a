//! Gives every component its place: a symlink to its files for a static one, a recorded
//! instance with a port for each process.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::failure::{Cause, Failure};
use domain::instance::InstanceKey;
use domain::phase::Phase;
use domain::plan::{Change, Touch};
use domain::spec::{Component, Serve};
use runtime::SiteError;
use saga::{Retry, Stage, Step};

use super::claim::superseded;
use super::published::published;
use super::{LINK, blocking, store_away, store_retry};
use crate::deployment::explain::{Explain, Outlook, Scene, Undo};
use crate::deployment::state::{Placement, ReleaseRef};
use crate::deployment::{Deploying, State, World, fail};

const PHASE: Phase = Phase::CreatingSymlinks;

pub(crate) struct Link;

#[async_trait]
impl<G: Deploying> Stage<G> for Link {
    fn name(&self) -> &'static str {
        LINK
    }

    fn retry(&self) -> Retry {
        store_retry()
    }

    async fn run(&self, world: &World, mut state: State, _: &Step) -> Result<State, saga::Failure<Failure>> {
        let (Some(spec), Some(release)) = (state.spec.clone(), state.release.clone()) else {
            return Err(saga::Failure::permanent(fail::internal(PHASE, "there is no release to link")));
        };
        let files = world.layout.release(&state.order.app, release.artifact());
        published(PHASE, &spec, &files, "the release").await?;
        let mut placements = Vec::new();
        for component in &spec.components {
            match &component.serve {
                Serve::Static { publish, .. } => {
                    let target = files.join(&component.root).join(publish);
                    let (sites, site, generation) =
                        (world.sites.clone(), state.site(&component.name), state.generation());
                    blocking(PHASE, move || sites.link(&site, generation, &target)).await?.map_err(refused)?;
                }
                Serve::Process { instances, listens, .. } => {
                    for index in 0..*instances {
                        placements.push(place(world, &state, &release, component, index, *listens).await?);
                    }
                }
            }
        }
        state.placements = placements;
        Ok(state)
    }

    async fn undo(&self, world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
        for component in state.spec.iter().flat_map(|s| &s.components) {
            if matches!(component.serve, Serve::Static { .. }) {
                world
                    .sites
                    .unlink(&state.site(&component.name), state.generation())
                    .map_err(|e| saga::Failure::retry(fail::internal(PHASE, format!("can't remove a link: {e}"))))?;
            }
        }
        forget(world, state).await.map_err(|e| store_away(PHASE, e))
    }
}

impl Explain for Link {
    fn outlook(&self, scene: &Scene) -> Outlook {
        let link =
            |component: &Component| Touch::StaticLink { component: component.name.clone(), change: Change::Makes };
        Outlook::run("gives instances their names and ports, and static components their links")
            .touching(scene.new_instances(Change::Uses))
            .touching(scene.sites().map(link))
    }

    fn taken_back(&self, _: &Scene) -> Undo {
        Undo::of("names, ports and links are given back")
    }
}

/// Records the instance. A repeat gets the port that it was given before.
async fn place(
    world: &World,
    state: &State,
    release: &ReleaseRef,
    component: &Component,
    index: u32,
    listens: bool,
) -> Result<Placement, saga::Failure<Failure>> {
    let key = InstanceKey {
        environment: state.order.environment.clone(),
        deployment: state.order.deployment.clone(),
        release: release.id.clone(),
        generation: state.generation(),
        component: component.name.clone(),
        index,
    };
    let away = |e| store_away(PHASE, e);
    let tx = world.store.write().await.map_err(away)?;
    let port = if listens {
        let taken: BTreeSet<u16> = store::instances::ports(&tx).await.map_err(away)?.into_iter().collect();
        let free = world.ports.free(&taken, &key.name()).map_err(|e| {
            saga::Failure::permanent(fail::failure(PHASE, Cause::Internal, e.to_string(), "stop what uses the ports"))
        })?;
        Some(free)
    } else {
        None
    };
    let row = store::instances::insert_or_get(&tx, &key, port).await.map_err(away)?;
    tx.commit().await.map_err(away)?;
    Ok(Placement { key: row.key, port: row.port })
}

async fn forget(world: &World, state: &State) -> Result<(), store::StoreError> {
    let tx = world.store.write().await?;
    for row in store::instances::list_by_deployment(&tx, &state.order.deployment).await? {
        store::instances::delete(&tx, &row.key.name()).await?;
    }
    tx.commit().await
}

fn refused(error: SiteError) -> saga::Failure<Failure> {
    saga::Failure::permanent(match error {
        SiteError::OlderGeneration { generation, current, .. } => superseded(PHASE, current, generation),
        other => fail::internal(PHASE, other.to_string()),
    })
}
