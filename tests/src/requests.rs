//! One request for each entry of the API's own document, with as little in it as it takes.

use reqwest::Method;
use serde_json::{Map, Value};

/// A request that is well-formed, whatever its sender may do.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `noun.verb`, as in the document.
    pub operation: String,
    pub method: Method,
    /// With its query.
    pub path: String,
    pub body: Option<Value>,
}

/// One for each entry but the ways in and out, which nobody has a role for. `known` has a value for each field without which something can't be asked, by its name.
///
/// # Panics
/// When a field is new, so that somebody says what a good value of it is.
pub fn all(document: &Value, known: &Value) -> Vec<Asked> {
    let mut asked = Vec::new();
    for (template, item) in document["paths"].as_object().unwrap() {
        for (method, entry) in item.as_object().unwrap() {
            if entry["tags"][0] == "auth" {
                continue;
            }
            asked.push(one(document, known, template, method, entry));
        }
    }
    asked
}

fn one(document: &Value, known: &Value, template: &str, method: &str, entry: &Value) -> Asked {
    let operation = entry["operationId"].as_str().unwrap().to_owned();
    let value =
        |name: &str| known.get(name).unwrap_or_else(|| panic!("`{name}` of {operation} is new: give it a value"));
    let (mut path, mut query, mut in_path) = (template.to_owned(), Vec::new(), Vec::new());
    let parameters = entry["parameters"].as_array().into_iter().flatten();
    for parameter in parameters.filter(|parameter| parameter["required"] == true) {
        let name = parameter["name"].as_str().unwrap();
        let text = value(name).to_string().replace('"', "");
        match parameter["in"].as_str() {
            Some("path") => {
                path = path.replace(&format!("{{{name}}}"), &text);
                in_path.push(name);
            }
            Some("query") => query.push(format!("{name}={text}")),
            other => panic!("{operation}: a parameter in {other:?}"),
        }
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    let schema = &entry["requestBody"]["content"]["application/json"]["schema"];
    let body = schema["$ref"].as_str().map(|name| {
        let schema = document.pointer(name.trim_start_matches('#')).unwrap();
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let fields = required.filter(|name| !in_path.contains(name)).map(|name| (name.to_owned(), value(name).clone()));
        Value::Object(fields.collect::<Map<_, _>>())
    });
    Asked { operation, method: method.to_uppercase().parse().unwrap(), path, body }
}
