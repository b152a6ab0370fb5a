//! The handler: the door, and before it what the suite asks for. Results pass the gate as those of the door do.

use std::time::Duration;

use mcp::{Door, Gate};
use rmcp::model::*;
use rmcp::service::{RequestContext, RoleServer};
use rmcp::{ErrorData, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::rounds::{Given, Round};
use crate::{fixtures, rounds};

type Context = RequestContext<RoleServer>;

#[derive(Clone)]
pub(crate) struct Target {
    door: Door,
}

impl Target {
    pub(crate) fn new(door: Door) -> Self {
        Self { door }
    }
}

/// A type of the library from JSON, through the gate.
fn out<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(Gate::default().value(value))
        .map_err(|error| ErrorData::internal_error(format!("a fixture is wrong: {error}"), None))
}

fn input_required(needs: Value, state: Option<String>) -> Result<InputRequiredResult, ErrorData> {
    let mut result = json!({ "resultType": "input_required", "inputRequests": needs });
    if let Some(state) = state {
        result["requestState"] = json!(state);
    }
    out(result)
}

fn is_modern(context: &Context) -> bool {
    context.protocol_version().is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

async fn log(context: &Context, message: &str) {
    // From 2026-07-28 on only a request that names a level wants to hear.
    if is_modern(context) && context.meta.get("io.modelcontextprotocol/logLevel").is_none() {
        return;
    }
    #[allow(deprecated)]
    let _ = context
        .peer
        .notify_logging_message(LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(message)))
        .await;
}

async fn progress(context: &Context, now: f64) {
    if let Some(token) = context.meta.get_progress_token() {
        let told = ProgressNotificationParam::new(token, now).with_total(100.0);
        let _ = context.peer.notify_progress(told).await;
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[allow(deprecated)]
impl ServerHandler for Target {
    fn get_info(&self) -> ServerConfig {
        let mut info = self.door.get_info();
        info.capabilities = out(fixtures::capabilities()).unwrap();
        info
    }

    async fn list_tools(
        &self,
        page: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut found = self.door.list_tools(page, context).await?;
        for name in fixtures::TOOLS.iter().chain(&rounds::TOOLS) {
            found.tools.push(out(fixtures::tool(name))?);
        }
        Ok(found)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let ours = fixtures::TOOLS.contains(&name).then(|| out(fixtures::tool(name)).unwrap());
        ours.or_else(|| self.door.get_tool(name))
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.to_string();
        if rounds::TOOLS.contains(&name.as_str()) {
            let responses = serde_json::to_value(&request.input_responses).unwrap_or_default();
            let state = request.request_state.as_deref();
            let given = Given { responses: &responses, state, capabilities: context.client_capabilities() };
            return Ok(match rounds::round(&name, &given)? {
                Round::Needs(needs, state) => input_required(needs, state)?.into(),
                Round::Done(text) => out::<CallToolResult>(fixtures::text(&text))?.into(),
            });
        }
        if let Some(result) = fixtures::fixed(&name) {
            return Ok(out::<CallToolResult>(result)?.into());
        }
        let text = match name.as_str() {
            "test_tool_with_logging" | "test_logging_tool" => {
                log(&context, "Tool execution started").await;
                pause().await;
                log(&context, "Tool processing data").await;
                pause().await;
                log(&context, "Tool execution completed").await;
                "logged"
            }
            "test_tool_with_progress" | "test_streaming_elicitation" => {
                for now in [0.0, 50.0, 100.0] {
                    progress(&context, now).await;
                    pause().await;
                }
                "progressed"
            }
            "test_missing_capability" => {
                let required: ClientCapabilities = out(json!({ "sampling": {} }))?;
                let declared = context.client_capabilities().is_some_and(|declared| declared.sampling.is_some());
                if !declared {
                    return Err(ErrorData::missing_required_client_capability(required));
                }
                "sampling is there"
            }
            _ => return self.door.call_tool(request, context).await,
        };
        Ok(out::<CallToolResult>(fixtures::text(text))?.into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        out(fixtures::prompts())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        if request.name == rounds::PROMPT {
            let responses = serde_json::to_value(&request.input_responses).unwrap_or_default();
            let state = request.request_state.as_deref();
            let given = Given { responses: &responses, state, capabilities: context.client_capabilities() };
            return Ok(match rounds::round(&request.name, &given)? {
                Round::Needs(needs, state) => input_required(needs, state)?.into(),
                Round::Done(text) => {
                    let message = json!({ "role": "user", "content": { "type": "text", "text": text } });
                    out::<GetPromptResult>(json!({ "resultType": "complete", "messages": [message] }))?.into()
                }
            });
        }
        let arguments = request.arguments.map(Value::Object).unwrap_or_default();
        match fixtures::prompt(&request.name, &arguments) {
            Some(prompt) => Ok(out::<GetPromptResult>(prompt)?.into()),
            None => Err(ErrorData::invalid_params(format!("Unknown prompt: {}", request.name), None)),
        }
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        out(fixtures::resources())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        out(fixtures::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        match fixtures::resource(&request.uri) {
            Some(found) => Ok(out::<ReadResourceResult>(found)?.into()),
            None => Err(ErrorData::resource_not_found("Resource not found", Some(json!({ "uri": request.uri })))),
        }
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn complete(&self, request: CompleteRequestParams, _: Context) -> Result<CompleteResult, ErrorData> {
        let typed = request.argument.value;
        let values: Vec<&str> =
            ["paris", "park", "party"].into_iter().filter(|word| word.starts_with(&typed)).collect();
        out(
            json!({ "resultType": "complete", "completion": { "total": values.len(), "values": values, "hasMore": false } }),
        )
    }
}
