//! The document says what it must, and is a valid one.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use operations::path_parameters;
use operations::sign_in::JWT;

use super::*;
use crate::{auth, guard};

const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

/// What is wrong with a document, by the rules of OpenAPI that a generator can break.
fn faults(document: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    references(document, document, &mut faults);
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, entry) in item.as_object().unwrap() {
            let at = format!("{method} {path}");
            if !METHODS.contains(&method.as_str()) {
                faults.push(format!("{at}: no such method"));
            }
            if !ids.insert(entry["operationId"].as_str().unwrap_or_default()) {
                faults.push(format!("{at}: operationId missing or there twice"));
            }
            let tags = document["tags"].as_array().unwrap();
            if !entry["tags"].as_array().unwrap().iter().all(|tag| tags.iter().any(|known| known["name"] == *tag)) {
                faults.push(format!("{at}: unknown tag"));
            }
            let mut declared = BTreeSet::new();
            for parameter in entry["parameters"].as_array().into_iter().flatten() {
                let parameter = resolve(document, parameter);
                let (name, place) = (parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap());
                if !declared.insert((place, name)) {
                    faults.push(format!("{at}: parameter `{name}` is there twice"));
                }
                if parameter["schema"].is_null() || (place == "path" && parameter["required"] != true) {
                    faults.push(format!("{at}: parameter `{name}` lacks a schema or is not required"));
                }
            }
            let in_path: BTreeSet<_> = path_parameters(path).map(|name| ("path", name)).collect();
            if in_path != declared.iter().filter(|(place, _)| *place == "path").copied().collect() {
                faults.push(format!("{at}: its path has other parameters than it declares"));
            }
            let responses = entry["responses"].as_object().unwrap();
            let good =
                |status: &&String| status.parse().is_ok_and(|code: u16| (200..300).contains(&code) || code == 303);
            let refused = |status: &&String| status.parse().is_ok_and(|code: u16| (400..600).contains(&code));
            for status in responses.keys().filter(|status| *status != "default" && !good(status) && !refused(status)) {
                faults.push(format!("{at}: response `{status}`"));
            }
            if responses.keys().filter(good).count() != 1
                || !responses.contains_key("default")
                || responses.values().any(|r| resolve(document, r)["description"].as_str().is_none())
            {
                faults.push(format!("{at}: it must describe one success and the problem"));
            }
            for (status, _) in responses.iter().filter(|(status, _)| refused(status)) {
                let problem = &resolve(document, &responses[status])["content"][problem::CONTENT]["schema"]["$ref"];
                if problem != "#/components/schemas/Problem" {
                    faults.push(format!("{at}: `{status}` is no problem document"));
                }
            }
        }
    }
    faults
}

fn references(document: &Value, value: &Value, faults: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(target)) = fields.get("$ref")
                && target.strip_prefix('#').and_then(|pointer| document.pointer(pointer)).is_none()
            {
                faults.push(format!("nothing is at {target}"));
            }
            fields.values().for_each(|value| references(document, value, faults));
        }
        Value::Array(items) => items.iter().for_each(|value| references(document, value, faults)),
        _ => {}
    }
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target = value.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
    target.map_or(value, |pointer| document.pointer(pointer).unwrap())
}

#[test]
fn the_document_is_valid() {
    assert_eq!(faults(&document()), Vec::<String>::new());
}

#[test]
fn the_check_finds_what_it_looks_for() {
    type Damage = fn(&mut Value);
    let broken: [(&str, Damage); 8] = [
        ("nothing is at", |d| {
            d["components"]["schemas"]["Problem"] = json!({ "$ref": "#/components/schemas/Nothing" })
        }),
        ("operationId", |d| d["paths"]["/api/v1/apps"]["get"]["operationId"] = json!("apps.create")),
        ("other parameters", |d| d["paths"]["/api/v1/apps/{app}"]["get"]["parameters"] = json!([])),
        ("is there twice", |d| {
            let first = d["paths"]["/api/v1/apps"]["get"]["parameters"][0].clone();
            d["paths"]["/api/v1/apps"]["get"]["parameters"].as_array_mut().unwrap().push(first);
        }),
        ("unknown tag", |d| d["tags"] = json!([])),
        ("one success", |d| {
            _ = d["paths"]["/api/v1/apps"]["get"]["responses"].as_object_mut().unwrap().remove("default")
        }),
        ("response `302`", |d| d["paths"][JWT]["post"]["responses"]["302"] = json!({ "description": "" })),
        ("no problem document", |d| d["paths"][JWT]["post"]["responses"]["401"]["content"] = json!({})),
    ];
    for (expected, damage) in broken {
        let mut document = document();
        damage(&mut document);
        let found = faults(&document);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{expected}: {found:?}");
    }
}

