//! What nobody owns any more, cleaned away on a timer: a server that died between two steps, or a removal that failed,
//! leaves it.
//!
//! What is there is listed first, and who owns it is read afterwards: what is made meanwhile is in neither list.
//! And nothing goes that was not seen without an owner twice, a minute apart.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use domain::EnvironmentId;
use domain::event::EventKind;
use domain::instance::InstanceState;
use ingress::{RouteTable, Target};
use store::StoreError;
use store::environments::Environment;
use store::instances::Instance;

use super::routes::is_idle;
use crate::control::Inner;
use crate::layout::remove_dir;
use crate::scratch;

/// Names that had no owner at the last look, by what they are.
#[derive(Default)]
pub(super) struct Suspects {
    seen: BTreeSet<(Kind, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Commands of builds and the like.
    Processes,
    Workspace,
    Instance,
    Routes,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Processes => "processes",
            Kind::Workspace => "workspaces",
            Kind::Instance => "instances",
            Kind::Routes => "routes",
        }
    }
}

impl Suspects {
    /// Those that had no owner before, either.
    fn confirmed(&mut self, now: BTreeSet<(Kind, String)>) -> Vec<(Kind, String)> {
        let twice = now.intersection(&self.seen).cloned().collect();
        self.seen = now;
        twice
    }
}

/// Looks, and cleans away what had no owner the last time, either.
pub(super) async fn clean(inner: &Inner, suspects: &mut Suspects) {
    let found = match find(inner).await {
        Ok(found) => found,
        Err(e) => return tracing::warn!("can't look for what nobody owns: {e}"),
    };
    let mut gone: Vec<(Kind, String)> = Vec::new();
    for (kind, name) in suspects.confirmed(found) {
        match remove(inner, kind, &name).await {
            Ok(()) => gone.push((kind, name)),
            Err(e) => tracing::warn!(what = kind.as_str(), name, "can't be cleaned away: {e}"),
        }
    }
    for kind in [Kind::Processes, Kind::Workspace, Kind::Instance, Kind::Routes] {
        let names: Vec<String> = gone.iter().filter(|(of, _)| *of == kind).map(|(_, name)| name.clone()).collect();
        if !names.is_empty() {
            tracing::warn!(what = kind.as_str(), ?names, "cleaned away, as nobody owned them");
            let event = EventKind::LeftoversRemoved { what: kind.as_str().to_owned(), names };
            if let Err(e) = tell(inner, &event).await {
                tracing::warn!("can't record an event: {e}");
            }
        }
    }
}

async fn find(inner: &Inner) -> Result<BTreeSet<(Kind, String)>, StoreError> {
    let world = &inner.world;
    // What is there.
    let works = world.executor.works().await;
    let workspaces: BTreeSet<String> = names(&world.layout.workspaces()).into_iter().collect();
    let runtime = world.runtime.clone();
    let instances = tokio::task::spawn_blocking(move || runtime.list()).await;
    let instances = instances.map_err(|e| StoreError::Internal(e.to_string()))?;
    // Without: it is being started again; the next look is soon enough.
    let table = world.ingress.table().await.ok();
    let rows = store::instances::list_all(&world.store).await?;
    // Who owns it.
    let running: BTreeSet<String> = inner.runner.running().iter().map(ToString::to_string).collect();
    // What is called otherwise is of a request at work, of a smoke test, or of a look at source.
    let named = |names: &BTreeSet<String>| names.iter().filter_map(|name| name.parse().ok()).collect::<Vec<_>>();
    let mut open = store::retention::still_open(&world.store, &named(&works)).await?;
    open.extend(store::retention::still_open(&world.store, &named(&workspaces)).await?);
    let open: BTreeSet<String> = open.iter().map(ToString::to_string).collect();
    let environments = store::environments::list_all(&world.store).await?;
    let environments: BTreeMap<EnvironmentId, Environment> =
        environments.into_iter().map(|environment| (environment.id.clone(), environment)).collect();
    let asked = table.as_ref().map(asked);
    let is_wanted = |row: &&Instance| {
        !row.retired && environments.get(&row.key.environment).is_none_or(|of| is_owned(row, of, asked.as_ref()))
    };
    let wanted: BTreeSet<String> = rows.iter().filter(is_wanted).map(|row| row.key.name()).collect();

    let is_ended =
        |name: &String| name.parse::<domain::DeploymentId>().is_ok() && !open.contains(name) && !running.contains(name);
    let mut found = BTreeSet::new();
    found.extend(works.into_iter().filter(&is_ended).map(|name| (Kind::Processes, name)));
    let is_left = |name: &String| is_ended(name) || scratch::is_left(&inner.member, name);
    found.extend(workspaces.into_iter().filter(is_left).map(|name| (Kind::Workspace, name)));
    let strays = instances.into_iter().filter(|status| !matches!(status.state, InstanceState::Stopped { .. }));
    let strays = strays.map(|status| status.key.name()).filter(|name| !wanted.contains(name));
    found.extend(strays.map(|name| (Kind::Instance, name)));
    let routed = table.iter().flat_map(|table| table.environments.keys());
    let unknown = routed.filter(|id| !environments.contains_key(id));
    found.extend(unknown.map(|id| (Kind::Routes, id.to_string())));
    Ok(found)
}

