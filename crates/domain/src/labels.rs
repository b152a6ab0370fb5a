//! Labels of a release: tags, and metadata of the users' own. They name it and say
//! why it was made, and take no part in what it is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// What one deployment can bring.
pub const MAX_TAGS: usize = 16;
pub const MAX_METADATA: usize = 32;

/// What a release keeps of each; a release can be deployed often, with other labels each time.
const MAX_KEPT: usize = 100;

/// Tags and metadata together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<Key, Text>,
}

/// Too many labels at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{got} {what} were given; at most {most} are taken at once")]
pub struct TooMany {
    what: &'static str,
    got: usize,
    most: usize,
}

impl Labels {
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.metadata.is_empty()
    }

    /// The labels of one deployment, with each tag once.
    pub fn of_deployment(tags: Vec<Tag>, metadata: BTreeMap<Key, Text>) -> Result<Self, TooMany> {
        if tags.len() > MAX_TAGS {
            return Err(TooMany { what: "tags", got: tags.len(), most: MAX_TAGS });
        }
        if metadata.len() > MAX_METADATA {
            return Err(TooMany { what: "entries of metadata", got: metadata.len(), most: MAX_METADATA });
        }
        let mut labels = Self::default();
        labels.merge(&Self { tags, metadata });
        Ok(labels)
    }

    /// Adds what is new, and replaces the text of keys that are there. Beyond 100 tags the oldest make room, beyond
    /// 100 keys those that were there.
    pub fn merge(&mut self, new: &Labels) {
        for tag in &new.tags {
            if !self.tags.contains(tag) {
                self.tags.push(tag.clone());
            }
        }
        let surplus = self.tags.len().saturating_sub(MAX_KEPT);
        self.tags.drain(..surplus);
        self.metadata.extend(new.metadata.clone());
        while self.metadata.len() > MAX_KEPT {
            let Some(old) = self.metadata.keys().find(|key| !new.metadata.contains_key(key)).cloned() else { break };
            self.metadata.remove(&old);
        }
    }
}

/// The text can't be a label; says which kind and what one looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` can't be {what}: {rule}")]
pub struct InvalidLabel {
    text: String,
    what: &'static str,
    rule: &'static str,
}

/// Begins with a letter or digit, then has those and the given others; at most 64.
fn is_word(text: &str, others: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr, $schema:tt;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidLabel;

            fn from_str(text: &str) -> Result<Self, InvalidLabel> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    return Ok(Self(text.to_owned()));
                }
                let text = text.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
                Err(InvalidLabel { text, what: $what, rule: $rule })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

labels! {
    /// A name for a release, such as `v1.2` or `hotfix/cart`.
    Tag, "a tag", "use 1 to 64 letters, digits and `.` `_` `/` `+` `-`, beginning with a letter or digit",
        |text| is_word(text, "._/+-"),
        { "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._/+-]{0,63}$", "maxLength": 64 };
    /// Name of an entry of metadata, such as `ticket`.
    Key, "a key of metadata", "use 1 to 64 letters, digits and `.` `_` `/` `-`, beginning with a letter or digit",
        |text| is_word(text, "._/-"),
        { "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$", "maxLength": 64 };
    /// Value of an entry of metadata. Everybody who sees the release can read it.
    Text, "a value of metadata", "use at most 512 characters in one line, without control characters",
        |text| text.chars().count() <= 512 && !text.contains(char::is_control),
        { "type": "string", "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$", "maxLength": 512 };
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn labels(tags: &[&str], metadata: &[(&str, &str)]) -> Labels {
        Labels {
            tags: tags.iter().map(|t| t.parse().unwrap()).collect(),
            metadata: metadata.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect(),
        }
    }

    #[test]
    fn labels_have_a_strict_alphabet() {
        for good in ["v1.2", "1", "hotfix/cart", "a+b", &"a".repeat(64)] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        for bad in ["", "-v", ".", "a b", "é", "a\n", "a,b", &"a".repeat(65)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
        assert!("a+b".parse::<Key>().is_err());
        assert!("Zoë fixed the cart: 100 %".parse::<Text>().is_ok() && "".parse::<Text>().is_ok());
        assert!("a\nb".parse::<Text>().is_err() && "a\u{9b}31m".parse::<Text>().is_err());
        assert!("é".repeat(512).parse::<Text>().is_ok() && "é".repeat(513).parse::<Text>().is_err());
    }

    #[test]
    fn merging_adds_replaces_and_keeps_a_limit() {
        let mut all = labels(&["a", "b"], &[("ticket", "1"), ("by", "me")]);
        all.merge(&labels(&["b", "c"], &[("ticket", "2")]));
        assert_eq!(all, labels(&["a", "b", "c"], &[("ticket", "2"), ("by", "me")]));
        for n in 0..200 {
            let n = n.to_string();
            all.merge(&labels(&[&n], &[(&n, "x")]));
        }
        assert_eq!((all.tags.len(), all.metadata.len()), (MAX_KEPT, MAX_KEPT));
        assert!(all.tags.contains(&"199".parse().unwrap()) && !all.tags.contains(&"a".parse().unwrap()));
        assert!(all.metadata.contains_key(&"199".parse().unwrap()));
    }

    #[test]
    fn a_deployment_brings_a_limited_number() {
        let many = (0..=MAX_TAGS).map(|n| n.to_string().parse().unwrap()).collect();
        assert!(Labels::of_deployment(many, BTreeMap::new()).is_err());
        let twice = labels(&["a", "a"], &[]);
        assert_eq!(Labels::of_deployment(twice.tags, twice.metadata).unwrap(), labels(&["a"], &[]));
    }
}
