//! Standard input and output: one JSON message a line.

use rmcp::ServerHandler;
use rmcp::service::{ServerInitializeError, serve_server};

/// Serves until the client closes our standard input.
///
/// # Errors
///
/// What went wrong with the client, in words: it did not speak the protocol, or its pipes broke.
pub async fn serve<H>(handler: H) -> Result<(), String>
where
    H: ServerHandler + Send + Sync + 'static,
{
    let running = match serve_server(handler, rmcp::transport::stdio()).await {
        Ok(running) => running,
        // A client that looked in and left.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    running.waiting().await.map(|_| ()).map_err(|error| error.to_string())
}
