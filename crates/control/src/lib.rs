//! The control plane: handlers of the operations, the deployment sagas, reconcilers.
//!
//! A deployment is a change of desired state. [`deployment`] makes the change durable step by
//! step; [`reconcile`] keeps the world as the database says, at boot and for as long as the
//! server runs. [`handlers`] is where operations arrive.

mod announce;
pub mod backup;
mod caller;
mod certificates;
mod cluster;
mod control;
mod counters;
mod deployment;
mod diagnosis;
mod dispatch;
mod environment;
mod error;
mod forecast;
mod handlers;
pub mod inspect;
mod layout;
pub mod metrics;
mod output;
mod planning;
mod readiness;
mod receive;
mod reconcile;
mod redact;
mod retention;
mod scratch;
mod stalls;
mod streams;
mod tick;
mod tokens;
mod tree;
mod turns;
mod uploads;
mod urls;
mod vault;

pub use caller::{Caller, Handle, IdempotencyKey};
pub use control::{Control, LEASE, Options, Started};
pub use readiness::{Check, Readiness};
pub use streams::{CursorLine, Messages};
pub use uploads::UploadLimits;

/// Of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
