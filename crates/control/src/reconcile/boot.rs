//! What a server does before it takes requests: it removes what a dead one left behind, and
//! brings back what should serve.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use domain::instance::InstanceState;
use operations::Error;

use super::{Memory, instances, routes};
use crate::control::Inner;
use crate::error::store_error;
use crate::layout::remove_dir;
use crate::scratch;

/// Folders of stopped instances hold their logs; they stay this long.
const LOGS_KEPT: Duration = Duration::from_secs(14 * 24 * 3600);

/// Ends what dead servers were building: it is run again from its beginning. Only when no other server works here.
pub(crate) async fn sweep(inner: &Inner) {
    let host = inner.world.host.clone();
    let groups = tokio::task::spawn_blocking(move || host.sweep()).await.unwrap_or_default();
    let swept = inner.world.executor.sweep_all_except(&BTreeSet::new()).await;
    if groups > 0 || swept > 0 {
        tracing::info!(groups, processes = swept, "ended build processes of a server that is gone");
    }
}

/// Other servers of the machine may be at work meanwhile: what is on the disk is listed before the rows that it needs.
pub(crate) async fn boot(inner: &Inner) -> Result<(), Error> {
    remove_workspaces(inner).await?;
    remove_strays(inner).await?;
    remove_orphans(inner).await?;
    routes::restore(inner).await;
    routes::correct(inner).await;
    instances::keep_running(inner, &mut Memory::default()).await;
    clean_old(inner).await;
    Ok(())
}

/// Workspaces of deployments that have ended, and of detections that were cut off.
async fn remove_workspaces(inner: &Inner) -> Result<(), Error> {
    let world = &inner.world;
    let Ok(entries) = std::fs::read_dir(world.layout.workspaces()) else { return Ok(()) };
    let entries: Vec<_> = entries.flatten().collect();
    let open = store::deployments::list_open(&world.store).await.map_err(store_error)?;
    let keep: BTreeSet<String> = open.iter().map(|r| r.deployment.id.to_string()).collect();
    let peers = inner.member.has_peers();
    for entry in entries {
        let name = entry.file_name();
        let wanted = |name: &str| {
            keep.contains(name) || (peers && !name.starts_with("dep_") && !scratch::is_left(&inner.member, name))
        };
        if !name.to_str().is_some_and(wanted)
            && let Err(e) = remove_dir(&entry.path())
        {
            tracing::warn!(path = %entry.path().display(), "can't remove an old workspace: {e}");
        }
    }
    Ok(())
}

/// Instances that run although nothing in the database wants them.
async fn remove_strays(inner: &Inner) -> Result<(), Error> {
    let world = &inner.world;
    let there = world.runtime.list();
    let rows = store::instances::list_all(&world.store).await.map_err(store_error)?;
    let wanted: BTreeSet<String> = rows.iter().filter(|r| !r.retired).map(|r| r.key.name()).collect();
    for status in there {
        let name = status.key.name();
        if wanted.contains(&name) || matches!(status.state, InstanceState::Stopped { .. }) {
            continue;
        }
        tracing::info!(instance = name, "stopping an instance that nothing wants");
        // Nobody waits for it: it may take minutes, as its app wishes, and the server is needed before.
        let runtime = world.runtime.clone();
        tokio::spawn(async move {
            if let Err(e) = runtime.stop(&name).await {
                tracing::warn!(instance = name, "can't stop it: {e}");
            }
        });
    }
    Ok(())
}

/// Releases and caches of apps that were deleted, when the server died before it had removed them.
async fn remove_orphans(inner: &Inner) -> Result<(), Error> {
    let world = &inner.world;
    let folders = [world.layout.releases(), world.layout.caches()];
    let entries: Vec<_> = folders.iter().flat_map(std::fs::read_dir).flatten().flatten().collect();
    let mut known = BTreeSet::new();
    let mut after = None;
    loop {
        let page = store::apps::list(&world.store, after.as_ref(), 500).await.map_err(store_error)?;
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
        known.extend(page.into_iter().map(|app| app.id.to_string()));
    }
    for entry in entries {
        let orphan = entry.file_name().to_str().is_none_or(|name| !known.contains(name));
        if orphan && let Err(e) = remove_dir(&entry.path()) {
            tracing::warn!(path = %entry.path().display(), "can't remove what a deleted app left: {e}");
        }
    }
    Ok(())
}

/// Removes what has been kept long enough.
pub(super) async fn clean_old(inner: &Inner) {
    let world = &inner.world;
    if let Err(e) = crate::uploads::sweep(world, store::clock::now()).await {
        tracing::warn!("can't look for uploads that nobody needs: {e}");
    }
    let rows = store::instances::list_all(&world.store).await.unwrap_or_default();
    let wanted: BTreeSet<String> = rows.iter().map(|r| r.key.name()).collect();
    for status in world.runtime.list() {
        let name = status.key.name();
        let folder = world.layout.instances().join(&name);
        let age = std::fs::metadata(&folder)
            .and_then(|m| m.modified())
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        let stopped = matches!(status.state, InstanceState::Stopped { .. });
        if stopped
            && !wanted.contains(&name)
            && age.is_some_and(|age| age > LOGS_KEPT)
            && let Err(e) = world.runtime.remove(&name).await
        {
            tracing::warn!(instance = name, "can't remove an old log: {e}");
        }
    }
}
