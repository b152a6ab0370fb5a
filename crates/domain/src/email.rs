//! E-mail addresses, by which people sign in.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use unicode_normalization::UnicodeNormalization;

/// An address in the one form in which it is kept and compared: trimmed, NFKC, lower case; its domain is ASCII.
///
/// Two spellings that look alike to a person are one address here, so that nobody can be invited as somebody else's twin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Email(String);

/// The text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an e-mail address: {why}")]
pub struct InvalidEmail {
    text: String,
    why: &'static str,
}

impl Email {
    /// Characters of a whole address (RFC 5321, section 4.5.3.1.3).
    pub const MAX: usize = 254;
    /// Bytes of what is before the `@`.
    const MAX_LOCAL: usize = 64;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let invalid = |why| InvalidEmail { text: text.chars().take(80).collect(), why };
        // Looked at before it is normalised, which may take long for a long text and make it many times longer.
        if text.len() > 4 * Self::MAX {
            return Err(invalid("it is too long"));
        }
        // Twice, as lower case may bring forms that NFKC joins, and the other way round.
        let form = |text: &str| text.nfkc().collect::<String>().to_lowercase().nfkc().collect::<String>();
        let address = form(form(text.trim()).trim());
        let (local, domain) = address.rsplit_once('@').ok_or_else(|| invalid("it has no `@`"))?;
        if address.len() > Self::MAX || local.len() > Self::MAX_LOCAL {
            return Err(invalid("it is too long"));
        }
        if local.is_empty() || local.contains('@') {
            return Err(invalid("expected one name, one `@` and a domain"));
        }
        if local.chars().any(|c| c.is_whitespace() || is_unseen(c) || "\"(),:;<>[\\]".contains(c)) {
            return Err(invalid("before the `@` there is a character that is not allowed there"));
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if !domain.split('.').all(label) {
            return Err(invalid(
                "behind the `@` a domain is expected, such as example.org (write others than ASCII as `xn--…`)",
            ));
        }
        Ok(Self(address))
    }
}

/// Characters that take no room, or turn what is around them: two addresses may differ in nothing else.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}'
        )
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffd}' | '\u{e0000}'..='\u{e0fff}')
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Email {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Email".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Narrower than what is taken, so that whoever makes addresses from it makes only good ones.
        let pattern = "^[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9]([A-Za-z0-9-]{0,40}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?){0,3}$";
        json_schema!({ "type": "string", "pattern": pattern, "maxLength": Self::MAX })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_address_has_one_form() {
        for (text, kept) in [
            (" Zoe@Example.ORG\t", "zoe@example.org"),
            ("zoë@example.org", "zoë@example.org"),
            ("ZOE\u{308}@example.org", "zoë@example.org"),
            ("\u{ff41}nn@example.org", "ann@example.org"),
            ("o'brien+deploy@a.b-c.example", "o'brien+deploy@a.b-c.example"),
            ("root@localhost", "root@localhost"),
            ("ann\u{ff20}example.org", "ann@example.org"),
            ("\u{130}@example.org", "i\u{307}@example.org"),
        ] {
            assert_eq!(text.parse::<Email>().unwrap().as_str(), kept, "{text}");
        }
    }

    #[test]
    fn others_are_refused_with_a_reason() {
        for (text, why) in [
            ("", "no `@`"),
            ("zoe", "no `@`"),
            ("@example.org", "one name"),
            ("a@b@example.org", "one name"),
            ("a b@example.org", "not allowed"),
            ("a\u{200b}b@example.org", "not allowed"),
            ("a\u{202e}b@example.org", "not allowed"),
            ("a\nBcc:b@example.org", "not allowed"),
            ("\"a b\"@example.org", "not allowed"),
            ("a@", "domain"),
            ("a@-b.org", "domain"),
            ("a@b..org", "domain"),
            ("a@\u{ef}b.org", "domain"),
            ("a@[127.0.0.1]", "domain"),
        ] {
            let error = text.parse::<Email>().unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
        let long = format!("{}@example.org", "a".repeat(65));
        assert!(long.parse::<Email>().unwrap_err().to_string().contains("too long"));
        let long = format!("a@{}", vec!["b".repeat(60); 5].join("."));
        assert!(long.parse::<Email>().unwrap_err().to_string().contains("too long"));
    }

    proptest! {
        /// What was accepted is accepted again, and stays as it is.
        #[test]
        fn the_form_is_final(text in "\\PC{0,20}@[a-zA-Z0-9.\u{ff21}-\u{ff3a}-]{0,20}") {
            if let Ok(email) = text.parse::<Email>() {
                prop_assert_eq!(&email.as_str().parse::<Email>().unwrap(), &email);
                prop_assert!(email.as_str().chars().all(|c| !c.is_uppercase() || c.to_lowercase().eq([c])));
            }
        }
    }
}
