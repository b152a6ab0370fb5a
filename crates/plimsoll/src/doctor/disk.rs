//! Where the data folder is: room, names, and the kind of file system.

use std::path::Path;

use nix::sys::statfs::statfs;
use nix::sys::statvfs::{FsFlags, statvfs};

use super::{Finding, Surroundings};
use crate::text;

const ROOM: &str = "disk";
const NAMES: &str = "inodes";
const KIND: &str = "file system";
const MIB: u64 = 1 << 20;

pub(super) fn check(around: &Surroundings) -> Vec<Finding> {
    // Before the first start: where it will be.
    let Some(there) = around.data.ancestors().find(|dir| dir.is_dir()) else {
        return vec![Finding::skipped(ROOM, "no folder to look at")];
    };
    let found = match statvfs(there) {
        Ok(found) => found,
        Err(e) => {
            return vec![Finding::failed(ROOM, format!("can't look at {}: {e}", there.display()), "Look at the disk")];
        }
    };
    let size = found.fragment_size() as u64;
    let (free, all) = (found.blocks_available() as u64 * size, found.blocks() as u64 * size);
    let names = (found.files_available() as u64, found.files() as u64);
    let mut findings = vec![room(free, all), inodes(names.0, names.1), kind(there)];
    findings.extend(flags(there, found.flags()));
    findings
}

fn room(free: u64, all: u64) -> Finding {
    let found = format!("{} of {} free", text::bytes(free), text::bytes(all));
    let advice = "Free some space: `cache` and `repositories` of the data folder while nothing is deployed, old files of `outputs`";
    match free {
        n if n < 100 * MIB => Finding::failed(ROOM, found, advice),
        n if n < 1024 * MIB || n < all / 20 => Finding::warning(ROOM, found, advice),
        _ => Finding::ok(ROOM, found),
    }
}

/// Some file systems have as many as they have room for, and say 0 of 0.
fn inodes(free: u64, all: u64) -> Finding {
    let found = format!("{free} of {all} free");
    let advice = "Remove what has many small files: old caches, packages of other programs";
    match (free, all) {
        (_, 0) => Finding::ok(NAMES, "as many as there is room for"),
        (n, _) if n < 1000 => Finding::failed(NAMES, found, advice),
        (n, all) if n < 20_000 || n < all / 20 => Finding::warning(NAMES, found, advice),
        _ => Finding::ok(NAMES, found),
    }
}

fn kind(there: &Path) -> Finding {
    let magic = match statfs(there) {
        Ok(found) => found.filesystem_type().0 as u64 & 0xffff_ffff,
        Err(e) => return Finding::skipped(KIND, e.to_string()),
    };
    let network = |name: &str| {
        Finding::warning(
            KIND,
            format!("{name}: locks and writes over a network are not what a database needs"),
            "Put the data folder on a disk of this machine",
        )
    };
    // Numbers from statfs(2) and the kernel's magic.h.
    match magic {
        0x6969 => network("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => network("SMB"),
        0x0102_1997 => network("9P"),
        0x00c3_6400 => network("CephFS"),
        0x6573_5546 => network("FUSE"),
        0x0102_1994 | 0x8584_58f6 => Finding::warning(
            KIND,
            "it is in memory: everything is gone when the machine restarts",
            "Put the data folder on a disk",
        ),
        0x794c_7630 => Finding::warning(
            KIND,
            "the overlay of a container: everything is gone with the container",
            "Mount a volume at the data folder",
        ),
        0xef53 => Finding::ok(KIND, "ext4"),
        0x5846_5342 => Finding::ok(KIND, "XFS"),
        0x9123_683e => Finding::ok(KIND, "Btrfs"),
        0x2fc1_2fc1 => Finding::ok(KIND, "ZFS"),
        other => Finding::ok(KIND, format!("of type {other:#x}")),
    }
}

fn flags(there: &Path, flags: FsFlags) -> Option<Finding> {
    if flags.contains(FsFlags::ST_RDONLY) {
        return Some(Finding::failed(KIND, format!("{} is mounted read-only", there.display()), "Mount it writable"));
    }
    flags.contains(FsFlags::ST_NOEXEC).then(|| {
        let found = format!("{} is mounted noexec: builds and apps can't be run there", there.display());
        Finding::failed(KIND, found, "Mount it without noexec, or choose another folder with --data")
    })
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn little_room_is_told_before_there_is_none() {
        let status = |free: u64, all: u64| room(free * MIB, all * MIB).status;
        assert_eq!(status(50, 100_000), Status::Failed);
        assert_eq!(status(4_000, 100_000), Status::Warning);
        assert_eq!(status(900, 10_000), Status::Warning);
        assert_eq!(status(50_000, 100_000), Status::Ok);
        assert_eq!(inodes(0, 0).status, Status::Ok);
        assert_eq!(inodes(10, 1_000_000).status, Status::Failed);
        assert_eq!(inodes(30_000, 1_000_000).status, Status::Warning);
    }
}
