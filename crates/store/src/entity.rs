//! One SeaORM entity for each table, column by column. What the columns mean is
//! said by the types of the modules that are named like the tables.
//!
//! Ids, JSON and names of enums are text, points in time are microseconds since
//! the epoch: the same bytes on both databases, so no dialect can round or
//! reinterpret them.

// The derive of SeaORM wants `pub`; nothing in here leaves the crate.
#![allow(unreachable_pub)]

pub(crate) mod activations;
pub(crate) mod approval_policies;
pub(crate) mod approval_votes;
pub(crate) mod approvals;
pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod audit_head;
pub(crate) mod beats;
pub(crate) mod bypasses;
pub(crate) mod certificates;
pub(crate) mod channels;
pub(crate) mod data_keys;
pub(crate) mod deliveries;
pub(crate) mod deployment_tags;
pub(crate) mod deployments;
pub(crate) mod device_logins;
pub(crate) mod durations;
pub(crate) mod environments;
pub(crate) mod events;
pub(crate) mod failure_points;
pub(crate) mod hosts;
pub(crate) mod idempotency;
pub(crate) mod identities;
pub(crate) mod inbox_marks;
pub(crate) mod instances;
pub(crate) mod invitations;
pub(crate) mod known_places;
pub(crate) mod leases;
pub(crate) mod memberships;
pub(crate) mod mutes;
pub(crate) mod notice_cursor;
pub(crate) mod plans;
pub(crate) mod queue;
pub(crate) mod recovery_codes;
pub(crate) mod releases;
pub(crate) mod saga_records;
pub(crate) mod sagas;
pub(crate) mod schedules;
pub(crate) mod servers;
pub(crate) mod sessions;
pub(crate) mod settings;
pub(crate) mod sign_in_failures;
pub(crate) mod tokens;
pub(crate) mod totp;
pub(crate) mod uploads;
pub(crate) mod users;
pub(crate) mod variables;
pub(crate) mod windows;
