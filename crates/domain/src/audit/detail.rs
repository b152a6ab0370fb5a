//! What a record tells besides: JSON in one form and of bounded size.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::canonical::canonical;

/// An object of strings, truths, nothings, lists, objects, and integers that every reader of JSON reads alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail(Value);

/// The text is no detail as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the detail of a record is not in its canonical form")]
pub struct InvalidDetail;

impl Detail {
    /// Bytes of its canonical form.
    pub const MAX: usize = 8 * 1024;
    /// The largest integer that a reader which takes all numbers for floating ones reads exactly.
    const LARGEST: u64 = (1 << 53) - 1;
    /// What is left of long strings (characters) and of long lists and objects, in turn, until it fits.
    const CUTS: [(usize, usize); 3] = [(1024, 100), (256, 20), (64, 5)];

    /// Takes what fits: long strings and lists are cut, and say so; other numbers than integers of 53 bits become text.
    pub fn new(value: Value) -> Self {
        let value = match plain(value) {
            object @ Value::Object(_) => object,
            Value::Null => Value::Object(Map::new()),
            other => json!({ "value": other }),
        };
        let length = canonical(&value).len();
        if length <= Self::MAX {
            return Self(value);
        }
        let mut cuts = Self::CUTS.into_iter().map(|(characters, items)| cut(&value, characters, items));
        let fits = cuts.find(|value| canonical(value).len() <= Self::MAX);
        Self(fits.unwrap_or_else(|| json!({ "left_out": format!("{length} bytes") })))
    }

    pub fn value(&self) -> &Value {
        &self.0
    }

    /// Of its canonical form, and no other.
    pub fn from_canonical(text: &str) -> Result<Self, InvalidDetail> {
        let value: Value = serde_json::from_str(text).map_err(|_| InvalidDetail)?;
        let same = value.is_object() && canonical(&value) == text && plain(value.clone()) == value;
        if same && text.len() <= Self::MAX { Ok(Self(value)) } else { Err(InvalidDetail) }
    }
}

impl Default for Detail {
    fn default() -> Self {
        Self::new(Value::Null)
    }
}

fn plain(value: Value) -> Value {
    match value {
        Value::Number(n) if n.as_i64().is_some_and(|n| n.unsigned_abs() <= Detail::LARGEST) => Value::Number(n),
        Value::Number(n) => n.to_string().into(),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(name, value)| (name, plain(value))).collect()),
        other => other,
    }
}

fn cut(value: &Value, characters: usize, items: usize) -> Value {
    match value {
        Value::String(text) => short(text, characters).into(),
        Value::Array(all) => {
            let mut list: Vec<Value> = all.iter().take(items).map(|v| cut(v, characters, items)).collect();
            if all.len() > items {
                list.push(format!("… and {} more", all.len() - items).into());
            }
            list.into()
        }
        Value::Object(fields) => {
            let mut names: Vec<_> = fields.keys().collect();
            names.sort_unstable();
            let kept = names.into_iter().take(items);
            let mut map: Map<_, _> =
                kept.map(|name| (short(name, characters), cut(&fields[name], characters, items))).collect();
            if fields.len() > items {
                map.insert("…".to_owned(), format!("and {} more", fields.len() - items).into());
            }
            Value::Object(map)
        }
        other => other.clone(),
    }
}

fn short(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl fmt::Display for Detail {
    /// Its canonical form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&canonical(&self.0))
    }
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Detail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_canonical(&canonical(&value)).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Detail {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Detail".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}
