//! Which app is meant when nobody says so.

use std::path::{Path, PathBuf};

use domain::Name;
use domain::config;
use operations::Error;

use crate::failure::Failure;

/// Where a name came from; the folder's is only a guess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `[app] name` of this file.
    Config(PathBuf),
    Variable,
    Folder,
}

/// The app's name as the surroundings tell it: `plimsoll.toml` in the folder or above
/// it, up to the top of the repository; then `PLIMSOLL_APP`; then the name of the
/// repository's folder, or of this one outside of any.
///
/// A `plimsoll.toml` that is wrong is an error: a guess in its place might hit another app.
pub(crate) fn infer(here: &Path, variable: Option<&str>) -> Result<Option<(Name, Origin)>, Failure> {
    if let Some((name, path)) = from_config(here)? {
        return Ok(Some((name, Origin::Config(path))));
    }
    if let Some(text) = variable.filter(|text| !text.is_empty()) {
        let name = text.parse::<Name>().map_err(|e| {
            Failure::from(Error::invalid(format!("PLIMSOLL_APP: {e}")).hint("Set it to the name of an app"))
        })?;
        return Ok(Some((name, Origin::Variable)));
    }
    let top = here.ancestors().find(|dir| is_top(dir)).unwrap_or(here);
    let folder = top.file_name().and_then(|name| name.to_str()).and_then(Name::from_loose);
    Ok(folder.map(|name| (name, Origin::Folder)))
}

fn from_config(here: &Path) -> Result<Option<(Name, PathBuf)>, Failure> {
    for dir in here.ancestors() {
        let path = dir.join(config::FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            // What is above a repository speaks of something else.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && is_top(dir) => return Ok(None),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Failure::file("read", &path, &e)),
        };
        let config = config::parse(&text).map_err(|e| {
            let problem = Error::unprocessable(e.message).at(path.display().to_string(), e.line, e.column);
            Failure::from(match e.hint {
                Some(hint) => problem.hint(hint),
                None => problem,
            })
        })?;
        // The nearest file decides, even if it names no app.
        return Ok(config.app.name.map(|name| (name, path)));
    }
    Ok(None)
}

/// The top of a git work tree (where `.git` is a folder, or a file in linked ones).
fn is_top(dir: &Path) -> bool {
    dir.join(".git").exists()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn file_then_variable_then_folder() {
        let temp = tempfile::tempdir().unwrap();
        let below = temp.path().join("My Shop").join("src");
        std::fs::create_dir_all(&below).unwrap();
        let shop = below.parent().unwrap();
        let name =
            |dir: &Path, variable| infer(dir, variable).unwrap().map(|(name, origin)| (name.to_string(), origin));

        assert_eq!(name(shop, None), Some(("my-shop".into(), Origin::Folder)));
        assert_eq!(name(shop, Some("")), Some(("my-shop".into(), Origin::Folder)));
        assert_eq!(name(shop, Some("other")), Some(("other".into(), Origin::Variable)));
        assert!(infer(shop, Some("Not A Name")).is_err());

        let file = shop.join("plimsoll.toml");
        std::fs::write(&file, "[app]\nname = \"store\"\n").unwrap();
        assert_eq!(name(&below, Some("other")), Some(("store".into(), Origin::Config(file.clone()))));

        std::fs::write(&file, "# names no app\n").unwrap();
        assert_eq!(name(&below, Some("other")), Some(("other".into(), Origin::Variable)));

        std::fs::write(&file, "[app]\nname = \"store\"\n").unwrap();
        let inner = below.join("inner").join("deep");
        std::fs::create_dir_all(inner.parent().unwrap().join(".git")).unwrap();
        std::fs::create_dir_all(&inner).unwrap();
        assert_eq!(name(&inner, None), Some(("inner".into(), Origin::Folder)));

        std::fs::write(&file, "[app]\nnaem = \"store\"\n").unwrap();
        let Err(Failure::Problem { problem, .. }) = infer(&below, None) else { panic!("a wrong file was accepted") };
        assert_eq!(problem.location.unwrap().line, 2);
    }
}
