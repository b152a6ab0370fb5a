//! Zip: every entry as the directory describes it, if the entry's own header says the same.

use std::io::{self, BufReader, Read, Seek};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::error::ArchiveError;
use super::tree::Tree;
use super::zip_directory::{self as directory, Entry, Wide, bytes, exactly, seek, u16_at, u32_at, u64_at};

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const DESCRIPTOR: &[u8; 4] = b"PK\x07\x08";

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Bits of the flags: sizes and sum follow the content; the name is UTF-8.
const FOLLOWS: u16 = 1 << 3;
/// Encrypted, patched, strongly encrypted, directory masked.
const UNREADABLE: u16 = 1 | 1 << 5 | 1 << 6 | 1 << 13;

/// Targets of links are paths.
const MAX_TARGET: u64 = 4095;

pub(super) fn unpack<R: Read + Seek>(input: &mut R, tree: &mut Tree<'_>) -> Result<(), ArchiveError> {
    let (entries, end) = directory::read(input, &tree.budget())?;
    let total = entries.iter().fold(0u64, |sum, entry| sum.saturating_add(entry.size));
    tree.budget().announced(total)?;
    // All before any: what shares bytes, or runs into the directory, was made to grow.
    let mut contents = Vec::with_capacity(entries.len());
    let mut free_from = 0;
    for entry in &entries {
        if entry.offset < free_from {
            return Err(refused(entry, "shares bytes with another entry"));
        }
        let content = local(input, entry)?;
        free_from = content.saturating_add(entry.packed);
        if free_from > end {
            return Err(refused(entry, "runs into what follows it"));
        }
        if entry.flags & FOLLOWS != 0 {
            free_from = descriptor(input, entry, free_from)?;
        }
        contents.push(content);
    }
    for (entry, content) in entries.iter().zip(contents) {
        tree.budget().packed(entry.packed);
        one(input, entry, content, tree)?;
    }
    Ok(())
}

enum Kind {
    File { executable: bool },
    Folder,
    Link,
}

fn one<R: Read + Seek>(input: &mut R, entry: &Entry, content: u64, tree: &mut Tree<'_>) -> Result<(), ArchiveError> {
    if std::str::from_utf8(&entry.name).is_err() {
        return Err(refused(entry, "has a name that is not UTF-8"));
    }
    let kind = kind(entry)?;
    let Some(at) = tree.admit(&entry.name)? else { return Ok(()) };
    if matches!(kind, Kind::Folder) {
        return match entry.size {
            0 => tree.folder(&at),
            _ => Err(refused(entry, "is a folder that has content")),
        };
    }
    seek(input, content)?;
    let packed = BufReader::with_capacity(64 * 1024, input.by_ref().take(entry.packed));
    let mut summed = Summed { inner: Unpacking::of(entry, packed)?, crc: Crc::new(), read: 0, size: entry.size };
    match kind {
        Kind::Link => {
            if entry.size > MAX_TARGET {
                return Err(refused(entry, "is a link whose target is too long"));
            }
            let mut target = Vec::new();
            summed.read_to_end(&mut target).map_err(|e| ArchiveError::reading(&e))?;
            summed.check(entry)?;
            tree.link(at, &target)
        }
        Kind::File { executable } => {
            tree.file(&at, executable, &mut summed)?;
            summed.check(entry)
        }
        Kind::Folder => Ok(()),
    }
}

fn kind(entry: &Entry) -> Result<Kind, ArchiveError> {
    let slash = entry.name.ends_with(b"/");
    match entry.mode & 0o170_000 {
        0o040_000 => Ok(Kind::Folder),
        0 if slash => Ok(Kind::Folder),
        0 | 0o100_000 if !slash => Ok(Kind::File { executable: entry.mode & 0o111 != 0 }),
        0o120_000 if !slash => Ok(Kind::Link),
        0o020_000 | 0o060_000 => Err(refused(entry, "is a device")),
        0o010_000 => Err(refused(entry, "is a named pipe")),
        0o140_000 => Err(refused(entry, "is a socket")),
        _ => Err(refused(entry, "is named like a folder, and is none")),
    }
}

