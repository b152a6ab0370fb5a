//! All rows out of one database and into another, of the same kind or not: for backups, and for moving between
//! SQLite and PostgreSQL.
//!
//! A row travels as a JSON object from column to value: text, number, truth, nothing, or `{"hex": "…"}` for bytes. What
//! type a column has is asked of the database, so rows of an older version keep their shape: [`Import`] makes the tables
//! as they were after that version's migrations, fills them, and only then brings them up to date.

mod columns;
mod export;
mod import;

pub use export::{Snapshot, Survey, survey};
pub use import::Import;

/// Every table of ours but [`LEFT_OUT`], each after those that its rows refer to.
pub const TABLES: [&str; 37] = [
    "apps",
    "certificates",
    "releases",
    "environments",
    "schedules",
    "windows",
    "bypasses",
    "deployments",
    "queue",
    "activations",
    "variables",
    "data_keys",
    "sagas",
    "saga_records",
    "leases",
    "events",
    "instances",
    "users",
    "memberships",
    "invitations",
    "tokens",
    "idempotency",
    "durations",
    "failure_points",
    "deployment_tags",
    "settings",
    "audit",
    "audit_head",
    "identities",
    "totp",
    "recovery_codes",
    "approval_policies",
    "approvals",
    "approval_votes",
    "channels",
    "mutes",
    "inbox_marks",
];

/// Tables that stay behind: rows about files that are not in a backup and come again, and what is true of a moment or good for a day
/// only. So a restore signs everybody out, and tells nobody old news.
pub const LEFT_OUT: [&str; 11] = [
    "plans",
    "uploads",
    "hosts",
    "servers",
    "beats",
    "sessions",
    "sign_in_failures",
    "known_places",
    "device_logins",
    "deliveries",
    "notice_cursor",
];

/// One row: values by column.
pub type Row = serde_json::Map<String, serde_json::Value>;
