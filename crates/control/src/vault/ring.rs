//! Keys of one purpose: the first is in use, the others were in use before it.

use std::iter::once;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::VaultError;

const HEADER: &str = "plimsoll-key-1:";
/// The header, 64 digits, a newline.
const LINE: usize = HEADER.len() + 65;
const NONCE: usize = 24;

/// The first key seals; what was sealed with an earlier one opens, too.
pub(crate) struct Ring {
    first: Zeroizing<[u8; 32]>,
    earlier: Vec<Zeroizing<[u8; 32]>>,
}

impl Ring {
    pub(super) fn make() -> Self {
        Self { first: Zeroizing::new(rand::random()), earlier: Vec::new() }
    }

    /// With a new key in front.
    pub(super) fn renewed(self) -> Self {
        Self { first: Zeroizing::new(rand::random()), earlier: self.into_keys() }
    }

    /// A line for each key; `None` when one of them is none.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let key = |line: &str| {
            let hash = blake3::Hash::from_hex(line.strip_prefix(HEADER)?).ok()?;
            Some(Zeroizing::new(*hash.as_bytes()))
        };
        let mut keys = text.trim_end().lines().map(key);
        let first = keys.next()??;
        Some(Self { first, earlier: keys.collect::<Option<_>>()? })
    }

    pub(super) fn to_text(&self) -> Zeroizing<String> {
        // All of its room at once: what grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity((self.earlier.len() + 1) * LINE));
        for key in self.all() {
            text.push_str(HEADER);
            text.push_str(&blake3::Hash::from_bytes(*key).to_hex());
            text.push('\n');
        }
        text
    }

    /// Those that are made of these.
    pub(super) fn derive(&self, context: &str) -> Self {
        let derived = |key: &Zeroizing<[u8; 32]>| Zeroizing::new(blake3::derive_key(context, key.as_slice()));
        Self { first: derived(&self.first), earlier: self.earlier.iter().map(derived).collect() }
    }

    /// The one in use.
    pub(super) fn first(&self) -> &[u8; 32] {
        &self.first
    }

    /// The newest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &[u8; 32]> {
        once(&self.first).chain(&self.earlier).map(|key| &**key)
    }

    pub(super) fn into_keys(self) -> Vec<Zeroizing<[u8; 32]>> {
        once(self.first).chain(self.earlier).collect()
    }

    /// `purpose` says what the value is, such as a variable's name.
    pub(crate) fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        seal(&self.first, purpose, plain)
    }

    pub(crate) fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.all().find_map(|key| open(key, purpose, sealed).ok()).ok_or(VaultError::Sealed)
    }

    /// The same value sealed with the key in use; `None` when it is already.
    pub(crate) fn reseal(&self, purpose: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        if open(&self.first, purpose, sealed).is_ok() {
            return Ok(None);
        }
        self.seal(purpose, &self.open(purpose, sealed)?).map(Some)
    }
}

pub(super) fn hex(key: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*key).to_hex().to_string()
}

/// Nonce, then ciphertext with its tag.
pub(super) fn seal(key: &[u8; 32], purpose: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
    let nonce = rand::random::<[u8; NONCE]>();
    let cipher = XChaCha20Poly1305::new(&Key::from(*key));
    let payload = Payload { msg: plain, aad: purpose.as_bytes() };
    let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::Sealed)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

pub(super) fn open(key: &[u8; 32], purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
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
    fn what_a_key_of_before_has_sealed_opens_and_is_sealed_anew() {
        let old = Ring::make();
        let sealed = old.seal("A", b"secret").unwrap();
        let alone = Ring::from_text(&old.to_text()).unwrap();
        assert_eq!(alone.reseal("A", &sealed).unwrap(), None);

        let ring = old.renewed();
        assert_eq!(ring.open("A", &sealed).unwrap().as_slice(), b"secret");
        assert!(ring.open("B", &sealed).is_err());
        let anew = ring.reseal("A", &sealed).unwrap().unwrap();
        assert_eq!(ring.reseal("A", &anew).unwrap(), None);
        assert!(alone.open("A", &anew).is_err(), "it is sealed with the new key");
        assert!(Ring::make().reseal("A", &sealed).is_err());

        // The same of keys that are made of them.
        let derived = (alone.derive("one"), ring.derive("one"));
        let sealed = derived.0.seal("A", b"secret").unwrap();
        assert_eq!(derived.1.open("A", &sealed).unwrap().as_slice(), b"secret");
        assert!(ring.derive("other").open("A", &sealed).is_err());
    }

    #[test]
    fn each_line_is_a_key() {
        let ring = Ring::make().renewed();
        let text = ring.to_text();
        assert_eq!(text.lines().count(), 2);
        let again = Ring::from_text(&text).unwrap();
        assert!(again.all().eq(ring.all()));
        for wrong in ["", "\n", "nonsense", &text.replace('\n', "\n\n"), &format!("{}nonsense\n", *text), &text[1..]] {
            assert!(Ring::from_text(wrong).is_none());
        }
        assert!(Ring::from_text(&text[..text.len() - 2]).is_none(), "cut off in a key");
    }
}
