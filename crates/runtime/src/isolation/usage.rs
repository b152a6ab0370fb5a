//! How much disk folders use, counted in small steps so that nobody waits for it, and what the processes that fill them keep
//! open of files that have no name any more.

use std::collections::BTreeSet;
use std::fs::{self, ReadDir};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::libc::ENAMETOOLONG;
use nix::sys::statvfs::statvfs;

use super::{Exceeded, NESTED};

/// Left for everybody else: this, or a twentieth of the disk if that is less.
const FLOOR: u64 = 1 << 30;
/// What an entry counts at least, as an empty file takes its place on the disk, too.
const ENTRY: u64 = 4096;

/// Counts again and again.
#[derive(Debug)]
pub(crate) struct Usage {
    folders: Vec<PathBuf>,
    limit: Option<u64>,
    /// Still to be read in this round, and what the round has found so far.
    open: Vec<ReadDir>,
    /// Processes that this round has still to look at, and the open files of the one that it looks at.
    processes: BTreeSet<i32>,
    descriptors: Option<ReadDir>,
    /// Disks of the folders, and the files without a name that were found there, by device and number.
    disks: BTreeSet<u64>,
    nameless: BTreeSet<(u64, u64)>,
    counted: u64,
    /// What the last whole round found.
    last: Option<u64>,
    growth: Growth,
    /// Free bytes when that round ended.
    free_then: u64,
}

impl Usage {
    /// `limit` in bytes, of all folders together; folders that are not there count nothing.
    pub(crate) fn new(folders: Vec<PathBuf>, limit: Option<u64>) -> Self {
        Self {
            folders,
            limit,
            open: Vec::new(),
            processes: BTreeSet::new(),
            descriptors: None,
            disks: BTreeSet::new(),
            nameless: BTreeSet::new(),
            counted: 0,
            last: None,
            growth: Growth::default(),
            free_then: 0,
        }
    }

    /// For a new run of what is counted: from the beginning, and what is there already is not its doing.
    pub(crate) fn begin(&mut self) {
        self.give_up();
        self.growth = Growth::default();
    }

    /// A look at the free space, which is cheap, and a whole count if `due`, or if what was written since the last one may
    /// matter. `processes` as in [`step`](Self::step).
    pub(crate) fn look(&mut self, due: bool, processes: &dyn Fn() -> BTreeSet<i32>) -> Result<(), Exceeded> {
        let (free, floor) = self.space();
        let written = self.free_then.saturating_sub(free);
        let room = self.limit.unwrap_or(u64::MAX).saturating_sub(self.last.unwrap_or(0));
        if due || free < floor || self.last.is_none() || written > room / 2 {
            while !self.step(1000, processes)? {}
        }
        Ok(())
    }

    /// By the last whole round, in bytes.
    pub(crate) fn found(&self) -> u64 {
        self.last.unwrap_or(0)
    }

    /// The disk is nearly full. Cheap to ask.
    pub(crate) fn is_short(&self) -> bool {
        let (free, floor) = self.space();
        free < floor
    }

    fn space(&self) -> (u64, u64) {
        self.folders.first().and_then(|folder| space(folder)).unwrap_or((u64::MAX, 0))
    }

    /// Counts up to `entries` files; `true` at the end of a round, where whoever has filled a disk that is nearly full is
    /// found, too. `processes`, asked for at the beginning of one, are those whose open files count although they were deleted, as
    /// far as they are ours to see.
    pub(crate) fn step(&mut self, entries: usize, processes: &dyn Fn() -> BTreeSet<i32>) -> Result<bool, Exceeded> {
        let seen = self.count(entries, processes);
        if seen.is_err() {
            // Whoever runs next is not to blame for what this round has found.
            self.give_up();
        }
        seen
    }

    /// The round is not finished.
    fn give_up(&mut self) {
        self.open.clear();
        self.processes.clear();
        self.descriptors = None;
    }

