//! Static sites: which release a site's folder shows.
//!
//! `<dir>/<site>/g<generation>` is a link to a release's files, and `<dir>/<site>/current`
//! a link to one of those. A link is only ever replaced in one step, so a reader
//! sees the old release or the new one, and never none. Folders are synced before a
//! call returns: what was reported stays, whatever happens to the power.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::error::{FileError, SiteError};
use crate::folder::sync_folder;

const CURRENT: &str = "current";

/// The folders of all sites. Cheap to clone. The calls block for as long as the disk takes.
#[derive(Debug, Clone)]
pub struct Sites {
    dir: PathBuf,
}

impl Sites {
    /// `dir` is created if missing.
    pub fn new(dir: PathBuf) -> Result<Self, FileError> {
        fs::create_dir_all(&dir).map_err(FileError::new("create", &dir))?;
        Ok(Self { dir })
    }

    /// Make `<dir>/<site>/g<generation>` point at `target`; its path. Idempotent. `site` is one
    /// folder's name, such as `<app>-<environment>-<component>`.
    pub fn link(&self, site: &str, generation: u64, target: &Path) -> Result<PathBuf, SiteError> {
        let folder = self.folder(site)?;
        fs::create_dir_all(&folder).map_err(FileError::new("create", &folder))?;
        sync_folder(&self.dir)?;
        let _turn = lock(&folder)?;
        let link = folder.join(link_name(generation));
        if fs::read_link(&link).is_ok_and(|now| now == target) {
            // It may have been made by someone who was killed before the sync.
            sync_folder(&folder)?;
            return Ok(link);
        }
        point(&folder, &link_name(generation), target)?;
        Ok(link)
    }

    /// Make `current` point at the generation's link; the path of `current`. Idempotent.
    /// An older generation than the current one is refused.
    pub fn switch(&self, site: &str, generation: u64) -> Result<PathBuf, SiteError> {
        let folder = self.folder(site)?;
        let not_linked = || SiteError::NotLinked { site: site.to_owned(), generation };
        if !folder.is_dir() {
            return Err(not_linked());
        }
        let _turn = lock(&folder)?;
        if let Some(current) = current(&folder).filter(|current| *current > generation) {
            return Err(SiteError::OlderGeneration { site: site.to_owned(), generation, current });
        }
        let name = link_name(generation);
        if !folder.join(&name).is_symlink() {
            return Err(not_linked());
        }
        // Relative, so that the whole tree can be moved.
        point(&folder, CURRENT, Path::new(&name))?;
        Ok(folder.join(CURRENT))
    }

    /// The current generation.
    pub fn current(&self, site: &str) -> Option<u64> {
        current(&self.folder(site).ok()?)
    }

    /// Idempotent. The current generation's link stays, silently: it is in use.
    pub fn unlink(&self, site: &str, generation: u64) -> Result<(), SiteError> {
        let folder = self.folder(site)?;
        if !folder.is_dir() {
            return Ok(());
        }
        let _turn = lock(&folder)?;
        if current(&folder) != Some(generation) {
            delete(&folder.join(link_name(generation)))?;
            sync_folder(&folder)?;
        }
        Ok(())
    }

    /// Unlink all generations but those in `keep` and the current one; the ones unlinked. Generations that
    /// were current a moment ago belong into `keep`: a reader may have followed `current` to one
    /// of them, and not yet gone on to its files.
    pub fn prune(&self, site: &str, keep: &BTreeSet<u64>) -> Result<Vec<u64>, SiteError> {
        let folder = self.folder(site)?;
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let _turn = lock(&folder)?;
        let current = current(&folder);
        let entries = fs::read_dir(&folder).map_err(FileError::new("read", &folder))?;
        let mut surplus: Vec<u64> = entries.flatten().filter_map(|e| generation(Path::new(&e.file_name()))).collect();
        surplus.retain(|generation| !keep.contains(generation) && Some(*generation) != current);
        surplus.sort_unstable();
        for generation in &surplus {
            delete(&folder.join(link_name(*generation)))?;
        }
        sync_folder(&folder)?;
        Ok(surplus)
    }

    /// Delete the site whole, though not what its links point at. Idempotent.
    pub fn remove(&self, site: &str) -> Result<(), SiteError> {
        let folder = self.folder(site)?;
        match fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(FileError::new("delete", &folder)(e).into()),
            _ => Ok(sync_folder(&self.dir)?),
        }
    }

    /// Names of all sites.
    pub fn list(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let mut names: Vec<_> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    fn folder(&self, site: &str) -> Result<PathBuf, SiteError> {
        if crate::log::is_name(site) { Ok(self.dir.join(site)) } else { Err(SiteError::InvalidName(site.to_owned())) }
    }
}

