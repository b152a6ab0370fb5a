//! How a client on the same machine finds the server.
//!
//! At each start the server writes [`Local`] into its data folder, readable by its
//! own user alone, with a token that is made for this start and dies with it. A
//! pointer in the user's state folder names the data folder of the server that
//! started last.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Name of the file in the data folder.
pub const FILE: &str = "local.json";

/// Address and token for clients of the same user.
#[derive(Debug, Clone, Deserialize)]
pub struct Local {
    pub url: String,
    pub token: SecretString,
}

/// The pointer's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    pub data: PathBuf,
}

/// Where the pointer is: `$XDG_STATE_HOME/plimsoll/server.json`, or below `~/.local/state`.
pub fn pointer_path(var: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let state = var("XDG_STATE_HOME")
        .filter(|v| !v.is_empty())
        .map(PathBuf::from)
        .or_else(|| var("HOME").filter(|v| !v.is_empty()).map(|home| Path::new(&home).join(".local/state")))?;
    Some(state.join("plimsoll").join("server.json"))
}

/// The default data folder: `$XDG_DATA_HOME/plimsoll`, or below `~/.local/share`.
pub fn default_data(var: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let data = var("XDG_DATA_HOME")
        .filter(|v| !v.is_empty())
        .map(PathBuf::from)
        .or_else(|| var("HOME").filter(|v| !v.is_empty()).map(|home| Path::new(&home).join(".local/share")))?;
    Some(data.join("plimsoll"))
}

/// Reads the local file of a data folder.
pub fn read(data: &Path) -> std::io::Result<Local> {
    let text = std::fs::read_to_string(data.join(FILE))?;
    serde_json::from_str(&text).map_err(std::io::Error::other)
}

/// The data folder of the server that started last, if there is a pointer to one.
pub fn last_started(var: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let text = std::fs::read_to_string(pointer_path(var)?).ok()?;
    serde_json::from_str::<Pointer>(&text).ok().map(|pointer| pointer.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_folder_is_found_as_the_standard_says() {
        let only = |name: &'static str, value: &'static str| move |v: &str| (v == name).then(|| value.to_owned());
        assert_eq!(pointer_path(only("HOME", "/h")), Some("/h/.local/state/plimsoll/server.json".into()));
        assert_eq!(pointer_path(only("XDG_STATE_HOME", "/s")), Some("/s/plimsoll/server.json".into()));
        assert_eq!(pointer_path(|_| None), None);
        assert_eq!(default_data(only("HOME", "/h")), Some("/h/.local/share/plimsoll".into()));
    }
}
