//! What a file is, by its first bytes.

use std::fmt;

use super::error::ArchiveError;
use super::tar;

/// A kind of archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Tar,
    TarGz,
    TarZst,
    Zip,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Tar => "tar",
            Format::TarGz => "tar.gz",
            Format::TarZst => "tar.zst",
            Format::Zip => "zip",
        })
    }
}

/// Others that people try, and what they are called.
const FOREIGN: [(&[u8], &str); 8] = [
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z file"),
    (b"Rar!\x1a\x07", "a rar file"),
    (b"\x1f\x9d", "a compress (.Z) file"),
    (b"\x04\x22\x4d\x18", "an lz4 file"),
    (b"070701", "a cpio file"),
    (b"!<arch>\n", "an ar or Debian package"),
];

/// `start` is the first 512 bytes, or all of a shorter file.
pub(super) fn recognise(start: &[u8]) -> Result<Format, ArchiveError> {
    let not = |found: &str| Err(ArchiveError::NotAnArchive { found: found.to_owned() });
    if start.is_empty() {
        return not("an empty file");
    }
    if start.starts_with(b"\x1f\x8b") {
        return Ok(Format::TarGz);
    }
    // A skippable frame may come first: RFC 8878, section 3.1.2.
    let skippable = start.len() >= 4 && (0x50..=0x5f).contains(&start[0]) && start[1..4] == *b"\x2a\x4d\x18";
    if start.starts_with(b"\x28\xb5\x2f\xfd") || skippable {
        return Ok(Format::TarZst);
    }
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return Ok(Format::Zip);
    }
    if start.starts_with(b"PK\x07\x08") {
        return not("one part of a zip that was split");
    }
    if let Some((_, what)) = FOREIGN.iter().find(|(magic, _)| start.starts_with(magic)) {
        return not(what);
    }
    match <&[u8; 512]>::try_from(start) {
        Ok(block) if block.iter().all(|b| *b == 0) || tar::is_header(block) => Ok(Format::Tar),
        _ => not("something else"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_says_what_it_is() {
        for (start, format) in [
            (&b"\x1f\x8b\x08\0"[..], Some(Format::TarGz)),
            (b"\x28\xb5\x2f\xfd\0", Some(Format::TarZst)),
            (b"\x5a\x2a\x4d\x18\0\0\0\0", Some(Format::TarZst)),
            (b"PK\x03\x04", Some(Format::Zip)),
            (b"PK\x05\x06", Some(Format::Zip)),
            (&[0; 512], Some(Format::Tar)),
            (&[0; 511], None),
            (b"", None),
            (b"P", None),
            (b"PK\x07\x08", None),
            (b"BZh91AY", None),
            (b"#!/bin/sh\n", None),
        ] {
            assert_eq!(recognise(start).ok(), format, "{start:?}");
        }
    }
}
