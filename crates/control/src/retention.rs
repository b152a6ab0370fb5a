//! Removes what is old, by policy: in small batches, and never what serves, waits, or is what a rollback goes to.
//!
//! Files of a release go in the transaction that notes it in its row: the folder gets another name there, and
//! is emptied afterwards. So a deployment finds either the release with its files, or neither.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Utc};
use domain::event::EventKind;
use domain::release::Digest;
use domain::retention::{Chosen, Keep, spare};
use domain::{AppId, DeploymentId, ReleaseId};
use operations::Error;
use operations::retention::Sweep;
use store::retention::{Folder, Of};
use store::settings::{self, RETENTION};
use store::{Session, StoreError};
use tokio_util::sync::CancellationToken;

use crate::control::Inner;
use crate::deployment::World;
use crate::error::store_error;
use crate::layout::remove_dir;

/// Folders that are on their way out; no digest begins so.
const GONE: &str = "gone-";

/// The policies of all apps.
struct Policies {
    server: Keep,
    own: BTreeMap<AppId, (Keep, Of)>,
}

impl Policies {
    async fn read(session: &impl Session) -> Result<Self, StoreError> {
        let server: Option<Chosen> = settings::find(session, None, RETENTION).await?;
        let server = server.unwrap_or_default().or(Keep::default());
        let mut own = BTreeMap::new();
        for (id, chosen) in settings::of_apps::<Chosen>(session, RETENTION).await? {
            let name = store::apps::get(session, &id).await?.name;
            own.insert(id.clone(), (chosen.or(server), Of::App { id, name }));
        }
        Ok(Self { server, own })
    }

    fn of(&self, app: &AppId) -> &Keep {
        self.own.get(app).map_or(&self.server, |(keep, _)| keep)
    }

    /// Each policy with the apps that it is for.
    fn groups(&self) -> Vec<(Keep, Of)> {
        let own = self.own.values().filter_map(|(_, of)| match of {
            Of::App { id, name } => Some((id.clone(), name.clone())),
            Of::Others(_) => None,
        });
        let others = (self.server, Of::Others(own.collect()));
        self.own.values().cloned().chain([others]).collect()
    }

    fn fewest_releases(&self) -> u32 {
        self.groups().iter().map(|(keep, _)| keep.releases).min().unwrap_or(self.server.releases)
    }
}

/// The first run comes when a start has settled.
const FIRST: Duration = Duration::from_secs(60);
const BETWEEN: Duration = Duration::from_secs(3600);
/// Apps at which a deployment was at work that might need any of their releases are looked at again after so long.
const AGAIN: Duration = Duration::from_secs(60);

/// Until the server stops. A run that is cut off is taken up by the next.
pub(crate) async fn keep(inner: Weak<Inner>, stopping: CancellationToken) {
    let (mut next, mut busy) = (Instant::now() + FIRST, Vec::new());
    loop {
        let wait = next.saturating_duration_since(Instant::now());
        let wait = if busy.is_empty() { wait } else { wait.min(AGAIN) };
        if stopping.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
        let Some(inner) = inner.upgrade() else { return };
        // Rows once for all servers, files by a server of each machine.
        let leads = inner.member.leading().borrow().is_some();
        let left = std::mem::take(&mut busy);
        let pass = async {
            if Instant::now() < next {
                return if leads { again(&inner.world, left).await } else { Ok(Vec::new()) };
            }
            next = Instant::now() + BETWEEN;
            let mut busy = Vec::new();
            if leads {
                busy = sweep(&inner.world).await?.1;
                crate::sign_in::sweep(&inner.world.store).await.map_err(store_error)?;
                crate::notices::sweep(&inner.world.store).await.map_err(store_error)?;
            } else if inner.member.has_duty() {
                files(&inner.world).await?;
            }
            Ok::<Vec<AppId>, Error>(busy)
        };
        match stopping.run_until_cancelled(pass).await {
            Some(Ok(left)) => busy = left,
            Some(Err(e)) => tracing::warn!("can't remove what is old: {e}"),
            None => return,
        }
    }
}

