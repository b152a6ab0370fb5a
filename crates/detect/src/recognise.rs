//! What kind of code lies in a folder, as nixpacks' providers see it.

use domain::spec::Stack;
use ignore::WalkBuilder;
use nixpacks::nixpacks::app::App;
use nixpacks::nixpacks::environment::Environment;

use crate::folder::Folder;

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recognised {
    Stack(Stack),
    /// A language that Plimsoll has no commands for: its name.
    Other(String),
    Nothing,
}

/// Asks the providers in nixpacks' order; the first that knows the folder decides. A
/// provider only looks at files: it starts nothing, writes nothing and needs no network.
pub(crate) fn recognise(folder: &Folder) -> Recognised {
    let path = folder.path();
    let Some(app) = path.to_str().and_then(|p| App::new(p).ok()) else { return Recognised::Nothing };
    let environment = Environment::default();
    let mut may_read: Option<bool> = None;
    for provider in nixpacks::get_providers() {
        let name = provider.name();
        if READ_FILES.contains(&name) && !*may_read.get_or_insert_with(|| scripts_are_harmless(folder)) {
            continue;
        }
        // A provider that can't make sense of a file doesn't know the folder.
        if !provider.detect(&app, &environment).unwrap_or(false) {
            continue;
        }
        return match name {
            "node" => Recognised::Stack(Stack::Node),
            "python" => Recognised::Stack(Stack::Python),
            "rust" => Recognised::Stack(Stack::Rust),
            "go" => Recognised::Stack(Stack::Go),
            "staticfile" => Recognised::Stack(Stack::Static),
            other => Recognised::Other(other.to_owned()),
        };
    }
    // Cases that the providers leave out.
    if folder.first_of(&["app.py", "server.py", "manage.py", "setup.py"]).is_some() {
        return Recognised::Stack(Stack::Python);
    }
    if super::stack::static_site::publish_folder(folder).is_some() {
        return Recognised::Stack(Stack::Static);
    }
    Recognised::Nothing
}

/// Providers that read whole files to search in them, through links and of any size.
const READ_FILES: [&str; 2] = ["deno", "lunatic"];
const MAX_FILES: usize = 20_000;
const MAX_BYTES: u64 = 1024 * 1024;

/// No link, no huge file and not too many of them among what those providers would read.
fn scripts_are_harmless(folder: &Folder) -> bool {
    let walk = WalkBuilder::new(folder.path()).hidden(false).build();
    for (count, entry) in walk.enumerate() {
        let Ok(entry) = entry else { return false };
        if count > MAX_FILES {
            return false;
        }
        let name = entry.file_name().as_encoded_bytes();
        let is_read = [&b".ts"[..], b".tsx", b".js", b".jsx", b"config.toml"].iter().any(|end| name.ends_with(end));
        if is_read
            && (!entry.file_type().is_some_and(|t| t.is_file())
                || !entry.metadata().is_ok_and(|m| m.len() <= MAX_BYTES))
        {
            return false;
        }
    }
    true
}
