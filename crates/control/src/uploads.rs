//! Uploads: files on their way to a deployment, each one file in a folder of the data folder.
//!
//! A row says what was announced; **how much has arrived is the length of the file**, so that no crash can make the
//! two disagree. Bytes are only ever appended, by one writer at a time, and count once they are on the disk. An
//! upload is complete when its row says so, which it does after the whole file was read again and had the digest.
//!
//! A file that nobody deploys expires. One that was deployed goes when the last of its deployments has ended. A file
//! without a row, or a complete row without its file, is what a crash left in between: the next [`sweep`] removes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use domain::event::EventKind;
use domain::source::Source;
use domain::upload::{Algorithm, Checksum};
use domain::{DeploymentId, UploadId};
use operations::Error;
use operations::uploads::Upload;
use store::{Session, StoreError};

use crate::deployment::World;
use crate::error::{io_error, store_error};
use crate::turns::{Turn, Turns};

/// How much may wait to be deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadLimits {
    /// Bytes of one file.
    pub size: u64,
    /// Files that are there at the same time.
    pub files: usize,
    /// Bytes of all that are there, as announced.
    pub bytes: u64,
    /// How long one is kept after something of it arrived, unless a deployment needs it.
    pub kept: TimeDelta,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self { size: 2 << 30, files: 64, bytes: 16 << 30, kept: TimeDelta::hours(24) }
    }
}

/// What the server knows of uploads beside rows and files.
#[derive(Default)]
pub(crate) struct Uploads {
    pub(crate) limits: UploadLimits,
    writing: Turns<UploadId>,
}

impl Uploads {
    pub(crate) fn new(limits: UploadLimits) -> Self {
        Self { limits, writing: Turns::default() }
    }

    /// Two that append to one file would spoil it for both.
    pub(crate) fn begin(&self, upload: &UploadId) -> Result<Turn<'_, UploadId>, Error> {
        self.writing.take(upload).ok_or_else(|| {
            Error::conflict(format!("another request is writing to {upload}"))
                .hint("wait for it, ask how much was received, and go on there")
        })
    }
}

/// An upload as the contract shows it.
pub(crate) fn shown(world: &World, row: store::uploads::Upload, in_use: &InUse) -> Result<Upload, Error> {
    let path = world.layout.upload(&row.id);
    let received = match length(&path) {
        Ok(length) => length,
        // Complete ones can't lack it, and what has not begun has none.
        Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
        Err(e) => return Err(io_error("read", &path, &e)),
    };
    Ok(Upload {
        in_use: in_use.get(&row.id).cloned().unwrap_or_default(),
        expires_at: row.touched_at + world.uploads.limits.kept,
        id: row.id,
        name: row.name,
        size: row.size,
        digest: row.digest,
        received,
        complete: row.complete,
        requested_by: row.requested_by,
        created_at: row.created_at,
    })
}

/// Deployments that have not ended, by the upload they were asked for with.
pub(crate) type InUse = BTreeMap<UploadId, Vec<DeploymentId>>;

pub(crate) async fn in_use(session: &impl Session) -> Result<InUse, StoreError> {
    let mut found = InUse::new();
    for record in store::deployments::list_open(session).await? {
        if let Some(Source::Archive { upload }) = record.deployment.source {
            found.entry(upload).or_default().push(record.deployment.id);
        }
    }
    Ok(found)
}

/// How many bytes of a file have arrived.
pub(crate) fn length(path: &Path) -> io::Result<u64> {
    std::fs::symlink_metadata(path).map(|meta| meta.len())
}

/// The file, to be appended to. Its length is what was received.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// The digest of a whole file; reads all of it.
pub(crate) fn digest(path: &Path, algorithm: Algorithm) -> io::Result<Checksum> {
    let mut file = File::open(path)?;
    let bytes: [u8; 32] = match algorithm {
        Algorithm::Blake3 => *blake3::Hasher::new().update_reader(&mut file)?.finalize().as_bytes(),
        Algorithm::Sha256 => {
            use sha2::Digest;
            let mut hasher = sha2::Sha256::new();
            let mut buffer = vec![0; 256 * 1024];
            loop {
                match file.read(&mut buffer)? {
                    0 => break hasher.finalize().into(),
                    n => hasher.update(&buffer[..n]),
                }
            }
        }
    };
    Ok(Checksum::new(algorithm, &bytes))
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// What [`sweep`] does with an upload, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    /// It was deployed, and nobody needs it any more; or its file is lost.
    Goes,
    Expires,
}

