//! The tools: one for each operation of the contract, and `deployments_wait`.

use std::sync::{Arc, OnceLock};

use operations::{Effect, Operation, deployments, path_parameters};
use rmcp::model::{Tool as Definition, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::{answer, schema, wait};

/// An operation's tool is called like the operation, with `_` for the dot: `apps.list` is `apps_list`. These few have
/// names that say more to somebody who does not know the others.
const NAMES: [(&str, &str); 4] = [
    ("deployments.deploy", "deploy_full"),
    ("deployments.rollback", "rollback"),
    ("promotions.promote", "deploy_cross_environment"),
    ("smoke_tests.run", "run_smoke_tests"),
];

/// Argument of every tool that changes something.
pub(crate) const KEY: &str = "idempotency_key";
/// Argument of every tool that destroys something.
pub(crate) const CONFIRM: &str = "confirm";
/// Argument of a tool that reads and whose operation answers with a plain list.
pub(crate) const CURSOR: &str = "cursor";

/// A tool, and what there is to know about it when it is called.
#[derive(Debug)]
pub struct Tool {
    /// What clients see.
    pub definition: Definition,
    /// What it carries out, [`deployments::Get`] again and again for `deployments_wait`.
    pub operation: &'static str,
    pub effect: Effect,
    pub(crate) action: Action,
    /// Fields of the request that name what the operation acts on.
    pub(crate) target: Vec<&'static str>,
    /// Fields of the request whose values are secrets.
    pub(crate) secrets: Vec<String>,
    /// Fields of the result with text from outside.
    pub(crate) untrusted: Vec<String>,
    /// The operation answers with a plain list, which a result can't be.
    pub(crate) list: bool,
    /// The request has a `limit`: what is too large can be asked for in smaller pages.
    pub(crate) paged: bool,
    /// Where to find what was left out of a result that would have been too large.
    pub(crate) read_on: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Call,
    Wait,
}

impl Tool {
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// May it be called in read-only mode?
    pub fn reads_only(&self) -> bool {
        self.effect == Effect::Read
    }
}

/// All tools, in the order of the API document: one for each operation that agents may be let do at all.
pub fn all() -> &'static [Tool] {
    static ALL: OnceLock<Vec<Tool>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut tools = Vec::new();
        macro_rules! describe_all {
            ($($operation:ty),* $(,)?) => { $(
                if <$operation>::PERMISSION.is_for_agents() {
                    tools.push(describe::<$operation>());
                }
            )* };
        }
        operations::for_each_operation!(describe_all);
        tools.push(waiting());
        tools
    })
}

/// The tool with this name.
pub fn named(name: &str) -> Option<&'static Tool> {
    all().iter().find(|tool| tool.name() == name)
}

/// The name of the tool of an operation.
pub fn name_of(operation: &str) -> String {
    match NAMES.iter().find(|(given, _)| *given == operation) {
        Some((_, name)) => (*name).to_owned(),
        None => operation.replace('.', "_"),
    }
}

/// The page of the documentation that lists the tools.
pub fn page() -> String {
    let mut page = "# Tools\n\nMade from the list of operations by `cargo xtask openapi`. The guide says \
        [how to connect an agent](guide.md#for-ai-agents).\n\n| tool | effect | arguments | does |\n|---|---|---|---|\n"
        .to_owned();
    for tool in all() {
        let effect = match tool.effect {
            Effect::Read => "reads",
            Effect::Write => "changes",
            Effect::Destroy => "destroys",
        };
        let summary = tool.definition.title.as_deref().unwrap_or_default();
        page.push_str(&format!("| `{}` | {effect} | {} | {summary} |\n", tool.name(), shown_arguments(tool)));
    }
    page.push_str(
        "\nArguments in parentheses may be left out. What changes something takes `idempotency_key` besides, what \
         destroys `confirm`, too.\n",
    );
    page
}

fn shown_arguments(tool: &Tool) -> String {
    let input = &tool.definition.input_schema;
    let required: Vec<&str> =
        input.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let names = input.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.as_str());
    let (needed, more): (Vec<&str>, Vec<&str>) =
        names.filter(|name| ![KEY, CONFIRM].contains(name)).partition(|name| required.contains(name));
    let more = (!more.is_empty()).then(|| format!("({})", more.join(", ")));
    needed.into_iter().map(str::to_owned).chain(more).collect::<Vec<_>>().join(", ")
}

