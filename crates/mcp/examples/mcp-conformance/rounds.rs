//! Tools that need input from the client: they answer with what they need, and are called again with it. Nothing is kept
//! between the rounds but a state that the client carries, sealed so that it can't change it.

use rmcp::ErrorData;
use rmcp::model::ClientCapabilities;
use serde_json::{Map, Value, json};

pub(crate) const PROMPT: &str = "test_input_required_result_prompt";

pub(crate) const TOOLS: [&str; 8] = [
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_input_required_result_request_state",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_multi_round",
    "test_input_required_result_tampered_state",
    "test_input_required_result_capabilities",
];

/// What comes of one round.
pub(crate) enum Round {
    /// Ask for these, and hand over this state.
    Needs(Value, Option<String>),
    /// The end; a text for the result.
    Done(String),
}

/// What the client sends along.
pub(crate) struct Given<'a> {
    pub(crate) responses: &'a Value,
    pub(crate) state: Option<&'a str>,
    pub(crate) capabilities: Option<ClientCapabilities>,
}

/// One round of a tool, or of [`PROMPT`].
pub(crate) fn round(name: &str, given: &Given<'_>) -> Result<Round, ErrorData> {
    let state = given.state.map(opened).transpose()?;
    Ok(match name {
        "test_input_required_result_elicitation" | PROMPT => one("user_name", ask_name(), None, given),
        "test_input_required_result_sampling" => {
            one("capital_question", sample("What is the capital of France?", 100), None, given)
        }
        "test_input_required_result_list_roots" => one("client_roots", roots(), None, given),
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            match one("confirm", ask("Please confirm", "ok", "boolean"), Some(sealed("first")), given) {
                Round::Done(_) if state.as_deref() == Some("first") => Round::Done("state-ok".to_owned()),
                Round::Done(_) => return Err(ErrorData::invalid_params("the requestState is missing", None)),
                needs => needs,
            }
        }
        "test_input_required_result_multiple_inputs" => {
            let needs = json!({
                "user_name": ask_name(),
                "greeting": sample("Generate a greeting", 50),
                "client_roots": roots(),
            });
            all(needs, Some(sealed("inputs")), given)
        }
        "test_input_required_result_multi_round" => {
            let second = ask("Step 2: What is your favorite color?", "color", "string");
            match state.as_deref() {
                Some("step 2") => one("step2", second, Some(sealed("step 2")), given),
                _ => match one(
                    "step1",
                    ask("Step 1: What is your name?", "name", "string"),
                    Some(sealed("step 1")),
                    given,
                ) {
                    Round::Done(_) => Round::Needs(json!({ "step2": second }), Some(sealed("step 2"))),
                    needs => needs,
                },
            }
        }
        "test_input_required_result_capabilities" => {
            let declared = serde_json::to_value(&given.capabilities).unwrap_or_default();
            let mut needs = Map::new();
            if declared.get("sampling").is_some_and(|value| !value.is_null()) {
                needs.insert("question".to_owned(), sample("Anything", 10));
            }
            if declared.get("elicitation").is_some_and(|value| !value.is_null()) {
                needs.insert("user_name".to_owned(), ask_name());
            }
            all(Value::Object(needs), None, given)
        }
        other => return Err(ErrorData::invalid_params(format!("Unknown tool: {other}"), None)),
    })
}

fn one(key: &str, need: Value, state: Option<String>, given: &Given<'_>) -> Round {
    all(json!({ key: need }), state, given)
}

/// Done when there is an answer to each need, and it is one: an object. What else was sent is ignored.
fn all(needs: Value, state: Option<String>, given: &Given<'_>) -> Round {
    let answered = needs.as_object().is_some_and(|needs| needs.keys().all(|key| given.responses[key].is_object()));
    if answered { Round::Done(format!("answered: {}", given.responses)) } else { Round::Needs(needs, state) }
}

fn ask_name() -> Value {
    ask("What is your name?", "name", "string")
}

fn ask(message: &str, field: &str, kind: &str) -> Value {
    let schema = json!({ "type": "object", "properties": { field: { "type": kind } }, "required": [field] });
    json!({ "method": "elicitation/create", "params": { "mode": "form", "message": message, "requestedSchema": schema } })
}

fn sample(question: &str, tokens: u32) -> Value {
    let messages = json!([{ "role": "user", "content": { "type": "text", "text": question } }]);
    json!({ "method": "sampling/createMessage", "params": { "messages": messages, "maxTokens": tokens } })
}

fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

/// A state with a code that only this process can make.
fn sealed(state: &str) -> String {
    format!("{state}.{}", code(state))
}

fn opened(sealed: &str) -> Result<String, ErrorData> {
    let (state, given) = sealed.rsplit_once('.').unwrap_or_default();
    // The hash compares itself in constant time.
    match blake3::Hash::from_hex(given) {
        Ok(given) if given == code(state) => Ok(state.to_owned()),
        _ => Err(ErrorData::invalid_params("the requestState was changed", None)),
    }
}

fn code(state: &str) -> blake3::Hash {
    static KEY: std::sync::LazyLock<[u8; 32]> = std::sync::LazyLock::new(rand::random);
    blake3::keyed_hash(&KEY, state.as_bytes())
}
