//! Finds out how an app is built and served: `plimsoll.toml` wins over a
//! Procfile, which wins over guesses from what lies in the folder.
//!
//! The kind of code is recognised by nixpacks' providers; the commands are ours,
//! as they run on this machine and not in an image.

mod assemble;
pub mod error;
mod folder;
mod recognise;
mod routes;
mod smoke;
mod stack;
pub mod toolchain;

use std::path::Path;

use domain::Name;
use domain::config::{self, Config};
use domain::spec::AppSpec;

pub use error::DetectError;
pub use toolchain::Toolchain;

use self::assemble::Assembly;
use self::folder::Folder;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    pub app: AppSpec,
    /// From `[app] name`.
    pub name: Option<Name>,
    /// Things a person should know: one line each.
    pub notes: Vec<String>,
}

/// Looks at the source in `dir`. Reads only, follows no links out of `dir`, starts nothing; blocks for some milliseconds.
///
/// What is decided where nothing is written:
/// - Each process type of the Procfile at the top is a component, `web` listens, the others don't;
///   `release` is the release command of `web`. A `[components.<type>]` changes such a component.
/// - A component of `plimsoll.toml` listens, unless it says not or its command is a Procfile's worker.
/// - `web`, or the only component that listens, gets the default route; any other needs routes.
/// - What listens is healthy when its port accepts a connection, everything else when it runs.
pub fn detect(dir: &Path, toolchain: &Toolchain) -> Result<Detected, DetectError> {
    let source = Folder::source(dir)?;
    let text = source.read(config::FILE_NAME)?;
    let config = match &text {
        Some(text) => config::parse(text).map_err(DetectError::Config)?,
        None => Config::default(),
    };
    let mut assembly = Assembly::new(&source, text.as_deref().unwrap_or_default(), &config, toolchain)?;
    let mut app = assembly.app()?;
    app.smoke_tests = smoke::smoke_tests(&config, &app, text.as_deref().unwrap_or_default())?;
    Ok(Detected { app, name: config.app.name.clone(), notes: assembly.notes })
}
