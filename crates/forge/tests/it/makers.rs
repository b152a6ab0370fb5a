//! Archives made byte by byte, as hostile as anybody could make them.

use std::io::Write;

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};

/// A tar that grows; [`Tar::end`] closes it.
#[derive(Default, Clone)]
pub(crate) struct Tar(pub(crate) Vec<u8>);

impl Tar {
    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.entry(b'0', name.as_bytes(), b"", content.as_bytes())
    }

    pub(crate) fn folder(self, name: &str) -> Self {
        self.entry(b'5', name.as_bytes(), b"", b"")
    }

    pub(crate) fn link(self, name: &str, target: &str) -> Self {
        self.entry(b'2', name.as_bytes(), target.as_bytes(), b"")
    }

    pub(crate) fn hard(self, name: &str, target: &str) -> Self {
        self.entry(b'1', name.as_bytes(), target.as_bytes(), b"")
    }

    /// An extended header of these keys and values.
    pub(crate) fn pax(self, kind: u8, records: &[(&str, &str)]) -> Self {
        let mut content = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length.to_string().len() + rest != length {
                length += 1;
            }
            content.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
        }
        self.entry(kind, b"pax", b"", &content)
    }

    pub(crate) fn entry(self, kind: u8, name: &[u8], link: &[u8], content: &[u8]) -> Self {
        self.said(kind, name, link, content.len() as u64, content)
    }

    /// With a size that may be a lie.
    pub(crate) fn said(mut self, kind: u8, name: &[u8], link: &[u8], size: u64, content: &[u8]) -> Self {
        let mut header = tar::Header::new_ustar();
        let old = header.as_old_mut();
        let (name, link) = (&name[..name.len().min(100)], &link[..link.len().min(100)]);
        old.name[..name.len()].copy_from_slice(name);
        old.linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(if name.ends_with(b".sh") { 0o6755 } else { 0o644 });
        header.set_size(size);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

pub(crate) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

/// An entry of a zip: what the directory says of it, and what it says itself.
#[derive(Clone)]
pub(crate) struct Zipped {
    pub(crate) name: Vec<u8>,
    pub(crate) own_name: Option<Vec<u8>>,
    /// The content as it is stored.
    pub(crate) packed: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) mode: u32,
    pub(crate) crc: u32,
    pub(crate) size: u64,
    /// Instead of the size, in its own header.
    pub(crate) own_size: Option<u32>,
    /// Sizes in extra fields.
    pub(crate) wide: bool,
    /// More extra field, in the directory.
    pub(crate) extra: Vec<u8>,
    /// Behind the content, when flag 3 is set: with its signature, or wide.
    pub(crate) descriptor: Option<(bool, bool)>,
    /// Only in the directory, pointing to this entry's header.
    pub(crate) alias_of: Option<usize>,
}

impl Zipped {
    pub(crate) fn stored(name: &str, content: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(content);
        Self {
            name: name.as_bytes().to_vec(),
            own_name: None,
            packed: content.to_vec(),
            method: 0,
            flags: 0,
            mode: if name.ends_with('/') { 0o040_755 } else { 0o100_644 },
            crc: crc.sum(),
            size: content.len() as u64,
            own_size: None,
            wide: false,
            extra: Vec::new(),
            descriptor: None,
            alias_of: None,
        }
    }

