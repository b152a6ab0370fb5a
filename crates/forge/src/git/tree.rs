//! Looks over the files of a checkout before anybody else sees them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::links::stays_inside;

/// What was found in a work tree.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// The first link that leads out of the tree, and where to.
    pub(crate) link_outside: Option<(PathBuf, PathBuf)>,
    /// Files that are only pointers into Git LFS.
    pub(crate) lfs_pointers: Vec<PathBuf>,
}

/// A submodule that a tree names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Submodule {
    pub(crate) path: PathBuf,
    pub(crate) commit: String,
}

/// The entries of mode 160000 in what `git ls-tree -r -z` printed.
pub(crate) fn submodules(listing: &[u8]) -> Vec<Submodule> {
    use std::os::unix::ffi::OsStrExt;
    let entry = |line: &[u8]| {
        let tab = line.iter().position(|b| *b == b'\t')?;
        let head = std::str::from_utf8(&line[..tab]).ok()?;
        let commit = head.strip_prefix("160000 commit ")?.to_owned();
        Some(Submodule { path: PathBuf::from(std::ffi::OsStr::from_bytes(&line[tab + 1..])), commit })
    };
    listing.split(|b| *b == 0).filter_map(entry).collect()
}

/// The URL of the submodule at `path`, from what `git config -z --get-regexp` printed of `.gitmodules`.
pub(crate) fn submodule_url(listing: &[u8], path: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(listing);
    let entries: Vec<(&str, &str)> = text.split('\0').filter_map(|e| e.split_once('\n')).collect();
    let key = entries.iter().find(|(key, value)| key.ends_with(".path") && Path::new(value) == path)?.0;
    let wanted = format!("{}.url", key.strip_suffix(".path")?);
    entries.iter().find(|(key, _)| *key == wanted).map(|(_, url)| (*url).to_owned())
}

/// Walks the work tree in `root` without following links. Blocks.
pub(crate) fn inspect(root: &Path) -> std::io::Result<Findings> {
    let mut findings = Findings::default();
    let uses_lfs = walk(root, root, &mut |path, kind| {
        if kind.is_symlink() {
            let target = fs::read_link(root.join(path))?;
            let read = |p: &Path| fs::read_link(root.join(p)).ok();
            if findings.link_outside.is_none() && !stays_inside(path, &target, read) {
                findings.link_outside = Some((path.to_owned(), target));
            }
        }
        Ok(())
    })?;
    if uses_lfs {
        walk(root, root, &mut |path, kind| {
            if kind.is_file() && is_lfs_pointer(&root.join(path))? {
                findings.lfs_pointers.push(path.to_owned());
            }
            Ok(())
        })?;
    }
    Ok(findings)
}

type Visit<'a> = &'a mut dyn FnMut(&Path, fs::FileType) -> std::io::Result<()>;

/// Whether a `.gitattributes` on the way mentions Git LFS.
fn walk(root: &Path, dir: &Path, visit: Visit<'_>) -> std::io::Result<bool> {
    let mut lfs = false;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if let Ok(relative) = path.strip_prefix(root) {
            visit(relative, kind)?;
        }
        if kind.is_dir() {
            lfs |= walk(root, &path, visit)?;
        } else if kind.is_file() && entry.file_name() == ".gitattributes" {
            let mut text = Vec::new();
            fs::File::open(&path)?.take(256 * 1024).read_to_end(&mut text)?;
            lfs |= String::from_utf8_lossy(&text).contains("filter=lfs");
        }
    }
    Ok(lfs)
}

fn is_lfs_pointer(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    fs::File::open(path)?.take(64).read_to_end(&mut start)?;
    Ok(start.starts_with(b"version https://git-lfs.github.com/spec/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submodules_are_read() {
        let id = "a".repeat(40);
        let listing = format!("100644 blob {id}\tx\0160000 commit {id}\tvendor/ü lib\0");
        assert_eq!(submodules(listing.as_bytes()), [Submodule { path: "vendor/ü lib".into(), commit: id }]);
        let modules = b"submodule.a.b.path\nvendor/lib\0submodule.a.b.url\n../lib.git\0submodule.c.path\nother\0";
        assert_eq!(submodule_url(modules, Path::new("vendor/lib")).as_deref(), Some("../lib.git"));
        assert_eq!(submodule_url(modules, Path::new("other")), None);
    }
}
