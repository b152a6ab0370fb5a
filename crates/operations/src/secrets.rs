//! Which fields of requests hold secrets, as their schemas say it (`writeOnly`), and requests without them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::Operation;

/// What stands in the place of a secret.
pub const MASK: &str = "[secret]";
/// A standard keyword: a value that goes in and never comes out.
const SECRET: &str = "writeOnly";

/// A request as it may be kept: what its schema marks as secret is masked, and so is what a URL says of who comes.
pub fn redacted<O: Operation>(request: &O::Request) -> Value {
    let mut value = serde_json::to_value(request).unwrap_or_default();
    for path in of::<O>().iter() {
        mask_at(&mut value, path);
    }
    without_credentials(value)
}

/// Of each operation by its name.
type Known = HashMap<&'static str, Arc<[String]>>;

/// Of one operation; looked for once.
fn of<O: Operation>() -> Arc<[String]> {
    static KNOWN: LazyLock<RwLock<Known>> = LazyLock::new(RwLock::default);
    if let Some(known) = KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(O::NAME) {
        return known.clone();
    }
    // References would hide what they lead to.
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<O::Request>().to_value();
    let found: Arc<[String]> = schema.as_object().map(paths).unwrap_or_default().into();
    KNOWN.write().unwrap_or_else(PoisonError::into_inner).insert(O::NAME, found.clone());
    found
}

/// The fields of a request whose values are secrets: `variables.*`. References in the schema are not followed.
pub fn paths(schema: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    walk(&mut schema.clone(), String::new(), &mut |fields, path| {
        if fields.get(SECRET) == Some(&Value::Bool(true)) {
            found.push(path.to_owned());
        }
    });
    found.sort();
    found.dedup();
    found
}

/// Visits each schema below `schema` with its path: `.name` for a property, `[]` for items, `.*` for any property.
pub fn walk(schema: &mut Map<String, Value>, path: String, visit: &mut impl FnMut(&mut Map<String, Value>, &str)) {
    visit(schema, path.trim_start_matches('.'));
    for (keyword, below) in schema.iter_mut() {
        match (keyword.as_str(), below) {
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties.iter_mut() {
                    if let Value::Object(property) = property {
                        walk(property, format!("{path}.{name}"), visit);
                    }
                }
            }
            ("items", Value::Object(items)) => walk(items, format!("{path}[]"), visit),
            ("additionalProperties", Value::Object(any)) => walk(any, format!("{path}.*"), visit),
            ("anyOf" | "oneOf" | "allOf", Value::Array(choices)) => {
                for choice in choices.iter_mut().filter_map(Value::as_object_mut) {
                    walk(choice, path.clone(), visit);
                }
            }
            _ => {}
        }
    }
}

/// The texts at `path` (as [`paths`] writes it) of a value.
pub fn texts_at<'a>(value: &'a Value, path: &str) -> Vec<&'a str> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    match value {
        Value::String(text) if path.is_empty() => vec![text],
        Value::Object(fields) if first == "*" => fields.values().flat_map(|value| texts_at(value, rest)).collect(),
        Value::Object(fields) => match fields.get(first.trim_end_matches("[]")) {
            Some(Value::Array(items)) if first.ends_with("[]") => {
                items.iter().flat_map(|item| texts_at(item, rest)).collect()
            }
            Some(value) => texts_at(value, rest),
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Masks whatever is at `path`, of whatever kind it is.
fn mask_at(value: &mut Value, path: &str) {
    if value.is_null() {
        return;
    }
    if path.is_empty() {
        *value = MASK.into();
        return;
    }
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let Value::Object(fields) = value else { return };
    if first == "*" {
        return fields.values_mut().for_each(|value| mask_at(value, rest));
    }
    match fields.get_mut(first.trim_end_matches("[]")) {
        Some(Value::Array(items)) if first.ends_with("[]") => items.iter_mut().for_each(|item| mask_at(item, rest)),
        Some(value) => mask_at(value, rest),
        None => {}
    }
}

/// Masks in each text what a URL says of who comes: `https://[secret]@host/`.
pub fn without_credentials(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text_without_credentials(text)),
        Value::Array(items) => items.into_iter().map(without_credentials).collect(),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, without_credentials(value))).collect())
        }
        other => other,
    }
}

fn text_without_credentials(text: String) -> String {
    if !text.contains("://") {
        return text;
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        clean.push_str(before);
        let end = after.find(|c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace()).unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            // Who comes by ssh is no secret: it is mostly `git`.
            Some(at) if before.ends_with("ssh://") && !after[..at].contains(':') => after,
            Some(at) => {
                clean.push_str(MASK);
                &after[at..]
            }
            None => after,
        };
    }
    clean + rest
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{apps, certificates, deployments, variables};

    #[test]
    fn secrets_of_a_request_are_found() {
        assert_eq!(*of::<variables::Set>(), ["variables.*"]);
        assert_eq!(*of::<certificates::Add>(), ["key"]);
        assert!(of::<deployments::Deploy>().is_empty());
        let value = json!({ "app": "a", "variables": { "A": "one", "B": "two", "C": 3 } });
        assert_eq!(texts_at(&value, "variables.*"), ["one", "two"]);
        assert_eq!(texts_at(&json!({ "a": [{ "b": "x" }, { "b": "y" }] }), "a[].b"), ["x", "y"]);
        assert_eq!(texts_at(&json!({ "variables": "loose" }), "variables.*"), Vec::<&str>::new());
    }

    #[test]
    fn a_request_is_kept_without_them() {
        let set = json!({ "app": "shop", "environment": "production", "variables": { "A": "one", "B": "two" } });
        let request = serde_json::from_value(set).unwrap();
        let kept = redacted::<variables::Set>(&request);
        assert_eq!(kept["variables"], json!({ "A": MASK, "B": MASK }));
        assert_eq!(kept["app"], "shop");
        let mut value = json!({ "a": [{ "b": 7 }, { "c": "x" }, { "b": null }] });
        mask_at(&mut value, "a[].b");
        assert_eq!(value, json!({ "a": [{ "b": MASK }, { "c": "x" }, { "b": null }] }));
    }

    #[test]
    fn urls_are_kept_without_credentials() {
        let source = |url: &str| json!({ "app": "shop", "source": { "kind": "git", "url": url } });
        for (url, kept) in [
            ("https://me:hunter2@example.org/a.git", "https://[secret]@example.org/a.git"),
            ("https://ghp_token@example.org/a.git", "https://[secret]@example.org/a.git"),
            ("http://a:p@ss@example.org", "http://[secret]@example.org"),
            ("ssh://git@example.org/a.git", "ssh://git@example.org/a.git"),
            ("ssh://git:pass@example.org/a.git", "ssh://[secret]@example.org/a.git"),
            ("git@example.org:a.git", "git@example.org:a.git"),
            ("https://example.org/@scope/a", "https://example.org/@scope/a"),
        ] {
            let request = serde_json::from_value(source(url)).unwrap();
            assert_eq!(redacted::<apps::SetSource>(&request)["source"]["url"], kept);
        }
        let text = "a https://x@h and ftp://u:p@h2/ b://".to_owned();
        assert_eq!(text_without_credentials(text), "a https://[secret]@h and ftp://[secret]@h2/ b://");
    }
}
