//! Backup and restore of Plimsoll's own state.
//!
//! A backup is one file, `tar` in `zstd`, that any Plimsoll of the same or a later version restores, into SQLite or
//! PostgreSQL whichever it came from:
//!
//! | entry | content |
//! |---|---|
//! | `manifest.json` | the first: version, time, migrations, what is in it ([`manifest`]) |
//! | `secrets.sealed` | key file and certificates, sealed with a passphrase ([`secrets`]); absent when left out |
//! | `tables/<table>.ndjson` | all rows of the database at one moment |
//! | `releases/<app>/<digest>/…` | files of releases |
//! | `outputs/<deployment>.ndjson` | what deployments printed; absent when left out |
//! | `checksums.ndjson` | the last: each entry's kind, mode, size and BLAKE3 digest, in order ([`archive`]) |
//!
//! **One moment.** The rows come first, from one read transaction; the server goes on meanwhile. A release that they
//! name has its folder before it has its row, so its files are there; if a deletion was quicker, everything is read
//! again. Routes, links of static sites and instances are not in it: a start of the server makes them from the rows.
//!
//! **One host.** With PostgreSQL there may be several ([`store::hosts`]): the rows are those of all, the files are the data
//! folder's own. So each host is backed up, and the manifest says what serves elsewhere. Hosts are not in it: after a
//! restore the first server that starts takes all environments, and those without files have to be deployed again.
//!
//! **Whole or not at all.** The file is written under another name beside its own, synced, read back and compared, and
//! only then renamed. A restore reads all of the file before it writes anything, fills an empty folder that bears the
//! mark `restore.incomplete` until the very end, and a server refuses to start on such a folder; another restore may
//! take it over.

mod archive;
mod create;
mod manifest;
mod restore;
mod secrets;
mod unpack;

pub use create::{CreateOptions, Keys, create};
pub use manifest::{Elsewhere, Manifest, ReleaseFiles};
pub use restore::{RestoreKey, RestoreOptions, Restored, restore};

use std::io;
use std::path::{Path, PathBuf};

use operations::{Error, ErrorKind};
use secrecy::SecretString;

/// In a data folder that a restore has begun to fill and not ended.
pub(crate) const INCOMPLETE: &str = "restore.incomplete";
/// Where the ingress keeps certificates with their private keys, below the data folder.
const CERTIFICATES: &str = "ingress/certificates";

/// Reads all of a backup and compares it with its checksums; with a passphrase, opens its secrets, too.
///
/// # Errors
/// `Unprocessable` when it is damaged or no backup, `Invalid` when the passphrase is wrong.
pub fn verify(file: &Path, passphrase: Option<&SecretString>) -> Result<Manifest, Error> {
    let mut sealed = None;
    let manifest = archive::read(file, |_, entry, content| {
        if entry.path == secrets::ENTRY {
            sealed = Some(secrets::read(content)?);
        } else {
            archive::drain(content)?;
        }
        Ok(())
    })?;
    if let Some(passphrase) = passphrase {
        manifest.open_secrets(sealed.as_deref(), passphrase)?;
    }
    Ok(manifest)
}

/// Nobody starts on a folder that is half restored.
pub(crate) fn refuse_incomplete(data: &Path) -> Result<(), Error> {
    if data.join(INCOMPLETE).exists() {
        return Err(Error::conflict(format!("a restore into {} was begun and did not end", data.display()))
            .hint("run `plimsoll restore` with this folder again: it starts over"));
    }
    Ok(())
}

fn damaged(file: &Path, why: impl std::fmt::Display) -> Error {
    Error::unprocessable(format!("the backup {} can't be used: {why}", file.display()))
        .hint("use another backup; this one is damaged, cut off or no backup of Plimsoll")
}

/// `doing` is a verb with its object left out: "write", "read".
fn file_error(doing: &str, path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space there, and try again",
        io::ErrorKind::PermissionDenied => "run it as the server's user, or as root",
        io::ErrorKind::NotFound => "check the path",
        _ => "look at the disk and the path",
    };
    Error::unavailable(format!("can't {doing} {}: {error}", path.display())).hint(hint)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| {
        tracing::error!("a backup's work panicked: {e}");
        Err(Error::new(ErrorKind::Internal, "something went wrong inside Plimsoll"))
    })
}

/// `dir/.NAME.SUFFIX`, beside a file.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!(".{name}.{suffix}"))
}

#[cfg(test)]
mod tests;
