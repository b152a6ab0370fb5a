//! The values of a `plimsoll.toml` that have rules of their own.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A folder in the source, relative and inside of it; empty for the source itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        self.0.as_os_str().is_empty()
    }

    /// `.` and slashes at the end are left out; `None` when it leaves the source.
    pub fn new(text: &str) -> Option<Self> {
        if text.is_empty() || text.starts_with('/') || text.contains(['\0', '\\', '\n']) || text.len() > 512 {
            return None;
        }
        let mut path = PathBuf::new();
        for part in text.split('/').filter(|p| !p.is_empty() && *p != ".") {
            if part == ".." {
                return None;
            }
            path.push(part);
        }
        Some(Self(path))
    }
}

impl<'de> Deserialize<'de> for Folder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{}` is not a folder of the source: expected a relative path without `..`, like \"services/web\"",
                brief(&text)
            ))
        })
    }
}

/// A shell command: one line or more, not empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Command(String);

impl Command {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty() && !text.contains('\0') && text.len() <= 16 * 1024).then(|| Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| {
            D::Error::custom("expected a shell command, like \"node server.js\"; it is empty, too long or holds a NUL")
        })
    }
}

/// Shell commands: written as one string or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Commands(Vec<Command>);

impl Commands {
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Command::as_str)
    }
}

impl<'de> Deserialize<'de> for Commands {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Commands;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command or a list of commands, like \"npm run build\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Commands, E> {
                Command::new(text)
                    .map(|c| Commands(vec![c]))
                    .ok_or_else(|| E::custom("the command is empty; use `build = []` for no build"))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Commands, A::Error> {
                let mut commands = Vec::new();
                while let Some(command) = seq.next_element()? {
                    commands.push(command);
                }
                Ok(Commands(commands))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

/// A number from 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Count(u32);

impl Count {
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer)? {
            n @ 1..=100 => Ok(Self(n as u32)),
            n => Err(D::Error::custom(format!("{n} is out of range: expected a whole number from 1 to 100"))),
        }
    }
}

/// The path of a probe, with a query if need be: `/healthz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct HttpPath(String);

impl HttpPath {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for HttpPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        if text.starts_with('/') && text.len() <= 512 && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
            Ok(Self(text.into_owned()))
        } else {
            Err(D::Error::custom(format!(
                "`{}` is not a path to probe: expected one that begins with `/`, without spaces or `#`, like \"/healthz\"",
                brief(&text)
            )))
        }
    }
}

/// The name of an environment variable; not `PORT`, which Plimsoll sets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct VariableName(String);

impl VariableName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for VariableName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        if text == "PORT" {
            return Err(D::Error::custom("`PORT` can't be set: Plimsoll assigns a free port to each instance"));
        }
        let valid = (1..=128).contains(&text.len())
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if valid {
            Ok(Self(text.into_owned()))
        } else {
            Err(D::Error::custom(format!(
                "`{}` is not the name of a variable: expected letters, digits and `_`, not beginning with a digit",
                brief(&text)
            )))
        }
    }
}

/// For messages: what people typed, but not a novel.
pub(super) fn brief(text: &str) -> String {
    text.chars()
        .take(60)
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

macro_rules! schemas {
    ($($type:ty, $name:literal, $schema:tt;)*) => {$(
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

schemas! {
    Folder, "Folder", { "type": "string", "minLength": 1, "maxLength": 512, "pattern": "^[^/]", "examples": ["services/web"] };
    Command, "Command", { "type": "string", "minLength": 1, "maxLength": 16384, "examples": ["node server.js"] };
    Commands, "Commands", {
        "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "array", "items": { "type": "string", "minLength": 1 } }],
        "examples": [["npm ci", "npm run build"]]
    };
    Count, "Count", { "type": "integer", "minimum": 1, "maximum": 100 };
    HttpPath, "HttpPath", { "type": "string", "pattern": "^/[!-\"$-~]*$", "maxLength": 512, "examples": ["/healthz"] };
    VariableName, "VariableName", { "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "not": { "const": "PORT" }, "maxLength": 128 };
}
