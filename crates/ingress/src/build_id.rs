//! Which binary a process runs, so that a newer one can take its place.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;

/// The binary of this process, as it was when it was asked for first.
pub(crate) fn own() -> &'static str {
    static OWN: OnceLock<String> = OnceLock::new();
    // The link leads to the very file that runs, also when another one has its name by now.
    OWN.get_or_init(|| of(Path::new("/proc/self/exe")).unwrap_or_default())
}

/// Size and time of the last change, which no two builds have in common. A copy of the same build counts as another
/// one; then a process is replaced once too often, which harms nobody.
pub(crate) fn of(binary: &Path) -> io::Result<String> {
    let file = fs::metadata(binary)?;
    Ok(format!("{:x}-{:x}-{:x}", file.len(), file.mtime(), file.mtime_nsec()))
}
