//! What a build or an instance may use of the machine, as people write it: `memory = "512MiB"`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `[components.<name>.limits]` for each instance, `[build.limits]` for each build command. What is left out is
/// limited by the server's own settings alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Limits {
    /// Of all its processes together. More, and it is killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Cores, such as `1.5`. It gets no more, and runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cores>,
    /// Processes and threads. It can't start more; a build that tries is killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Tasks>,
    /// Of the folders that it may write to. More, and it is killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Bytes>,
}

impl Limits {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These, and what `others` says where these say nothing.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            memory: self.memory.or(others.memory),
            cpu: self.cpu.or(others.cpu),
            processes: self.processes.or(others.processes),
            disk: self.disk.or(others.disk),
        }
    }

    /// The first that asks for more than `most` allows: its key, what it asks for, what is allowed.
    pub fn beyond(&self, most: &Self) -> Option<(&'static str, String, String)> {
        fn over<T: PartialOrd + fmt::Display>(
            key: &'static str,
            asked: Option<T>,
            most: Option<T>,
        ) -> Option<(&'static str, String, String)> {
            let (asked, most) = (asked?, most?);
            (asked > most).then(|| (key, asked.to_string(), most.to_string()))
        }
        over("memory", self.memory, most.memory)
            .or_else(|| over("cpu", self.cpu, most.cpu))
            .or_else(|| over("processes", self.processes, most.processes))
            .or_else(|| over("disk", self.disk, most.disk))
    }
}

/// A size, from 1 MiB to 1 PiB, written like `512MiB` or `2GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(u64);

/// The text is not a usable size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size: expected 1MiB to 1PiB, like \"512MiB\" or \"2GiB\" (or \"2GB\", in powers of 1000)")]
pub struct InvalidBytes(String);

impl Bytes {
    const LEAST: u64 = 1 << 20;
    const MOST: u64 = 1 << 50;

    /// Within the bounds, whatever `bytes` is.
    pub const fn clamped(bytes: u64) -> Self {
        Self(if bytes < Self::LEAST {
            Self::LEAST
        } else if bytes > Self::MOST {
            Self::MOST
        } else {
            bytes
        })
    }
    pub const fn get(self) -> u64 {
        self.0
    }
}

const UNITS: [(&str, u64); 8] = [
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

impl FromStr for Bytes {
    type Err = InvalidBytes;
    fn from_str(text: &str) -> Result<Self, InvalidBytes> {
        let invalid = || InvalidBytes(text.chars().take(40).filter(|c| !c.is_control()).collect());
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = unit.trim();
        let factor = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor);
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let bytes = number * factor.ok_or_else(invalid)? as f64;
        // Sizes in this range are whole numbers to an f64; the fraction of a byte is nobody's loss.
        if bytes >= Self::LEAST as f64 && bytes <= Self::MOST as f64 { Ok(Self(bytes as u64)) } else { Err(invalid()) }
    }
}

/// The largest unit in which it is a whole number, or else three digits of it: `512MiB`, `1.46GiB`.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(self.0, f)
    }
}

/// A size of any kind, as [`Bytes`] shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(self.0, f)
    }
}

fn shown(bytes: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (name, factor) = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)]
        .into_iter()
        .find(|(_, factor)| bytes >= *factor)
        .unwrap_or(("B", 1));
    match bytes % factor {
        0 => write!(f, "{}{name}", bytes / factor),
        _ => write!(f, "{:.2}{name}", bytes as f64 / factor as f64),
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Exactly: what is shown may be rounded.
        match UNITS[..3].iter().rev().find(|(_, factor)| self.0.is_multiple_of(*factor)) {
            Some((name, factor)) => serializer.collect_str(&format_args!("{}{name}", self.0 / factor)),
            None => serializer.serialize_u64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a size, like \"512MiB\"")]
        enum Written<'a> {
            Text(#[serde(borrow)] Cow<'a, str>),
            Number(u64),
        }
        match Written::deserialize(deserializer)? {
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
            Written::Number(n) if (Self::LEAST..=Self::MOST).contains(&n) => Ok(Self(n)),
            Written::Number(n) => Err(serde::de::Error::custom(InvalidBytes(n.to_string()))),
        }
    }
}