/// Whether an instance is to be there: it is of what is active, of what is at work, or requests may go to it. Those of a deployment
/// that was abandoned are none of these once its routes are gone.
fn is_owned(row: &Instance, environment: &Environment, asked: Option<&BTreeSet<u16>>) -> bool {
    let is_active = environment.active_deployment.as_ref() == Some(&row.key.deployment);
    is_active || !is_idle(environment) || asked.is_none_or(|ports| row.port.is_some_and(|port| ports.contains(&port)))
}

/// The ports to which the ingress may send requests.
fn asked(table: &RouteTable) -> BTreeSet<u16> {
    let routes = table.environments.values().flat_map(|environment| &environment.routes);
    let ports = routes.flat_map(|route| match &route.target {
        Target::Upstreams { upstreams, standby, .. } => upstreams
            .iter()
            .chain(standby.iter().map(|other| &other.address))
            .map(SocketAddr::port)
            .collect::<Vec<u16>>(),
        Target::Static { .. } => Vec::new(),
    });
    ports.collect()
}

/// Stops it, and forgets it if it was asked for: first the wish, then the deed.
async fn stop(inner: &Inner, name: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let world = &inner.world;
    let tx = world.store.write().await?;
    let was_asked_for = match store::instances::retire(&tx, name).await {
        Ok(()) => true,
        Err(StoreError::NotFound { .. }) => false,
        Err(e) => return Err(e.into()),
    };
    tx.commit().await?;
    world.runtime.stop(name).await?;
    if was_asked_for {
        let tx = world.store.write().await?;
        store::instances::delete(&tx, name).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn remove(inner: &Inner, kind: Kind, name: &str) -> Result<(), String> {
    let world = &inner.world;
    match kind {
        Kind::Processes => {
            world.executor.sweep(name).await;
            Ok(())
        }
        Kind::Workspace => {
            let path = world.layout.workspaces().join(name);
            let removed = tokio::task::spawn_blocking(move || remove_dir(&path)).await;
            removed.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
        }
        Kind::Instance => stop(inner, name).await.map_err(|e| e.to_string()),
        Kind::Routes => {
            let id: EnvironmentId = name.parse().map_err(|e: domain::id::InvalidId| e.to_string())?;
            let table = world.ingress.table().await.map_err(|e| e.to_string())?;
            let Some(routes) = table.environments.get(&id) else { return Ok(()) };
            world.ingress.remove(&id, routes.generation).await.map_err(|e| e.to_string())
        }
    }
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

async fn tell(inner: &Inner, event: &EventKind) -> Result<(), StoreError> {
    let tx = inner.world.store.write().await?;
    store::events::insert(&tx, None, None, None, event, store::clock::now()).await?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_owner_goes_at_the_second_look() {
        let mut suspects = Suspects::default();
        let of =
            |names: &[&str]| names.iter().map(|name| (Kind::Workspace, (*name).to_owned())).collect::<BTreeSet<_>>();
        assert_eq!(suspects.confirmed(of(&["a", "b"])), []);
        assert_eq!(suspects.confirmed(of(&["b", "c"])), [(Kind::Workspace, "b".to_owned())]);
        assert_eq!(suspects.confirmed(of(&["a"])), [], "it had an owner in between");
    }
}
