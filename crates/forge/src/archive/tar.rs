//! Tar, block by block: ustar, pax and GNU's headers, and those before them.
//!
//! The library reads the fields of a header; what follows which header is read here, as a long name of any length
//! would be read into memory there, and a size in an extended header must win over the one in the header for
//! everybody who reads, or an archive could show two faces.

use std::io::{self, Read};

use ::tar::{EntryType, Header};

use super::error::ArchiveError;
use super::pax::{self, Extended};
use super::tree::Tree;

const BLOCK: usize = 512;

/// Extended headers and long names are read into memory: so far and no further.
const MAX_META: u64 = 1 << 20;

/// The sum of a header is right; spaces stand for the field that holds it.
pub(super) fn is_header(block: &[u8; BLOCK]) -> bool {
    let sum: u32 =
        block.iter().enumerate().map(|(n, b)| u32::from(if (148..156).contains(&n) { b' ' } else { *b })).sum();
    Header::from_byte_slice(block).cksum().is_ok_and(|said| said == sum)
}

pub(super) fn unpack(input: &mut dyn Read, tree: &mut Tree<'_>) -> Result<(), ArchiveError> {
    let mut extended: Option<Extended> = None;
    let (mut long_name, mut long_link): (Option<Vec<u8>>, Option<Vec<u8>>) = (None, None);
    let mut first = true;
    while let Some(block) = next_header(input, first)? {
        first = false;
        let header = Header::from_byte_slice(&block);
        let said = header.entry_size().map_err(|_| ArchiveError::damaged("a header has no readable size"))?;
        let kind = header.entry_type();
        match kind {
            EntryType::XHeader => keep(&mut extended, pax::parse(&meta(input, said)?)?)?,
            EntryType::XGlobalHeader => {
                // Comments, such as the commit that `git archive` writes.
                if !pax::parse(&meta(input, said)?)?.is_empty() {
                    return Err(ArchiveError::damaged("it names or sizes all its files at once"));
                }
            }
            EntryType::GNULongName => keep(&mut long_name, without_end(meta(input, said)?))?,
            EntryType::GNULongLink => keep(&mut long_link, without_end(meta(input, said)?))?,
            _ => {
                let extended = extended.take().unwrap_or_default();
                let (gnu_name, gnu_link) = (long_name.take(), long_link.take());
                let name = extended.path.or(gnu_name).unwrap_or_else(|| header.path_bytes().into_owned());
                let link = extended.link.or(gnu_link);
                let link = link.or_else(|| header.link_name_bytes().map(|l| l.into_owned())).unwrap_or_default();
                let size = extended.size.unwrap_or(said);
                if extended.sparse {
                    return Err(ArchiveError::refused(&name, "is stored as a sparse file"));
                }
                let entry = Entry { kind, name, link, size, executable: header.mode().is_ok_and(|m| m & 0o111 != 0) };
                entry.unpack(input, tree)?;
            }
        }
    }
    if extended.is_some() || long_name.is_some() || long_link.is_some() {
        return Err(ArchiveError::damaged("it ends with a header that nothing follows"));
    }
    nothing_but_zeros(input)
}

struct Entry {
    kind: EntryType,
    name: Vec<u8>,
    link: Vec<u8>,
    size: u64,
    executable: bool,
}

