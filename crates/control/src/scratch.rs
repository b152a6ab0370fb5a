//! Folders for a look at source that is not deployed.

use std::path::{Path, PathBuf};

use operations::Error;
use ulid::Ulid;

use crate::Control;
use crate::error::io_error;
use crate::layout::remove_dir;

/// A folder that is gone when this is, also when the caller has left.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(control: &Control) -> Result<Self, Error> {
        let name = format!("detect-{}", Ulid::generate().to_string().to_lowercase());
        let dir = control.world().layout.workspaces().join(name);
        std::fs::create_dir(&dir).map_err(|e| io_error("make", &dir, &e))?;
        Ok(Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
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
