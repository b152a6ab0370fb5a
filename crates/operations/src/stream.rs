//! Streams (server-sent events). They are written by hand in the server, as an
//! operation answers once; their paths stand here for both sides.
//!
//! Each message has an `id`; a client that comes back with `Last-Event-ID` gets
//! what it missed. `event: end` says that nothing follows and the client should
//! not come back. Comments keep idle connections open.

use domain::{DeploymentId, Name};

/// Events; data is a [`domain::event::Event`], the id its cursor. Query: as for `events.list`, without `limit`.
pub const EVENTS: &str = "/api/v1/events/stream";
/// Output of a deployment; data is a [`crate::logs::LogLine`]. Ends when the deployment has.
pub const OUTPUT: &str = "/api/v1/deployments/{deployment}/output/stream";
/// Lines of an environment's instances; data is a [`crate::logs::LogLine`]. Query: `component`, `limit` (lines of history).
pub const LOGS: &str = "/api/v1/apps/{app}/environments/{environment}/logs/stream";

/// Name of the last message of a stream.
pub const END: &str = "end";

pub fn output_path(deployment: &DeploymentId) -> String {
    format!("/api/v1/deployments/{deployment}/output/stream")
}

pub fn logs_path(app: &Name, environment: &Name) -> String {
    format!("/api/v1/apps/{app}/environments/{environment}/logs/stream")
}