/// What a run would remove.
pub(crate) async fn plan(world: &World) -> Result<Sweep, Error> {
    let now = Utc::now();
    let policies = Policies::read(&world.store).await.map_err(store_error)?;
    let counted = async {
        let mut sweep = Sweep::default();
        let store = &world.store;
        for app in store::retention::apps_with_releases(store, policies.fewest_releases()).await? {
            let keep = policies.of(&app).releases;
            match store::retention::folders(store, &app, keep).await? {
                Some((folders, good)) => {
                    let gone = going(&folders, &good, keep);
                    sweep.releases += gone.releases.len() as u64;
                    sweep.release_bytes += gone.bytes;
                }
                None => sweep.busy_apps += 1,
            }
        }
        for (keep, of) in policies.groups() {
            if let Some(before) = keep.events.before(now) {
                let until = store::retention::first_event_from(store, before).await?;
                sweep.events += store::retention::count_events(store, &of, until).await?;
            }
            if let Some(before) = keep.deployments.before(now) {
                sweep.deployments += store::retention::count_deployments(store, &of, before).await?;
            }
        }
        if let Some(before) = policies.server.keys.before(now) {
            sweep.keys = store::retention::count_keys(store, before).await?;
        }
        for output in old_outputs(world, &policies, now).await? {
            sweep.outputs += 1;
            sweep.output_bytes += output.bytes;
        }
        Ok(sweep)
    };
    counted.await.map_err(store_error)
}

/// Removes what is old. Ended half-way, the next run goes on.
pub(crate) async fn run(world: &World) -> Result<Sweep, Error> {
    Ok(sweep(world).await?.0)
}

/// The same, with the apps that are busy.
async fn sweep(world: &World) -> Result<(Sweep, Vec<AppId>), Error> {
    let now = Utc::now();
    let policies = Policies::read(&world.store).await.map_err(store_error)?;
    let swept = async {
        let mut sweep = Sweep::default();
        // First the files, as records are kept for releases that have theirs.
        let apps = store::retention::apps_with_releases(&world.store, policies.fewest_releases()).await?;
        let busy = files_of_apps(world, &policies, apps, &mut sweep, now).await?;
        remove_gone_folders(world).await;
        for (keep, of) in policies.groups() {
            if let Some(before) = keep.events.before(now) {
                sweep.events += events(world, &of, before).await?;
            }
            if let Some(before) = keep.deployments.before(now) {
                sweep.deployments += deployments(world, &of, before).await?;
            }
        }
        if let Some(before) = policies.server.keys.before(now) {
            sweep.keys = keys(world, before).await?;
        }
        for output in old_outputs(world, &policies, now).await? {
            match world.outputs.delete(&output.deployment) {
                Ok(()) => {
                    sweep.outputs += 1;
                    sweep.output_bytes += output.bytes;
                }
                Err(e) => tracing::warn!(deployment = %output.deployment, "can't delete an old output: {e}"),
            }
        }
        tell(world, &sweep, now).await?;
        Ok((sweep, busy))
    };
    swept.await.map_err(store_error)
}

/// Removes files of releases of apps that were busy. Those that still are.
async fn again(world: &World, apps: Vec<AppId>) -> Result<Vec<AppId>, Error> {
    let now = Utc::now();
    let looked = async {
        let policies = Policies::read(&world.store).await?;
        let mut sweep = Sweep::default();
        let busy = files_of_apps(world, &policies, apps, &mut sweep, now).await?;
        if sweep.releases > 0 {
            remove_gone_folders(world).await;
        }
        tell(world, &sweep, now).await?;
        Ok(busy)
    };
    looked.await.map_err(store_error)
}

/// Takes away the files of these apps' releases; those that have to wait, which the sweep counts, too.
async fn files_of_apps(
    world: &World,
    policies: &Policies,
    apps: Vec<AppId>,
    sweep: &mut Sweep,
    now: DateTime<Utc>,
) -> Result<Vec<AppId>, StoreError> {
    let mut busy = Vec::new();
    for app in apps {
        match release_files(world, &app, policies.of(&app).releases, now).await? {
            Some(gone) => {
                sweep.releases += gone.releases.len() as u64;
                sweep.release_bytes += gone.bytes;
            }
            None => busy.push(app),
        }
    }
    sweep.busy_apps = busy.len() as u64;
    Ok(busy)
}

/// Removes files on this machine alone: outputs, and those of releases that were noted to have none.
async fn files(world: &World) -> Result<(), Error> {
    let removed = async {
        let now = Utc::now();
        let policies = Policies::read(&world.store).await?;
        for entry in std::fs::read_dir(world.layout.releases()).into_iter().flatten().flatten() {
            if let Some(app) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                noted_files(world, &app).await?;
            }
        }
        remove_gone_folders(world).await;
        for output in old_outputs(world, &policies, now).await? {
            if let Err(e) = world.outputs.delete(&output.deployment) {
                tracing::warn!(deployment = %output.deployment, "can't delete an old output: {e}");
            }
        }
        Ok(())
    };
    removed.await.map_err(store_error)
}

