//! Looks over the files of a checkout before anybody else sees them.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
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

/// What a tree holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Of all files and links together.
    pub(crate) bytes: u64,
    /// Files, links, submodules and the folders that they lie in.
    pub(crate) entries: u64,
    /// The entries of mode 160000.
    pub(crate) submodules: Vec<Submodule>,
}

/// Reads what `git ls-tree -r -l -z` printed.
pub(crate) fn listing(printed: &[u8]) -> Listing {
    let mut listing = Listing::default();
    let mut last: &[u8] = b"";
    for line in printed.split(|b| *b == 0) {
        let Some(tab) = line.iter().position(|b| *b == b'\t') else { continue };
        let (head, path) = (String::from_utf8_lossy(&line[..tab]), &line[tab + 1..]);
        // Mode, type, id and size, which a submodule has none of.
        let head: Vec<&str> = head.split_ascii_whitespace().collect();
        listing.entries += 1 + new_folders(last, path);
        listing.bytes = listing.bytes.saturating_add(head.get(3).and_then(|size| size.parse().ok()).unwrap_or(0));
        if let ["160000", "commit", commit, ..] = head[..] {
            let path = PathBuf::from(OsStr::from_bytes(path));
            listing.submodules.push(Submodule { path, commit: commit.to_owned() });
        }
        last = path;
    }
    listing
}

/// Folders that `path` needs and `last`, the one before it in the order of the tree, did not.
fn new_folders(last: &[u8], path: &[u8]) -> u64 {
    let shared = last.iter().zip(path).take_while(|(a, b)| a == b).count();
    path[shared..].iter().filter(|byte| **byte == b'/').count() as u64
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
    fn a_tree_is_counted_with_its_folders() {
        let id = "a".repeat(40);
        let list = |entries: &[(&str, &str)]| {
            let line = |(size, path): &(&str, &str)| format!("100644 blob {id} {size:>7}\t{path}\0");
            let Listing { bytes, entries, .. } = listing(entries.iter().map(line).collect::<String>().as_bytes());
            (bytes, entries)
        };
        assert_eq!(list(&[]), (0, 0));
        assert_eq!(list(&[("12", "a"), ("12345678", "b\tc\nd")]), (12_345_690, 2));
        assert_eq!(list(&[("1", "a/b/c"), ("1", "a/b/d"), ("1", "a/bb/c"), ("1", "a.b"), ("1", "b/c")]), (5, 9));
        assert_eq!(list(&[("0", "ab/x"), ("0", "a/x"), ("0", "ab/x")]), (0, 6), "out of order it is too much at most");
        let most = u64::MAX.to_string();
        assert_eq!(list(&[(most.as_str(), "a"), (most.as_str(), "b"), ("BAD", "c")]), (u64::MAX, 3));
    }

    #[test]
    fn submodules_are_read() {
        let id = "a".repeat(40);
        let printed = format!("100644 blob {id}       3\tx\0160000 commit {id}       -\tvendor/ü lib\0");
        let submodules = vec![Submodule { path: "vendor/ü lib".into(), commit: id }];
        assert_eq!(listing(printed.as_bytes()), Listing { bytes: 3, entries: 3, submodules });
        let modules = b"submodule.a.b.path\nvendor/lib\0submodule.a.b.url\n../lib.git\0submodule.c.path\nother\0";
        assert_eq!(submodule_url(modules, Path::new("vendor/lib")).as_deref(), Some("../lib.git"));
        assert_eq!(submodule_url(modules, Path::new("other")), None);
    }
}
