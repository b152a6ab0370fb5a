//! Streams (server-sent events). They are written by hand in the server, as an
//! operation answers once; their paths stand here for both sides.
//!
//! Each message has an `id`; a client that comes back with `Last-Event-ID` gets
//! what it missed. `event: end` says that nothing follows and the client should
//! not come back. Comments keep idle connections open.

use domain::{DeploymentId, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::logs::{LogLine, Stream};

/// Events; data is a [`domain::event::Event`], the id its cursor. Query: as for `events.list`, without `limit`.
pub const EVENTS: &str = "/api/v1/events/stream";
/// Output of a deployment; data is a [`crate::logs::LogLine`]. Ends when the deployment has.
pub const OUTPUT: &str = "/api/v1/deployments/{deployment}/output/stream";
/// Lines of an environment's instances; data is a [`crate::logs::LogLine`]. Query: `component`, `limit` (lines of history).
pub const LOGS: &str = "/api/v1/apps/{app}/environments/{environment}/logs/stream";
/// Several topics over one line. Query: `topics` ([`domain::topics::Topics`]), `from` (an id of this stream). The name of
/// each message says what its data is: `events` an [`domain::event::Event`], `notices` a [`domain::notice::Notice`], `dep` an
/// [`OutputBatch`], `env` a [`LogsBatch`];
/// the first one is [`OPEN`], and [`OVER`] says that a topic has ended.
pub const TOPICS: &str = "/api/v1/stream";
/// The whole output of a deployment as a file of text. Not a stream of messages: it ends with what there is.
pub const OUTPUT_FILE: &str = "/api/v1/deployments/{deployment}/output/file";

/// Name of the last message of a stream.
pub const END: &str = "end";
/// Names of the messages of [`TOPICS`].
pub const OPEN: &str = "open";
pub const OVER: &str = "over";
pub const EVENT: &str = "events";
pub const NOTICE: &str = "notices";
pub const DEPLOYMENT: &str = "dep";
pub const ENVIRONMENT: &str = "env";

pub fn output_path(deployment: &DeploymentId) -> String {
    format!("/api/v1/deployments/{deployment}/output/stream")
}

pub fn logs_path(app: &Name, environment: &Name) -> String {
    format!("/api/v1/apps/{app}/environments/{environment}/logs/stream")
}

pub fn output_file_path(deployment: &DeploymentId) -> String {
    format!("/api/v1/deployments/{deployment}/output/file")
}

/// Lines of a deployment's output that follow on each other, column by column: thousands of them cost little to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputBatch {
    /// The deployment.
    pub dep: DeploymentId,
    /// Number of the first line; the others count on from there.
    pub from: u64,
    /// When each was printed, in milliseconds since 1970.
    pub at: Vec<i64>,
    /// Who printed them, in their order.
    pub src: Vec<Run>,
    /// The text of each.
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub lines: Vec<String>,
}

/// Lines of an environment's instances, column by column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogsBatch {
    /// `<app>/<environment>`
    pub env: String,
    /// Number of each line within its log.
    pub seq: Vec<u64>,
    /// When each was printed, in milliseconds since 1970.
    pub at: Vec<i64>,
    /// Who printed them, in their order.
    pub src: Vec<Run>,
    /// The text of each.
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub lines: Vec<String>,
}

/// So many lines of the same source and log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// As in a line of a log.
    pub source: String,
    /// As in a line of a log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    pub stream: Stream,
    /// One at least.
    pub count: u32,
}

/// The first message of [`TOPICS`]: what is followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Open {
    /// Such as `events` and `dep:dep_01k8…:log`, in the order in which they were asked for.
    pub topics: Vec<String>,
}

/// Nothing more comes of a topic: the deployment is at rest, or the environment is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Over {
    pub topic: String,
}

impl OutputBatch {
    /// `lines` are numbered without a gap; one at least.
    pub fn of(deployment: &DeploymentId, lines: &[LogLine]) -> Self {
        Self {
            dep: deployment.clone(),
            from: lines.first().map_or(0, |line| line.seq),
            at: times(lines.iter()),
            src: runs(lines.iter()),
            lines: texts(lines.iter()),
        }
    }
}

