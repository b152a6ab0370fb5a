//! Which source a folder stands for.

use std::path::Path;

use domain::source::Source;
use forge::local::{self, Local};
use operations::Error;

use crate::failure::Failure;

/// The git repository around the folder, else the folder itself.
pub(crate) fn of_folder(dir: &Path) -> Result<(Source, Option<Local>), Failure> {
    let dir = absolute(dir)?;
    Ok(match local::describe(&dir) {
        Some(repository) => {
            let url = text_of(&repository.root)?;
            (Source::Git { url, reference: None }, Some(repository))
        }
        None => (Source::Directory { path: dir }, None),
    })
}

/// A folder copied as it is, whether it is a repository or not.
pub(crate) fn directory(dir: &Path) -> Result<Source, Failure> {
    Ok(Source::Directory { path: absolute(dir)? })
}

/// What somebody means by `--source`: a folder that exists, else a URL of a repository.
pub(crate) fn of_text(text: &str, reference: Option<String>) -> Result<Source, Failure> {
    let path = Path::new(text);
    if path.is_dir() {
        let (source, _) = of_folder(path)?;
        return Ok(match source {
            Source::Git { url, .. } => Source::Git { url, reference },
            directory => directory,
        });
    }
    let is_remote = text.contains("://") || (text.contains(':') && !text.starts_with(['/', '.']));
    if is_remote {
        Ok(Source::Git { url: text.to_owned(), reference })
    } else {
        Err(Error::not_found(format!("there is no folder {text}"))
            .hint("Give a folder of this machine, or a URL such as https://host/team/app.git")
            .into())
    }
}

/// How people read it.
pub(crate) fn describe(source: &Source) -> String {
    match source {
        Source::Git { url, reference: Some(reference) } => format!("{url} at {reference}"),
        Source::Git { url, reference: None } => url.clone(),
        Source::Directory { path } => format!("folder {}", path.display()),
        Source::Archive { upload } => format!("archive {upload}"),
    }
}

/// It is on this machine's disk, so that only a server on this machine can read it.
pub(crate) fn is_local(source: &Source) -> bool {
    match source {
        Source::Directory { .. } => true,
        Source::Archive { .. } => false,
        Source::Git { url, .. } => url.starts_with(['/', '.']) || url.starts_with("file://"),
    }
}

fn absolute(dir: &Path) -> Result<std::path::PathBuf, Failure> {
    let dir = dir.canonicalize().map_err(|e| Failure::file("find", dir, &e))?;
    text_of(&dir)?;
    if dir.is_dir() {
        Ok(dir)
    } else {
        Err(Error::invalid(format!("{} is not a folder", dir.display())).hint("Give the folder it is in").into())
    }
}

fn text_of(path: &Path) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::invalid(format!("the name of the folder {} is not UTF-8", path.display()))
            .hint("Rename the folder")
            .into()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_urls_are_told_apart() {
        let git = |url: &str| Source::Git { url: url.into(), reference: None };
        for url in ["https://host/a.git", "ssh://git@host/a", "git@host:team/a.git"] {
            assert_eq!(of_text(url, None).unwrap(), git(url));
            assert!(!is_local(&git(url)));
        }
        assert!(of_text("./nowhere", None).is_err());
        assert!(of_text("nowhere", None).is_err());
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().canonicalize().unwrap();
        let source = directory(temp.path()).unwrap();
        assert_eq!(source, Source::Directory { path });
        assert!(is_local(&source) && is_local(&git("/srv/a.git")));
        let file = temp.path().join("f");
        std::fs::write(&file, "").unwrap();
        assert!(directory(&file).is_err());
    }
}
