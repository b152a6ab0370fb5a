//! Files that are served as they are.

use std::path::PathBuf;

use super::{Guess, Served};
use crate::folder::Folder;

const FOLDERS: [&str; 8] = ["public", "dist", "build", "_site", "site", "www", "out", "index"];

pub(crate) fn guess(folder: &Folder) -> Guess {
    match publish_folder(folder) {
        Some((publish, single_page)) => Guess::new(Served::Files { publish, single_page }),
        None => Guess::new(Served::Unknown(format!("an index.html, here or in one of {}", FOLDERS.join(", ")))),
    }
}

/// The folder to serve, and whether unknown paths answer with its index.html.
pub(crate) fn publish_folder(folder: &Folder) -> Option<(PathBuf, bool)> {
    let staticfile = folder.read("Staticfile").ok().flatten().unwrap_or_default();
    let setting = |key: &str| {
        let line = staticfile.lines().find_map(|l| l.trim().strip_prefix(key)?.trim().strip_prefix(':'))?;
        Some(line.trim().trim_matches(['"', '\'']).to_owned())
    };
    let single_page = setting("pushstate").is_some_and(|v| v == "enabled" || v == "true");
    if let Some(root) = setting("root").as_deref().and_then(domain::config::Folder::new) {
        return folder.enter(root.as_path()).map(|_| (root.as_path().to_owned(), single_page));
    }
    if folder.has_file("index.html") {
        return Some((PathBuf::new(), single_page));
    }
    let below = FOLDERS.iter().find(|name| folder.has_file(&format!("{name}/index.html")))?;
    Some((PathBuf::from(below), single_page))
}
