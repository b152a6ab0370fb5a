//! Files that are sent to the server before they are of use.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How a checksum is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    Sha256,
    Blake3,
}

impl Algorithm {
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Blake3 => "blake3",
        }
    }
}

/// The digest of a whole file, written `sha256:…` or `blake3:…` with 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checksum {
    pub algorithm: Algorithm,
    /// 64 lower-case hexadecimal digits.
    hex: String,
}

/// The text is not a checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a checksum: expected `sha256:` or `blake3:` and 64 hexadecimal digits")]
pub struct InvalidChecksum(String);

impl Checksum {
    /// Of the 32 bytes that the algorithm gives.
    pub fn new(algorithm: Algorithm, digest: &[u8; 32]) -> Self {
        Self { algorithm, hex: digest.iter().map(|byte| format!("{byte:02x}")).collect() }
    }

    /// 64 lower-case hexadecimal digits.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl FromStr for Checksum {
    type Err = InvalidChecksum;

    fn from_str(text: &str) -> Result<Self, InvalidChecksum> {
        let invalid = || InvalidChecksum(text.chars().take(80).collect());
        let (name, hex) = text.split_once(':').ok_or_else(invalid)?;
        let known = [Algorithm::Sha256, Algorithm::Blake3].into_iter().find(|a| a.as_str() == name);
        let algorithm = known.ok_or_else(invalid)?;
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        Ok(Self { algorithm, hex: hex.to_ascii_lowercase() })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), self.hex)
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Checksum {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Checksum".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Digest of a whole file.",
            "pattern": "^(sha256|blake3):[0-9a-fA-F]{64}$",
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_read_and_written() {
        let text = format!("blake3:{}", "0a".repeat(32));
        let checksum: Checksum = text.parse().unwrap();
        assert_eq!(checksum, Checksum::new(Algorithm::Blake3, &[10; 32]));
        assert_eq!(checksum.to_string(), text);
        assert_eq!(format!("sha256:{}", "AB".repeat(32)).parse::<Checksum>().unwrap().hex(), "ab".repeat(32));
        for bad in ["", "sha256", "sha256:", "md5:00", &format!("sha1:{}", "0".repeat(64)), &"0".repeat(64)] {
            assert!(bad.parse::<Checksum>().is_err(), "{bad}");
        }
        for hex in ["0".repeat(63), "0".repeat(65), "g".repeat(64), "é".repeat(32)] {
            assert!(format!("sha256:{hex}").parse::<Checksum>().is_err(), "{hex}");
        }
    }
}
