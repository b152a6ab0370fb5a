//! Archives that strangers made: tar, tar.gz, tar.zst and zip, unpacked so that nothing gets out of its folder
//! and nothing grows beyond its limits.
//!
//! What an archive is, its content says, never its name. It is unpacked into a folder beside the destination and
//! renamed when all of it was found good: there is a whole tree, or none.
//!
//! - **Nothing leaves the folder.** A path that is absolute, leads up, or holds a backslash, a drive letter or a
//!   NUL is refused. Files are made relative to the open folder they belong in, one component at a time and never
//!   through a link ([`tree`]); links are made last, when each was seen to stay inside.
//! - **One meaning.** What two programs could read differently is refused: a name that is there twice, a zip whose
//!   directory says something else than its entries, entries that share bytes, content behind the end.
//! - **Limits.** Bytes, entries, names, depth and the ratio to the packed size count while unpacking; what an
//!   archive says of itself is only ever a reason to stop earlier.
//! - **Nothing special.** Devices, pipes, sockets and sparse files are refused; owners, times, extended
//!   attributes and set-uid bits are dropped; a file is executable or it isn't.
//!
//! A single folder at the top is taken away, as in the archives that forges offer, with a note that says so. `.git`
//! is left out, as from a folder. An archive within an archive is a file.

mod budget;
mod error;
mod format;
mod name;
mod pax;
mod tar;
mod tree;
mod zip;
mod zip_directory;

use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use tokio_util::sync::CancellationToken;

pub use error::ArchiveError;
pub use format::Format;

use budget::{Budget, Metered, Packed};
use tree::Tree;

/// How large an archive may become, and by `bytes`, `entries` and `names` also the checkout of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Files, links and folders: each that an archive names, and those that they need besides.
    pub entries: u64,
    /// Unpacked bytes for each packed one, once there are more than `small` of them.
    pub ratio: u64,
    /// So many bytes may be packed as tightly as they like.
    pub small: u64,
    /// Folders within folders.
    pub depth: usize,
    /// Bytes of one path.
    pub path: usize,
    /// Bytes of all paths together.
    pub names: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 4 << 30, entries: 200_000, ratio: 200, small: 64 << 20, depth: 64, path: 1024, names: 32 << 20 }
    }
}

/// What was unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    pub format: Format,
    /// Files and links.
    pub files: u64,
    pub bytes: u64,
    /// What a person may want to know, one line each.
    pub notes: Vec<String>,
}

/// Unpacks `archive` to `dest`, which must not exist; its parent must. Blocks; run it where blocking is allowed.
/// After an error, or a cancel, nothing is left at `dest`; a kill may leave a folder beside it whose name begins
/// with `.unpack-`.
pub fn unpack_file(
    archive: &Path,
    dest: &Path,
    limits: &Limits,
    cancel: &CancellationToken,
) -> Result<Unpacked, ArchiveError> {
    let file = File::open(archive).map_err(|e| ArchiveError::io("open", archive, e))?;
    unpack_from(file, dest, limits, cancel)
}

/// The same for an archive in memory.
pub fn unpack(archive: &[u8], dest: &Path, limits: &Limits) -> Result<Unpacked, ArchiveError> {
    unpack_from(Cursor::new(archive), dest, limits, &CancellationToken::new())
}

/// What the beginning of `archive` says that it is, and back to it. Reads no further than 512 bytes, so that a good
/// answer is no promise that it can be unpacked.
pub fn recognise(archive: &mut (impl Read + Seek)) -> Result<Format, ArchiveError> {
    format::recognise(&beginning(archive)?)
}

fn unpack_from<R: Read + Seek>(
    mut input: R,
    dest: &Path,
    limits: &Limits,
    cancel: &CancellationToken,
) -> Result<Unpacked, ArchiveError> {
    if dest.symlink_metadata().is_ok() {
        return Err(ArchiveError::io("write", dest, io::ErrorKind::AlreadyExists.into()));
    }
    let format = recognise(&mut input)?;
    let parent = dest.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let staging = tempfile::Builder::new()
        .prefix(".unpack-")
        .tempdir_in(parent)
        .map_err(|e| ArchiveError::io("write", parent, e))?;
    let root = staging.path().join("tree");
    fs::create_dir(&root).map_err(|e| ArchiveError::io("write", &root, e))?;
    let mut tree = Tree::new(&root, Budget::new(limits, cancel))?;
    match format {
        Format::Zip => zip::unpack(&mut input, &mut tree)?,
        Format::Tar | Format::TarGz | Format::TarZst => tar::unpack(&mut stream(input, format, &tree)?, &mut tree)?,
    }
    let finished = tree.finish()?;
    fs::rename(&finished.root, dest).map_err(|e| ArchiveError::io("write", dest, e))?;
    Ok(Unpacked { format, files: finished.files, bytes: finished.bytes, notes: finished.notes })
}

/// The bytes of the tar inside, counted on both sides of what unpacks them.
fn stream<'a, R: Read + 'a>(input: R, format: Format, tree: &Tree<'a>) -> Result<Metered<'a>, ArchiveError> {
    let packed = BufReader::with_capacity(64 * 1024, Packed::new(input, tree.budget()));
    let plain: Box<dyn Read + 'a> = match format {
        Format::TarGz => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        Format::TarZst => {
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(packed).map_err(|e| ArchiveError::reading(&e))?;
            // As the program zstd allows by default: 128 MiB.
            decoder.window_log_max(27).map_err(|e| ArchiveError::reading(&e))?;
            Box::new(decoder)
        }
        Format::Tar | Format::Zip => Box::new(packed),
    };
    Ok(Metered::new(plain, tree.budget()))
}

fn beginning(input: &mut (impl Read + Seek)) -> Result<Vec<u8>, ArchiveError> {
    let mut start = Vec::new();
    let read = input.by_ref().take(512).read_to_end(&mut start).and_then(|_| input.seek(SeekFrom::Start(0)));
    read.map_err(|e| ArchiveError::reading(&e))?;
    Ok(start)
}
