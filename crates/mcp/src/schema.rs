//! Schemas of arguments and results, from the contract's own types.
//!
//! Everything is written out in place: many clients don't follow references. What a schema of ours says beyond the
//! standard (`x-plimsoll-untrusted`) is read here and taken out, as are formats that only Rust knows.

use operations::secrets::walk;
use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// A field that holds text which Plimsoll did not write: what programs print, what commits say.
pub(crate) const UNTRUSTED: &str = "x-plimsoll-untrusted";

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
    let mut schema = of::<T>(Contract::Serialize);
    // The fields of the response itself keep theirs.
    schema.values_mut().for_each(|below| shorten(below, 2));
    schema
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
    plain_fields(&mut schema);
    schema
}

fn fields(schema: Schema) -> Map<String, Value> {
    match schema.to_value() {
        Value::Object(fields) => fields,
        // `true` and `false` are schemas, too.
        _ => Map::new(),
    }
}

/// Makes a schema short and plain, without changing what it allows.
///
/// Strict validators stumble over formats that no standard knows (`uint32`); not all clients can express that a field may
/// be null where it may as well be absent; and each byte of a list of tools may end in a model's context.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(fields) => plain_fields(fields),
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

fn plain_fields(fields: &mut Map<String, Value>) {
    // A property may be called `format`: its value is a schema then, no text.
    let foreign = |format: &Value| format.as_str().is_some_and(|f| !matches!(f, "date-time" | "uri" | "email"));
    if fields.get("format").is_some_and(foreign) {
        fields.remove("format");
    }
    enumerate(fields);
    let required: Vec<String> =
        fields.get("required").and_then(Value::as_array).into_iter().flatten().map(text_of).collect();
    if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, property) in properties.iter_mut() {
            if !required.contains(name) {
                without_null(property);
            }
        }
    }
    fields.values_mut().for_each(plain);
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A choice among words, each with a schema of its own, becomes a list of words.
fn enumerate(fields: &mut Map<String, Value>) {
    let Some(choices) = fields.get("oneOf").and_then(Value::as_array) else { return };
    let words: Option<Vec<Value>> = choices
        .iter()
        .flat_map(|choice| match choice.get("enum").and_then(Value::as_array) {
            Some(words) => words.iter().map(Some).collect(),
            None => vec![choice.get("const")],
        })
        .map(|word| word.filter(|word| word.is_string()).cloned())
        .collect();
    if let Some(words) = words {
        fields.remove("oneOf");
        fields.insert("type".to_owned(), json!("string"));
        fields.insert("enum".to_owned(), Value::Array(words));
    }
}

/// Takes null out of what a field may be.
fn without_null(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if fields.get("default").is_some_and(Value::is_null) {
        fields.remove("default");
    }
    if let Some(kinds) = fields.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            let only = only.clone();
            fields.insert("type".to_owned(), only);
        }
    }
    let Some(choices) = fields.get_mut("anyOf").and_then(Value::as_array_mut) else { return };
    choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
    if let [Value::Object(only)] = choices.as_mut_slice() {
        let only = std::mem::take(only);
        fields.remove("anyOf");
        for (keyword, value) in only {
            // The field's own description is the nearer one.
            fields.entry(keyword).or_insert(value);
        }
    }
}

/// Takes out the descriptions deep below: models are shown what a tool takes, seldom what it returns.
fn shorten(schema: &mut Value, depth: u8) {
    match schema {
        Value::Object(fields) => {
            if depth == 0 && fields.get("description").is_some_and(Value::is_string) {
                fields.remove("description");
            }
            fields.values_mut().for_each(|below| shorten(below, depth.saturating_sub(1)));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| shorten(item, depth)),
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use operations::{deployments, events, logs};

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
    fn choices_are_words_and_what_may_be_absent_need_not_be_null() {
        let schema = Value::Object(input::<deployments::ListRequest>());
        let phase = &schema["properties"]["phase"];
        assert_eq!(phase["type"], "string", "{phase}");
        assert!(phase["enum"].as_array().unwrap().contains(&json!("rolled_back")), "{phase}");
        assert_eq!(phase["description"], "Only in this phase.");
        assert!(!schema.to_string().contains("null"), "{schema}");
        // What is always there and may be null keeps it.
        let response = Value::Object(output::<domain::deployment::Deployment>());
        assert!(response["required"].as_array().unwrap().contains(&json!("failure")));
        assert!(response["properties"]["failure"].to_string().contains("null"), "{response}");
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
}
