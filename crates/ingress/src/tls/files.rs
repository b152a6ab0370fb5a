//! Certificates on the disk, one file each and for the process's own user alone: a line that says how long the rest
//! is and what its BLAKE3 checksum is, then JSON. So one that is damaged is known, and no other suffers.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use domain::CertificateId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::files;

const FORMAT: u32 = 1;
const ENDING: &str = ".json";

/// A certificate with its private key. It has no `Debug`, so that the key can't end up in a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// PEM, the server's own certificate first.
    pub chain: String,
    /// PEM.
    pub key: Zeroizing<String>,
    /// Shown to clients that ask for a name which no certificate has, or for none.
    pub default: bool,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    length: usize,
    blake3: String,
}

/// All of the folder; for those that can't be read, why.
pub(crate) fn load(dir: &Path) -> io::Result<BTreeMap<CertificateId, Result<Sealed, String>>> {
    let mut found = BTreeMap::new();
    let entries = match fs::read_dir(folder(dir)) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let name = entry?.file_name();
        // Others are files that were being written when a process was killed.
        let id = name.to_str().and_then(|n| n.strip_suffix(ENDING)).and_then(|n| n.parse().ok());
        if let Some(id) = id {
            let path = folder(dir).join(&name);
            let content = fs::read(&path).map(Zeroizing::new).map_err(|e| e.to_string());
            found.insert(id, content.and_then(|bytes| decode(&bytes)));
        }
    }
    Ok(found)
}

/// It is on the disk when this returns.
pub(crate) fn save(dir: &Path, id: &CertificateId, sealed: &Sealed) -> io::Result<()> {
    files::create_dir(&folder(dir))?;
    files::replace(&folder(dir), &format!("{id}{ENDING}"), &encode(sealed)?)
}

/// It is gone from the disk when this returns.
pub(crate) fn remove(dir: &Path, id: &CertificateId) -> io::Result<()> {
    match fs::remove_file(folder(dir).join(format!("{id}{ENDING}"))) {
        Ok(()) => fs::File::open(folder(dir))?.sync_all(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

fn folder(dir: &Path) -> PathBuf {
    dir.join(files::CERTIFICATES)
}

fn encode(sealed: &Sealed) -> io::Result<Zeroizing<Vec<u8>>> {
    let body = Zeroizing::new(serde_json::to_vec(sealed)?);
    let header = Header { format: FORMAT, length: body.len(), blake3: blake3::hash(&body).to_hex().to_string() };
    let mut bytes = Zeroizing::new(serde_json::to_vec(&header)?);
    bytes.reserve_exact(body.len() + 1);
    bytes.push(b'\n');
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// The reasons never quote the content.
fn decode(bytes: &[u8]) -> Result<Sealed, String> {
    let end = bytes.iter().position(|&b| b == b'\n').ok_or("its file has no header")?;
    let (header, body) = bytes.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let header: Header = serde_json::from_slice(header).map_err(|_| "its file's header is damaged")?;
    if header.format != FORMAT {
        return Err(format!("its file has format {}, and this version reads format {FORMAT}", header.format));
    }
    if header.length != body.len() || blake3::hash(body).to_hex().as_str() != header.blake3 {
        return Err("the checksum of its file does not match".to_owned());
    }
    serde_json::from_slice(body).map_err(|_| "its file has another shape".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_damaged_file_is_known_and_the_others_are_whole() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        let id = |n: u128| CertificateId::from_ulid(ulid::Ulid::from_parts(1, n));
        let sealed = |n: u8| Sealed { chain: format!("chain {n}"), key: format!("secret {n}").into(), default: n == 1 };
        assert!(load(dir).unwrap().is_empty());
        for n in 1..=3 {
            save(dir, &id(n.into()), &sealed(n)).unwrap();
        }
        let path = folder(dir).join(format!("{}.json", id(2)));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let whole = fs::read(&path).unwrap();
        fs::write(folder(dir).join("crt_x.json.new"), "half").unwrap();
        for cut in [0, 10, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            let loaded = load(dir).unwrap();
            assert_eq!(loaded.len(), 3);
            let Err(reason) = &loaded[&id(2)] else { panic!("cut at {cut}") };
            assert!(!reason.contains("secret"), "{reason}");
            assert!(loaded[&id(1)].as_ref().is_ok_and(|s| *s == sealed(1)));
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_err() || decode(&damaged).is_ok_and(|s| s == sealed(2)), "byte {at}");
        }
        remove(dir, &id(2)).unwrap();
        remove(dir, &id(2)).unwrap();
        assert_eq!(load(dir).unwrap().len(), 2);
    }
}
