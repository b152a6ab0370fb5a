//! The digest of a folder: names, kinds, execute bits and contents, in one order.

use std::ffi::{OsStr, OsString};
use std::fs::{DirEntry, File, FileType};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use domain::release::Digest;

/// What is in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tree {
    pub digest: Digest,
    pub files: u64,
    pub bytes: u64,
}

/// Reads everything below `dir`. Links are read as links; times and owners don't count.
pub(crate) fn digest(dir: &Path) -> io::Result<Tree> {
    let mut walk = Walk { hasher: blake3::Hasher::new(), files: 0, bytes: 0 };
    // Folders that are under way, in a list and not on the thread's stack: nobody says how deep a source is. For the same
    // reason they are not held open.
    let (mut path, mut under_way) = (dir.to_owned(), vec![entries(dir)?]);
    while let Some(folder) = under_way.last_mut() {
        match folder.next() {
            Some((name, kind)) => {
                path.push(&name);
                if kind.is_dir() {
                    walk.part(b"d", name.as_bytes());
                    under_way.push(entries(&path)?);
                    continue;
                }
                walk.file(&path, &name, kind)?;
            }
            None => {
                under_way.pop();
                if !under_way.is_empty() {
                    walk.part(b"u", b"");
                }
            }
        }
        path.pop();
    }
    let digest = Digest(walk.hasher.finalize().to_hex().to_string());
    Ok(Tree { digest, files: walk.files, bytes: walk.bytes })
}

/// What is in a folder, by name.
fn entries(dir: &Path) -> io::Result<std::vec::IntoIter<(OsString, FileType)>> {
    let named = |entry: io::Result<DirEntry>| entry.and_then(|e| Ok((e.file_name(), e.file_type()?)));
    let mut entries = std::fs::read_dir(dir)?.map(named).collect::<io::Result<Vec<_>>>()?;
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries.into_iter())
}

struct Walk {
    hasher: blake3::Hasher,
    files: u64,
    bytes: u64,
}

impl Walk {
    /// Anything but a folder.
    fn file(&mut self, path: &Path, name: &OsStr, kind: FileType) -> io::Result<()> {
        if kind.is_symlink() {
            self.part(b"l", name.as_bytes());
            self.part(b"t", std::fs::read_link(path)?.as_os_str().as_bytes());
            self.files += 1;
        } else if kind.is_file() {
            let mut file = File::open(path)?;
            let meta = file.metadata()?;
            let executable = meta.permissions().mode() & 0o100 != 0;
            self.part(if executable { b"x" } else { b"f" }, name.as_bytes());
            let mut content = blake3::Hasher::new();
            content.update_reader(&mut file)?;
            self.part(b"c", content.finalize().as_bytes());
            self.files += 1;
            self.bytes += meta.len();
        }
        Ok(())
    }

    /// Lengths in front, so that no two folders read the same.
    fn part(&mut self, kind: &[u8; 1], text: &[u8]) {
        self.hasher.update(kind).update(&(text.len() as u64).to_le_bytes()).update(text);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    fn of(build: impl Fn(&Path)) -> Digest {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path());
        digest(dir.path()).unwrap().digest
    }

    #[test]
    fn equal_folders_are_equal_and_every_difference_shows() {
        let base = |d: &Path| {
            fs::create_dir(d.join("a")).unwrap();
            fs::write(d.join("a/b"), "1").unwrap();
        };
        assert_eq!(of(base), of(base));
        let others = [
            of(|d| {
                base(d);
                fs::write(d.join("a/b"), "2").unwrap();
            }),
            of(|d| fs::write(d.join("b"), "1").unwrap()),
            of(|d| {
                base(d);
                fs::set_permissions(d.join("a/b"), fs::Permissions::from_mode(0o755)).unwrap();
            }),
            of(|d| {
                fs::create_dir(d.join("a")).unwrap();
                std::os::unix::fs::symlink("1", d.join("a/b")).unwrap();
            }),
            of(|d| {
                base(d);
                fs::create_dir(d.join("empty")).unwrap();
            }),
        ];
        for other in others {
            assert_ne!(of(base), other);
        }
    }

    /// Releases are known by it, also those of older versions.
    #[test]
    fn the_digest_of_a_folder_stays_what_it_was() {
        let digest = of(|d| {
            for folder in ["a/b/c", "a/empty", "z"] {
                fs::create_dir_all(d.join(folder)).unwrap();
            }
            for (file, content) in [("a/b/c/deep", "1"), ("a/b.txt", "2"), ("a/run", "3"), ("last", "")] {
                fs::write(d.join(file), content).unwrap();
            }
            fs::set_permissions(d.join("a/run"), fs::Permissions::from_mode(0o755)).unwrap();
            std::os::unix::fs::symlink("../last", d.join("z/link")).unwrap();
        });
        assert_eq!(digest.0, "3a53e73a68701c2dabfff4b20914b4807e38a5ef07551f822606dbc79317a1d2");
    }

    /// With one call for each level, or one open folder, it would end for want of stack or of files.
    #[test]
    fn a_folder_may_be_deep() {
        let dir = tempfile::tempdir().unwrap();
        let mut path = dir.path().join("tree");
        for _ in 0..1500 {
            fs::create_dir(&path).unwrap();
            path.push("d");
        }
        fs::write(&path, "at the bottom").unwrap();
        let tree = dir.path().join("tree");
        let small = std::thread::Builder::new().stack_size(256 << 10);
        let read = small.spawn(move || digest(&tree).map(|tree| (tree.files, tree.bytes))).unwrap();
        assert_eq!(read.join().unwrap().unwrap(), (1, 13));
        crate::layout::remove_dir(&dir.path().join("tree")).unwrap();
    }
}
