//! The usual commands for each kind of code.

mod go;
mod node;
mod node_static;
mod python;
mod rust;
pub(crate) mod static_site;

use std::collections::BTreeMap;
use std::path::PathBuf;

use domain::spec::Stack;

use crate::error::DetectError;
use crate::folder::Folder;
use crate::toolchain::Toolchain;

/// How a folder is built and served when nobody says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guess {
    pub(crate) commands: Vec<String>,
    pub(crate) discard: Vec<PathBuf>,
    pub(crate) served: Served,
    /// For processes.
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) notes: Vec<String>,
}

/// What is run or served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Served {
    Command(String),
    Files {
        publish: PathBuf,
        single_page: bool,
    },
    /// It can't be known; what was looked for.
    Unknown(String),
}

impl Guess {
    fn new(served: Served) -> Self {
        Self { commands: Vec::new(), discard: Vec::new(), served, env: BTreeMap::new(), notes: Vec::new() }
    }
}

/// What is known already of the folder when its guess is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// `plimsoll.toml` names the build commands: what is needed for the usual ones doesn't matter.
    pub(crate) build: bool,
}

pub(crate) fn guess(stack: Stack, folder: &Folder, tools: &Toolchain, known: Known) -> Result<Guess, DetectError> {
    match stack {
        Stack::Static => Ok(static_site::guess(folder)),
        Stack::Node => node::guess(folder, tools, known),
        Stack::Python => python::guess(folder, tools, known),
        Stack::Rust => rust::guess(folder, tools, known),
        Stack::Go => go::guess(folder, tools, known),
        Stack::Procfile => Ok(Guess::new(Served::Unknown("a Procfile with a `web` process".to_owned()))),
    }
}

fn require(there: bool, tool: &str, needed_by: &str, hint: &str) -> Result<(), DetectError> {
    if there {
        return Ok(());
    }
    let text = str::to_owned;
    Err(DetectError::MissingTool { tool: text(tool), needed_by: text(needed_by), hint: text(hint) })
}

/// A word that the shell takes as it is.
fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./@+:".contains(&b));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
