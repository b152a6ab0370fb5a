//! The one way to addresses that users name: webhooks, mail servers, sign-in providers, forges.
//!
//! Who may name an address could otherwise have the server ask what only the server can reach: its own API, a database
//! beside it, a cloud's metadata. So:
//!
//! - A name is resolved once, **every** address that comes back is judged ([`judge`]), and one that is not public refuses the
//!   whole name. What an operator allowed by `--allow-outgoing` is let through.
//! - The connection goes to the very addresses that were judged. A name that resolves to something else a moment later
//!   changes nothing.
//! - Redirects are not followed, proxies of the environment are not used. Answers are read up to 64 KiB.
//! - Plain HTTP only to networks that were allowed; everything else is `https`.
//!
//! What a crash leaves: nothing, as nothing is kept. Errors name hosts and addresses, never a path or a query, since those may
//! be secrets.

mod address;
mod answer;
mod connect;
mod error;
mod judge;
mod resolve;
mod send;

use std::sync::Arc;
use std::time::Duration;

pub use address::Address;
pub use answer::{Answer, MAX_BODY};
use domain::network::Network;
pub use error::OutgoingError;
pub use judge::{Verdict, judge};
pub use resolve::{Lookup, system_lookup};
pub use tokio_rustls::client::TlsStream;
pub use tokio_rustls::rustls::ClientConfig;

/// Calls to addresses that users name. Cheap to clone.
#[derive(Clone)]
pub struct Outgoing {
    allowed: Arc<[Network]>,
    lookup: Lookup,
    tls: Arc<ClientConfig>,
    limits: Limits,
}

/// How long each part of a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub resolve: Duration,
    /// With TLS.
    pub connect: Duration,
    /// Connection, request, and the answer as far as it is read.
    pub whole: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { resolve: Duration::from_secs(5), connect: Duration::from_secs(5), whole: Duration::from_secs(15) }
    }
}

impl Outgoing {
    /// `allowed` are networks that may be called although they are not public. The certificates that are trusted are read
    /// from the system here, once.
    pub fn new(allowed: Vec<Network>) -> Result<Self, OutgoingError> {
        let tls = Arc::new(connect::trust()?);
        Ok(Self { allowed: allowed.into(), lookup: system_lookup(), tls, limits: Limits::default() })
    }

    /// The same with another way to resolve names.
    #[must_use]
    pub fn with_lookup(self, lookup: Lookup) -> Self {
        Self { lookup, ..self }
    }

    /// The same with other trust in certificates.
    #[must_use]
    pub fn with_tls(self, tls: ClientConfig) -> Self {
        Self { tls: Arc::new(tls), ..self }
    }

    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}
