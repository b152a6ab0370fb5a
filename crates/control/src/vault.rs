//! Envelope encryption of the users' secrets.
//!
//! The key file holds one key (the key-encryption key). It wraps a data key for each
//! environment, and that seals the values: XChaCha20-Poly1305 with random nonces. What a
//! ciphertext belongs to is authenticated with it, so that one can't be put in another's place.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

const HEADER: &str = "plimsoll-key-1:";
const NONCE: usize = 24;

/// Holds the key of the key file.
pub(crate) struct Vault {
    key: Zeroizing<[u8; 32]>,
}

/// Seals the values of one environment.
pub(crate) struct DataKey {
    key: Zeroizing<[u8; 32]>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultError {
    #[error("the key file {} is missing, and without it the variables in the database can't be read; put it back from your backup", .0.display())]
    Missing(PathBuf),
    #[error("others may read the key file {} (mode {mode:o}); run `chmod 600` on it", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{} is not a key file of Plimsoll; put the right one back from your backup", .0.display())]
    Malformed(PathBuf),
    #[error("can't use the key file {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("a sealed value does not open: it was damaged, belongs elsewhere, or was sealed with another key file")]
    Sealed,
}

impl Vault {
    /// Reads the key file. A missing one is made if `fresh`, when nothing can have been sealed yet.
    pub(crate) fn open(path: &Path, fresh: bool) -> Result<Self, VaultError> {
        match File::open(path) {
            Ok(file) => Self::read(path, file),
            Err(e) if e.kind() == io::ErrorKind::NotFound && fresh => Self::create(path),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(VaultError::Missing(path.to_owned())),
            Err(source) => Err(VaultError::Io { path: path.to_owned(), source }),
        }
    }

    fn read(path: &Path, mut file: File) -> Result<Self, VaultError> {
        let io = |source| VaultError::Io { path: path.to_owned(), source };
        let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(VaultError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(io)?;
        Self::from_text(&text, path)
    }

    /// From a key file's text; `path` is only told.
    pub(crate) fn from_text(text: &str, path: &Path) -> Result<Self, VaultError> {
        let malformed = || VaultError::Malformed(path.to_owned());
        let hex = text.trim_end().strip_prefix(HEADER).ok_or_else(malformed)?;
        Ok(Self { key: Zeroizing::new(*blake3::Hash::from_hex(hex).map_err(|_| malformed())?.as_bytes()) })
    }

    fn create(path: &Path) -> Result<Self, VaultError> {
        let io = |source| VaultError::Io { path: path.to_owned(), source };
        let key = Zeroizing::new(rand::random::<[u8; 32]>());
        let temporary = path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary).map_err(io)?;
        let text = Zeroizing::new(format!("{HEADER}{}\n", blake3::Hash::from_bytes(*key).to_hex()));
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        std::fs::rename(&temporary, path).map_err(io)?;
        if let Some(dir) = path.parent() {
            File::open(dir).and_then(|d| d.sync_all()).map_err(io)?;
        }
        Ok(Self { key })
    }

    /// A new data key, and how it is kept: wrapped, bound to `owner`.
    pub(crate) fn new_data_key(&self, owner: &str) -> Result<(DataKey, Vec<u8>), VaultError> {
        let key = Zeroizing::new(rand::random::<[u8; 32]>());
        let wrapped = seal(&self.key, owner, key.as_slice())?;
        Ok((DataKey { key }, wrapped))
    }

    pub(crate) fn unwrap(&self, owner: &str, wrapped: &[u8]) -> Result<DataKey, VaultError> {
        let plain = open(&self.key, owner, wrapped)?;
        let key: [u8; 32] = plain.as_slice().try_into().map_err(|_| VaultError::Sealed)?;
        Ok(DataKey { key: Zeroizing::new(key) })
    }

    /// Tells this key file from others, and nothing else of it.
    pub(crate) fn backup_digest(&self) -> String {
        blake3::Hash::from_bytes(blake3::derive_key("plimsoll 2026 backup key digest", self.key.as_slice()))
            .to_hex()
            .to_string()
    }

    /// For who has tried to sign in from where: a copy of the database tells neither.
    pub(crate) fn sign_in_digest(&self, text: &str) -> String {
        let key = Zeroizing::new(blake3::derive_key("plimsoll 2026 sign-in digest", self.key.as_slice()));
        blake3::keyed_hash(&key, text.as_bytes()).to_hex().to_string()
    }

