//! The directory at the end of a zip, read strictly (APPNOTE.TXT 6.3.10, sections 4.3 and 4.5).
//!
//! Ours and not a library's, as a library holds the whole directory in memory before it can be asked how long it is,
//! goes on with what the directory says where an entry's own header says something else, and looks for the
//! beginning of a zip that has something in front of it.

use std::io::{Read, Seek, SeekFrom};

use super::budget::Budget;
use super::error::ArchiveError;

const END: &[u8; 4] = b"PK\x05\x06";
const END_LEN: u64 = 22;
const END64_LOCATOR: &[u8; 4] = b"PK\x06\x07";
const END64_LOCATOR_LEN: u64 = 20;
const END64: &[u8; 4] = b"PK\x06\x06";
const END64_LEN: u64 = 56;
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const MAX_COMMENT: u64 = u16::MAX as u64;

/// Says of a field that the extra field of ZIP64 has the number.
pub(super) const IN_EXTRA: u32 = u32::MAX;

/// An entry as the directory describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) size: u64,
    /// Where its own header is.
    pub(super) offset: u64,
    /// As Unix has it; 0 if whoever packed it has none.
    pub(super) mode: u32,
}

/// All entries, by their place in the file, and where the directory begins.
pub(super) fn read<R: Read + Seek>(input: &mut R, budget: &Budget<'_>) -> Result<(Vec<Entry>, u64), ArchiveError> {
    let end = end(input)?;
    // Before any room is made for it; the shortest entry has 46 bytes and a name of one.
    if end.entries > budget.limits.entries {
        return Err(ArchiveError::TooLarge {
            what: format!("has more than {} files and folders", budget.limits.entries),
        });
    }
    if end.entries > end.size / 47 {
        return Err(ArchiveError::damaged("its directory is shorter than it says"));
    }
    seek(input, end.offset)?;
    let mut directory = std::io::BufReader::with_capacity(64 * 1024, input.by_ref().take(end.size));
    let mut entries = Vec::new();
    let mut names = 0;
    for _ in 0..end.entries {
        let entry = central(&mut directory)?;
        names += entry.name.len() as u64;
        if names > budget.limits.names {
            return Err(ArchiveError::TooLarge { what: "has names that are too long together".to_owned() });
        }
        entries.push(entry);
    }
    if directory.read(&mut [0]).map_err(|e| ArchiveError::reading(&e))? != 0 {
        return Err(ArchiveError::damaged("its directory is longer than it says"));
    }
    entries.sort_by_key(|entry| entry.offset);
    Ok((entries, end.offset))
}

struct End {
    entries: u64,
    size: u64,
    offset: u64,
}

fn end<R: Read + Seek>(input: &mut R) -> Result<End, ArchiveError> {
    let length = input.seek(SeekFrom::End(0)).map_err(|e| ArchiveError::reading(&e))?;
    let tail_at = length.saturating_sub(END_LEN + MAX_COMMENT);
    seek(input, tail_at)?;
    let mut tail = Vec::new();
    input.by_ref().take(length - tail_at).read_to_end(&mut tail).map_err(|e| ArchiveError::reading(&e))?;
    // Its comment is the only thing that may follow, and reaches to the end of the file.
    let found = (0..tail.len().saturating_sub(END_LEN as usize - 1)).rev().find(|at| {
        let record = &tail[*at..];
        record.starts_with(END) && usize::from(u16_at(record, 20)) == record.len() - END_LEN as usize
    });
    let at = found.ok_or_else(|| ArchiveError::damaged("its end is missing, or something follows it"))?;
    let (record, at) = (&tail[at..], tail_at + at as u64);
    let (disk, first_disk) = (u16_at(record, 4), u16_at(record, 6));
    let (here, entries) = (u16_at(record, 8), u16_at(record, 10));
    let (size, offset) = (u32_at(record, 12), u32_at(record, 16));
    let end64 = end64(input, at)?;
    let (end, ends_at) = match end64 {
        Some((end, position)) => {
            let agree = |small: u64, full: u64, in_extra: u64| small == full || small == in_extra;
            if !agree(entries.into(), end.entries, u16::MAX.into())
                || !agree(size.into(), end.size, IN_EXTRA.into())
                || !agree(offset.into(), end.offset, IN_EXTRA.into())
            {
                return Err(ArchiveError::damaged("its two ends disagree"));
            }
            (end, position)
        }
        None => {
            if disk != 0 || first_disk != 0 || here != entries {
                return Err(ArchiveError::damaged("it is one part of a zip that was split"));
            }
            (End { entries: entries.into(), size: size.into(), offset: offset.into() }, at)
        }
    };
    match end.offset.checked_add(end.size) {
        Some(sum) if sum == ends_at => Ok(end),
        _ => Err(ArchiveError::damaged("its directory is not where it says, or something stands in front of it")),
    }
}

