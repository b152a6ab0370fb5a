//! The file itself: entries in, entries out, each with its digest.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use operations::Error;
use serde::{Deserialize, Serialize};

use super::manifest::{self, FORMAT, Manifest};
use super::{damaged, file_error};

const CHECKSUMS: &str = "checksums.ndjson";
/// Fast, and not much larger than slower ones.
const LEVEL: i32 = 3;
/// A manifest names every release; more than this is none.
const LARGEST_MANIFEST: u64 = 256 << 20;

/// One entry, as `checksums.ndjson` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    /// Of a file, in bytes.
    pub(super) size: u64,
    /// Of a file's content, or a link's target; in hexadecimal.
    pub(super) blake3: String,
    /// Owner and group, as numbers.
    pub(super) owner: (u32, u32),
    /// Seconds since the epoch.
    pub(super) modified: i64,
    /// Where a link leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    File,
    Folder,
    Link,
}

/// The last line of the checksums.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Seal {
    entries: usize,
    /// Of all lines before it.
    blake3: String,
}

/// Writes a backup.
pub(super) struct Writer {
    tar: tar::Builder<zstd::Encoder<'static, BufWriter<File>>>,
    entries: Vec<Entry>,
}

impl Writer {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let mut zstd = zstd::Encoder::new(BufWriter::with_capacity(1 << 20, file), LEVEL)?;
        zstd.include_checksum(true)?;
        Ok(Self { tar: tar::Builder::new(zstd), entries: Vec::new() })
    }

    pub(super) fn bytes(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.content(path, content, content.len() as u64, 0o600, (0, 0), 0)
    }

    /// A file as it is now; one that grows meanwhile is cut where it ended.
    pub(super) fn file(&mut self, path: &str, from: &Path) -> io::Result<()> {
        let file = File::open(from)?;
        let meta = file.metadata()?;
        self.content(path, file, meta.len(), meta.mode() & 0o7777, (meta.uid(), meta.gid()), meta.mtime())
    }

    /// A folder with all below it; what is neither file, folder nor link is handed to `skipped`.
    pub(super) fn folder(&mut self, path: &str, from: &Path, skipped: &mut dyn FnMut(PathBuf)) -> io::Result<()> {
        let meta = fs::symlink_metadata(from)?;
        self.head(path, Kind::Folder, &meta, None)?;
        let mut names = fs::read_dir(from)?.map(|e| e.map(|e| e.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        for name in names {
            let below = from.join(&name);
            let Some(text) = name.to_str() else {
                skipped(below);
                continue;
            };
            let path = format!("{path}/{text}");
            let meta = fs::symlink_metadata(&below)?;
            match meta.file_type() {
                kind if kind.is_dir() => self.folder(&path, &below, skipped)?,
                kind if kind.is_file() => self.file(&path, &below)?,
                kind if kind.is_symlink() => self.head(&path, Kind::Link, &meta, Some(fs::read_link(&below)?))?,
                _ => skipped(below),
            }
        }
        Ok(())
    }

    /// Writes the checksums and makes all of it durable.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let mut lines = Vec::new();
        for entry in &self.entries {
            serde_json::to_writer(&mut lines, entry)?;
            lines.push(b'\n');
        }
        let seal = Seal { entries: self.entries.len(), blake3: blake3::hash(&lines).to_hex().to_string() };
        serde_json::to_writer(&mut lines, &seal)?;
        lines.push(b'\n');
        self.bytes(CHECKSUMS, &lines)?;
        let file = self.tar.into_inner()?.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    }

    fn content(
        &mut self,
        path: &str,
        content: impl Read,
        size: u64,
        mode: u32,
        owner: (u32, u32),
        modified: i64,
    ) -> io::Result<()> {
        let mut header = header(tar::EntryType::Regular, mode, owner, modified);
        header.set_size(size);
        let mut hashed = Hashed { inner: content.take(size), hasher: blake3::Hasher::new(), size: 0 };
        self.tar.append_data(&mut header, path, &mut hashed)?;
        if hashed.size != size {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{path} became shorter while it was read"),
            ));
        }
        let blake3 = hashed.hasher.finalize().to_hex().to_string();
        self.entries.push(Entry {
            path: path.to_owned(),
            kind: Kind::File,
            mode,
            size,
            blake3,
            owner,
            modified,
            target: None,
        });
        Ok(())
    }

    fn head(&mut self, path: &str, kind: Kind, meta: &fs::Metadata, target: Option<PathBuf>) -> io::Result<()> {
        let (mode, owner, modified) = (meta.mode() & 0o7777, (meta.uid(), meta.gid()), meta.mtime());
        match &target {
            Some(target) => {
                let mut header = header(tar::EntryType::Symlink, mode, owner, modified);
                self.tar.append_link(&mut header, path, target)?;
            }
            None => {
                let mut header = header(tar::EntryType::Directory, mode, owner, modified);
                self.tar.append_data(&mut header, path, io::empty())?;
            }
        }
        let blake3 = link_digest(target.as_deref());
        self.entries.push(Entry { path: path.to_owned(), kind, mode, size: 0, blake3, owner, modified, target });
        Ok(())
    }
}