/// Puts folders of an app aside that no release of it has any more, as a server of another machine has noted.
async fn noted_files(world: &World, app: &AppId) -> Result<(), StoreError> {
    let gone = store::retention::gone_artifacts(&world.store, app).await?;
    let there: Vec<Digest> = gone.into_iter().filter(|digest| world.layout.release(app, digest).is_dir()).collect();
    if there.is_empty() {
        return Ok(());
    }
    let tx = world.store.write().await?;
    // None while a deployment may be about to need them.
    if store::retention::folders(&tx, app, 1).await?.is_some() {
        let gone = store::retention::gone_artifacts(&tx, app).await?;
        there.iter().filter(|digest| gone.contains(digest)).for_each(|digest| put_aside(world, app, digest));
    }
    Ok(())
}

fn put_aside(world: &World, app: &AppId, artifact: &Digest) {
    let folder = world.layout.release(app, artifact);
    let aside = folder.with_file_name(format!("{GONE}{artifact}"));
    match std::fs::rename(&folder, &aside) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), "can't take away the files of a release: {e}");
        }
        _ => {}
    }
}

/// Releases that lose their files, and the folders that no other release shares.
struct Going {
    releases: Vec<ReleaseId>,
    artifacts: BTreeSet<Digest>,
    bytes: u64,
}

fn going(folders: &[Folder], good: &[Vec<ReleaseId>], keep: u32) -> Going {
    let held: Vec<_> = folders.iter().map(|folder| folder.held.clone()).collect();
    let releases = spare(&held, good, keep);
    let gone: HashSet<&ReleaseId> = releases.iter().collect();
    let (out, stay): (Vec<&Folder>, Vec<&Folder>) =
        folders.iter().partition(|folder| gone.contains(&folder.held.release));
    let stays = |artifact: &Digest| stay.iter().any(|folder| &folder.artifact == artifact);
    let mut artifacts = BTreeSet::new();
    let mut bytes = 0;
    for folder in out.into_iter().filter(|folder| !stays(&folder.artifact)) {
        if artifacts.insert(folder.artifact.clone()) {
            bytes += folder.size;
        }
    }
    Going { releases, artifacts, bytes }
}

/// Takes away the files of one app's releases; none if it has to wait.
async fn release_files(world: &World, app: &AppId, keep: u32, now: DateTime<Utc>) -> Result<Option<Going>, StoreError> {
    // A look beforehand, as most apps have nothing to take away and need no turn to write.
    match store::retention::folders(&world.store, app, keep).await? {
        None => return Ok(None),
        Some((folders, good)) if going(&folders, &good, keep).releases.is_empty() => {
            return Ok(Some(Going { releases: Vec::new(), artifacts: BTreeSet::new(), bytes: 0 }));
        }
        Some(_) => {}
    }
    let tx = world.store.write().await?;
    let Some((folders, good)) = store::retention::folders(&tx, app, keep).await? else { return Ok(None) };
    let gone = going(&folders, &good, keep);
    store::retention::files_gone(&tx, &gone.releases, now).await?;
    // Whoever deploys it after the commit finds no folder of that name; one that is lost all the same is built again.
    gone.artifacts.iter().for_each(|artifact| put_aside(world, app, artifact));
    tx.commit().await?;
    Ok(Some(gone))
}

/// Empties folders that were put aside, also by a server that then died.
async fn remove_gone_folders(world: &World) {
    let releases = world.layout.releases();
    let removed = tokio::task::spawn_blocking(move || {
        let below = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten();
        for app in below(&releases) {
            for entry in below(&app.path()) {
                if entry.file_name().to_string_lossy().starts_with(GONE)
                    && let Err(e) = remove_dir(&entry.path())
                {
                    tracing::warn!(folder = %entry.path().display(), "can't remove the files of a release: {e}");
                }
            }
        }
    });
    if removed.await.is_err() {
        tracing::error!("removing files of releases panicked");
    }
}

async fn events(world: &World, of: &Of, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let until = store::retention::first_event_from(&world.store, before).await?;
    let (mut gone, mut from) = (0, Some(0));
    while let Some(next) = from {
        let tx = world.store.write().await?;
        let (count, more) = store::retention::remove_events(&tx, of, next, until).await?;
        if count > 0 {
            tx.commit().await?;
        }
        gone += count;
        from = more;
        give_way().await;
    }
    Ok(gone)
}

