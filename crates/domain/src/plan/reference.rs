//! How people name a plan: by its digest, or by as much of its beginning as tells it apart.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// 8 to 64 hexadecimal digits in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PlanRef(String);

/// The text can't be a [`PlanRef`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the digest of a plan: expected 64 hexadecimal digits, or at least the first 8; `plimsoll plan` prints it"
)]
pub struct InvalidPlanRef(String);

impl PlanRef {
    /// Digits of a whole digest.
    pub const WHOLE: usize = 64;
    /// Fewer digits name no plan.
    pub const LEAST: usize = 8;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PlanRef {
    type Err = InvalidPlanRef;

    fn from_str(text: &str) -> Result<Self, InvalidPlanRef> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        match (Self::LEAST..=Self::WHOLE).contains(&text.len()) && text.bytes().all(digit) {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidPlanRef(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for PlanRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PlanRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for PlanRef {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "PlanRef".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{8,64}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_of_a_digest_name_a_plan() {
        for good in ["0123abcd", &"f".repeat(64)] {
            assert_eq!(good.parse::<PlanRef>().map(|r| r.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "0123abc", "0123ABCD", "0123abcg", "../../etc/passwd", "latest", &"f".repeat(65)] {
            assert!(bad.parse::<PlanRef>().is_err(), "{bad}");
        }
    }
}