impl JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? ?([KMGTkmgt]i?[Bb])$" },
                { "type": "integer", "minimum": 1_048_576, "maximum": 1_125_899_906_842_624_u64 }
            ],
            "description": "A size such as 512MiB or 2GB, or a number of bytes; at least 1MiB.",
            "examples": ["512MiB"]
        })
    }
}

/// Processor time, in thousandths of a core; from 0.01 to 1024 cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cores(u32);

impl Cores {
    /// `None` outside of the bounds.
    pub fn new(cores: f64) -> Option<Self> {
        (0.01..=1024.0).contains(&cores).then(|| Self((cores * 1000.0).round() as u32))
    }
    pub const fn millis(self) -> u32 {
        self.0
    }
    fn get(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

impl FromStr for Cores {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let cores = text.parse::<f64>().ok().and_then(Self::new);
        cores.ok_or_else(|| format!("`{text}` is not a number of cores: expected 0.01 to 1024, like 1.5"))
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl Serialize for Cores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.get())
    }
}

impl<'de> Deserialize<'de> for Cores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let cores = f64::deserialize(deserializer)?;
        Self::new(cores).ok_or_else(|| {
            serde::de::Error::custom(format!("{cores} is out of range: expected 0.01 to 1024 cores, like 1.5"))
        })
    }
}

impl JsonSchema for Cores {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Cores".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0.01, "maximum": 1024, "examples": [1.5] })
    }
}

/// Processes and threads together, from 4 to 1,000,000: fewer than 4 run no shell script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Tasks(u32);

impl Tasks {
    /// `None` outside of the bounds.
    pub fn new(tasks: u32) -> Option<Self> {
        (4..=1_000_000).contains(&tasks).then_some(Self(tasks))
    }
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl FromStr for Tasks {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let tasks = text.parse().ok().and_then(Self::new);
        tasks.ok_or_else(|| format!("`{text}` is not a number of processes: expected 4 to 1000000"))
    }
}

impl fmt::Display for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Tasks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tasks = i64::deserialize(deserializer)?;
        u32::try_from(tasks).ok().and_then(Self::new).ok_or_else(|| {
            serde::de::Error::custom(format!("{tasks} is out of range: expected 4 to 1000000 processes"))
        })
    }
}

impl JsonSchema for Tasks {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Tasks".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 4, "maximum": 1_000_000, "examples": [256] })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let bytes = |text: &str| text.parse::<Bytes>().map(Bytes::get).ok();
        assert_eq!(bytes("512MiB"), Some(512 << 20));
        assert_eq!(bytes("1.5 GiB"), Some(3 << 29));
        assert_eq!(bytes("2GB"), Some(2_000_000_000));
        assert_eq!(bytes("2gib"), Some(2 << 30));
        for wrong in ["", "512", "512M", "1KiB", "-1GiB", "1e9GiB", "GiB", "9999999999999999TiB", "1..5GiB", "NaNGiB"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_shown_shortly_and_kept_exactly() {
        assert_eq!(Bytes(512 << 20).to_string(), "512MiB");
        assert_eq!(Bytes(2_000_000_000).to_string(), "1.86GiB");
        for size in [512 << 20, 2_000_000_000, 3 << 40] {
            let text = serde_json::to_string(&Bytes(size)).unwrap();
            assert_eq!(serde_json::from_str::<Bytes>(&text).unwrap().get(), size, "{text}");
        }
    }

    #[test]
    fn what_asks_for_too_much_is_named() {
        let most = Limits { memory: Some(Bytes(1 << 30)), cpu: Cores::new(2.0), ..Limits::default() };
        let asks = Limits { cpu: Cores::new(2.5), disk: Some(Bytes(1 << 40)), ..Limits::default() };
        assert_eq!(asks.beyond(&most), Some(("cpu", "2.5".to_owned(), "2".to_owned())));
        assert_eq!(asks.or(most).memory, Some(Bytes(1 << 30)));
        assert_eq!(Limits::default().beyond(&most), None);
    }
}