async fn deployments(world: &World, of: &Of, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let (mut gone, mut after): (u64, Option<DeploymentId>) = (0, None);
    loop {
        let tx = world.store.write().await?;
        let ids = store::retention::remove_deployments(&tx, of, before, after.as_ref()).await?;
        let Some(last) = ids.last() else { return Ok(gone) };
        tx.commit().await?;
        gone += ids.len() as u64;
        after = Some(last.clone());
        for id in &ids {
            // Nobody could ask for it any more.
            if let Err(e) = world.outputs.delete(id) {
                tracing::warn!(deployment = %id, "can't delete the output of an old deployment: {e}");
            }
        }
        give_way().await;
    }
}

async fn keys(world: &World, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let mut gone = 0;
    loop {
        let tx = world.store.write().await?;
        let count = store::retention::remove_keys(&tx, before).await?;
        if count == 0 {
            return Ok(gone);
        }
        tx.commit().await?;
        gone += count;
        give_way().await;
    }
}

/// Between two batches: those who wait for a turn come first anyway, and the disk gets a breath.
async fn give_way() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

struct OldOutput {
    deployment: DeploymentId,
    bytes: u64,
}

/// Outputs in which nothing was written for long, of deployments that have ended.
async fn old_outputs(world: &World, policies: &Policies, now: DateTime<Utc>) -> Result<Vec<OldOutput>, StoreError> {
    let shortest = policies.groups().iter().filter_map(|(keep, _)| keep.outputs.before(now)).max();
    let Some(shortest) = shortest else { return Ok(Vec::new()) };
    let folder = world.layout.outputs();
    let found = tokio::task::spawn_blocking(move || outputs_before(folder, shortest));
    let found = found.await.map_err(|e| StoreError::Internal(e.to_string()))?;
    let mut old = Vec::new();
    for (deployment, written_at, bytes) in found {
        let keep = match store::deployments::get(&world.store, &deployment).await {
            Ok(record) if !record.deployment.phase.is_end() => continue,
            Ok(record) => policies.of(&record.app_id).outputs,
            Err(StoreError::NotFound { .. }) => policies.server.outputs,
            Err(e) => return Err(e),
        };
        if keep.before(now).is_some_and(|before| written_at < before) {
            old.push(OldOutput { deployment, bytes });
        }
    }
    Ok(old)
}

fn outputs_before(folder: PathBuf, before: DateTime<Utc>) -> Vec<(DeploymentId, DateTime<Utc>, u64)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let old = entries.filter_map(|entry| {
        let name = entry.file_name();
        let id = name.to_str()?.strip_suffix(".ndjson")?.parse().ok()?;
        let meta = entry.metadata().ok()?;
        let written: DateTime<Utc> = meta.modified().unwrap_or_else(|_| SystemTime::now()).into();
        (written < before).then_some((id, written, meta.len()))
    });
    old.collect()
}

async fn tell(world: &World, sweep: &Sweep, now: DateTime<Utc>) -> Result<(), StoreError> {
    let Sweep { releases, outputs, events, deployments, keys, .. } = *sweep;
    if releases + outputs + events + deployments + keys == 0 {
        return Ok(());
    }
    tracing::info!(releases, outputs, events, deployments, keys, "removed what was old");
    let bytes = sweep.release_bytes + sweep.output_bytes;
    let event = EventKind::RetentionRan { releases, outputs, events, deployments, bytes };
    let tx = world.store.write().await?;
    store::events::insert(&tx, None, None, None, &event, now).await?;
    tx.commit().await
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use domain::retention::Held;

    use super::*;

    #[test]
    fn a_folder_that_another_release_shares_stays() {
        let id = |n| ReleaseId::from_ulid(ulid::Ulid::from_parts(n, 0));
        let folder = |n: u32, artifact: &str, needed| Folder {
            held: Held { release: id(n.into()), number: n, needed },
            artifact: Digest(artifact.to_owned()),
            size: 100,
        };
        // v2 was promoted to v4, which serves.
        let all = [folder(1, "a", false), folder(2, "b", false), folder(3, "c", false), folder(4, "b", true)];
        let gone = going(&all, &[vec![id(4)]], 1);
        assert_eq!(gone.releases, [3, 2, 1].map(id));
        assert_eq!(gone.artifacts, BTreeSet::from(["a", "c"].map(|a| Digest(a.to_owned()))));
        assert_eq!(gone.bytes, 200);
    }
}