    fn count(&mut self, entries: usize, processes: &dyn Fn() -> BTreeSet<i32>) -> Result<bool, Exceeded> {
        if self.is_whole() {
            self.counted = 0;
            self.open = self.folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).collect();
            self.disks = self.folders.iter().filter_map(|folder| Some(fs::metadata(folder).ok()?.dev())).collect();
            self.nameless.clear();
            self.processes = processes();
        }
        for _ in 0..entries {
            match self.open.last_mut().map(Iterator::next) {
                None => {
                    if !self.next_descriptor() {
                        break;
                    }
                }
                Some(None) => drop(self.open.pop()),
                // Gone since it was listed, or not ours to see.
                Some(Some(Err(_))) => {}
                Some(Some(Ok(entry))) => {
                    // Of a link, the link itself.
                    let Ok(metadata) = entry.metadata() else { continue };
                    self.counted += (metadata.blocks() * 512).max(ENTRY);
                    if metadata.is_dir() {
                        match fs::read_dir(entry.path()) {
                            Ok(_) if self.open.len() >= NESTED => return Err(Exceeded::Nested),
                            Ok(inner) => self.open.push(inner),
                            // Deeper than a path can say.
                            Err(e) if e.raw_os_error() == Some(ENAMETOOLONG) => return Err(Exceeded::Nested),
                            Err(_) => {}
                        }
                    }
                }
            }
            if let Some(limit) = self.limit.filter(|limit| self.counted > *limit) {
                return Err(Exceeded::Disk { used: self.counted, limit });
            }
        }
        let whole = self.is_whole();
        if whole {
            let (free, floor) = self.space();
            self.last = Some(self.counted);
            self.free_then = free;
            if self.growth.is_to_blame(self.counted, free < floor, floor) {
                return Err(Exceeded::Floor { free, used: self.counted });
            }
        }
        Ok(whole)
    }

    fn is_whole(&self) -> bool {
        self.open.is_empty() && self.processes.is_empty() && self.descriptors.is_none()
    }

    /// Goes on to another open file, or to another process; `false` when all were looked at.
    fn next_descriptor(&mut self) -> bool {
        let Some(descriptors) = &mut self.descriptors else {
            let Some(pid) = self.processes.pop_first() else { return false };
            self.descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok();
            return true;
        };
        match descriptors.next() {
            Some(Ok(descriptor)) => self.count_nameless(&descriptor.path()),
            // All were seen, or the process has ended.
            None | Some(Err(_)) => self.descriptors = None,
        }
        true
    }

    fn count_nameless(&mut self, descriptor: &Path) {
        // Whatever else is open is not touched: it may be on a disk that does not answer.
        let deleted = |file: PathBuf| file.as_os_str().as_bytes().ends_with(b" (deleted)");
        if !fs::read_link(descriptor).is_ok_and(deleted) {
            return;
        }
        let Ok(file) = fs::metadata(descriptor) else { return };
        // Memory that looks like a file is counted as memory.
        let ours = file.nlink() == 0 && self.disks.contains(&file.dev());
        if ours && self.nameless.insert((file.dev(), file.ino())) {
            self.counted += file.blocks() * 512;
        }
    }
}

/// Who has filled a disk that is nearly full.
#[derive(Debug, Default)]
struct Growth {
    /// What was counted when there was room enough, or when there was not from the beginning.
    calm: Option<u64>,
}

impl Growth {
    /// Whether what is counted now has grown since there was room. Others may have filled the disk, so a little is forgiven; but
    /// it is a little in all, however slowly it grows.
    fn is_to_blame(&mut self, counted: u64, short: bool, floor: u64) -> bool {
        if !short {
            self.calm = Some(counted);
        }
        counted.saturating_sub(*self.calm.get_or_insert(counted)) > floor / 64
    }
}

