//! What is left of the disk for everybody else while git runs: how much a fetch brings, nobody knows beforehand.

use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::limits::Size;
use nix::sys::statvfs::statvfs;

/// As with builds: this, or a twentieth of the disk if that is less.
const FLOOR: u64 = 1 << 30;
/// Between two looks.
const TICK: Duration = Duration::from_millis(200);

/// Ready when less is left on the disk of one of `folders`, and it has been used since the call. Never where that can't be seen.
pub(super) async fn until_full(folders: &[PathBuf]) -> io::Error {
    let began: Vec<_> = folders.iter().filter_map(|folder| Some((folder, space(folder)?.0))).collect();
    if began.is_empty() {
        return pending().await;
    }
    loop {
        tokio::time::sleep(TICK).await;
        for (folder, began) in &began {
            if let Some((free, floor)) = space(folder)
                && is_full(*began, free, floor)
            {
                let (free, floor) = (Size(free), Size(floor));
                let what = format!("{free} are left on its disk, where {floor} are to be; free some space there");
                return io::Error::new(io::ErrorKind::StorageFull, what);
            }
        }
    }
}

/// A little is forgiven, so that small repositories can be fetched although others have filled the disk, or write to it meanwhile.
fn is_full(began: u64, free: u64, floor: u64) -> bool {
    free < floor && began.saturating_sub(free) > floor / 4
}

/// Free bytes of the disk that a folder is on, and how many of them are to be left.
fn space(folder: &Path) -> Option<(u64, u64)> {
    let disk = statvfs(folder).ok()?;
    let block = disk.fragment_size();
    Some((disk.blocks_available() * block, FLOOR.min(disk.blocks() * block / 20)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fills_the_disk_is_stopped() {
        let floor = 64 << 20;
        assert!(!is_full(1 << 30, floor, floor), "there is room");
        assert!(is_full(1 << 30, floor - 1, floor));
        assert!(!is_full(floor / 2, floor / 2 - (16 << 20), floor), "others have filled it");
        assert!(is_full(floor / 2, floor / 2 - (17 << 20), floor));
    }

    #[test]
    fn a_disk_is_looked_at() {
        assert!(space(&std::env::temp_dir()).is_some_and(|(_, floor)| floor > 0 && floor <= FLOOR));
        assert!(space(Path::new("/nowhere/at/all")).is_none());
    }
}