// Once for each operation: inlined, all would be one function, over which the optimiser sits for minutes.
#[inline(never)]
fn describe<O: Operation>() -> Tool {
    let mut input = schema::input::<O::Request>();
    let mut output = schema::output::<O::Response>();
    let list = output.get("type") == Some(&json!("array"));
    if list {
        output = answer::as_items(output);
        // To change something again is no way to read on.
        if O::EFFECT == Effect::Read {
            property(&mut input, CURSOR, cursor_argument());
        }
    }
    if O::EFFECT != Effect::Read {
        property(&mut input, KEY, key_argument());
    }
    let target: Vec<&'static str> = path_parameters(O::PATH).collect();
    if O::EFFECT == Effect::Destroy {
        property(&mut input, CONFIRM, confirm_argument(&target));
        if let Some(required) = input.entry("required").or_insert_with(|| json!([])).as_array_mut() {
            required.push(json!(CONFIRM));
        }
    }
    let mut summary = O::SUMMARY.to_owned();
    // It is only recorded when the answer is sent.
    if O::STATUS == 202 {
        summary.push_str(
            ". Answers at once; the deployment goes on by itself. Follow it by its id with `deployments_wait`",
        );
    }
    let paged = field_of(&input, "limit");
    let definition = Definition::new(name_of(O::NAME), summary, Map::new());
    finish(
        Tool {
            definition: definition.with_title(O::SUMMARY),
            operation: O::NAME,
            effect: O::EFFECT,
            action: Action::Call,
            target,
            secrets: Vec::new(),
            untrusted: Vec::new(),
            list,
            paged,
            read_on: read_on::<O>(paged),
        },
        input,
        output,
    )
}

fn read_on<O: Operation>(paged: bool) -> String {
    let whole = format!("`{} {}` of the server's HTTP API has it in full", O::METHOD.as_str(), O::PATH);
    match (O::EFFECT, paged) {
        (Effect::Read, true) => {
            format!(
                "Ask for fewer with `limit`, and go on with the cursor. An item that is too large by itself: {whole}"
            )
        }
        (Effect::Read, false) => whole,
        (Effect::Write | Effect::Destroy, _) => {
            "It is done. Don't do it again to see the rest: the tools that only read have it".to_owned()
        }
    }
}

fn waiting() -> Tool {
    let summary = "Wait for the end of a deployment, some seconds at most: an answer with `ended: false` is the state so \
        far, call again. To stop waiting never stops the deployment; `deployments_cancel` does";
    finish(
        Tool {
            definition: Definition::new(wait::NAME, summary, Map::new()).with_title("Wait for a deployment"),
            operation: deployments::Get::NAME,
            effect: Effect::Read,
            action: Action::Wait,
            target: vec!["deployment"],
            secrets: Vec::new(),
            untrusted: Vec::new(),
            list: false,
            paged: false,
            read_on: read_on::<deployments::Get>(false),
        },
        schema::input::<wait::Request>(),
        schema::output::<wait::Waited>(),
    )
}

/// Puts the schemas into the definition, with what every tool's has.
fn finish(mut tool: Tool, input: Map<String, Value>, mut output: Map<String, Value>) -> Tool {
    tool.secrets = operations::secrets::paths(&input);
    tool.untrusted = schema::take_untrusted(&mut output);
    if tool.untrusted.iter().any(|path| path.ends_with("failure.output[]")) {
        tool.read_on.insert_str(0, "`deployments_output` has all that was printed. ");
    }
    answer::describe_additions(&mut output, &tool.untrusted);
    tool.definition.input_schema = Arc::new(input);
    tool.definition = tool.definition.with_raw_output_schema(Arc::new(output)).annotate(annotations(tool.effect));
    tool
}

