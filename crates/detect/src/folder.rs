//! A folder of the source, read within bounds.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::DetectError;

/// A folder in the source. Whatever is asked for that lies outside of the source is not there.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    /// Of the whole source, without links.
    source: PathBuf,
    /// Relative to the source; empty for the source itself.
    pub(crate) relative: PathBuf,
}

/// More is no file that people write.
const MAX_BYTES: u64 = 1024 * 1024;
const MAX_ENTRIES: usize = 10_000;

impl Folder {
    pub(crate) fn source(dir: &Path) -> Result<Self, DetectError> {
        let source = dir.canonicalize().ok().filter(|d| d.is_dir()).ok_or_else(|| DetectError::Unrecognised {
            message: format!("{} is not a folder that can be read", dir.display()),
            hint: "give the folder with the app's source".to_owned(),
        })?;
        Ok(Self { source, relative: PathBuf::new() })
    }

    /// A folder in the source; `None` if it is not there, or behind a link that leads out.
    pub(crate) fn enter(&self, relative: &Path) -> Option<Self> {
        let inside = Self { source: self.source.clone(), relative: self.relative.join(relative) };
        inside.real("")?.is_dir().then_some(inside)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.source.join(&self.relative)
    }

    /// The file's text, `None` if there is no such file.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>, DetectError> {
        let Some(path) = self.real(name).filter(|p| p.is_file()) else { return Ok(None) };
        let wrong = |message: String| DetectError::File {
            file: self.relative.join(name).display().to_string(),
            message,
            hint: "it has to be a readable text file of less than 1 MiB".to_owned(),
        };
        // A pipe that takes the place of the file now must not make us wait.
        let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path);
        let mut bytes = Vec::new();
        let read = file.and_then(|f| f.take(MAX_BYTES + 1).read_to_end(&mut bytes));
        read.map_err(|e| wrong(format!("it can't be read: {e}")))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(wrong("it is larger than 1 MiB".to_owned()));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(wrong("it is not UTF-8".to_owned())),
        }
    }

    pub(crate) fn has_file(&self, name: &str) -> bool {
        self.real(name).is_some_and(|p| p.is_file())
    }

    /// The first of the files that is there.
    pub(crate) fn first_of<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.has_file(name))
    }

    /// Names of the folders in here, in order, without hidden ones.
    pub(crate) fn folders(&self, below: &str) -> Vec<String> {
        self.names(below, |p| p.is_dir())
    }

    /// Names of the files in here, in order, without hidden ones.
    pub(crate) fn files(&self, below: &str) -> Vec<String> {
        self.names(below, |p| p.is_file())
    }

    fn names(&self, below: &str, is: impl Fn(&Path) -> bool) -> Vec<String> {
        let Some(entries) = self.real(below).and_then(|p| fs::read_dir(p).ok()) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .flatten()
            .take(MAX_ENTRIES)
            .filter(|e| !e.file_type().is_ok_and(|t| t.is_symlink()) && is(&e.path()))
            .filter_map(|e| e.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }

    fn real(&self, name: &str) -> Option<PathBuf> {
        let real = self.path().join(name).canonicalize().ok()?;
        real.starts_with(&self.source).then_some(real)
    }
}
