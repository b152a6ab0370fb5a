//! Schemas of arguments and results, from the contract's own types.
//!
//! Everything is written out in place: many clients don't follow references. What a schema of ours says beyond the
//! standard (`x-plimsoll-untrusted`) is read here and taken out, as are formats that only Rust knows.

use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// A field that holds text which Plimsoll did not write: what programs print, what commits say.
pub(crate) const UNTRUSTED: &str = "x-plimsoll-untrusted";
/// A standard keyword: a value that goes in and never comes out.
const SECRET: &str = "writeOnly";

/// The schema of an operation's request: an object that takes no unknown fields.
pub(crate) fn input<T: JsonSchema>() -> Map<String, Value> {
    let mut schema = of::<T>(Contract::Deserialize);
    schema.insert("type".to_owned(), json!("object"));
    schema.entry("properties").or_insert_with(|| json!({}));
    schema.insert("additionalProperties".to_owned(), json!(false));
    schema
}

/// The schema of an operation's response, which is an array or an object.
pub(crate) fn output<T: JsonSchema>() -> Map<String, Value> {
    of::<T>(Contract::Serialize)
}

fn of<T: JsonSchema>(contract: Contract) -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
        settings.contract = contract;
    });
    let mut schema = fields(settings.into_generator().into_root_schema_for::<T>());
    schema.remove("title");
    // The operation's own summary says it better.
    schema.remove("description");
    schema.values_mut().for_each(plain);
    schema
}

fn fields(schema: Schema) -> Map<String, Value> {
    match schema.to_value() {
        Value::Object(fields) => fields,
        // `true` and `false` are schemas, too.
        _ => Map::new(),
    }
}

/// Takes out the formats that no standard knows (`uint32`): strict validators stumble over them.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let foreign = |format: &Value| format.as_str().is_some_and(|f| !matches!(f, "date-time" | "uri" | "email"));
            // A property may be called `format`: its value is a schema then, no text.
            if fields.get("format").is_some_and(foreign) {
                fields.remove("format");
            }
            fields.values_mut().for_each(plain);
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

/// Takes the marks of untrusted fields out of a schema, and tells where they were: `items[].failure.output[]`.
pub(crate) fn take_untrusted(schema: &mut Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    walk(schema, String::new(), &mut |fields, path| {
        if fields.remove(UNTRUSTED).is_some() {
            let list = fields.get("items").is_some();
            found.push(if list { format!("{path}[]") } else { path.to_owned() });
        }
    });
    found.sort();
    found.dedup();
    found
}

/// The fields of a request whose values are secrets: `variables.*`.
pub(crate) fn secrets(schema: &Map<String, Value>) -> Vec<String> {
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
fn walk(schema: &mut Map<String, Value>, path: String, visit: &mut impl FnMut(&mut Map<String, Value>, &str)) {
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

/// The texts at `path` (as [`secrets`] writes it) of a value.
pub(crate) fn texts_at<'a>(value: &'a Value, path: &str) -> Vec<&'a str> {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use operations::{deployments, events, logs, variables};

    use super::*;

    #[test]
    fn inputs_are_whole_and_strict() {
        let schema = input::<deployments::DeployRequest>();
        let text = Value::Object(schema.clone()).to_string();
        assert!(!text.contains("$ref") && !text.contains("uint"), "{text}");
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["required"], json!(["app", "environment"]));
    }

    #[test]
    fn untrusted_fields_are_found_and_their_marks_are_gone() {
        let mut schema = output::<logs::LogPage>();
        assert_eq!(take_untrusted(&mut schema), ["lines[].text"]);
        assert!(!Value::Object(schema).to_string().contains(UNTRUSTED));
        let of_deployments = take_untrusted(&mut output::<operations::Page<domain::deployment::Deployment>>());
        for path in ["items[].failure.message", "items[].failure.output[]", "items[].metadata.commit.summary"] {
            assert!(of_deployments.iter().any(|found| found == path), "{path}: {of_deployments:?}");
        }
        assert!(!take_untrusted(&mut output::<operations::Page<domain::event::Event>>()).is_empty());
        assert!(take_untrusted(&mut output::<events::ListRequest>()).is_empty());
    }

    #[test]
    fn secrets_of_a_request_are_found() {
        let paths = secrets(&input::<variables::SetRequest>());
        assert_eq!(paths, ["variables.*"]);
        let value = json!({ "app": "a", "variables": { "A": "one", "B": "two", "C": 3 } });
        assert_eq!(texts_at(&value, &paths[0]), ["one", "two"]);
        assert_eq!(texts_at(&json!({ "a": [{ "b": "x" }, { "b": "y" }] }), "a[].b"), ["x", "y"]);
        assert_eq!(texts_at(&json!({ "variables": "loose" }), "variables.*"), Vec::<&str>::new());
        assert!(secrets(&input::<deployments::DeployRequest>()).is_empty());
    }
}