/// From the effect alone.
fn annotations(effect: Effect) -> ToolAnnotations {
    let (read_only, destructive, idempotent, open_world) = match effect {
        // A look: sources are fetched for some, and what is seen was written by others.
        Effect::Read => (true, false, true, true),
        // Adds something each time, unless an idempotency key says that it is the same; builds run foreign code.
        Effect::Write => (false, false, false, true),
        // What is gone stays gone; nothing outside is touched.
        Effect::Destroy => (false, true, true, false),
    };
    ToolAnnotations::from_raw(None, Some(read_only), Some(destructive), Some(idempotent), Some(open_world))
}

fn key_argument() -> Value {
    json!({
        "description": "A word of yours for this one change, such as a UUID. Repeat a call whose answer was lost with \
            the same word: it is done once.",
        "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$",
    })
}

fn confirm_argument(target: &[&str]) -> Value {
    let shown: Vec<_> = target.iter().map(|name| format!("<{name}>")).collect();
    json!({
        "description": format!(
            "This can't be undone. Ask the person you work for, then write `{}` here.", shown.join("/")
        ),
        "type": "string",
    })
}

fn cursor_argument() -> Value {
    json!({ "description": "Continue after this result's `next`.", "type": ["string", "null"], "default": null })
}

fn property(schema: &mut Map<String, Value>, name: &str, argument: Value) {
    if let Some(properties) = schema.entry("properties").or_insert_with(|| json!({})).as_object_mut() {
        properties.insert(name.to_owned(), argument);
    }
}

fn field_of(schema: &Map<String, Value>, name: &str) -> bool {
    schema.get("properties").and_then(Value::as_object).is_some_and(|fields| fields.contains_key(name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_is_a_tool_and_no_name_is_there_twice() {
        let names: BTreeSet<&str> = all().iter().map(Tool::name).collect();
        assert_eq!(names.len(), all().len());
        let operations: BTreeSet<&str> = all().iter().map(|tool| tool.operation).collect();
        assert!(NAMES.iter().all(|(operation, _)| operations.contains(operation)), "{operations:?}");
        for expected in ["deploy_full", "rollback", "deployments_wait", "deployments_cancel", "logs_read"] {
            assert!(names.contains(expected), "{expected}: {names:?}");
        }
        for name in &names {
            assert!(name.len() <= 64 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert_eq!(named(name).unwrap().name(), *name);
        }
    }

    #[test]
    fn schemas_stand_alone_and_arguments_of_ours_hide_none_of_the_operations() {
        for tool in all() {
            let input = Value::Object((*tool.definition.input_schema).clone());
            let output = Value::Object((**tool.definition.output_schema.as_ref().unwrap()).clone());
            for schema in [&input, &output] {
                assert_eq!(schema["type"], "object", "{}", tool.name());
                assert!(!schema.to_string().contains("$ref"), "{}: {schema}", tool.name());
            }
            assert_eq!(input["additionalProperties"], false);
            for (name, argument) in input["properties"].as_object().unwrap() {
                assert!(argument["description"].is_string(), "{}: `{name}` has no description", tool.name());
            }
            let has = |name: &str| input["properties"].get(name).is_some();
            assert_eq!(has(KEY), tool.effect != Effect::Read, "{}", tool.name());
            assert_eq!(has(CONFIRM), tool.effect == Effect::Destroy, "{}", tool.name());
            assert!(tool.effect != Effect::Destroy || !tool.target.is_empty(), "{}", tool.name());
        }
        macro_rules! no_field_of_ours {
            ($($operation:ty),* $(,)?) => { $(
                let input = schema::input::<<$operation as Operation>::Request>();
                assert!(!field_of(&input, KEY) && !field_of(&input, CONFIRM), "{}", <$operation>::NAME);
                let output = schema::output::<<$operation as Operation>::Response>();
                for added in [answer::UNTRUSTED, answer::CUT, answer::READ_ON] {
                    assert!(!field_of(&output, added), "{} has a `{added}` of its own", <$operation>::NAME);
                }
            )* };
        }
        operations::for_each_operation!(no_field_of_ours);
    }

    #[test]
    fn annotations_follow_the_effect() {
        for tool in all() {
            let annotations = tool.definition.annotations.as_ref().unwrap();
            assert_eq!(annotations.read_only_hint, Some(tool.effect == Effect::Read));
            assert_eq!(annotations.destructive_hint, Some(tool.effect == Effect::Destroy));
        }
    }
}
