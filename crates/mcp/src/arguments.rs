//! From the arguments of a tool call to the request of an operation: nothing is ignored, nothing is guessed.

use operations::Effect;
use serde_json::{Map, Value};

use crate::refusal::Refusal;
use crate::tools::{CONFIRM, CURSOR, KEY, Tool};

/// What a call says.
#[derive(Debug, PartialEq)]
pub(crate) struct Arguments {
    /// The fields of the operation's request, not decoded yet.
    pub(crate) request: Map<String, Value>,
    pub(crate) key: Option<String>,
    /// Where to go on in a plain list; its first item is 0.
    pub(crate) skip: usize,
}

/// Reads the arguments of `tool`.
pub(crate) fn read(tool: &Tool, mut given: Map<String, Value>) -> Result<Arguments, Refusal> {
    known(tool, &given)?;
    let key = text(&mut given, KEY)?;
    let confirmed = text(&mut given, CONFIRM)?;
    let skip = if tool.list && tool.reads_only() { cursor(&mut given)? } else { 0 };
    complete(tool, &given)?;
    confirm(tool, &given, confirmed.as_deref())?;
    Ok(Arguments { request: given, key, skip })
}

fn properties(tool: &Tool) -> Vec<&str> {
    let properties = tool.definition.input_schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

fn known(tool: &Tool, given: &Map<String, Value>) -> Result<(), Refusal> {
    let known = properties(tool);
    let unknown: Vec<&str> = given.keys().map(String::as_str).filter(|name| !known.contains(name)).collect();
    let Some(first) = unknown.first() else { return Ok(()) };
    let shown: Vec<String> = unknown.iter().take(5).map(|name| format!("`{}`", short(name))).collect();
    let hint = match domain::config::nearest(first, &known) {
        Some(near) => format!("Did you mean `{near}`? {}", takes(tool, &known)),
        None => takes(tool, &known),
    };
    let verb = if unknown.len() == 1 { "is not an argument" } else { "are not arguments" };
    Err(Refusal::arguments(format!("{} {verb} of `{}`", shown.join(", "), tool.name())).hint(hint))
}

fn takes(tool: &Tool, known: &[&str]) -> String {
    match known {
        [] => format!("`{}` takes no arguments", tool.name()),
        known => format!("`{}` takes {}", tool.name(), known.join(", ")),
    }
}

/// What the schema requires is there, `confirm` apart, which has an error of its own.
fn complete(tool: &Tool, given: &Map<String, Value>) -> Result<(), Refusal> {
    let required = tool.definition.input_schema.get("required").and_then(Value::as_array);
    let missing: Vec<String> = required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|name| *name != CONFIRM && !given.contains_key(*name))
        .map(|name| format!("`{name}`"))
        .collect();
    match missing.as_slice() {
        [] => Ok(()),
        [one] => Err(Refusal::arguments(format!("`{}` needs the argument {one}", tool.name()))),
        many => Err(Refusal::arguments(format!("`{}` needs the arguments {}", tool.name(), many.join(", ")))),
    }
}

/// What is destroyed must be named once more.
fn confirm(tool: &Tool, given: &Map<String, Value>, confirmed: Option<&str>) -> Result<(), Refusal> {
    if tool.effect != Effect::Destroy {
        return Ok(());
    }
    let part = |name: &&str| given.get(*name).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
    let target: Vec<String> = tool.target.iter().filter_map(part).collect();
    let target = target.join("/");
    if confirmed == Some(target.as_str()) {
        return Ok(());
    }
    let what = match confirmed {
        None => format!("`{}` destroys and can't be undone: it needs a confirmation", tool.name()),
        Some(other) => format!("the confirmation `{}` does not name what would be destroyed", short(other)),
    };
    Err(Refusal::new("confirmation_required", what)
        .hint(format!("Ask the person you work for; when they agree, call again with `confirm` set to `{target}`")))
}

/// Takes out a text; null is as good as absent.
fn text(given: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match given.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::arguments(format!("`{name}` must be a text"))),
    }
}

fn cursor(given: &mut Map<String, Value>) -> Result<usize, Refusal> {
    let Some(text) = text(given, CURSOR)? else { return Ok(0) };
    text.parse().map_err(|_| {
        Refusal::arguments("`cursor` is not one of this tool's")
            .hint("Use the `next` of the result before, or leave it out")
    })
}

/// Names are shown, not whole novels in the place of names.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tools;

    fn check(tool: &str, arguments: Value) -> Result<Arguments, Refusal> {
        let Value::Object(given) = arguments else { panic!("no object") };
        read(tools::named(tool).unwrap(), given)
    }

    #[test]
    fn what_is_unknown_is_named_with_what_is_near() {
        for (tool, arguments, expected, hint) in [
            ("apps_get", json!({ "ap": "x" }), "`ap` is not an argument of `apps_get`", "Did you mean `app`?"),
            ("apps_get", json!({ "app": "x", "verbose": true }), "`verbose` is not", "`apps_get` takes app"),
            ("server_info", json!({ "a": 1, "b": 2 }), "`a`, `b` are not arguments", "takes no arguments"),
            ("apps_get", json!({ "app": "x", "idempotency_key": "k" }), "`idempotency_key` is not", "takes app"),
            ("deployments_list", json!({ "confirm": "x" }), "`confirm` is not", "takes"),
            ("variables_set", json!({ "cursor": "3" }), "`cursor` is not", "takes app"),
        ] {
            let refusal = check(tool, arguments).unwrap_err();
            assert_eq!(refusal.code, "invalid_arguments");
            assert!(refusal.message.contains(expected), "{}", refusal.message);
            assert!(refusal.hint.as_deref().unwrap().contains(hint), "{:?}", refusal.hint);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let refusal = check("deploy_full", json!({})).unwrap_err();
        assert_eq!(refusal.message, "`deploy_full` needs the arguments `app`, `environment`");
        assert_eq!(check("apps_get", json!({})).unwrap_err().message, "`apps_get` needs the argument `app`");
    }

    #[test]
    fn what_is_destroyed_is_named_twice() {
        let staging = json!({ "app": "shop", "environment": "staging" });
        let with = |confirm: Value| {
            let mut arguments = staging.clone();
            arguments["confirm"] = confirm;
            check("environments_delete", arguments)
        };
        let refusal = check("environments_delete", staging.clone()).unwrap_err();
        assert_eq!(refusal.code, "confirmation_required");
        assert!(refusal.hint.unwrap().contains("`shop/staging`"));
        for wrong in [json!("shop"), json!("shop/production"), json!(""), json!("yes"), Value::Null] {
            assert_eq!(with(wrong.clone()).unwrap_err().code, "confirmation_required", "{wrong}");
        }
        assert_eq!(with(json!(true)).unwrap_err().code, "invalid_arguments");
        let read = with(json!("shop/staging")).unwrap();
        assert_eq!(Value::Object(read.request), staging);
    }

    #[test]
    fn keys_and_cursors_are_taken_out() {
        let read = check("apps_create", json!({ "name": "shop", "idempotency_key": "k-1" })).unwrap();
        assert_eq!((read.key.as_deref(), read.request.len()), (Some("k-1"), 1));
        assert_eq!(check("environments_list", json!({ "app": "a", "cursor": "7" })).unwrap().skip, 7);
        assert!(check("environments_list", json!({ "app": "a", "cursor": "x" })).is_err());
        // This one's cursor is the operation's own.
        let read = check("apps_list", json!({ "cursor": "shop" })).unwrap();
        assert_eq!(read.request["cursor"], "shop");
    }
}