    /// Seals what browsers keep for us.
    pub(crate) fn ticket_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key("plimsoll 2026 tickets", self.key.as_slice()))
    }

    /// Seals secrets among the server's own settings.
    pub(crate) fn settings_key(&self) -> DataKey {
        DataKey { key: Zeroizing::new(blake3::derive_key("plimsoll 2026 settings", self.key.as_slice())) }
    }

    /// Signs tokens for an hour.
    pub(crate) fn jwt_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key("plimsoll 2026 jwt", self.key.as_slice()))
    }

    /// Seals what people's apps for second factors share with us.
    pub(crate) fn second_factor_key(&self) -> DataKey {
        DataKey { key: Zeroizing::new(blake3::derive_key("plimsoll 2026 second factors", self.key.as_slice())) }
    }

    /// Makes the digests of recovery codes.
    pub(crate) fn recovery_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key("plimsoll 2026 recovery codes", self.key.as_slice()))
    }

    /// Makes the MACs of the audit log.
    pub(crate) fn audit_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key("plimsoll 2026 audit", self.key.as_slice()))
    }

    /// A digest in hexadecimal that only this key file can make, so a short secret in `text` can't be guessed from it.
    pub(crate) fn keyed_digest(&self, text: &str) -> String {
        let key = Zeroizing::new(blake3::derive_key("plimsoll 2026 request digest", self.key.as_slice()));
        blake3::keyed_hash(&key, text.as_bytes()).to_hex().to_string()
    }
}

impl DataKey {
    /// `purpose` says what the value is, such as a variable's name.
    pub(crate) fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        seal(&self.key, purpose, plain)
    }

    pub(crate) fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        open(&self.key, purpose, sealed)
    }

    /// A key for digests of the environment's values.
    pub(crate) fn digest_key(&self) -> [u8; 32] {
        blake3::derive_key("plimsoll 2026 release digest", self.key.as_slice())
    }
}

/// Nonce, then ciphertext with its tag.
fn seal(key: &[u8; 32], purpose: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
    let nonce = rand::random::<[u8; NONCE]>();
    let cipher = XChaCha20Poly1305::new(&Key::from(*key));
    let payload = Payload { msg: plain, aad: purpose.as_bytes() };
    let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::Sealed)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

fn open(key: &[u8; 32], purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (nonce, text) = sealed.split_at_checked(NONCE).ok_or(VaultError::Sealed)?;
    let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| VaultError::Sealed)?;
    let cipher = XChaCha20Poly1305::new(&Key::from(*key));
    let payload = Payload { msg: text, aad: purpose.as_bytes() };
    cipher.decrypt(&XNonce::from(nonce), payload).map(Zeroizing::new).map_err(|_| VaultError::Sealed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_key_file_is_private_and_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        assert!(matches!(Vault::open(&path, false), Err(VaultError::Missing(_))));
        let (key, wrapped) = Vault::open(&path, true).unwrap().new_data_key("env_1").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let sealed = key.seal("DATABASE_URL", b"postgres://u:p@h").unwrap();
        assert!(!sealed.windows(8).any(|w| w == b"postgres"));

        let again = Vault::open(&path, false).unwrap().unwrap("env_1", &wrapped).unwrap();
        assert_eq!(again.open("DATABASE_URL", &sealed).unwrap().as_slice(), b"postgres://u:p@h");
        assert_eq!(again.digest_key(), key.digest_key());
    }

    #[test]
    fn what_was_moved_or_damaged_does_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(&dir.path().join("k"), true).unwrap();
        let (key, wrapped) = vault.new_data_key("env_1").unwrap();
        assert!(vault.unwrap("env_2", &wrapped).is_err());
        let sealed = key.seal("A", b"secret").unwrap();
        assert!(key.open("B", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(key.open("A", &damaged).is_err());
        }
        assert!(key.open("A", b"short").is_err());
    }

    #[test]
    fn an_exposed_or_foreign_key_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        Vault::open(&path, true).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Vault::open(&path, true), Err(VaultError::Exposed { mode: 0o644, .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "nonsense").unwrap();
        assert!(matches!(Vault::open(&path, true), Err(VaultError::Malformed(_))));
    }
}
