//! The process runtime: instances as processes, each under a supervisor of its own.

mod start;
mod stop;
mod turn;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::blocking::blocking;
use domain::instance::{InstanceState, InstanceStatus};

use crate::error::{FileError, StartError, StopError};
use crate::folder::{Folder, StatusFile, create_private};
use crate::isolation::Sandbox;
use crate::log::LogReader;
use crate::marker::Scope;
use crate::spec::InstanceSpec;
use turn::Turn;

/// How to run the supervise role: `binary args… FOLDER`.
#[derive(Debug, Clone)]
pub struct Supervisor {
    pub binary: PathBuf,
    /// In front of the folder; `["supervise"]` for the product.
    pub args: Vec<String>,
}

/// Starts, finds and stops instances. Cheap to clone; keeps no state but what is on disk
/// and in `/proc`, so a new server's runtime knows as much as the old one's.
#[derive(Debug, Clone)]
pub struct ProcessRuntime {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    supervisor: Supervisor,
    scope: Scope,
}

/// Whether [`ProcessRuntime::start`] had anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    New,
    /// It was running already, and runs on.
    Adopted,
}

impl ProcessRuntime {
    /// `dir` is created if missing, and belongs to this runtime alone.
    pub fn new(dir: PathBuf, supervisor: Supervisor) -> Result<Self, FileError> {
        create_private(&dir)?;
        let dir = dir.canonicalize().map_err(FileError::new("find", &dir))?;
        let scope = Scope::of(&dir);
        Ok(Self { inner: Arc::new(Inner { dir, supervisor, scope }) })
    }

    /// Bring the instance up, or find it up: on `Ok` the app has been executed and is supervised
    /// (an adopted one may be between two attempts). Whether it is well is for a probe to say.
    /// What an earlier run under the name left is cleaned first.
    ///
    /// Killed before the end, it leaves nothing, or an instance that the next call adopts.
    /// Dropping the future does not interrupt it.
    pub async fn start(&self, spec: &InstanceSpec) -> Result<Started, StartError> {
        let (inner, spec) = (self.inner.clone(), spec.clone());
        blocking(move || inner.start(&spec)).await
    }

    /// What the instance's own sandbox is, for a probe that is to see what the app sees: with its view, if it runs.
    pub fn sandbox(&self, spec: &InstanceSpec) -> Option<Sandbox> {
        let app = self.inner.folder(&spec.key.name()).and_then(|folder| folder.status()?.app);
        self.inner.in_its_folders(spec).sandbox.map(|sandbox| Sandbox { beside: app, ..sandbox })
    }

    /// `None` if there is no such instance.
    pub fn status(&self, name: &str) -> Option<InstanceStatus> {
        let folder = self.inner.folder(name)?;
        let spec = folder.spec()?;
        let (state, file) = observe(&folder);
        let restarts = file.map_or(0, |file| file.restarts);
        Some(InstanceStatus { key: spec.key, port: spec.port, state, restarts })
    }

    /// The state alone, which costs less to find out; `None` when there is no such instance.
    pub fn state(&self, name: &str) -> Option<InstanceState> {
        let folder = self.inner.folder(name)?;
        folder.has_spec().then(|| observe(&folder).0)
    }

    /// All instances that have a folder, in any state, by name.
    pub fn list(&self) -> Vec<InstanceStatus> {
        self.inner.names().iter().filter_map(|name| self.status(name)).collect()
    }

    /// How the app ended, if it has since the instance was started, whether it was started again
    /// or not. For whoever waits for it to become healthy: `Some` means that it won't.
    pub fn last_exit(&self, name: &str) -> Option<String> {
        let folder = self.inner.folder(name)?;
        let (state, file) = observe(&folder);
        match state {
            InstanceState::Lost => Some("its supervisor was killed".to_owned()),
            InstanceState::Stopped { last_exit } => Some(last_exit),
            _ => file?.last_exit,
        }
    }

    /// TERM to the app, KILL after its `stop_timeout`, and nothing of it is left when this returns
    /// `Ok`: how it last ended, or `None` if there is no such instance. Idempotent.
    ///
    /// Killed before the end, it leaves the supervisor stopping the app, or the app running:
    /// call it again. Dropping the future does not interrupt it.
    pub async fn stop(&self, name: &str) -> Result<Option<String>, StopError> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        blocking(move || inner.stop(&name)).await
    }

    /// [`stop`](Self::stop), then delete the folder with all logs. Idempotent.
    pub async fn remove(&self, name: &str) -> Result<Option<String>, StopError> {
        let (inner, name) = (self.inner.clone(), name.to_owned());
        blocking(move || inner.remove(&name)).await
    }

    /// Remove every instance not in `keep`, also one of which only processes are left; the names of
    /// those removed. What can't be removed is logged and left for the next time.
    ///
    /// An instance that is just being started must be in `keep`.
    pub async fn clean(&self, keep: &BTreeSet<String>) -> Vec<String> {
        let (inner, wanted) = (self.inner.clone(), keep.clone());
        let surplus = blocking(move || inner.surplus(&wanted)).await;
        // Side by side: each may take its whole stop timeout.
        let removals: Vec<_> = surplus
            .into_iter()
            .map(|name| {
                let inner = self.inner.clone();
                tokio::task::spawn_blocking(move || (inner.remove(&name), name))
            })
            .collect();
        let mut removed = Vec::new();
        for removal in removals {
            match removal.await {
                Ok((Ok(_), name)) => removed.push(name),
                Ok((Err(error), name)) => tracing::warn!(%name, %error, "an instance that is not wanted stays"),
                Err(error) => tracing::error!(%error, "removing an instance panicked"),
            }
        }
        removed
    }

    pub fn logs(&self) -> LogReader {
        LogReader::new(self.inner.dir.clone())
    }
}

/// The state as it is, whatever the file says: a supervisor that is gone can't correct it.
fn observe(folder: &Folder) -> (InstanceState, Option<StatusFile>) {
    let supervised = folder.is_supervised();
    let mut file = folder.status();
    let supervised = supervised || {
        // It may have come up between the two looks.
        let now = folder.is_supervised();
        file = folder.status();
        now
    };
    let state = match file.as_ref().map(|file| &file.state) {
        Some(state @ InstanceState::Stopped { .. }) => state.clone(),
        Some(state) if supervised => state.clone(),
        None if supervised => InstanceState::Starting,
        _ => InstanceState::Lost,
    };
    (state, file)
}

impl Inner {
    /// `None` for a name that would lead elsewhere.
    fn folder(&self, name: &str) -> Option<Folder> {
        crate::log::is_name(name).then(|| Folder::new(self.dir.join(name)))
    }

    fn take_turn(&self, name: &str) -> Result<Turn, FileError> {
        Turn::take(&self.locks(), name)
    }

    fn locks(&self) -> PathBuf {
        self.dir.join(".locks")
    }

    fn generations(&self) -> PathBuf {
        self.dir.join(".generations")
    }

    /// Folders of instances, complete or not.
    fn names(&self) -> Vec<String> {
        let mut names = folder_names(&self.dir);
        names.retain(|name| crate::log::is_name(name));
        names.sort();
        names
    }
}

fn folder_names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().filter(|e| e.path().is_dir()).filter_map(|e| e.file_name().into_string().ok()).collect()
}
