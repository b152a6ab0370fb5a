//! The HTTP door: adapters over [`control`], and no decision of their own.
//!
//! Routes and the OpenAPI document come from the one list of operations; only the
//! three streams, the content of uploads, the pages for machines that watch and the door for agents
//! ([`mcp_door`]) are written by hand. A request goes through these, in this order:
//!
//! 1. [`observe`]: request id, tracing span, the headers every answer has;
//! 2. a net for panics ([`problem::panicked`]);
//! 3. [`guard`]: no foreign pages, no missing tokens, no endless guessing ([`throttle`]);
//! 4. [`decode`]: path, query or JSON body become the operation's request;
//! 5. [`call`]: idempotency key, then `control`.
//!
//! Every refusal on the way, axum's own included, is a problem document.

mod call;
mod decode;
mod guard;
mod health;
mod idempotency;
mod listen;
mod mcp_door;
mod metrics;
mod observe;
mod openapi;
mod problem;
mod query;
mod requests;
mod routes;
mod sse;
mod streams;
mod throttle;
mod uploads;

pub use listen::{serve, serve_metrics};
pub use openapi::document as openapi;

use std::sync::Arc;

use axum::Router;
use control::Control;
use requests::Requests;
use tokio_util::sync::CancellationToken;

/// How the doors are run.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What agents may do at `/mcp`.
    pub mcp: mcp::Settings,
    /// The names by which `/mcp` may be called.
    pub mcp_hosts: mcp::Hosts,
}

/// The whole API over one control plane.
pub fn router(control: Control, settings: &Settings) -> Router {
    routes::router(Plane::new(control, CancellationToken::new()), settings)
}

/// What handlers work with.
#[derive(Clone)]
struct Plane {
    control: Control,
    /// Cancelled when the server stops: streams end by themselves then.
    closing: CancellationToken,
    requests: Arc<Requests>,
}

impl Plane {
    fn new(control: Control, closing: CancellationToken) -> Self {
        Self { control, closing, requests: Arc::default() }
    }
}
