//! Releases: what was built, under a digest of what it was built from.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::ReleaseId;
use crate::labels::{Key, Tag, Text};
use crate::name::Name;
use crate::source::Commit;
use crate::spec::AppSpec;

/// BLAKE3 in 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Digest(pub String);

impl Digest {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The twelve digits that people read.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digest of a release: of the source tree, of how it is built and run, and of
/// the environment snapshot. The same inputs give the same digest.
///
/// `tree` is the digest of the source files (names, modes and contents). The
/// environment's values enter through a keyed hash, so the digest of a release
/// tells nothing about a short secret; `key` is 32 bytes.
pub fn release_digest(tree: &Digest, spec: &AppSpec, env: &BTreeMap<String, String>, key: &[u8; 32]) -> Digest {
    let mut hasher = blake3::Hasher::new_keyed(key);
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(b"plimsoll release 1");
    part(tree.0.as_bytes());
    // The spec has no maps with an unstable order, so its JSON is canonical.
    part(&serde_json::to_vec(spec).unwrap_or_default());
    for (name, value) in env {
        part(name.as_bytes());
        part(value.as_bytes());
    }
    Digest(hasher.finalize().to_hex().to_string())
}

/// The digest of a release that another environment's was promoted to: of the files, which are the very same, and of the
/// variables of the environment that it is for.
pub fn promoted_digest(artifact: &Digest, env: &BTreeMap<String, String>, key: &[u8; 32]) -> Digest {
    let mut hasher = blake3::Hasher::new_keyed(key);
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(b"plimsoll promotion 1");
    part(artifact.0.as_bytes());
    for (name, value) in env {
        part(name.as_bytes());
        part(value.as_bytes());
    }
    Digest(hasher.finalize().to_hex().to_string())
}

/// Where a promoted release comes from. It stays true when the release or the environment is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromotedFrom {
    pub release: ReleaseId,
    pub number: u32,
    pub environment: Name,
}

/// A release as it is listed and shown; its environment snapshot stays sealed in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Release {
    pub id: ReleaseId,
    /// Counts up within the app: v1, v2, …
    pub number: u32,
    pub digest: Digest,
    /// The digest that its built files are kept under: its own, or for a promoted release that of the one that was built.
    pub artifact: Digest,
    /// The release that was promoted to make this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_from: Option<PromotedFrom>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    pub spec: AppSpec,
    /// Bytes and files of the release folder.
    pub size: u64,
    pub files: u64,
    pub tags: Vec<Tag>,
    /// The users' own.
    pub metadata: BTreeMap<Key, Text>,
    /// Since then its files are not kept any more; to deploy its source again makes them anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_gone_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_depends_on_every_input_and_on_no_boundary() {
        let spec =
            AppSpec { builds: vec![], build_limits: Default::default(), components: vec![], smoke_tests: vec![] };
        let tree = Digest("a".into());
        let env = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let base = release_digest(&tree, &spec, &env(&[("A", "1")]), &[7; 32]);
        assert_eq!(base, release_digest(&tree, &spec, &env(&[("A", "1")]), &[7; 32]));
        assert_ne!(base, release_digest(&Digest("b".into()), &spec, &env(&[("A", "1")]), &[7; 32]));
        assert_ne!(base, release_digest(&tree, &spec, &env(&[("A1", "")]), &[7; 32]));
        assert_ne!(base, release_digest(&tree, &spec, &env(&[("A", "2")]), &[7; 32]));
        assert_ne!(base, release_digest(&tree, &spec, &env(&[("A", "1")]), &[8; 32]));
        let promoted = promoted_digest(&base, &env(&[("A", "1")]), &[7; 32]);
        assert_eq!(promoted, promoted_digest(&base, &env(&[("A", "1")]), &[7; 32]));
        assert_ne!(promoted, promoted_digest(&tree, &env(&[("A", "1")]), &[7; 32]));
        assert_ne!(promoted, promoted_digest(&base, &env(&[("A", "2")]), &[7; 32]));
        assert_ne!(promoted, promoted_digest(&base, &env(&[("A", "1")]), &[8; 32]));
    }
}
