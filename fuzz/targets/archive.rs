//! Archives that strangers upload. Whatever they hold: nothing is written outside of the folder, no link leads out, and what was refused
//! leaves nothing behind.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use forge::archive::{Limits, unpack};
use libfuzzer_sys::fuzz_target;

/// One folder for all inputs of this process, with one file in it that must stay as it is.
static PLACE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    // In memory where there is such a place: the disk is not what is tested.
    let shm = Path::new("/dev/shm");
    let dir = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.expect("a folder");
    fs::write(dir.path().join("neighbour"), "untouched").expect("a file");
    dir
});

fuzz_target!(|bytes: &[u8]| {
    let place = PLACE.path();
    let dest = place.join("tree");
    let limits = Limits { bytes: 1 << 20, entries: 200, small: 1 << 16, ..Limits::default() };
    match unpack(bytes, &dest, &limits) {
        Ok(_) => {
            inside(&dest.canonicalize().expect("the tree"), &dest);
            fs::remove_dir_all(&dest).expect("what was made can be removed");
        }
        Err(_) => assert!(dest.symlink_metadata().is_err(), "something was left"),
    }
    assert_eq!(fs::read_to_string(place.join("neighbour")).expect("the neighbour"), "untouched");
    assert_eq!(fs::read_dir(place).expect("the folder").count(), 1, "something was written beside");
});

fn inside(root: &Path, dir: &Path) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        let meta = path.symlink_metadata().expect("an entry");
        if meta.is_dir() {
            inside(root, &path);
        } else if meta.is_symlink() {
            assert!(path.canonicalize().map_or(true, |target| target.starts_with(root)), "{path:?} leads out");
        } else {
            assert!(meta.is_file(), "{path:?} is neither file, folder nor link");
        }
    }
}
