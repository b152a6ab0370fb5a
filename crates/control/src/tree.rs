//! The digest of a folder: names, kinds, execute bits and contents, in one order.

use std::fs::File;
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
    let mut tree = Walk { hasher: blake3::Hasher::new(), files: 0, bytes: 0 };
    tree.folder(dir)?;
    let digest = Digest(tree.hasher.finalize().to_hex().to_string());
    Ok(Tree { digest, files: tree.files, bytes: tree.bytes })
}

struct Walk {
    hasher: blake3::Hasher,
    files: u64,
    bytes: u64,
}

impl Walk {
    fn folder(&mut self, dir: &Path) -> io::Result<()> {
        let mut entries = std::fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(|e| e.file_name());
        for entry in entries {
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                self.part(b"d", entry.file_name().as_bytes());
                self.folder(&path)?;
                self.part(b"u", b"");
            } else if kind.is_symlink() {
                self.part(b"l", entry.file_name().as_bytes());
                self.part(b"t", std::fs::read_link(&path)?.as_os_str().as_bytes());
                self.files += 1;
            } else if kind.is_file() {
                let mut file = File::open(&path)?;
                let meta = file.metadata()?;
                let executable = meta.permissions().mode() & 0o100 != 0;
                self.part(if executable { b"x" } else { b"f" }, entry.file_name().as_bytes());
                let mut content = blake3::Hasher::new();
                content.update_reader(&mut file)?;
                self.part(b"c", content.finalize().as_bytes());
                self.files += 1;
                self.bytes += meta.len();
            }
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
        assert_eq!(digest.0, "GOLDEN");
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
