//! Streamable HTTP, without sessions.
//!
//! Revision 2026-07-28 has none, and in the older ones they are optional: without them a restart of the server loses
//! nothing, and there is nothing to limit or to steal. A call that reports progress is answered by a stream of its own,
//! every other by plain JSON.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::de::IgnoredAny;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::Hosts;

/// Where the door is.
pub const PATH: &str = "/mcp";
/// The largest request, in bytes: the largest value of a variable fits many times.
pub const MAX_BODY: usize = 2 * 1024 * 1024;

/// Answers HTTP requests of any kind with what the protocol says.
pub type Service<H> = StreamableHttpService<H, NeverSessionManager>;

/// The door of `handler` for requests that name one of `hosts`; its streams end when `closing` is cancelled.
pub fn service<H>(handler: H, hosts: &Hosts, closing: CancellationToken) -> Service<H>
where
    H: ServerHandler + Clone + Send + Sync + 'static,
{
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_allowed_hosts(hosts.names())
        .with_allowed_origins(hosts.origins())
        .enforce_origin_validation()
        .with_max_request_body_bytes(MAX_BODY)
        .with_cancellation_token(closing);
    StreamableHttpService::new(move || Ok(handler.clone()), Arc::new(NeverSessionManager::default()), config)
}

/// Body of an answer; a stream when progress is told.
pub type Body = BoxBody<Bytes, std::convert::Infallible>;

/// Answers one request whose body has arrived. What the library refuses before it knows the protocol's message (host,
/// origin, headers) is plain text.
pub async fn answer<H>(service: &Service<H>, request: Request<Bytes>) -> Response<Body>
where
    H: ServerHandler + Clone + Send + Sync + 'static,
{
    let (mut parts, bytes) = request.into_parts();
    // It was said of the body that has been read.
    parts.headers.remove(CONTENT_LENGTH);
    let json_came = parts.method == Method::POST && is_json(&parts.headers);
    let broken = serde_json::from_slice::<IgnoredAny>(&bytes).err().map(|error| error.to_string());
    let response = service.handle(Request::from_parts(parts, Full::new(bytes))).await;
    // The library takes a message that it can't read for one in another format.
    let unread = json_came && response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE;
    match (unread, broken) {
        (true, Some(why)) => unreadable(-32700, &format!("Parse error: {why}")),
        (true, None) => unreadable(-32600, "Invalid request: this is JSON, but no message of the protocol"),
        (false, _) => response,
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// The protocol's own error for what has no id that one could read.
fn unreadable(code: i32, message: &str) -> Response<Body> {
    let error = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": code, "message": message } });
    let mut response = Response::new(Full::new(Bytes::from(error.to_string())).boxed());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
