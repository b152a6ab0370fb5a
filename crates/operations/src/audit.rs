//! The audit log: who did what.

use chrono::{DateTime, Utc};
use clap::Args;
use domain::Name;
use domain::audit::{Outcome, Record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::default_limit;
use crate::{Effect, Method, Operation, Page, Permission, Place};

/// Records as a file: one JSON document a line, the oldest first. Query: [`ExportRequest`].
pub const EXPORT: &str = "/api/v1/audit/export";

pub struct List;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Only what was done to this app; without it, what was done to all and to the server.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// Only what somebody with this id did, such as tok_… or usr_….
    #[arg(long, value_name = "ID")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub actor: Option<String>,
    /// Only this operation, such as deployments.deploy.
    #[arg(long, value_name = "NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub operation: Option<String>,
    /// Only what was done to the thing with this id, such as dep_….
    #[arg(long, value_name = "ID")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub target: Option<String>,
    /// Only what came to this: done, begun, failed or refused.
    #[arg(long, value_parser = parse_outcome)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Only at this time or later, such as 2026-11-21T10:00:00Z.
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Only before this time.
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Continue after this page's `next`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = "^[0-9]{1,18}$"))]
    pub cursor: Option<String>,
    /// At most this many, 1 to 500.
    #[arg(long, default_value_t = default_limit())]
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

impl Default for ListRequest {
    fn default() -> Self {
        Self {
            app: None,
            actor: None,
            operation: None,
            target: None,
            outcome: None,
            since: None,
            until: None,
            cursor: None,
            limit: default_limit(),
        }
    }
}

fn parse_outcome(text: &str) -> Result<Outcome, String> {
    Outcome::from_name(text).ok_or_else(|| {
        let known: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
        format!("expected one of {}", known.join(", "))
    })
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Page<Record>;
    const NAME: &'static str = "audit.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/audit";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List who did what, newest first";
    const PERMISSION: Permission = Permission::Audit;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::app_or_server(request.app.as_ref())
    }
}

/// The whole log, from the first record to the last.
pub struct Verify;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// A record that was noted elsewhere, as NUMBER:HASH: it must still be there, with this hash.
    #[arg(long, value_name = "SEQ:HASH")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = "^[1-9][0-9]{0,17}:[0-9a-f]{64}$"))]
    pub anchor: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verified {
    /// It is as it was written.
    pub sound: bool,
    /// How many records there are, as far as they were looked at.
    pub records: u64,
    /// The last one, as NUMBER:HASH, to be kept elsewhere; absent when there is none, or the log is not sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// Records whose MAC could not be looked at: they were written with another key file.
    pub unchecked: u64,
    /// What is wrong first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// The first record that is not as it was written, or is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditFault")]
pub struct Fault {
    pub seq: u64,
    /// Such as "record 7 was altered: its hash is another one".
    pub what: String,
}

impl Operation for Verify {
    type Request = VerifyRequest;
    type Response = Verified;
    const NAME: &'static str = "audit.verify";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/audit/verify";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Say whether the audit log is as it was written";
    const PERMISSION: Permission = Permission::Audit;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}

/// What to export; as for [`List`].
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// Only what was done to this app. What is left out breaks the chain: only a whole export can be verified.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// Only what somebody with this id did.
    #[arg(long, value_name = "ID")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub actor: Option<String>,
    /// Only this operation.
    #[arg(long, value_name = "NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub operation: Option<String>,
    /// Only what was done to the thing with this id.
    #[arg(long, value_name = "ID")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub target: Option<String>,
    /// Only what came to this: done, begun, failed or refused.
    #[arg(long, value_parser = parse_outcome)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Only at this time or later.
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Only before this time.
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl ExportRequest {
    /// Where it is asked for.
    pub fn path(&self) -> String {
        // Names, ids and times: there is nothing that could not be written.
        match serde_html_form::to_string(self).unwrap_or_default() {
            query if query.is_empty() => EXPORT.to_owned(),
            query => format!("{EXPORT}?{query}"),
        }
    }

    pub fn place(&self) -> Place<'_> {
        Place::app_or_server(self.app.as_ref())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_an_export_is_escaped() {
        assert_eq!(ExportRequest::default().path(), EXPORT);
        let request = ExportRequest {
            target: Some("a b&c".to_owned()),
            outcome: Some(Outcome::Refused),
            since: Some("2026-11-21T10:00:00Z".parse().unwrap()),
            ..ExportRequest::default()
        };
        assert_eq!(request.path(), format!("{EXPORT}?target=a+b%26c&outcome=refused&since=2026-11-21T10%3A00%3A00Z"));
    }
}
