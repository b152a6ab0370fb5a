//! Names that people choose: apps, environments, components.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// A DNS label: 1 to 40 of `a-z`, `0-9`, `-`; begins with a letter, does not end with `-`.
///
/// It becomes part of host names, folder names and process names, so one strict
/// alphabet keeps all of them safe.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(String);

/// The text can't be a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a valid name: use 1 to 40 of a-z, 0-9 and `-`, beginning with a letter and not ending with `-`")]
pub struct InvalidName(String);

/// Pages about an app, those to come included.
pub const PAGES: [&str; 5] = ["approvals", "channels", "members", "releases", "settings"];

impl Name {
    pub const MAX: usize = 40;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it can be the name of an environment. Pages about an app stand beside those of its environments in the web interface:
    /// `/apps/shop/members` is not one of an environment.
    pub fn may_name_environment(&self) -> bool {
        !PAGES.contains(&self.as_str())
    }

    /// The nearest valid name to `text` (a folder's name, a repository's), if anything of it is usable.
    pub fn from_loose(text: &str) -> Option<Self> {
        let mut out = String::new();
        for c in text.chars() {
            match c.to_ascii_lowercase() {
                c @ 'a'..='z' => out.push(c),
                c @ '0'..='9' if !out.is_empty() => out.push(c),
                _ if !out.is_empty() && !out.ends_with('-') => out.push('-'),
                _ => {}
            }
            if out.len() == Self::MAX {
                break;
            }
        }
        out.trim_end_matches('-').parse().ok()
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let valid = (1..=Self::MAX).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidName(text.chars().take(80).collect())) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Name {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", "maxLength": 40 })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn accepts_labels_only() {
        for good in ["a", "web", "my-app-2", &"a".repeat(40)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "2a", "A", "a_b", "a.b", "a/b", "..", &"a".repeat(41)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn no_environment_is_called_like_a_page() {
        let may = |name: &str| name.parse::<Name>().unwrap().may_name_environment();
        assert!(may("production") && may("releases-2") && !may("members") && !may("releases"));
        assert!(PAGES.is_sorted());
        // Whatever page is added below an app is listed.
        let routes = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/src/routes/_app");
        let mut pages = 0;
        for file in std::fs::read_dir(routes).unwrap() {
            let file = file.unwrap().file_name().into_string().unwrap();
            let Some(page) = file.strip_prefix("apps.$app.").and_then(|page| page.split('.').next()) else { continue };
            if page == "index" || page.starts_with('$') {
                continue;
            }
            assert!(!may(page), "the page `{page}` of an app would hide an environment of that name: add it to PAGES");
            pages += 1;
        }
        assert!(pages >= 2, "there is a page of members and one of releases");
    }

    #[test]
    fn loose_names_come_from_folders() {
        assert_eq!(Name::from_loose("My App (2)").unwrap().as_str(), "my-app-2");
        assert_eq!(Name::from_loose("2048.git").unwrap().as_str(), "git");
        assert_eq!(Name::from_loose("---"), None);
    }
}