/// Hands each entry but the checksums to `each`, which reads its content to the end or fails; then compares all of it.
pub(super) fn read(
    file: &Path,
    mut each: impl FnMut(&Manifest, &Entry, &mut dyn Read) -> io::Result<()>,
) -> Result<Manifest, Error> {
    let opened = File::open(file).map_err(|e| file_error("open", file, &e))?;
    let broken = |e: io::Error| damaged(file, e);
    let zstd = zstd::Decoder::new(BufReader::with_capacity(1 << 20, opened)).map_err(broken)?;
    let mut tar = tar::Archive::new(zstd);
    let mut found = tar.entries().map_err(broken)?;

    let mut first = found.next().ok_or_else(|| damaged(file, "it is empty"))?.map_err(broken)?;
    let (manifest, head) = read_manifest(&mut first).map_err(|e| damaged(file, e))?;
    drop(first);
    if manifest.format != FORMAT {
        return Err(damaged(file, format!("it has format {}, and this version reads {FORMAT}", manifest.format))
            .hint("use the version that made it, or a later one"));
    }
    let mut entries = vec![head];
    let mut sealed = false;
    for item in found {
        let mut item = item.map_err(broken)?;
        if sealed {
            return Err(damaged(file, "something follows its checksums"));
        }
        let entry = entry_of(&item).map_err(|e| damaged(file, e))?;
        let mut hashed = Hashed { inner: &mut item, hasher: blake3::Hasher::new(), size: 0 };
        if entry.path == CHECKSUMS {
            compare(&mut BufReader::new(hashed), &entries).map_err(|e| damaged(file, e))?;
            sealed = true;
            continue;
        }
        each(&manifest, &entry, &mut hashed).map_err(|e| {
            match e.get_ref().and_then(|e| e.downcast_ref::<Error>()) {
                Some(ours) => ours.clone(),
                None => damaged(file, e),
            }
        })?;
        drain(&mut hashed).map_err(broken)?;
        let (size, digest) = (hashed.size, hashed.hasher.finalize());
        let blake3 = match entry.kind {
            Kind::File => digest.to_hex().to_string(),
            _ => link_digest(entry.target.as_deref()),
        };
        entries.push(Entry { size, blake3, ..entry });
    }
    if !sealed {
        return Err(damaged(file, "it is cut off: its checksums are missing"));
    }
    // tar stops at its own end; zstd's checksum comes after that.
    drain(&mut tar.into_inner()).map_err(broken)?;
    Ok(manifest)
}

pub(super) fn drain(content: &mut dyn Read) -> io::Result<()> {
    io::copy(content, &mut io::sink()).map(drop)
}

