//! How one record follows another.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Draft, Hash, Record};
use crate::canonical::canonical;

/// First line of what is hashed: another form of records will have another one.
const FORM: &str = "plimsoll-audit-1";

/// Makes the MACs; made from the key file.
pub struct MacKey {
    key: Zeroizing<[u8; 32]>,
    id: String,
}

impl MacKey {
    pub fn new(key: Zeroizing<[u8; 32]>) -> Self {
        let digest = blake3::derive_key("plimsoll 2026 audit key id", key.as_slice());
        Self { id: blake3::Hash::from_bytes(digest).to_hex()[..16].to_owned(), key }
    }

    /// Tells it from other keys, and nothing else of it.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn of_record(&self, hash: &Hash) -> Hash {
        Hash::new(*blake3::keyed_hash(&self.key, hash.as_bytes()).as_bytes())
    }

    /// Longer than what a record's MAC is made of, so that neither can be shown for the other.
    fn of_head(&self, end: &Link, broken: Option<u64>) -> Hash {
        let mut text = b"head\0".to_vec();
        text.extend(end.seq.to_be_bytes());
        text.extend(end.hash.as_bytes());
        text.extend(broken.unwrap_or(0).to_be_bytes());
        Hash::new(*blake3::keyed_hash(&self.key, &text).as_bytes())
    }
}

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MacKey({})", self.id)
    }
}

/// Where the log is, or was, at its end: the last record's number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub seq: u64,
    pub hash: Hash,
}

impl Link {
    /// Of a log without records.
    pub const START: Link = Link { seq: 0, hash: Hash::ZERO };
}

/// The record that follows `end`.
pub fn chain(end: &Link, draft: Draft, key: &MacKey) -> Record {
    let mut record = Record {
        seq: end.seq + 1,
        draft: draft.fit(),
        key: key.id.clone(),
        prev: end.hash,
        hash: Hash::ZERO,
        mac: Hash::ZERO,
    };
    record.hash = record.digest();
    record.mac = key.of_record(&record.hash);
    record
}

impl Record {
    pub fn link(&self) -> Link {
        Link { seq: self.seq, hash: self.hash }
    }

    /// What its hash must be.
    pub(super) fn digest(&self) -> Hash {
        // Texts, numbers and lists of them: there is nothing that could not be written.
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            for name in ["prev", "hash", "mac"] {
                fields.remove(name);
            }
        }
        let digest = Sha256::digest(format!("{FORM}\n{}\n{}", self.prev, canonical(&value)));
        Hash::new(digest.into())
    }

    pub(super) fn is_vouched_for(&self, key: &MacKey) -> bool {
        key.of_record(&self.hash) == self.mac
    }
}

/// Says where the log ends, so that nothing can be cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub end: Link,
    /// Number of the first record that was written after the head had been found altered or missing: what was before may be
    /// incomplete. It stays, as the next record must not hide it.
    pub broken: Option<u64>,
    /// Names the key of the MAC.
    pub key: String,
    pub mac: Hash,
}

impl Head {
    pub fn new(end: Link, broken: Option<u64>, key: &MacKey) -> Self {
        Self { mac: key.of_head(&end, broken), key: key.id.clone(), end, broken }
    }

    /// Whether it is as a holder of the key has written it.
    pub fn is_vouched_for(&self, key: &MacKey) -> bool {
        self.key == key.id && key.of_head(&self.end, self.broken) == self.mac
    }
}
