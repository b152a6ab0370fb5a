//! What the suite expects by name, as JSON.

use serde_json::{Value, json};

/// A picture of one red pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// A sound without a sample.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

pub(crate) fn capabilities() -> Value {
    json!({ "tools": {}, "prompts": {}, "resources": {}, "completions": {}, "logging": {} })
}

/// Names of the tools, beside those of [`rounds`](crate::rounds).
pub(crate) const TOOLS: [&str; 18] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_error_handling",
    "test_tool_with_logging",
    "test_tool_with_progress",
    "test_logging_tool",
    "test_missing_capability",
    "test_streaming_elicitation",
    "test_sampling",
    "test_elicitation",
    "test_elicitation_sep1034_defaults",
    "test_elicitation_sep1330_enums",
    "test_reconnection",
    SCHEMA,
    HEADER,
];

/// Has a schema of all that the standard allows.
const SCHEMA: &str = "json_schema_2020_12_tool";
/// Has an argument that clients also send as a header.
const HEADER: &str = "test_custom_header";

pub(crate) fn tool(name: &str) -> Value {
    let schema = match name {
        SCHEMA => json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$defs": { "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
            } },
            "type": "object",
            "properties": {
                "name": { "type": "string" },
                "address": { "$ref": "#/$defs/address" },
                "contactMethod": { "type": "string", "enum": ["phone", "email"] },
                "phone": { "type": "string" },
                "email": { "type": "string" },
            },
            "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
            "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
            "then": { "required": ["phone"] },
            "else": { "required": ["email"] },
            "additionalProperties": false,
        }),
        HEADER => json!({
            "type": "object",
            "properties": { "region": { "type": "string", "x-mcp-header": "Region" } },
            "required": ["region"],
        }),
        _ => json!({ "type": "object", "properties": {
            "prompt": { "type": "string" }, "message": { "type": "string" },
        } }),
    };
    json!({ "name": name, "description": format!("Does what the suite expects of {name}"), "inputSchema": schema })
}

pub(crate) fn text(text: &str) -> Value {
    json!({ "resultType": "complete", "content": [{ "type": "text", "text": text }] })
}

/// The result of a tool that always answers the same.
pub(crate) fn fixed(tool: &str) -> Option<Value> {
    let image = json!({ "type": "image", "data": PNG, "mimeType": "image/png" });
    let resource = |uri: &str, kind: &str, text: &str| json!({ "type": "resource", "resource": { "uri": uri, "mimeType": kind, "text": text } });
    let content = match tool {
        SCHEMA | HEADER => json!([{ "type": "text", "text": "called" }]),
        "test_simple_text" => json!([{ "type": "text", "text": "This is a simple text response for testing." }]),
        "test_image_content" => json!([image]),
        "test_audio_content" => json!([{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }]),
        "test_embedded_resource" => {
            json!([resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")])
        }
        "test_multiple_content_types" => json!([
            { "type": "text", "text": "Multiple content types test:" },
            image,
            resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ]),
        "test_error_handling" => {
            let mut result = text("This tool intentionally returns an error for testing");
            result["isError"] = json!(true);
            return Some(result);
        }
        // These would ask the client something in the middle of a call, for which the older revisions need a session.
        "test_sampling"
        | "test_elicitation"
        | "test_elicitation_sep1034_defaults"
        | "test_elicitation_sep1330_enums"
        | "test_reconnection" => {
            let mut result = text("there are no sessions here, so nothing can be asked of the client");
            result["isError"] = json!(true);
            return Some(result);
        }
        _ => return None,
    };
    Some(json!({ "resultType": "complete", "content": content }))
}

pub(crate) fn prompts() -> Value {
    let argument = |name: &str| json!({ "name": name, "description": format!("Argument {name}"), "required": true });
    let prompt = |name: &str, arguments: Value| json!({ "name": name, "description": format!("The prompt {name}"), "arguments": arguments });
    json!({ "resultType": "complete", "prompts": [
        prompt("test_simple_prompt", json!([])),
        prompt("test_prompt_with_arguments", json!([argument("arg1"), argument("arg2")])),
        prompt("test_prompt_with_embedded_resource", json!([argument("resourceUri")])),
        prompt("test_prompt_with_image", json!([])),
        prompt(crate::rounds::PROMPT, json!([])),
    ] })
}

/// The messages of a prompt with these arguments.
pub(crate) fn prompt(name: &str, arguments: &Value) -> Option<Value> {
    let user = |content: Value| json!({ "role": "user", "content": content });
    let say = |text: String| user(json!({ "type": "text", "text": text }));
    let given = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
    let messages = match name {
        "test_simple_prompt" => json!([say("This is a simple prompt for testing.".to_owned())]),
        "test_prompt_with_arguments" => {
            json!([say(format!("Prompt with arguments: arg1='{}', arg2='{}'", given("arg1"), given("arg2")))])
        }
        "test_prompt_with_embedded_resource" => json!([
            user(json!({ "type": "resource", "resource": {
                "uri": given("resourceUri"), "mimeType": "text/plain",
                "text": "Embedded resource content for testing.",
            } })),
            say("Please process the embedded resource above.".to_owned()),
        ]),
        "test_prompt_with_image" => json!([
            user(json!({ "type": "image", "data": PNG, "mimeType": "image/png" })),
            say("Please analyze the image above.".to_owned()),
        ]),
        _ => return None,
    };
    Some(json!({ "resultType": "complete", "messages": messages }))
}

pub(crate) fn resources() -> Value {
    let resource = |uri: &str, kind: &str| json!({ "uri": uri, "name": uri, "description": format!("The resource {uri}"), "mimeType": kind });
    json!({ "resultType": "complete", "resources": [
        resource("test://static-text", "text/plain"),
        resource("test://static-binary", "image/png"),
        resource("test://watched-resource", "text/plain"),
    ] })
}

pub(crate) fn templates() -> Value {
    json!({ "resultType": "complete", "resourceTemplates": [{
        "uriTemplate": "test://template/{id}/data", "name": "template", "description": "Data by id",
        "mimeType": "application/json",
    }] })
}

pub(crate) fn resource(uri: &str) -> Option<Value> {
    let content = match uri {
        "test://static-text" => {
            json!({ "uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource." })
        }
        "test://watched-resource" => json!({ "uri": uri, "mimeType": "text/plain", "text": "Watched" }),
        "test://static-binary" => json!({ "uri": uri, "mimeType": "image/png", "blob": PNG }),
        _ => {
            let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
            let text = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            json!({ "uri": uri, "mimeType": "application/json", "text": text.to_string() })
        }
    };
    Some(json!({ "resultType": "complete", "contents": [content] }))
}