fn read_manifest(first: &mut tar::Entry<'_, impl Read>) -> Result<(Manifest, Entry), String> {
    let entry = entry_of(first)?;
    if entry.path != manifest::ENTRY {
        return Err("it does not begin with a manifest".to_owned());
    }
    let mut text = Vec::new();
    first.take(LARGEST_MANIFEST).read_to_end(&mut text).map_err(|e| e.to_string())?;
    let manifest = serde_json::from_slice(&text).map_err(|e| format!("its manifest: {e}"))?;
    let (size, blake3) = (text.len() as u64, blake3::hash(&text).to_hex().to_string());
    Ok((manifest, Entry { size, blake3, ..entry }))
}

/// Size and digest are still to be found out.
fn entry_of(item: &tar::Entry<'_, impl Read>) -> Result<Entry, String> {
    let header = item.header();
    let path = item.path().map_err(|e| e.to_string())?.into_owned();
    if path.as_os_str().is_empty() || path.components().any(|c| !matches!(c, Component::Normal(_))) {
        return Err(format!("the path `{}` leads elsewhere", path.display()));
    }
    let kind = match header.entry_type() {
        tar::EntryType::Regular => Kind::File,
        tar::EntryType::Directory => Kind::Folder,
        tar::EntryType::Symlink => Kind::Link,
        other => return Err(format!("{} is of the kind {other:?}", path.display())),
    };
    let number = |n: io::Result<u64>| n.ok().and_then(|n| u32::try_from(n).ok());
    let entry = || {
        Some(Entry {
            path: path.to_str()?.to_owned(),
            kind,
            mode: header.mode().ok()?,
            size: 0,
            blake3: String::new(),
            owner: (number(header.uid())?, number(header.gid())?),
            modified: i64::try_from(header.mtime().ok()?).ok()?,
            target: item.link_name().ok()?.filter(|_| kind == Kind::Link).map(|t| t.into_owned()),
        })
    };
    entry().ok_or_else(|| format!("the head of {} is unreadable", path.display()))
}

fn compare(lines: &mut dyn BufRead, entries: &[Entry]) -> Result<(), String> {
    let mut hasher = blake3::Hasher::new();
    let mut line = String::new();
    let mut next = |hasher: &mut blake3::Hasher, last: bool| -> Result<String, String> {
        line.clear();
        lines.read_line(&mut line).map_err(|e| e.to_string())?;
        if !last {
            hasher.update(line.as_bytes());
        }
        Ok(line.clone())
    };
    for entry in entries {
        let line = next(&mut hasher, false)?;
        let expected: Entry = serde_json::from_str(&line).map_err(|e| format!("its checksums: {e}"))?;
        if expected != *entry {
            return Err(format!("{} is not as it was written", entry.path));
        }
    }
    let seal = Seal { entries: entries.len(), blake3: hasher.finalize().to_hex().to_string() };
    match serde_json::from_str::<Seal>(&next(&mut hasher, true)?) {
        Ok(found) if found == seal => Ok(()),
        _ => Err("its checksums do not match its entries".to_owned()),
    }
}

fn header(kind: tar::EntryType, mode: u32, (uid, gid): (u32, u32), modified: i64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(uid.into());
    header.set_gid(gid.into());
    // A time before the epoch has no place in the format.
    header.set_mtime(u64::try_from(modified).unwrap_or(0));
    header.set_size(0);
    header
}

fn link_digest(target: Option<&Path>) -> String {
    target.map_or_else(String::new, |t| blake3::hash(t.as_os_str().as_bytes()).to_hex().to_string())
}

/// Hashes what is read through it.
struct Hashed<R> {
    inner: R,
    hasher: blake3::Hasher,
    size: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.size += n as u64;
        Ok(n)
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes lines of JSON into a new file.
pub(super) struct Lines(BufWriter<File>);

impl Lines {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Self(BufWriter::with_capacity(1 << 18, file)))
    }

    pub(super) fn push(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, line)?;
        self.0.write_all(b"\n")
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}
