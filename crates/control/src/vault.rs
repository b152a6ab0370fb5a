//! Envelope encryption of the users' secrets.
//!
//! The key file holds a key (the key-encryption key), and behind it those that were in use before. It wraps a data key for
//! each environment, and that seals the values: XChaCha20-Poly1305 with random nonces. What a ciphertext belongs to is
//! authenticated with it, so that one can't be put in another's place.

mod ring;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use ring::Ring;

const BACKUP: &str = "plimsoll 2026 backup key digest";
const REQUEST: &str = "plimsoll 2026 request digest";
/// What hosts of one database make the digest of, to see that they have the same key.
const FINGERPRINT: &str = "fingerprint of the key";

/// Holds the keys of the key file.
pub(crate) struct Vault {
    ring: Ring,
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
        let ring = Ring::from_text(text).ok_or_else(|| VaultError::Malformed(path.to_owned()))?;
        Ok(Self { ring })
    }

    fn create(path: &Path) -> Result<Self, VaultError> {
        let vault = Self { ring: Ring::make() };
        vault.write(path)?;
        Ok(vault)
    }

    /// Another key is in use from now on; those of before stay in the file, to read with. Whenever it is interrupted, the file is
    /// as before or has the new key.
    pub(crate) fn renew(self, path: &Path) -> Result<Self, VaultError> {
        let vault = Self { ring: self.ring.renewed() };
        vault.write(path)?;
        Ok(vault)
    }

    fn write(&self, path: &Path) -> Result<(), VaultError> {
        let io = |source| VaultError::Io { path: path.to_owned(), source };
        let temporary = path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary).map_err(io)?;
        // Whoever writes it anew, it stays the server's.
        if let Ok(before) = std::fs::metadata(path)
            && before.uid() != file.metadata().map_err(io)?.uid()
        {
            fchown(&file, Some(before.uid()), Some(before.gid())).map_err(io)?;
        }
        file.write_all(self.ring.to_text().as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        std::fs::rename(&temporary, path).map_err(io)?;
        if let Some(dir) = path.parent() {
            File::open(dir).and_then(|d| d.sync_all()).map_err(io)?;
        }
        Ok(())
    }

    /// A new data key, and how it is kept: wrapped, bound to `owner`.
    pub(crate) fn new_data_key(&self, owner: &str) -> Result<(DataKey, Vec<u8>), VaultError> {
        let key = Zeroizing::new(rand::random::<[u8; 32]>());
        let wrapped = self.ring.seal(owner, key.as_slice())?;
        Ok((DataKey { key }, wrapped))
    }

    pub(crate) fn unwrap(&self, owner: &str, wrapped: &[u8]) -> Result<DataKey, VaultError> {
        let plain = self.ring.open(owner, wrapped)?;
        let key: [u8; 32] = plain.as_slice().try_into().map_err(|_| VaultError::Sealed)?;
        Ok(DataKey { key: Zeroizing::new(key) })
    }

    /// The same data key wrapped by the key in use; `None` when it is already.
    pub(crate) fn rewrap(&self, owner: &str, wrapped: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        self.ring.reseal(owner, wrapped)
    }

    /// How many keys are in the file.
    pub(crate) fn keys(&self) -> usize {
        self.ring.all().count()
    }

    /// Tells this key file from others, and nothing else of it.
    pub(crate) fn backup_digest(&self) -> String {
        ring::hex(self.ring.derive(BACKUP).first())
    }

    /// Whether one of the keys has that digest.
    pub(crate) fn opens_backup(&self, digest: &str) -> bool {
        self.ring.derive(BACKUP).all().any(|key| ring::hex(key) == digest)
    }

    /// Of the key in use.
    pub(crate) fn fingerprint(&self) -> String {
        self.keyed_digest(FINGERPRINT)
    }

    /// Of all keys, that of the one in use first.
    pub(crate) fn fingerprints(&self) -> Vec<String> {
        let digest = |key: &[u8; 32]| blake3::keyed_hash(key, FINGERPRINT.as_bytes()).to_hex().to_string();
        self.ring.derive(REQUEST).all().map(digest).collect()
    }

    /// For who has tried to sign in from where: a copy of the database tells neither.
    pub(crate) fn sign_in_digest(&self, text: &str) -> String {
        let key = self.derived("plimsoll 2026 sign-in digest");
        blake3::keyed_hash(&key, text.as_bytes()).to_hex().to_string()
    }

    /// Seals what browsers keep for us.
    pub(crate) fn ticket_key(&self) -> Zeroizing<[u8; 32]> {
        self.derived("plimsoll 2026 tickets")
    }

    /// Seals secrets among the server's own settings.
    pub(crate) fn settings_keys(&self) -> Ring {
        self.ring.derive("plimsoll 2026 settings")
    }

    /// Signs tokens for an hour.
    pub(crate) fn jwt_key(&self) -> Zeroizing<[u8; 32]> {
        self.derived("plimsoll 2026 jwt")
    }

    /// Seals what people's apps for second factors share with us.
    pub(crate) fn second_factor_keys(&self) -> Ring {
        self.ring.derive("plimsoll 2026 second factors")
    }

    /// Make the digests of recovery codes, the key in use first. Digests can't be made anew without the codes.
    pub(crate) fn recovery_keys(&self) -> Vec<Zeroizing<[u8; 32]>> {
        self.ring.derive("plimsoll 2026 recovery codes").into_keys()
    }

    /// Make the MACs of the audit log, the key in use first. Records of before keep theirs.
    pub(crate) fn audit_keys(&self) -> Vec<Zeroizing<[u8; 32]>> {
        self.ring.derive("plimsoll 2026 audit").into_keys()
    }

    /// A digest in hexadecimal that only this key file can make, so a short secret in `text` can't be guessed from it.
    pub(crate) fn keyed_digest(&self, text: &str) -> String {
        let key = self.derived(REQUEST);
        blake3::keyed_hash(&key, text.as_bytes()).to_hex().to_string()
    }

    /// Made of the key in use.
    fn derived(&self, context: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(context, self.ring.first().as_slice()))
    }
}

