//! The control plane: handlers of the operations, the deployment sagas, reconcilers.
//!
//! A deployment is a change of desired state. [`deployment`] makes the change durable step by
//! step; [`reconcile`] keeps the world as the database says, at boot and for as long as the
//! server runs. [`handlers`] is where operations arrive.

mod access;
mod announce;
mod approvals;
mod audit;
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
mod hub;
pub mod inspect;
pub mod keys;
mod layout;
pub mod metrics;
mod notices;
mod output;
mod overview;
mod planning;
mod readiness;
mod receive;
mod reconcile;
mod retention;
mod scratch;
mod sign_in;
mod stalls;
mod streams;
mod tick;
mod tokens;
mod topics;
mod tree;
mod turns;
mod uploads;
mod urls;
mod vault;

pub use access::Admitted;
pub use caller::{Caller, Credential, Handle, IdempotencyKey, Principal, Via};
pub use control::{Control, LEASE, Options, Started};
pub use hub::{Form, Frame};
pub use readiness::{Check, Readiness};
pub use sign_in::{Acceptance, CameBack, Denied, OidcRefusal, Opened, PLACE_KEPT, Proof, SentAway, SignedIn, Visitor};
pub use streams::{CursorLine, LogsFrame, Messages, OutputFrame};
pub use topics::{Heard, Told};
pub use uploads::UploadLimits;

/// Of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
