//! The HTTP door: adapters over [`control`], and no decision of their own.
//!
//! Routes and the OpenAPI document come from the one list of operations; only the
//! streams, two files, the content of uploads, signing in ([`auth`]), the pages for machines that watch and the door for
//! agents ([`mcp_door`]) are written by hand. A request goes through these, in this order:
//!
//! 1. [`observe`]: request id, tracing span, the headers every answer has;
//! 2. a net for panics ([`problem::panicked`]);
//! 3. [`guard`]: no foreign pages, nobody without a token or a session, no endless guessing ([`throttle`]), nobody more often than
//!    their share ([`limits`]);
//! 4. [`decode`]: path, query or JSON body become the operation's request;
//! 5. [`call`]: idempotency key, then `control`.
//!
//! Every refusal on the way, axum's own included, is a problem document.

mod auth;
mod call;
mod client;
mod connections;
mod decode;
mod export;
mod guard;
mod headers;
mod health;
mod host;
mod idempotency;
mod in_flight;
mod limits;
mod listen;
mod mcp_door;
mod metrics;
mod observe;
mod openapi;
mod origin;
mod problem;
mod query;
mod requests;
mod routes;
mod sse;
mod streams;
mod throttle;
mod ui;
mod uploads;

pub use limits::RateLimit;
pub use listen::{serve, serve_metrics};
pub use openapi::document as openapi;
pub use ui::{Asset, Files};

use std::sync::Arc;

use axum::Router;
use control::Control;
use limits::Limits;
use requests::Requests;
use tokio_util::sync::CancellationToken;

/// How the doors are run.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The names by which `/mcp` may be called.
    pub mcp_hosts: mcp::Hosts,
    /// Proxies in front of the API, whose word about clients is taken.
    pub trusted_proxies: Vec<domain::network::Network>,
    /// Names by which people sign in here, besides those of the machine itself; NAME or NAME:PORT.
    pub names: Vec<String>,
    /// Where people reach the web interface, such as `https://deploy.example.org`.
    pub public_url: Option<String>,
    /// How often each may ask.
    pub rate_limit: RateLimit,
    /// The web interface; without it, what is no route is not found.
    pub ui: Option<Files>,
}

/// The whole API over one control plane.
pub fn router(control: Control, settings: &Settings) -> Router {
    routes::router(Plane::new(control, CancellationToken::new(), settings), settings)
}

/// What handlers work with.
#[derive(Clone)]
struct Plane {
    control: Control,
    /// Cancelled when the server stops: streams end by themselves then.
    closing: CancellationToken,
    around: Arc<Surroundings>,
}

/// What every request is seen with, whatever its route.
#[derive(Default)]
struct Surroundings {
    requests: Requests,
    trusted_proxies: Vec<domain::network::Network>,
    names: Vec<String>,
    public_url: Option<String>,
    limits: Limits,
}

impl Plane {
    fn new(control: Control, closing: CancellationToken, settings: &Settings) -> Self {
        let (trusted_proxies, names) = (settings.trusted_proxies.clone(), settings.names.clone());
        let around = Surroundings {
            trusted_proxies,
            names,
            public_url: settings.public_url.clone(),
            limits: Limits::new(settings.rate_limit),
            ..Surroundings::default()
        };
        Self { control, closing, around: Arc::new(around) }
    }
}
