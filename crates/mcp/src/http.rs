//! Streamable HTTP, without sessions.
//!
//! Revision 2026-07-28 has none, and in the older ones they are optional: without them a restart of the server loses
//! nothing, and there is nothing to limit or to steal. A call that reports progress is answered by a stream of its own,
//! every other by plain JSON.

use std::sync::Arc;

use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
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