/// Free bytes of the disk that a folder is on, and how many of them are to be left.
fn space(folder: &Path) -> Option<(u64, u64)> {
    let disk = statvfs(folder).ok()?;
    let block = disk.fragment_size();
    Some((disk.blocks_available() * block, FLOOR.min(disk.blocks() * block / 20)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn nested(dir: &Path, name: &str, levels: usize) -> Result<bool, Exceeded> {
        use nix::fcntl::{OFlag, open, openat};
        use nix::sys::stat::{Mode, mkdirat};
        let top = dir.join("nested");
        fs::create_dir(&top).unwrap();
        let mut at = open(&top, OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..levels {
            mkdirat(&at, name, Mode::from_bits_truncate(0o755)).unwrap();
            at = openat(&at, name, OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        }
        let seen = Usage::new(vec![top.clone()], None).step(10_000, &BTreeSet::new);
        super::super::remove_tree(&top).unwrap();
        seen
    }

    #[test]
    fn who_fills_a_disk_slowly_is_to_blame_as_well() {
        let floor = 64 << 20;
        let mut grows = Growth::default();
        assert!(!grows.is_to_blame(5 << 20, false, floor));
        let seen: Vec<bool> = (0..8).map(|n| grows.is_to_blame((5 << 20) + (n << 18), true, floor)).collect();
        assert_eq!(seen, [false, false, false, false, false, true, true, true]);
        assert!(!grows.is_to_blame(9 << 20, false, floor), "there is room again");
        assert!(!grows.is_to_blame(9 << 20, true, floor));
        let mut comes_later = Growth::default();
        assert!(!comes_later.is_to_blame(5 << 20, true, floor), "others have filled it");
        assert!(comes_later.is_to_blame(7 << 20, true, floor));
    }

    #[test]
    fn a_new_run_is_counted_anew_and_not_to_blame_for_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        (0..5).for_each(|n| fs::write(dir.path().join(n.to_string()), "").unwrap());
        let mut usage = Usage::new(vec![dir.path().to_owned()], None);
        assert_eq!(usage.step(2, &BTreeSet::new), Ok(false));
        assert!(!usage.growth.is_to_blame(0, false, 64 << 20));
        usage.begin();
        assert!(!usage.growth.is_to_blame(9 << 20, true, 64 << 20));
        assert_eq!(usage.step(100, &BTreeSet::new), Ok(true));
        assert_eq!(usage.found(), 5 * ENTRY);
    }

    #[test]
    fn empty_files_count() {
        let dir = tempfile::tempdir().unwrap();
        (0..600).for_each(|n| fs::write(dir.path().join(n.to_string()), "").unwrap());
        let over = Usage::new(vec![dir.path().to_owned()], Some(2 << 20)).step(10_000, &BTreeSet::new);
        assert!(matches!(over, Err(Exceeded::Disk { .. })), "{over:?}");
    }

    #[test]
    fn a_file_without_a_name_counts_once_as_long_as_it_is_open() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
        let nameless = |folder: &Path| {
            let path = folder.join("file");
            fs::write(&path, vec![1; 1 << 20]).unwrap();
            let file = fs::File::open(&path).unwrap();
            fs::remove_file(path).unwrap();
            file
        };
        let me = || BTreeSet::from([std::process::id().cast_signed()]);
        // Other tests of this process may have such files, too.
        let count = || {
            let mut usage = Usage::new(vec![dir.path().to_owned()], None);
            while !usage.step(10, &me).unwrap() {}
            usage.nameless.len()
        };
        let _memory = nameless(elsewhere.path());
        let before = count();
        let file = nameless(dir.path());
        let again = file.try_clone().unwrap();
        assert_eq!(count(), before + 1);
        let mut usage = Usage::new(vec![dir.path().to_owned()], Some(512 << 10));
        let over = (0..1000).find_map(|_| usage.step(10, &me).err());
        assert!(matches!(over, Some(Exceeded::Disk { used, .. }) if used >= 1 << 20), "{over:?}");
        drop((file, again));
        assert_eq!(count(), before);
    }

    #[test]
    fn many_small_files_count_as_much_as_one_large() {
        let dir = tempfile::tempdir().unwrap();
        let mut usage = Usage::new(vec![dir.path().to_owned(), dir.path().join("missing")], Some(2 << 20));
        assert_eq!(usage.step(1000, &BTreeSet::new), Ok(true));
        for i in 0..300 {
            let folder = dir.path().join(format!("d{}", i % 7)).join("deep");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(i.to_string()), [1; 4096]).unwrap();
        }
        // In several steps, and all over again.
        for _ in 0..2 {
            assert_eq!(usage.step(100, &BTreeSet::new), Ok(false));
            while !usage.step(100, &BTreeSet::new).unwrap() {}
        }
        assert!(usage.last.unwrap() >= 300 * 4096);
        fs::write(dir.path().join("large"), vec![1; 1 << 20]).unwrap();
        assert_eq!(nested(dir.path(), "d", 600), Err(Exceeded::Nested));
        assert_eq!(nested(dir.path(), &"long".repeat(60), 20), Err(Exceeded::Nested));
        let over = (0..10).find_map(|_| usage.step(1000, &BTreeSet::new).err());
        assert!(matches!(over, Some(Exceeded::Disk { used, limit }) if used > limit), "{over:?}");
        // In the middle of a round; what is gone by the next one doesn't count there.
        fs::remove_dir_all(dir.path()).unwrap();
        assert_eq!(usage.step(1000, &BTreeSet::new), Ok(true));
    }
}