fn link_name(generation: u64) -> String {
    format!("g{generation}")
}

fn generation(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix('g')?.parse().ok()
}

fn current(folder: &Path) -> Option<u64> {
    generation(&fs::read_link(folder.join(CURRENT)).ok()?)
}

/// One change of a site at a time. Readers need no lock.
fn lock(folder: &Path) -> Result<File, FileError> {
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(FileError::new("open", &path))?;
    file.lock().map_err(FileError::new("lock", &path))?;
    Ok(file)
}

/// Under the lock, so the temporary name is free but for what a killed process left.
fn point(folder: &Path, name: &str, target: &Path) -> Result<(), FileError> {
    let temporary = folder.join(".new");
    delete(&temporary)?;
    symlink(target, &temporary).map_err(FileError::new("create", &temporary))?;
    let link = folder.join(name);
    fs::rename(&temporary, &link).map_err(FileError::new("replace", &link))?;
    sync_folder(folder)
}

fn delete(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(FileError::new("delete", path)(e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    fn release(dir: &Path, text: &str) -> PathBuf {
        let release = dir.join(format!("release-{text}"));
        fs::create_dir_all(&release).unwrap();
        fs::write(release.join("index.html"), text).unwrap();
        release
    }

    #[test]
    fn readers_always_see_one_release_whole() {
        let dir = tempfile::tempdir().unwrap();
        let sites = Sites::new(dir.path().join("sites")).unwrap();
        let releases: Vec<_> = (0..2).map(|i| release(dir.path(), &i.to_string())).collect();
        sites.link("s", 0, &releases[0]).unwrap();
        let page = sites.switch("s", 0).unwrap().join("index.html");
        let (done, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let text = fs::read_to_string(&page).expect("never missing");
                        assert!(text == "0" || text == "1");
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            for generation in 1..300 {
                sites.link("s", generation, &releases[generation as usize % 2]).unwrap();
                sites.switch("s", generation).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(reads.load(Ordering::Relaxed) > 100);
        assert_eq!(sites.prune("s", &BTreeSet::from([298])).unwrap().len(), 298);
        assert_eq!(sites.current("s"), Some(299));
        assert_eq!(fs::read_to_string(page).unwrap(), "1");
    }

    #[test]
    fn an_older_generation_never_wins() {
        let dir = tempfile::tempdir().unwrap();
        let sites = Sites::new(dir.path().join("sites")).unwrap();
        let target = release(dir.path(), "x");
        for generation in [4, 5, 6] {
            sites.link("s", generation, &target).unwrap();
        }
        sites.switch("s", 5).unwrap();
        sites.switch("s", 5).unwrap();
        let refused = sites.switch("s", 4).unwrap_err();
        assert!(matches!(refused, SiteError::OlderGeneration { generation: 4, current: 5, .. }));
        assert!(matches!(sites.switch("s", 7), Err(SiteError::NotLinked { .. })));
        assert!(matches!(sites.switch("nothing", 7), Err(SiteError::NotLinked { .. })));
        assert_eq!(sites.current("s"), Some(5));

        sites.unlink("s", 5).unwrap();
        sites.unlink("s", 4).unwrap();
        sites.unlink("s", 4).unwrap();
        assert!(dir.path().join("sites/s/g5").is_symlink() && !dir.path().join("sites/s/g4").is_symlink());
        assert_eq!(sites.prune("s", &BTreeSet::new()).unwrap(), [6]);
        assert_eq!(sites.list(), ["s"]);
        sites.remove("s").unwrap();
        sites.remove("s").unwrap();
        assert_eq!((sites.current("s"), target.join("index.html").exists()), (None, true));
    }

    #[test]
    fn leftovers_of_a_killed_switch_are_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let sites = Sites::new(dir.path().join("sites")).unwrap();
        let (one, two) = (release(dir.path(), "1"), release(dir.path(), "2"));
        sites.link("s", 1, &one).unwrap();
        symlink("nowhere", dir.path().join("sites/s/.new")).unwrap();
        sites.switch("s", 1).unwrap();
        assert_eq!(fs::read_link(sites.link("s", 1, &two).unwrap()).unwrap(), two);
        for bad in ["", ".", "..", "a/b", ".hidden"] {
            assert!(matches!(sites.link(bad, 1, &one), Err(SiteError::InvalidName(_))), "{bad}");
        }
    }
}
