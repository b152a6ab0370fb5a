//! Logins of programs without a browser: a person reads a code there, and lets it in by typing it here (RFC 8628).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// Without vowels, so that no word comes of them, and without what looks like something else.
const LETTERS: [u8; 20] = *b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;
const PATTERN: &str = "^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$";

/// Eight letters in two groups, such as `WDJB-MJHT`. Read in any case, with dashes and spaces wherever they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct UserCode(String);

/// The text is no such code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the code of a login: expected eight letters, such as WDJB-MJHT")]
pub struct InvalidUserCode(String);

impl UserCode {
    /// Of a number that was drawn at random: 2.5e10 codes, each about as likely as any other.
    pub fn from_random(mut random: u64) -> Self {
        let mut text = String::with_capacity(LENGTH + 1);
        for n in 0..LENGTH {
            if n == LENGTH / 2 {
                text.push('-');
            }
            // Below 20.
            text.push(char::from(LETTERS[(random % 20) as usize]));
            random /= 20;
        }
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserCode {
    type Err = InvalidUserCode;

    fn from_str(text: &str) -> Result<Self, InvalidUserCode> {
        let invalid = || InvalidUserCode(text.chars().filter(|c| !c.is_control()).take(40).collect());
        if text.len() > 64 {
            return Err(invalid());
        }
        let typed = text.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase());
        let letters: String = typed.collect();
        match letters.len() == LENGTH && letters.bytes().all(|b| LETTERS.contains(&b)) {
            true => Ok(Self(format!("{}-{}", &letters[..LENGTH / 2], &letters[LENGTH / 2..]))),
            false => Err(invalid()),
        }
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UserCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for UserCode {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "UserCode".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_taken_as_people_type_it() {
        for typed in ["WDJB-MJHT", "wdjbmjht", " wdjb mjht ", "w-d-j-b-mjht"] {
            assert_eq!(typed.parse::<UserCode>().unwrap().as_str(), "WDJB-MJHT", "{typed}");
        }
        for bad in ["", "WDJB", "WDJB-MJHTX", "WDJB-MJHA", "WDJB-MJH1", "WDJB_MJHT", "ÄDJB-MJHT", &"-".repeat(1000)] {
            assert!(bad.parse::<UserCode>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_drawn_comes_back(random: u64) {
            let code = UserCode::from_random(random);
            prop_assert_eq!(code.as_str().parse::<UserCode>().unwrap(), code.clone());
            prop_assert_eq!(code.as_str().len(), 9);
        }

        #[test]
        fn nothing_that_is_typed_panics(text in ".{0,80}") {
            let _ = text.parse::<UserCode>();
        }
    }
}