impl DataKey {
    /// `purpose` says what the value is, such as a variable's name.
    pub(crate) fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        ring::seal(&self.key, purpose, plain)
    }

    pub(crate) fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        ring::open(&self.key, purpose, sealed)
    }

    /// A key for digests of the environment's values.
    pub(crate) fn digest_key(&self) -> [u8; 32] {
        blake3::derive_key("plimsoll 2026 release digest", self.key.as_slice())
    }
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

    #[test]
    fn a_new_key_is_in_use_and_the_one_of_before_still_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        let old = Vault::open(&path, true).unwrap();
        let (digest, fingerprint) = (old.backup_digest(), old.fingerprint());
        let (key, wrapped) = old.new_data_key("env_1").unwrap();
        let sealed = key.seal("A", b"secret").unwrap();
        let (old_recovery, old_audit) = (old.recovery_keys(), old.audit_keys());

        old.renew(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!path.with_extension("new").exists());
        let vault = Vault::open(&path, false).unwrap();
        assert_eq!(vault.keys(), 2);
        let anew = vault.rewrap("env_1", &wrapped).unwrap().unwrap();
        assert!(vault.rewrap("env_2", &wrapped).is_err());
        for wrapped in [&wrapped, &anew] {
            let opened = vault.unwrap("env_1", wrapped).unwrap().open("A", &sealed).unwrap();
            assert_eq!(opened.as_slice(), b"secret");
        }
        assert_ne!(vault.backup_digest(), digest);
        assert!(vault.opens_backup(&digest) && vault.opens_backup(&vault.backup_digest()));
        assert!(!vault.opens_backup(""));
        assert_eq!(vault.fingerprints(), [vault.fingerprint(), fingerprint]);
        assert_eq!(vault.recovery_keys()[1..], old_recovery);
        assert_eq!(vault.audit_keys()[1..], old_audit);

        // Without the line of before, what was wrapped anew still opens, and nothing else.
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{}\n", text.lines().next().unwrap())).unwrap();
        let alone = Vault::open(&path, false).unwrap();
        assert!(alone.unwrap("env_1", &anew).is_ok() && alone.unwrap("env_1", &wrapped).is_err());
        std::fs::write(&path, format!("{text}nonsense\n")).unwrap();
        assert!(matches!(Vault::open(&path, false), Err(VaultError::Malformed(_))));
    }
}
