//! Plimsoll's own database: SQLite by default, PostgreSQL by URL, one code path.
//!
//! The only SQL on our tables is in here. A [`Store`] reads; a [`Tx`], got from
//! [`Store::write`], reads and writes. Both are a [`Session`], so the functions of
//! the modules below (one for each noun) take either, and those that write take a
//! `&Tx`. What is written in one `Tx` is seen by others whole or not at all.
//!
//! **Writers take turns**, on both databases and across processes: SQLite has one
//! writer by nature, and on PostgreSQL every `Tx` begins by taking one advisory
//! lock that its commit releases. So there are no deadlocks, no serialisation
//! failures and no retries, a decision that was read inside a `Tx` still holds at
//! its commit, and the order of event cursors is the order of commits. The price
//! is that a `Tx` must be short: never await anything else while holding one.
//! Whoever wants a proof before a commit begins with [`Store::write_held`].
//! Who writes often, as journals do, shares transactions with others who do so at
//! the same moment: [`Store::write_together`], and [`Store::append_together`] for additions
//! to journals, of which many cost no more statements than one.
//!
//! Points in time have microsecond precision and are rounded down on their way in
//! ([`time::micros`]).

pub mod advances;
pub mod analytics;
pub mod appends;
pub mod approval_policies;
pub mod approvals;
pub mod apps;
pub mod audit;
pub mod beats;
pub mod bypasses;
pub mod certificates;
pub mod channels;
pub mod data_keys;
pub mod deliveries;
pub mod deployments;
pub mod device_logins;
mod entity;
pub mod environments;
mod error;
pub mod events;
#[cfg(test)]
mod explain;
mod group;
pub mod hosts;
pub mod idempotency;
pub mod identities;
pub mod instances;
pub mod invitations;
mod leadership;
pub mod leases;
mod lone;
pub mod memberships;
mod migration;
pub mod mutes;
pub mod notice_cursor;
mod page;
pub mod plans;
pub mod queue;
pub mod recovery_codes;
pub mod releases;
pub mod retention;
mod row;
mod rows;
pub mod sagas;
pub mod schedules;
pub mod search;
pub mod servers;
mod session;
pub mod sessions;
pub mod settings;
pub mod sign_ins;
pub mod starts;
mod store;
pub mod supersede;
pub mod time;
pub mod timing;
pub mod tokens;
pub mod totp;
pub mod transfer;
pub mod uploads;
mod url;
pub mod users;
pub mod variables;
mod wake;
pub mod windows;

pub use error::{Constraint, StoreError};
pub use group::{Work, Written};
pub use leadership::{Candidate, Leadership};
pub use session::{Held, Session, Tx};
pub use store::{Kind, Store};
pub use url::{DatabaseUrl, InvalidUrl};