#[test]
fn it_is_the_same_each_time_and_sorted() {
    let text = document().to_string();
    assert_eq!(text, document().to_string());
    fn check(value: &Value) {
        match value {
            Value::Object(fields) => {
                assert!(fields.keys().is_sorted());
                fields.values().for_each(check);
            }
            Value::Array(items) => items.iter().for_each(check),
            _ => {}
        }
    }
    check(&document());
}

#[test]
fn every_operation_is_described() {
    let document = document();
    let mut count = 0;
    macro_rules! check_all {
        ($($operation:ty),* $(,)?) => { $( count += 1; described::<$operation>(&document); )* };
    }
    operations::for_each_operation!(check_all);
    let entries: usize =
        document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
    assert_eq!(entries, count + 4 + 2 + 1 + 3 + 11, "operations, streams, files, content, pages, ways in and out");
}

#[test]
fn what_is_open_is_said_to_be() {
    let document = document();
    let mut open = BTreeSet::from(["/openapi.json"]);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, entry) in item.as_object().unwrap() {
            if entry["security"] == json!([]) {
                open.insert(path);
            }
            if auth::is_way_in(path) {
                assert_eq!(auth::takes_post(path), method == "post", "{path}");
                assert_eq!(entry["responses"]["429"]["$ref"], "#/components/responses/Wait", "{path}");
            }
        }
    }
    assert_eq!(open, BTreeSet::from(guard::PUBLIC));
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    let alternatives = document["security"].as_array().unwrap().iter().flat_map(|all| all.as_object().unwrap().keys());
    assert!(alternatives.eq(["token", "page", "session"]) && schemes.len() == 3, "{schemes:?}");
}

/// What is only sent must be in no answer, however deep.
fn write_only<'a>(document: &'a Value, value: &'a Value, seen: &mut BTreeSet<&'a str>) -> bool {
    match value {
        Value::Object(fields) => {
            let target = fields.get("$ref").and_then(Value::as_str);
            let there = target.filter(|target| seen.insert(target)).map(|_| resolve(document, value));
            fields.get("writeOnly") == Some(&json!(true))
                || there.into_iter().chain(fields.values()).any(|value| write_only(document, value, seen))
        }
        Value::Array(items) => items.iter().any(|value| write_only(document, value, seen)),
        _ => false,
    }
}

#[test]
fn what_is_only_sent_is_in_no_answer() {
    let document = document();
    let mut sent = 0;
    for entry in document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values()) {
        assert!(!write_only(&document, &entry["responses"], &mut BTreeSet::new()), "{}", entry["operationId"]);
        sent += usize::from(write_only(&document, &entry["requestBody"], &mut BTreeSet::new()));
    }
    assert!(sent > 5, "{sent} requests have something secret in them");
}

fn described<O: Operation>(document: &Value) {
    let entry = &document["paths"][O::PATH][O::METHOD.as_str().to_lowercase()];
    assert_eq!(entry["operationId"], O::NAME);
    assert_eq!(entry["summary"], O::SUMMARY);
    assert!(entry["responses"][O::STATUS.to_string()].is_object(), "{}", O::NAME);
    let parameters = entry["parameters"].to_string();
    assert_eq!(parameters.contains("IdempotencyKey"), O::EFFECT != Effect::Read, "{}", O::NAME);
    assert_eq!(
        parameters.contains("\"in\":\"query\""),
        parameters.contains("query") && !O::METHOD.has_body(),
        "{}",
        O::NAME
    );
    assert!(!parameters.contains("null"), "{}: {parameters}", O::NAME);
    // A path parameter joins a JSON body as a string: see `decode`.
    if O::METHOD.has_body() {
        for parameter in entry["parameters"].as_array().unwrap().iter().filter(|p| p["in"] == "path") {
            let schema = resolve(document, &parameter["schema"]);
            let either = schema["anyOf"].as_array().map_or(std::slice::from_ref(schema), Vec::as_slice);
            assert!(either.iter().all(|schema| schema["type"] == "string"), "{}: {schema}", O::NAME);
        }
    }
}

#[test]
fn names_of_schemas_are_fit_for_generated_clients() {
    let document = document();
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{name}");
        // `schemars` numbers types that share a name: give one of them another name.
        assert!(!name.ends_with(|c: char| c.is_ascii_digit()), "{name}");
    }
}

#[test]
fn streams_name_their_messages() {
    let document = document();
    for (path, message) in [(stream::EVENTS, "Event"), (stream::OUTPUT, "LogLine"), (stream::LOGS, "LogLine")] {
        let content = &document["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"];
        assert_eq!(content["x-plimsoll-message"]["$ref"], format!("#/components/schemas/{message}"));
    }
    let topics = &document["paths"][stream::TOPICS]["get"]["responses"]["200"]["content"]["text/event-stream"];
    let messages = &topics["x-plimsoll-messages"];
    for (name, message) in [("open", "Open"), ("events", "Event"), ("dep", "OutputBatch"), ("env", "LogsBatch")] {
        assert_eq!(messages[name]["$ref"], format!("#/components/schemas/{message}"));
    }
}
