//! Makes the release: the workspace becomes its folder, whole and read-only, under the
//! digest of what it was made from.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use domain::ReleaseId;
use domain::failure::Failure;
use domain::phase::Phase;
use domain::plan::{Change, Touch};
use domain::release::Digest;
use domain::spec::AppSpec;
use runtime::isolation::ownership;
use saga::{Retry, Stage, Step};
use store::releases::NewRelease;
use ulid::Ulid;

use super::{CREATE_RELEASE, blocking, store_away, store_retry, user};
use crate::deployment::explain::{Explain, Outlook, Scene, Undo};
use crate::deployment::state::ReleaseRef;
use crate::deployment::{Deploying, State, World, fail};
use crate::layout::remove_dir;

const PHASE: Phase = Phase::CopyingFiles;

pub(crate) struct CreateRelease;

#[async_trait]
impl<G: Deploying> Stage<G> for CreateRelease {
    fn name(&self) -> &'static str {
        CREATE_RELEASE
    }

    fn retry(&self) -> Retry {
        store_retry()
    }

    async fn run(&self, world: &World, mut state: State, _: &Step) -> Result<State, saga::Failure<Failure>> {
        let (Some(spec), Some(digest), false) = (&state.spec, &state.digest, state.reused) else { return Ok(state) };
        let order = &state.order;
        let workspace = world.layout.workspace(&order.deployment);
        let folder = world.layout.release(&order.app, digest);
        let internal = |what: &str, e: io::Error| {
            saga::Failure::permanent(fail::internal(PHASE, format!("can't {what} the release {}: {e}", digest.short())))
        };

        let user = user(world, &order.app, PHASE).await?;
        let (from, to, spec_of) = (workspace.source(), folder.clone(), spec.clone());
        let counted =
            blocking(PHASE, move || place(&from, &to, &spec_of, user)).await?.map_err(|e| internal("place", e))?;
        let path = workspace.snapshot();
        let sealed = blocking(PHASE, move || std::fs::read(path)).await?.map_err(|e| internal("seal", e))?;

        let new = NewRelease {
            id: ReleaseId::from_ulid(Ulid::generate()),
            app_id: order.app.clone(),
            digest: digest.clone(),
            artifact: digest.clone(),
            promoted_from: None,
            commit: state.commit.clone(),
            spec: spec.clone(),
            size: counted.bytes,
            files: counted.files,
            tags: order.labels.tags.clone(),
            metadata: order.labels.metadata.clone(),
            snapshot: sealed,
            created_at: store::clock::now(),
        };
        let release = insert(world, &new).await.map_err(|e| store_away(PHASE, e))?;
        world.sink(&order.deployment, PHASE, None).say(&format!(
            "v{}: {} files, {} bytes, digest {}",
            release.number,
            counted.files,
            counted.bytes,
            digest.short()
        ));
        state.release = Some(release);
        Ok(state)
    }

    /// A release that nobody else uses goes with the deployment that made it.
    async fn undo(&self, world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
        let (Some(digest), false) = (&state.digest, state.reused) else { return Ok(()) };
        let order = &state.order;
        let gone = discard(world, state, digest).await.map_err(|e| store_away(PHASE, e))?;
        if gone {
            let folder = world.layout.release(&order.app, digest);
            blocking(PHASE, move || remove_dir(&folder)).await?.map_err(|e| {
                saga::Failure::retry(fail::internal(PHASE, format!("can't remove release {}: {e}", digest.short())))
            })?;
        }
        Ok(())
    }
}

impl Explain for CreateRelease {
    fn outlook(&self, scene: &Scene) -> Outlook {
        match scene.existing {
            Some(number) => Outlook::skip(format!("v{number} is there, with its files")),
            None => Outlook::run("makes the release of what was built, read-only")
                .touching([Touch::ReleaseFolder { digest: scene.digest.clone(), change: Change::Makes }]),
        }
    }

    fn taken_back(&self, _: &Scene) -> Undo {
        Undo::of("the release and its folder are removed, unless another deployment has come to use them")
    }
}

pub(super) async fn insert(world: &World, new: &NewRelease) -> Result<ReleaseRef, store::StoreError> {
    let tx = world.store.write().await?;
    let (release, _) = store::releases::insert_or_get(&tx, new).await?;
    tx.commit().await?;
    Ok(release.into())
}

/// Deletes the row; `false` if another deployment has come to use it.
pub(super) async fn discard(world: &World, state: &State, digest: &Digest) -> Result<bool, store::StoreError> {
    let tx = world.store.write().await?;
    let Some(release) = store::releases::find_by_digest(&tx, &state.order.app, digest).await? else { return Ok(true) };
    let gone = store::releases::discard(&tx, &release.id, &state.order.deployment).await?;
    tx.commit().await?;
    Ok(gone)
}

struct Counted {
    files: u64,
    bytes: u64,
}

/// Moves the workspace's files to the release folder. A rename, so the folder is there whole or not
/// at all; a repeat finds it done.
fn place(from: &Path, to: &Path, spec: &AppSpec, user: Option<u32>) -> io::Result<Counted> {
    if !to.is_dir() {
        for build in &spec.builds {
            for discard in &build.discard {
                discard_inside(from, &build.root.join(discard))?;
            }
        }
        // From here on the release does not change any more, and nobody but the app's user can read it.
        ownership::seal(from, user)?;
        let parent = to.parent().map(PathBuf::from).unwrap_or_default();
        std::fs::create_dir_all(&parent)?;
        // Everything the build wrote is on the disk before the name says that it is.
        let dir = std::fs::File::open(from)?;
        nix::unistd::syncfs(dir.as_fd()).map_err(io::Error::from)?;
        match std::fs::rename(from, to) {
            // Another deployment with the same inputs was faster; its files are as good.
            Err(_) if to.is_dir() => remove_dir(from)?,
            other => other?,
        }
        std::fs::File::open(&parent)?.sync_all()?;
    }
    count(to)
}

/// Removes a folder of the workspace, unless the build has put a link on the way to it: what is behind that is not ours to
/// remove.
fn discard_inside(from: &Path, folder: &Path) -> io::Result<()> {
    let path = from.join(folder);
    match path.parent().map_or_else(|| from.canonicalize(), Path::canonicalize) {
        Ok(parent) if parent.starts_with(from.canonicalize()?) => match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => remove_dir(&path),
            _ => Ok(()),
        },
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn count(dir: &Path) -> io::Result<Counted> {
    let mut counted = Counted { files: 0, bytes: 0 };
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let below = count(&entry.path())?;
            counted.files += below.files;
            counted.bytes += below.bytes;
        } else {
            counted.files += 1;
            counted.bytes += entry.metadata()?.len();
        }
    }
    Ok(counted)
}
