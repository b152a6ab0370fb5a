//! The folders that static components publish.

use std::path::Path;

use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use domain::spec::{AppSpec, Serve};

use super::blocking;
use crate::deployment::fail;

/// Fails if one is not there, or not inside of `files`. The ingress serves what it finds there with the server's rights: a link
/// must not lead it elsewhere. So this is asked after each step in which an app's own commands can change the files, and once
/// more when nobody can any longer.
pub(super) async fn published(
    phase: Phase,
    spec: &AppSpec,
    files: &Path,
    who: &str,
) -> Result<(), saga::Failure<Failure>> {
    let folders: Vec<_> = spec
        .components
        .iter()
        .filter_map(|component| match &component.serve {
            Serve::Static { publish, .. } => {
                Some((component.name.clone(), component.root.join(publish), publish.clone()))
            }
            Serve::Process { .. } => None,
        })
        .collect();
    let files = files.to_owned();
    let missing = blocking(phase, move || folders.into_iter().find(|(_, folder, _)| !inside(&files, folder))).await?;
    let Some((component, _, publish)) = missing else { return Ok(()) };
    let message = format!("{who} left no folder `{}` in the source for `{component}`", publish.display());
    let hint = "name the folder with the built files as `publish` in plimsoll.toml; it must not be a link to elsewhere";
    let cause = match phase {
        Phase::Building => Cause::Build,
        Phase::Migrating => Cause::ReleaseCommand,
        _ => Cause::Internal,
    };
    Err(saga::Failure::permanent(fail::failure(phase, cause, message, hint)))
}

fn inside(files: &Path, folder: &Path) -> bool {
    let real = files.join(folder).canonicalize();
    let inside = real.and_then(|real| Ok(real.is_dir() && real.starts_with(files.canonicalize()?)));
    inside.unwrap_or(false)
}
