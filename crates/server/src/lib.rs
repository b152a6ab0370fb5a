//! The HTTP door: adapters over [`control`], and no decision of their own.
//!
//! Routes and the OpenAPI document come from the one list of operations; only the
//! three streams and the two health pages are written by hand. A request goes
//! through these, in this order:
//!
//! 1. [`observe`]: request id, tracing span, the headers every answer has;
//! 2. a net for panics ([`problem::panicked`]);
//! 3. [`guard`]: no foreign pages, no missing tokens;
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
mod observe;
mod openapi;
mod problem;
mod query;
mod routes;
mod sse;
mod streams;

pub use listen::serve;
pub use openapi::document as openapi;

use axum::Router;
use control::Control;
use tokio_util::sync::CancellationToken;

/// The whole API over one control plane.
pub fn router(control: Control) -> Router {
    routes::router(Plane { control, closing: CancellationToken::new() })
}

/// What handlers work with.
#[derive(Clone)]
struct Plane {
    control: Control,
    /// Cancelled when the server stops: streams end by themselves then.
    closing: CancellationToken,
}
