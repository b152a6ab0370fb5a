//! Folders for a look at source that is not deployed.

use std::path::{Path, PathBuf};

use domain::ServerId;
use operations::Error;
use ulid::Ulid;

use crate::Control;
use crate::cluster::Member;
use crate::error::io_error;
use crate::layout::remove_dir;

const PREFIX: &str = "detect-";

/// A folder of this server that is gone when this is, also when the caller has left.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(control: &Control) -> Result<Self, Error> {
        let name = name(&control.inner.member.id);
        let dir = control.world().layout.workspaces().join(name);
        std::fs::create_dir(&dir).map_err(|e| io_error("make", &dir, &e))?;
        Ok(Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

/// Who has made it is in its name: what a dead server has left is known by it.
fn name(server: &ServerId) -> String {
    format!("{PREFIX}{server}-{}", Ulid::generate().to_string().to_lowercase())
}

/// Whether a folder among the workspaces is a scratch folder of a server that is gone: nobody will remove it then.
pub(crate) fn is_left(member: &Member, folder: &str) -> bool {
    maker(folder).is_some_and(|server| member.is_gone(&server))
}

fn maker(folder: &str) -> Option<ServerId> {
    folder.strip_prefix(PREFIX)?.rsplit_once('-')?.0.parse().ok()
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let dir = std::mem::take(&mut self.0);
        let remove = move || {
            if let Err(e) = remove_dir(&dir) {
                tracing::warn!(path = %dir.display(), "can't remove a scratch folder: {e}");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => _ = runtime.spawn_blocking(remove),
            Err(_) => remove(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_tells_who_has_made_it() {
        let server = ServerId::from_ulid(Ulid::from_parts(1, 7));
        assert_eq!(maker(&name(&server)), Some(server));
        for other in ["dep_01hf7yat00000000000000002a", "detect-", "detect-01hf7yat00000000000000002a", "detect-a-b"] {
            assert_eq!(maker(other), None, "{other}");
        }
    }
}