/// The end of a ZIP64, and where it begins, if the one at `end_at` has a sign to it in front.
fn end64<R: Read + Seek>(input: &mut R, end_at: u64) -> Result<Option<(End, u64)>, ArchiveError> {
    let Some(locator_at) = end_at.checked_sub(END64_LOCATOR_LEN) else { return Ok(None) };
    seek(input, locator_at)?;
    let locator: [u8; END64_LOCATOR_LEN as usize] = exactly(input)?;
    if !locator.starts_with(END64_LOCATOR) {
        return Ok(None);
    }
    let at = u64_at(&locator, 8);
    if u32_at(&locator, 4) != 0 || u32_at(&locator, 16) > 1 {
        return Err(ArchiveError::damaged("it is one part of a zip that was split"));
    }
    if at.checked_add(END64_LEN).is_none_or(|behind| behind > locator_at) {
        return Err(ArchiveError::damaged("the end of its ZIP64 is not where it says"));
    }
    seek(input, at)?;
    let record: [u8; END64_LEN as usize] = exactly(input)?;
    // Its length counts from behind the field that holds it, and may announce more than we know.
    let behind = at.checked_add(12).and_then(|from| from.checked_add(u64_at(&record, 4)));
    let single = u32_at(&record, 16) == 0 && u32_at(&record, 20) == 0 && u64_at(&record, 24) == u64_at(&record, 32);
    if !record.starts_with(END64) || behind != Some(locator_at) || !single {
        return Err(ArchiveError::damaged("the end of its ZIP64 is not one"));
    }
    Ok(Some((End { entries: u64_at(&record, 32), size: u64_at(&record, 40), offset: u64_at(&record, 48) }, at)))
}

fn central(directory: &mut impl Read) -> Result<Entry, ArchiveError> {
    let head: [u8; 46] = exactly(directory)?;
    if !head.starts_with(CENTRAL) {
        return Err(ArchiveError::damaged("its directory is not one"));
    }
    let name = bytes(directory, u16_at(&head, 28))?;
    let extra = bytes(directory, u16_at(&head, 30))?;
    bytes(directory, u16_at(&head, 32))?;
    let (packed, size, offset) = (u32_at(&head, 20), u32_at(&head, 24), u32_at(&head, 42));
    let mut wide = Wide::find(&extra)?;
    let size = wide.number(size)?;
    let packed = wide.number(packed)?;
    let offset = wide.number(offset)?;
    if u16_at(&head, 34) != 0 {
        return Err(ArchiveError::damaged("it is one part of a zip that was split"));
    }
    if other_name(&extra, &name) {
        return Err(ArchiveError::refused(&name, "has another name beside this one"));
    }
    // Unix and macOS; others have attributes that say less than the name does.
    let unix = matches!(head[5], 3 | 19);
    let mode = if unix { u32_at(&head, 38) >> 16 } else { 0 };
    let (flags, method, crc) = (u16_at(&head, 8), u16_at(&head, 10), u32_at(&head, 16));
    Ok(Entry { name, flags, method, crc, packed, size, offset, mode })
}

/// The numbers of a ZIP64's extra field, in their order: those that did not fit.
pub(super) struct Wide<'a>(&'a [u8]);

impl<'a> Wide<'a> {
    pub(super) fn find(extra: &'a [u8]) -> Result<Self, ArchiveError> {
        let mut fields = fields(extra).filter(|(id, _)| *id == 1);
        match (fields.next(), fields.next()) {
            (found, None) => Ok(Self(found.map_or(&[], |(_, content)| content))),
            _ => Err(ArchiveError::damaged("an entry has two sizes")),
        }
    }

    /// The number of a field, from here if that says so.
    pub(super) fn number(&mut self, small: u32) -> Result<u64, ArchiveError> {
        if small != IN_EXTRA {
            return Ok(small.into());
        }
        let Some((number, rest)) = self.0.split_at_checked(8) else {
            return Err(ArchiveError::damaged("an entry lacks its size"));
        };
        self.0 = rest;
        Ok(u64_at(number, 0))
    }
}

/// Info-ZIP's Unicode path (0x7075), when it is not the name itself.
fn other_name(extra: &[u8], name: &[u8]) -> bool {
    fields(extra).any(|(id, content)| id == 0x7075 && content.get(5..).is_some_and(|other| other != name))
}

/// Ids and contents; what is no field ends them.
fn fields(mut extra: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = extra.split_at_checked(4)?;
        let (content, rest) = rest.split_at_checked(u16_at(head, 2).into())?;
        extra = rest;
        Some((u16_at(head, 0), content))
    })
}

pub(super) fn seek(input: &mut impl Seek, to: u64) -> Result<(), ArchiveError> {
    input.seek(SeekFrom::Start(to)).map(drop).map_err(|e| ArchiveError::reading(&e))
}

pub(super) fn exactly<const N: usize>(input: &mut impl Read) -> Result<[u8; N], ArchiveError> {
    let mut record = [0; N];
    input.read_exact(&mut record).map_err(|e| ArchiveError::reading(&e))?;
    Ok(record)
}

pub(super) fn bytes(input: &mut impl Read, length: u16) -> Result<Vec<u8>, ArchiveError> {
    let mut content = vec![0; length.into()];
    input.read_exact(&mut content).map_err(|e| ArchiveError::reading(&e))?;
    Ok(content)
}

/// The numbers of a zip have their lowest byte first. Only called for places inside of a record of fixed length.
pub(super) fn u16_at(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}

pub(super) fn u32_at(record: &[u8], at: usize) -> u32 {
    u32::from(u16_at(record, at)) | u32::from(u16_at(record, at + 2)) << 16
}

pub(super) fn u64_at(record: &[u8], at: usize) -> u64 {
    u64::from(u32_at(record, at)) | u64::from(u32_at(record, at + 4)) << 32
}
