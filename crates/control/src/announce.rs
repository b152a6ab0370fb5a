//! Tells clients on this machine where the server is; see [`operations::local`].

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use operations::Error;
use operations::local::{Pointer, pointer_path};
use secrecy::ExposeSecret;

use crate::Control;
use crate::control::Inner;
use crate::error::io_error;
use crate::tokens;

pub(crate) struct Announcement {
    local: PathBuf,
    pointer: Option<PathBuf>,
    data: PathBuf,
}

impl Control {
    /// Tells clients on this machine of this server, unless another one of the machine has the duty and has done so.
    pub async fn announce(&self) -> Result<(), Error> {
        match self.inner.member.has_duty() {
            true => self.inner.announce().await,
            false => Ok(()),
        }
    }

    /// Removes what was announced, unless another server of the machine takes this one's place at once.
    pub(crate) fn withdraw(&self) {
        if !self.inner.member.has_peers() {
            self.inner.withdraw();
        }
    }
}

impl Inner {
    /// Writes `local.json` with a fresh token, and the pointer to the data folder.
    pub(crate) async fn announce(&self) -> Result<(), Error> {
        let token = tokens::local(&self.world.store, &self.member.host).await?;
        let layout = &self.world.layout;
        let content = serde_json::json!({ "url": self.options.url, "token": token.expose_secret() });
        let local = layout.local();
        write(&local, content.to_string().as_bytes()).map_err(|e| io_error("write", &local, &e))?;

        let pointer = pointer_path(|name| std::env::var(name).ok());
        let data = layout.data().to_owned();
        if let Some(path) = &pointer {
            let content = serde_json::to_vec(&Pointer { data: data.clone() }).unwrap_or_default();
            // Without it clients need `--data`; no reason not to start.
            if let Err(e) = write(path, &content) {
                tracing::warn!(path = %path.display(), "can't write the pointer for local clients: {e}");
            }
        }
        let announcement = Announcement { local, pointer, data };
        *self.announced.lock().unwrap_or_else(|e| e.into_inner()) = Some(announcement);
        Ok(())
    }

    fn withdraw(&self) {
        let announced = self.announced.lock().unwrap_or_else(|e| e.into_inner()).take();
        let Some(Announcement { local, pointer, data }) = announced else { return };
        let _ = std::fs::remove_file(local);
        let ours = |path: &Path| {
            let text = std::fs::read(path).ok()?;
            serde_json::from_slice::<Pointer>(&text).ok().filter(|p| p.data == data)
        };
        if let Some(path) = pointer.filter(|p| ours(p).is_some()) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Whole or not at all, readable by its owner alone.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}
