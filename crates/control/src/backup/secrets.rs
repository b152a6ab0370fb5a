//! Key file and certificates, sealed with a passphrase: argon2id makes a key of it, XChaCha20-Poly1305 seals.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use operations::Error;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub(super) const ENTRY: &str = "secrets.sealed";
/// Certificates are some KiB each.
const LARGEST: u64 = 64 << 20;
const SHORTEST_PASSPHRASE: usize = 12;
const PURPOSE: &[u8] = b"plimsoll backup secrets 1";
/// The second recommendation of RFC 9106.
const MEMORY_KIB: u32 = 64 * 1024;
const ROUNDS: u32 = 3;
/// What is read may not make us work without end.
const MOST_MEMORY_KIB: u32 = 1 << 20;
const MOST_ROUNDS: u32 = 20;

/// What is sealed. `Debug` shows names only.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Secrets {
    /// The key file's text.
    pub(super) key: Zeroizing<String>,
    /// Files with private keys, by their path below the data folder.
    pub(super) files: BTreeMap<String, Zeroizing<String>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.files.keys()).finish()
    }
}

/// How the key was made of the passphrase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lock {
    algorithm: String,
    memory_kib: u32,
    rounds: u32,
    /// Hexadecimal.
    salt: String,
}

impl Lock {
    pub(super) fn new() -> Self {
        let salt: [u8; 16] = rand::random();
        let salt = salt.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { algorithm: "argon2id".to_owned(), memory_kib: MEMORY_KIB, rounds: ROUNDS, salt }
    }

    /// Nonce, then ciphertext.
    pub(super) fn seal(&self, passphrase: &SecretString, secrets: &Secrets) -> Result<Vec<u8>, Error> {
        if passphrase.expose_secret().chars().count() < SHORTEST_PASSPHRASE {
            return Err(Error::invalid(format!("the passphrase has fewer than {SHORTEST_PASSPHRASE} characters"))
                .hint("take some random words, and keep them where you find them without this machine"));
        }
        let failed = || Error::internal();
        let plain = Zeroizing::new(serde_json::to_vec(secrets).map_err(|_| failed())?);
        let nonce: [u8; 24] = rand::random();
        let cipher = XChaCha20Poly1305::new(&Key::from(*self.key(passphrase)?));
        let payload = Payload { msg: &plain, aad: PURPOSE };
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| failed())?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub(super) fn open(&self, passphrase: &SecretString, sealed: &[u8]) -> Result<Secrets, Error> {
        let wrong = || {
            Error::invalid("the passphrase does not open this backup's secrets")
                .hint("give the one that the backup was made with; a damaged backup is told apart from that")
        };
        let (nonce, text) = sealed.split_first_chunk::<24>().ok_or_else(wrong)?;
        let cipher = XChaCha20Poly1305::new(&Key::from(*self.key(passphrase)?));
        let payload = Payload { msg: text, aad: PURPOSE };
        let plain = Zeroizing::new(cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| wrong())?);
        serde_json::from_slice(&plain).map_err(|_| wrong())
    }

    fn key(&self, passphrase: &SecretString) -> Result<Zeroizing<[u8; 32]>, Error> {
        let unknown = || {
            Error::unprocessable("the secrets of this backup are sealed in a way that this version does not know")
                .hint("use a newer Plimsoll")
        };
        if self.algorithm != "argon2id" || self.memory_kib > MOST_MEMORY_KIB || self.rounds > MOST_ROUNDS {
            return Err(unknown());
        }
        let params = Params::new(self.memory_kib, self.rounds, 1, Some(32)).map_err(|_| unknown())?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.expose_secret().as_bytes(), self.salt.as_bytes(), key.as_mut_slice())
            .map_err(|_| unknown())?;
        Ok(key)
    }
}

/// The sealed text as it stands in the archive.
pub(super) fn read(content: &mut dyn Read) -> std::io::Result<Vec<u8>> {
    let mut sealed = Vec::new();
    content.take(LARGEST).read_to_end(&mut sealed)?;
    Ok(sealed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_passphrase_opens_what_is_undamaged() {
        let secrets = Secrets {
            key: Zeroizing::new("plimsoll-key-1:abc".to_owned()),
            files: BTreeMap::from([("a.pem".to_owned(), Zeroizing::new("-----BEGIN".to_owned()))]),
        };
        let lock = Lock::new();
        let passphrase = SecretString::from("correct horse battery");
        let sealed = lock.seal(&passphrase, &secrets).unwrap();
        assert!(!sealed.windows(12).any(|w| w == b"plimsoll-key"));
        assert_eq!(*lock.open(&passphrase, &sealed).unwrap().key, *secrets.key);
        assert!(!format!("{secrets:?}").contains("BEGIN"));

        let error = lock.open(&SecretString::from("incorrect horse"), &sealed).unwrap_err();
        assert!(error.detail.contains("does not open") && !error.detail.contains("incorrect"), "{error}");
        for at in [0, 30, sealed.len() - 1] {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(lock.open(&passphrase, &damaged).is_err(), "{at}");
        }
        assert!(lock.open(&passphrase, b"short").is_err());
        assert!(lock.seal(&SecretString::from("short"), &secrets).is_err());
        let greedy = Lock { memory_kib: u32::MAX, ..lock };
        assert!(greedy.open(&passphrase, &sealed).is_err());
    }
}