impl Entry {
    fn unpack(self, input: &mut dyn Read, tree: &mut Tree<'_>) -> Result<(), ArchiveError> {
        let refused = |reason: &str| Err(ArchiveError::refused(&self.name, reason));
        let is_file = matches!(self.kind, EntryType::Regular | EntryType::Continuous);
        // Before there was a type for folders, their names ended so.
        let old_folder = is_file && self.name.ends_with(b"/");
        if self.size > 0 && (!is_file || old_folder) {
            return refused("has content, which nothing but a file can have");
        }
        match self.kind {
            EntryType::Regular
            | EntryType::Continuous
            | EntryType::Directory
            | EntryType::Symlink
            | EntryType::Link => {}
            EntryType::Char | EntryType::Block => return refused("is a device"),
            EntryType::Fifo => return refused("is a named pipe"),
            EntryType::GNUSparse => return refused("is stored as a sparse file"),
            // The name of the volume.
            other if other.as_byte() == b'V' => return Ok(()),
            other => {
                return refused(&format!(
                    "is of the kind `{}`, which has no meaning here",
                    other.as_byte().escape_ascii()
                ));
            }
        }
        tree.budget().announced(self.size)?;
        let at = tree.admit(&self.name)?;
        match (self.kind, at) {
            (_, None) => skip(input, self.size)?,
            (EntryType::Directory, Some(at)) => tree.folder(&at)?,
            (EntryType::Symlink, Some(at)) => tree.link(at, &self.link)?,
            (EntryType::Link, Some(at)) => tree.hard_link(&at, &self.link)?,
            (_, Some(at)) if old_folder => tree.folder(&at)?,
            (_, Some(at)) => {
                let written = tree.file(&at, self.executable, &mut (&mut *input).take(self.size))?;
                if written != self.size {
                    return Err(ArchiveError::damaged("it ends in the middle of a file"));
                }
            }
        }
        skip(input, padding(self.size))
    }
}

/// The next block that is a header; `None` at the archive's end, which is two blocks of zeros, or one and nothing.
fn next_header(input: &mut dyn Read, first: bool) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
    let Some(block) = read_block(input)? else {
        return Err(ArchiveError::damaged("its end is missing"));
    };
    if block.iter().any(|b| *b != 0) {
        return match is_header(&block) {
            true => Ok(Some(block)),
            false if first => Err(ArchiveError::NotAnArchive { found: "something packed that is no tar".to_owned() }),
            false => Err(ArchiveError::damaged("the sum of a header is wrong")),
        };
    }
    match read_block(input)? {
        Some(second) if second.iter().any(|b| *b != 0) => Err(ArchiveError::damaged("it goes on behind its end")),
        _ => Ok(None),
    }
}

fn read_block(input: &mut dyn Read) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
    let mut block = [0; BLOCK];
    let mut filled = 0;
    while filled < BLOCK {
        match input.read(&mut block[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(ArchiveError::damaged("it ends in the middle")),
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(ArchiveError::reading(&e)),
        }
    }
    Ok(Some(block))
}

/// The content of a header that describes the next one.
fn meta(input: &mut dyn Read, size: u64) -> Result<Vec<u8>, ArchiveError> {
    if size > MAX_META {
        return Err(ArchiveError::TooLarge { what: format!("has an extended header of {size} bytes") });
    }
    let mut content = Vec::new();
    (&mut *input).take(size).read_to_end(&mut content).map_err(|e| ArchiveError::reading(&e))?;
    if content.len() as u64 != size {
        return Err(ArchiveError::damaged("it ends in the middle of a header"));
    }
    skip(input, padding(size))?;
    Ok(content)
}

/// Which of two would hold is anybody's guess.
fn keep<T>(slot: &mut Option<T>, value: T) -> Result<(), ArchiveError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(ArchiveError::damaged("a file has two headers of the same kind")),
    }
}

/// GNU's long names end with a NUL.
fn without_end(mut name: Vec<u8>) -> Vec<u8> {
    if name.last() == Some(&0) {
        name.pop();
    }
    name
}

/// What is missing to whole blocks.
fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

fn skip(input: &mut dyn Read, n: u64) -> Result<(), ArchiveError> {
    let skipped = io::copy(&mut (&mut *input).take(n), &mut io::sink()).map_err(|e| ArchiveError::reading(&e))?;
    if skipped == n { Ok(()) } else { Err(ArchiveError::damaged("it ends in the middle")) }
}

/// Tars are filled up with zeros to the size of a tape's records.
fn nothing_but_zeros(input: &mut dyn Read) -> Result<(), ArchiveError> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) if buffer[..n].iter().any(|b| *b != 0) => {
                return Err(ArchiveError::damaged("it goes on behind its end"));
            }
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(ArchiveError::reading(&e)),
        }
    }
}