fn fate(row: &store::uploads::Upload, needed: bool, file: bool, kept: TimeDelta, now: DateTime<Utc>) -> Fate {
    match row {
        _ if needed => Fate::Stays,
        row if row.used || (row.complete && !file) => Fate::Goes,
        row if row.touched_at + kept <= now => Fate::Expires,
        _ => Fate::Stays,
    }
}

/// Removes what nobody needs: run when a deployment has ended, at boot, and on a timer.
pub(crate) async fn sweep(world: &World, now: DateTime<Utc>) -> Result<(), Error> {
    let tx = world.store.write().await.map_err(store_error)?;
    let needed = in_use(&tx).await.map_err(store_error)?;
    let mut stay = BTreeSet::new();
    for row in store::uploads::list_all(&tx).await.map_err(store_error)? {
        let file = world.layout.upload(&row.id).exists();
        let fate = fate(&row, needed.contains_key(&row.id), file, world.uploads.limits.kept, now);
        if fate == Fate::Stays {
            stay.insert(row.id.to_string());
            continue;
        }
        store::uploads::delete(&tx, &row.id).await.map_err(store_error)?;
        if fate == Fate::Expires {
            let event = EventKind::UploadExpired { upload: row.id, name: row.name };
            store::events::insert(&tx, None, None, None, &event, now).await.map_err(store_error)?;
        }
    }
    // Listed before the commit: a file that is made after it belongs to a row that we have not seen.
    let gone: Vec<PathBuf> = std::fs::read_dir(world.layout.uploads())
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_none_or(|name| !stay.contains(name)))
        .map(|entry| entry.path())
        .collect();
    tx.commit().await.map_err(store_error)?;
    for path in gone {
        if let Err(e) = remove(&path) {
            tracing::warn!(path = %path.display(), "can't remove an upload that nobody needs: {e}");
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_goes_when_nobody_needs_it() {
        let now = Utc::now();
        let row = |complete, used, hours| store::uploads::Upload {
            id: UploadId::from_ulid(ulid::Ulid::generate()),
            name: "a.tar".into(),
            size: 1,
            digest: Checksum::new(Algorithm::Sha256, &[0; 32]),
            requested_by: "test".into(),
            owner: String::new(),
            complete,
            used,
            created_at: now,
            touched_at: now - TimeDelta::hours(hours),
        };
        let kept = TimeDelta::hours(24);
        for (row, needed, file, expected) in [
            (row(false, false, 0), false, false, Fate::Stays),
            (row(false, false, 23), false, true, Fate::Stays),
            (row(false, false, 24), false, true, Fate::Expires),
            (row(true, false, 1), false, true, Fate::Stays),
            (row(true, false, 30), false, true, Fate::Expires),
            (row(true, true, 0), true, true, Fate::Stays),
            (row(true, true, 90), true, true, Fate::Stays),
            (row(true, true, 0), false, true, Fate::Goes),
            (row(true, false, 0), false, false, Fate::Goes),
        ] {
            assert_eq!(fate(&row, needed, file, kept, now), expected, "{row:?}");
        }
    }

    #[test]
    fn one_writes_at_a_time() {
        let uploads = Uploads::default();
        let id = UploadId::from_ulid(ulid::Ulid::generate());
        let first = uploads.begin(&id).unwrap();
        assert_eq!(uploads.begin(&id).err().unwrap().status, 409);
        drop(first);
        assert!(uploads.begin(&id).is_ok());
    }

    #[test]
    fn digests_are_those_of_the_programs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "abc").unwrap();
        let sha256 = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let blake3 = "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
        assert_eq!(digest(&path, Algorithm::Sha256).unwrap().to_string(), sha256);
        assert_eq!(digest(&path, Algorithm::Blake3).unwrap().to_string(), blake3);
    }
}