    pub(crate) fn deflated(name: &str, content: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        Self { packed: encoder.finish().unwrap(), method: 8, ..Self::stored(name, content) }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// How the end of a zip is written.
#[derive(Default, Clone)]
pub(crate) struct ZipEnd {
    pub(crate) wide: bool,
    pub(crate) comment: Vec<u8>,
    /// Instead of the number of entries.
    pub(crate) entries: Option<u16>,
    /// In front of everything, without being counted in any place.
    pub(crate) in_front: Vec<u8>,
}

pub(crate) fn zip(entries: &[Zipped]) -> Vec<u8> {
    zip_with(entries, &ZipEnd::default())
}

pub(crate) fn zip_with(entries: &[Zipped], end: &ZipEnd) -> Vec<u8> {
    let mut out = Vec::new();
    let mut offsets = Vec::new();
    for entry in entries {
        match entry.alias_of {
            Some(other) => offsets.push(offsets[other]),
            None => {
                offsets.push(out.len() as u32);
                local(&mut out, entry);
            }
        }
    }
    let directory = out.len() as u32;
    for (entry, offset) in entries.iter().zip(offsets) {
        central(&mut out, entry, offset);
    }
    let size = out.len() as u32 - directory;
    let count = end.entries.unwrap_or(entries.len() as u16);
    if end.wide {
        let at = out.len() as u64;
        out.extend_from_slice(b"PK\x06\x06");
        out.extend_from_slice(&44u64.to_le_bytes());
        for n in [45u16, 45] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.extend_from_slice(&[0; 8]);
        for n in [count.into(), count.into(), size.into(), u64::from(directory)] {
            out.extend_from_slice(&u64::to_le_bytes(n));
        }
        out.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        out.extend_from_slice(&at.to_le_bytes());
        out.extend_from_slice(&1u32.to_le_bytes());
    }
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    for n in [count, count] {
        out.extend_from_slice(&if end.wide { u16::MAX } else { n }.to_le_bytes());
    }
    for n in [size, directory] {
        out.extend_from_slice(&if end.wide { u32::MAX } else { n }.to_le_bytes());
    }
    out.extend_from_slice(&(end.comment.len() as u16).to_le_bytes());
    out.extend_from_slice(&end.comment);
    [end.in_front.clone(), out].concat()
}

fn local(out: &mut Vec<u8>, entry: &Zipped) {
    let name = entry.own_name.as_ref().unwrap_or(&entry.name);
    let later = entry.descriptor.is_some();
    let (crc, packed, size) = match later {
        true => (0, 0, 0),
        false => (entry.crc, entry.packed.len() as u32, entry.own_size.unwrap_or(entry.size as u32)),
    };
    out.extend_from_slice(b"PK\x03\x04\x14\0");
    for n in [entry.flags, entry.method, 0, 0x21] {
        out.extend_from_slice(&n.to_le_bytes());
    }
    out.extend_from_slice(&crc.to_le_bytes());
    let extra = if entry.wide { wide(&[entry.size, entry.packed.len() as u64]) } else { Vec::new() };
    for n in [packed, size] {
        out.extend_from_slice(&if entry.wide { u32::MAX } else { n }.to_le_bytes());
    }
    out.extend_from_slice(&(name.len() as u16).to_le_bytes());
    out.extend_from_slice(&(extra.len() as u16).to_le_bytes());
    out.extend_from_slice(name);
    out.extend_from_slice(&extra);
    out.extend_from_slice(&entry.packed);
    if let Some((signed, wide)) = entry.descriptor {
        if signed {
            out.extend_from_slice(b"PK\x07\x08");
        }
        out.extend_from_slice(&entry.crc.to_le_bytes());
        for n in [entry.packed.len() as u64, entry.size] {
            match wide {
                true => out.extend_from_slice(&n.to_le_bytes()),
                false => out.extend_from_slice(&(n as u32).to_le_bytes()),
            }
        }
    }
}

fn central(out: &mut Vec<u8>, entry: &Zipped, offset: u32) {
    // Made on Unix.
    out.extend_from_slice(b"PK\x01\x02\x14\x03\x14\0");
    for n in [entry.flags, entry.method, 0, 0x21] {
        out.extend_from_slice(&n.to_le_bytes());
    }
    out.extend_from_slice(&entry.crc.to_le_bytes());
    let mut extra = if entry.wide { wide(&[entry.size, entry.packed.len() as u64]) } else { Vec::new() };
    extra.extend_from_slice(&entry.extra);
    for n in [entry.packed.len() as u32, entry.size as u32] {
        out.extend_from_slice(&if entry.wide { u32::MAX } else { n }.to_le_bytes());
    }
    out.extend_from_slice(&(entry.name.len() as u16).to_le_bytes());
    out.extend_from_slice(&(extra.len() as u16).to_le_bytes());
    // Comment, disk, internal attributes.
    out.extend_from_slice(&[0; 6]);
    out.extend_from_slice(&(entry.mode << 16).to_le_bytes());
    out.extend_from_slice(&offset.to_le_bytes());
    out.extend_from_slice(&entry.name);
    out.extend_from_slice(&extra);
}

fn wide(numbers: &[u64]) -> Vec<u8> {
    let mut extra = vec![1, 0];
    extra.extend_from_slice(&((numbers.len() * 8) as u16).to_le_bytes());
    numbers.iter().for_each(|n| extra.extend_from_slice(&n.to_le_bytes()));
    extra
}
