//! Stopping and removing instances.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::instance::InstanceState;
use nix::libc;

use super::{Inner, folder_names};
use crate::error::{FileError, StopError};
use crate::folder::{Folder, StatusFile};
use crate::isolation::{cgroup, remove_tree};
use crate::marker::{self, Unkillable};

/// Folders on their way out; hidden, so that they are no instances.
const GONE: &str = ".gone-";
/// For a supervisor to do its work beyond the app's own time.
const PATIENCE: Duration = Duration::from_secs(15);

impl Inner {
    pub(super) fn stop(&self, name: &str) -> Result<Option<String>, StopError> {
        let Some(folder) = self.folder(name) else { return Ok(None) };
        let _turn = self.take_turn(name)?;
        self.stop_in_turn(name, &folder)
    }

    pub(super) fn remove(&self, name: &str) -> Result<Option<String>, StopError> {
        let Some(folder) = self.folder(name) else { return Ok(None) };
        let turn = self.take_turn(name)?;
        let last_exit = self.stop_in_turn(name, &folder)?;
        if folder.exists() {
            // Out of sight in one step, so that half a folder is never taken for an instance.
            let gone = self.gone(name);
            fs::rename(&folder.path, &gone).map_err(FileError::new("move", &folder.path))?;
            delete(&gone)?;
        }
        turn.end();
        Ok(last_exit)
    }

    /// Instances not in `keep`: those with a folder, and those of which only processes are left.
    /// Also finishes deletions that were interrupted.
    pub(super) fn surplus(&self, keep: &BTreeSet<String>) -> Vec<String> {
        for gone in folder_names(&self.dir).iter().filter(|name| name.starts_with(GONE)) {
            if let Err(error) = delete(&self.dir.join(gone)) {
                tracing::warn!(%error, "a removed instance's folder stays");
            }
        }
        let mut names: BTreeSet<String> = self.names().into_iter().collect();
        names.append(&mut self.scope.values(marker::INSTANCE));
        names.append(&mut self.scope.values(marker::SUPERVISOR));
        names.into_iter().filter(|name| !keep.contains(name)).collect()
    }

    fn stop_in_turn(&self, name: &str, folder: &Folder) -> Result<Option<String>, StopError> {
        self.stop_supervisor(name, folder);
        // The supervisor kills all there is; this is for the case that it could not, being dead itself.
        let unkillable = |Unkillable(left)| StopError::Unkillable { name: name.to_owned(), left };
        self.scope.kill(&[marker::SUPERVISOR, marker::INSTANCE], name).map_err(unkillable)?;
        self.end_group(name);
        if folder.spec().is_none() {
            return Ok(None);
        }
        let file = folder.status();
        if let Some(StatusFile { state: InstanceState::Stopped { last_exit }, .. }) = file {
            return Ok(Some(last_exit));
        }
        // It died without a word; the last word is ours, so that the instance doesn't count as lost.
        let last_exit = file.as_ref().and_then(|f| f.last_exit.clone());
        let last_exit = last_exit.unwrap_or_else(|| "killed with its supervisor".to_owned());
        let state = InstanceState::Stopped { last_exit: last_exit.clone() };
        let restarts = file.map_or(0, |f| f.restarts);
        let last = Some(last_exit.clone());
        let status = StatusFile { supervisor: None, app: None, state, stopping: false, restarts, last_exit: last };
        folder.write_status(&status).map_err(FileError::new("write the status in", &folder.path))?;
        Ok(Some(last_exit))
    }

    /// A supervisor that was killed could not remove its app's control group, nor kill what has got away in it.
    pub(super) fn end_group(&self, name: &str) {
        let spec = self.folder(name).and_then(|folder| folder.spec());
        let Some(cgroups) = spec.and_then(|spec| spec.sandbox?.cgroups) else { return };
        let group = cgroups.existing(&cgroup::instance(name));
        let left = group.kill();
        if left > 0 {
            tracing::warn!(name, left, "processes in its control group do not end, not even when killed");
        }
        group.remove();
    }

    /// Ask the supervisor to stop the app and wait for it to go. If it doesn't (it was stopped by a
    /// signal, say), it is killed, and the app with it.
    fn stop_supervisor(&self, name: &str, folder: &Folder) {
        let deadline = Instant::now() + folder.spec().map_or(PATIENCE, |spec| spec.stop_timeout + PATIENCE);
        // A supervisor whose folder was deleted is found by its mark; so is one that couldn't write its status.
        let recorded = folder.is_supervised().then(|| folder.status().and_then(|file| file.supervisor)).flatten();
        let supervisor = recorded.or_else(|| self.scope.find(marker::SUPERVISOR, name));
        let Some(handle) = supervisor.and_then(|process| process.open()) else { return };
        if handle.signal(libc::SIGTERM).is_err()
            || !handle.ended_within(deadline.saturating_duration_since(Instant::now()))
        {
            tracing::warn!(name, "the supervisor does not stop and is killed");
            handle.signal(libc::SIGKILL).ok();
            handle.ended_within(PATIENCE);
        }
    }

    /// A free name; one that is taken is what an interrupted removal left. The turn keeps others away.
    fn gone(&self, name: &str) -> PathBuf {
        let mut count = 0;
        loop {
            let path = self.dir.join(format!("{GONE}{name}-{count}"));
            if !path.exists() {
                return path;
            }
            count += 1;
        }
    }
}

fn delete(path: &Path) -> Result<(), FileError> {
    remove_tree(path).map_err(FileError::new("delete", path))
}