impl LogsBatch {
    pub fn of<'a>(app: &Name, environment: &Name, lines: impl Iterator<Item = &'a LogLine> + Clone) -> Self {
        Self {
            env: format!("{app}/{environment}"),
            seq: lines.clone().map(|line| line.seq).collect(),
            at: times(lines.clone()),
            src: runs(lines.clone()),
            lines: texts(lines),
        }
    }
}

fn times<'a>(lines: impl Iterator<Item = &'a LogLine>) -> Vec<i64> {
    lines.map(|line| line.at.timestamp_millis()).collect()
}

fn texts<'a>(lines: impl Iterator<Item = &'a LogLine>) -> Vec<String> {
    lines.map(|line| line.text.clone()).collect()
}

fn runs<'a>(lines: impl Iterator<Item = &'a LogLine>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for line in lines {
        match runs.last_mut() {
            Some(run) if run.source == line.source && run.log == line.log && run.stream == line.stream => {
                run.count += 1
            }
            _ => {
                let (source, log) = (line.source.clone(), line.log.clone());
                runs.push(Run { source, log, stream: line.stream, count: 1 });
            }
        }
    }
    runs
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_holds_what_the_lines_do() {
        let line = |seq: u64, source: &str, stream: Stream| LogLine {
            seq,
            at: chrono::DateTime::from_timestamp_millis(1_700_000_000_000 + seq as i64).unwrap(),
            source: source.to_owned(),
            log: None,
            stream,
            text: format!("line {seq}"),
        };
        let lines = [
            line(7, "building", Stream::Stdout),
            line(8, "building", Stream::Stdout),
            line(9, "building", Stream::Stderr),
            line(10, "starting", Stream::Stderr),
        ];
        let id: DeploymentId = "dep_01hf7yat00000000000000002a".parse().unwrap();
        let batch = serde_json::to_value(OutputBatch::of(&id, &lines)).unwrap();
        let expected = serde_json::json!({
            "dep": "dep_01hf7yat00000000000000002a",
            "from": 7,
            "at": [1_700_000_000_007_i64, 1_700_000_000_008_i64, 1_700_000_000_009_i64, 1_700_000_000_010_i64],
            "src": [
                { "source": "building", "stream": "stdout", "count": 2 },
                { "source": "building", "stream": "stderr", "count": 1 },
                { "source": "starting", "stream": "stderr", "count": 1 },
            ],
            "lines": ["line 7", "line 8", "line 9", "line 10"],
        });
        assert_eq!(batch, expected);
        let (app, environment) = ("shop".parse().unwrap(), "production".parse().unwrap());
        let logs = LogsBatch::of(&app, &environment, lines.iter());
        assert_eq!((logs.env.as_str(), logs.seq, logs.lines.len()), ("shop/production", vec![7, 8, 9, 10], 4));
    }

    #[test]
    fn lines_of_two_logs_under_one_name_are_told_apart() {
        let line = |log: &str, seq: u64| LogLine {
            seq,
            at: chrono::DateTime::from_timestamp_millis(1_700_000_000_000).unwrap(),
            source: "web.0".to_owned(),
            log: Some(log.to_owned()),
            stream: Stream::Stdout,
            text: String::new(),
        };
        let lines = [line("dep_old-web-0", 8), line("dep_old-web-0", 9), line("dep_new-web-0", 1)];
        let (app, environment) = ("shop".parse().unwrap(), "production".parse().unwrap());
        let batch = serde_json::to_value(LogsBatch::of(&app, &environment, lines.iter())).unwrap();
        assert_eq!(batch["seq"], serde_json::json!([8, 9, 1]));
        let expected = serde_json::json!([
            { "source": "web.0", "log": "dep_old-web-0", "stream": "stdout", "count": 2 },
            { "source": "web.0", "log": "dep_new-web-0", "stream": "stdout", "count": 1 },
        ]);
        assert_eq!(batch["src"], expected);
    }
}
