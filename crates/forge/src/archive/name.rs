//! Names in archives: what may become a path.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::Limits;

/// The longest name of a file that file systems take, in bytes.
const LONGEST_PART: usize = 255;

/// A path below the top of the tree: it is not absolute, does not lead up, and has no empty part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryPath {
    parts: Vec<OsString>,
}

impl EntryPath {
    /// Reads a name as it stands in an archive; `Err` says what is wrong with it. No parts are left of `./`.
    pub(super) fn parse(raw: &[u8], limits: &Limits) -> Result<Self, String> {
        let wrong = |what: &str| Err(what.to_owned());
        if raw.len() > limits.path {
            return Err(format!("has a path of {} bytes, where {} are allowed", raw.len(), limits.path));
        }
        if raw.contains(&0) {
            return wrong("has a NUL in its name");
        }
        if raw.contains(&b'\\') {
            return wrong("has a backslash in its name");
        }
        if raw.first() == Some(&b'/') {
            return wrong("has an absolute path");
        }
        let mut parts = Vec::new();
        for part in raw.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".") {
            if part == b".." {
                return wrong("leads out of the archive's folder");
            }
            if parts.is_empty() && part.len() > 1 && part[0].is_ascii_alphabetic() && part[1] == b':' {
                return wrong("has a drive letter in its path");
            }
            if part.len() > LONGEST_PART {
                return Err(format!("has a name of {} bytes, where {LONGEST_PART} are possible", part.len()));
            }
            parts.push(OsStr::from_bytes(part).to_owned());
        }
        if parts.len() > limits.depth {
            return Err(format!("lies deeper than {} folders", limits.depth));
        }
        Ok(Self { parts })
    }

    pub(super) fn parts(&self) -> &[OsString] {
        &self.parts
    }

    /// The folders on the way, and the last name; `None` for the top itself.
    pub(super) fn split(&self) -> Option<(&[OsString], &OsStr)> {
        self.parts.split_last().map(|(name, folders)| (folders, name.as_os_str()))
    }

    pub(super) fn to_path(&self) -> PathBuf {
        self.parts.iter().collect()
    }

    /// What is left out, as nobody means it to be deployed; with what to say of it.
    pub(super) fn left_out(&self) -> Option<&'static str> {
        if self.parts.iter().any(|part| part == ".git") {
            return Some("`.git` was left out: a deployment has no use for it");
        }
        if self.parts.first().is_some_and(|part| part == "__MACOSX") {
            return Some("`__MACOSX` was left out: it is the Finder's own");
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(raw: &[u8]) -> Result<EntryPath, String> {
        EntryPath::parse(raw, &Limits::default())
    }

    #[test]
    fn names_become_paths_or_are_refused() {
        for (raw, path) in [
            (&b"a"[..], "a"),
            (b"./a/./b//c/", "a/b/c"),
            (b"./", ""),
            (b"a/.../..b/b..", "a/.../..b/b.."),
            ("ü/日本".as_bytes(), "ü/日本"),
            (b"a/C:x", "a/C:x"),
            (b" ", " "),
        ] {
            assert_eq!(parse(raw).unwrap().to_path(), PathBuf::from(path), "{raw:?}");
        }
        for (raw, why) in [
            (&b"/etc/passwd"[..], "absolute"),
            (b"//a", "absolute"),
            (b"..", "out of"),
            (b"a/../b", "out of"),
            (b"a/b/..", "out of"),
            (b"./../a", "out of"),
            (b"..\\a", "backslash"),
            (b"a\\b", "backslash"),
            (b"C:", "drive"),
            (b"./c:evil", "drive"),
            (b"a\0b", "NUL"),
            (&[b'a'; 256], "255"),
            (&[b'/'; 2000], "1024"),
            (&b"a/".repeat(65), "deeper"),
        ] {
            let error = parse(raw).unwrap_err();
            assert!(error.contains(why), "{raw:?}: {error}");
        }
    }
}
