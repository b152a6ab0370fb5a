//! Why a call was not made, or not answered.

use std::net::IpAddr;
use std::time::Duration;

/// Names hosts and addresses alone: a path or a query may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    #[error("not an address that can be called: {reason}; expected one like https://example.org/hook")]
    Malformed { reason: String },
    #[error(
        "{host} would be called without encryption: use https, or have the operator name its network with `--allow-outgoing`"
    )]
    Plain { host: String },
    #[error(
        "{host} leads to {address}, {what}, and is not called; the operator can allow it with `--allow-outgoing {address}`"
    )]
    Refused { host: String, address: IpAddr, what: &'static str },
    #[error("{host} can't be resolved: {reason}")]
    Unresolved { host: String, reason: String },
    #[error("no connection to {host}: {reason}")]
    Unreachable { host: String, reason: String },
    #[error("{host} took longer than {limit:?} to {what}")]
    Slow { host: String, limit: Duration, what: &'static str },
    #[error("{host} did not answer as HTTP does: {reason}")]
    Broken { host: String, reason: String },
    #[error("the certificates that this system trusts can't be read: {reason}")]
    Trust { reason: String },
}

/// The last of a chain of causes is what happened; the others say who noticed it.
pub(crate) fn root(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}