/// Checks the entry's own header against the directory; returns where its content begins.
fn local<R: Read + Seek>(input: &mut R, entry: &Entry) -> Result<u64, ArchiveError> {
    if entry.flags & UNREADABLE != 0 {
        return Err(refused(entry, "is encrypted"));
    }
    if !matches!(entry.method, STORED | DEFLATED) {
        return Err(refused(entry, format!("is compressed by {}", method(entry.method))));
    }
    if entry.method == STORED && entry.packed != entry.size {
        return Err(differs(entry));
    }
    seek(input, entry.offset)?;
    let head: [u8; 30] = exactly(input)?;
    if !head.starts_with(LOCAL) {
        return Err(ArchiveError::damaged("an entry is not where the directory says"));
    }
    let (name_len, extra_len) = (u16_at(&head, 26), u16_at(&head, 28));
    let name = bytes(input, name_len)?;
    let extra = bytes(input, extra_len)?;
    let mut wide = Wide::find(&extra)?;
    let (crc, packed, size) = (u32_at(&head, 14), u32_at(&head, 18), u32_at(&head, 22));
    let same = name == entry.name && u16_at(&head, 6) == entry.flags && u16_at(&head, 8) == entry.method;
    // Whoever wrote it without knowing them left zeros.
    let later = entry.flags & FOLLOWS != 0;
    let (size, packed) = match later && (crc, packed, size) == (0, 0, 0) {
        true => (entry.size, entry.packed),
        false => (wide.number(size)?, wide.number(packed)?),
    };
    // ZIP64 says "see the extra field", and zeros are there.
    let known = !(later && (size, packed) == (0, 0));
    let crc_same = crc == entry.crc || (later && crc == 0);
    if !same || !crc_same || (known && (size, packed) != (entry.size, entry.packed)) {
        return Err(differs(entry));
    }
    Ok(entry.offset.saturating_add(30 + u64::from(name_len) + u64::from(extra_len)))
}

/// Sum and sizes behind the content, in any of the four ways they are written; returns where they end.
fn descriptor<R: Read + Seek>(input: &mut R, entry: &Entry, at: u64) -> Result<u64, ArchiveError> {
    seek(input, at)?;
    let mut found = Vec::new();
    input.by_ref().take(24).read_to_end(&mut found).map_err(|e| ArchiveError::reading(&e))?;
    let matches = |signed: usize, wide: bool| {
        let record = found.get(signed..signed + if wide { 20 } else { 12 })?;
        let sizes = match wide {
            true => (u64_at(record, 4), u64_at(record, 12)),
            false => (u32_at(record, 4).into(), u32_at(record, 8).into()),
        };
        let signature = signed == 0 || found.starts_with(DESCRIPTOR);
        let same = signature && u32_at(record, 0) == entry.crc && sizes == (entry.packed, entry.size);
        same.then_some((signed + record.len()) as u64)
    };
    let length = [(4, false), (4, true), (0, false), (0, true)].into_iter().find_map(|(s, w)| matches(s, w));
    length.map(|length| at + length).ok_or_else(|| differs(entry))
}

enum Unpacking<R> {
    Stored(R),
    Deflated(DeflateDecoder<R>),
}

impl<R: io::BufRead> Unpacking<R> {
    fn of(entry: &Entry, packed: R) -> Result<Self, ArchiveError> {
        match entry.method {
            STORED => Ok(Self::Stored(packed)),
            _ => Ok(Self::Deflated(DeflateDecoder::new(packed))),
        }
    }

    /// All of the packed bytes were of use.
    fn used_all(&mut self, packed: u64) -> bool {
        match self {
            // Their number is the size, which is checked.
            Self::Stored(_) => true,
            Self::Deflated(decoder) => decoder.total_in() == packed,
        }
    }
}

impl<R: io::BufRead> Read for Unpacking<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stored(inner) => inner.read(buffer),
            Self::Deflated(inner) => inner.read(buffer),
        }
    }
}

/// Content on its way, with its sum; it is not longer than it said.
struct Summed<R> {
    inner: Unpacking<R>,
    crc: Crc,
    read: u64,
    size: u64,
}

impl<R: io::BufRead> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.crc.update(&buffer[..n]);
        self.read += n as u64;
        match self.read > self.size {
            true => Err(io::Error::other(ArchiveError::damaged("a file is longer than it says"))),
            false => Ok(n),
        }
    }
}

impl<R: io::BufRead> Summed<R> {
    fn check(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        match self.read == entry.size && self.crc.sum() == entry.crc && self.inner.used_all(entry.packed) {
            true => Ok(()),
            false => Err(ArchiveError::damaged(format!("the sum of `{}` is wrong", super::error::shown(&entry.name)))),
        }
    }
}

fn method(number: u16) -> String {
    match number {
        9 => "Deflate64".to_owned(),
        12 => "bzip2".to_owned(),
        14 => "LZMA".to_owned(),
        93 => "Zstandard".to_owned(),
        95 => "xz".to_owned(),
        other => format!("method {other}"),
    }
}

fn refused(entry: &Entry, reason: impl Into<String>) -> ArchiveError {
    ArchiveError::refused(&entry.name, reason)
}

fn differs(entry: &Entry) -> ArchiveError {
    refused(entry, "is described in two ways that differ")
}
