//! Lines that apps and builds print.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::default_limit;

/// What a cursor of logs looks like, for those who send one back.
pub const LOG_CURSOR: &str = "^(0|[0-9a-f]{10}:[0-9]{1,19}(,[0-9a-f]{10}:[0-9]{1,19})*)$";
use crate::{Effect, Method, Operation, Permission, Place};

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
    /// Plimsoll's own remarks between them.
    Plimsoll,
}

/// One line, without its line end. The text is whatever a program printed: don't trust it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// Grows by one within its log.
    pub seq: u64,
    pub at: DateTime<Utc>,
    /// Instance or component that printed it, or the phase for a deployment's output.
    pub source: String,
    /// The instance whose log it is a line of, among lines of several: a new release has instances of the same source, each with
    /// a log that begins at 1. Absent in a deployment's output, which is one log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    pub stream: Stream,
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub text: String,
}

/// Lines in order, and where to go on reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogPage {
    pub lines: Vec<LogLine>,
    /// Give it as `after` (or `Last-Event-ID`) to get what follows.
    pub cursor: String,
}

/// The newest lines of an environment's instances, or those after a cursor. There is a stream of it too.
pub struct Read;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ReadRequest {
    /// Name of the app.
    #[arg(long, short)]
    pub app: Name,
    /// Name of the environment.
    #[arg(long = "env", short = 'e', value_name = "NAME", default_value = "production")]
    pub environment: Name,
    /// Only this component.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<Name>,
    /// Lines after this cursor; the newest when absent.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = LOG_CURSOR))]
    pub after: Option<String>,
    /// At most this many, 1 to 500.
    #[arg(long = "lines", short = 'n', default_value_t = default_limit())]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Operation for Read {
    type Request = ReadRequest;
    type Response = LogPage;
    const NAME: &'static str = "logs.read";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}/logs";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Read what the instances of an environment print";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}
