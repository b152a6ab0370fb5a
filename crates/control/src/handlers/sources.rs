//! A look at source before anything is deployed.

use std::path::Path;
use std::time::Duration;

use detect::DetectError;
use domain::config;
use domain::source::Source;
use forge::GitError;
use operations::sources::{Detect, DetectRequest, Detected};
use operations::{Error, ErrorKind};

use super::check_source;
use crate::Control;
use crate::access::{Admitted, sources};
use crate::caller::Handle;
use crate::error::archive_error;
use crate::scratch::Scratch;

impl Handle<Detect> for Control {
    async fn handle(&self, who: &Admitted, request: DetectRequest) -> Result<Detected, Error> {
        check_source(&request.source)?;
        sources::check(who, self.store(), &request.source, None).await?;
        let (folder, _scratch) = match request.source {
            Source::Directory { path } => (path, None),
            Source::Archive { upload } => {
                let scratch = Scratch::new(self)?;
                let tree = scratch.path().join("source");
                if !self.upload(&upload).await?.complete {
                    return Err(Error::conflict(format!("{upload} is not complete")).hint("send the rest of it first"));
                }
                let (from, to) = (self.world().layout.upload(&upload), tree.clone());
                let (limits, cancel) = (self.world().archives.clone(), self.inner.stopping.child_token());
                let unpacking =
                    tokio::task::spawn_blocking(move || forge::archive::unpack_file(&from, &to, &limits, &cancel));
                unpacking.await.map_err(|_| Error::internal())?.map_err(archive_error)?;
                (tree, Some(scratch))
            }
            Source::Git { url, reference } => {
                let scratch = Scratch::new(self)?;
                let tree = scratch.path().join("source");
                let cancel = self.inner.stopping.child_token();
                let mut quiet = |_: &str| {};
                let checkout = self.world().git.checkout(&url, reference.as_deref(), &tree, &mut quiet, &cancel);
                checkout.await.map_err(git_error)?;
                (tree, Some(scratch))
            }
        };
        let toolchain = self.world().toolchain().await.clone();
        let found = tokio::task::spawn_blocking(move || match folder.is_dir() {
            true => look(&folder, &toolchain),
            false => Err(Error::unprocessable(format!("there is no directory `{}` on the server", folder.display()))
                .hint("check the path, and that Plimsoll's user may read it")),
        });
        let detect::Detected { app, name, notes } = found.await.map_err(|_| Error::internal())??;
        Ok(Detected { name, spec: app, notes })
    }
}

/// A folder that can't be counted in this time is hardly source: one of 200,000 files takes a second.
const COUNTING: Duration = Duration::from_secs(3);

fn look(folder: &Path, toolchain: &detect::Toolchain) -> Result<detect::Detected, Error> {
    // Whoever names `/` shall not keep the server busy.
    forge::directory::check_size(folder, COUNTING).map_err(|e| Error::unprocessable(e.to_string()))?;
    detect::detect(folder, toolchain).map_err(detect_error)
}

fn detect_error(error: DetectError) -> Error {
    match error {
        DetectError::Config(error) => {
            let refused = Error::unprocessable(format!("plimsoll.toml: {}", error.message));
            let refused = refused.at(config::FILE_NAME, error.line, error.column);
            match error.hint {
                Some(hint) => refused.hint(hint),
                None => refused,
            }
        }
        DetectError::File { file, message, hint } => Error::unprocessable(format!("{file}: {message}")).hint(hint),
        DetectError::Unrecognised { message, hint } => Error::unprocessable(message).hint(hint),
        DetectError::MissingTool { tool, needed_by, hint } => {
            Error::unprocessable(format!("{needed_by} needs `{tool}`, which is not installed on this server"))
                .hint(hint)
        }
    }
}

pub(crate) fn git_error(error: GitError) -> Error {
    let kind = match &error {
        GitError::InvalidUrl { .. }
        | GitError::InvalidReference { .. }
        | GitError::NotFound { .. }
        | GitError::ReferenceNotFound { .. }
        | GitError::Authentication { .. }
        | GitError::NotARepository { .. }
        | GitError::Empty { .. }
        | GitError::UnsafeFile { .. } => ErrorKind::Unprocessable,
        GitError::TooLarge { .. } => ErrorKind::TooLarge,
        GitError::Unreachable { .. }
        | GitError::Cancelled
        | GitError::TimedOut { .. }
        | GitError::GitMissing
        | GitError::Failed { .. }
        | GitError::Io { .. } => ErrorKind::Unavailable,
    };
    Error::new(kind, error.to_string())
}
