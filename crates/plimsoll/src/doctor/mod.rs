//! What `plimsoll doctor` looks at. Every check looks and changes nothing; all of them work without a server.

mod clock;
mod database;
mod deployments;
mod disk;
mod folder;
mod kernel;
mod limits;
mod network;
mod programs;
mod server;
mod surroundings;

use serde::Serialize;

pub(crate) use surroundings::{Listen, Surroundings};

/// How it is with one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Ok,
    /// Could not be looked at, or there was nothing to look at.
    Skipped,
    /// It works, but not as well or as long as it should.
    Warning,
    /// It does not work, or will lose something.
    Failed,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) status: Status,
    pub(crate) found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<String>,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, found: found.into(), advice: None }
    }

    pub(crate) fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, status: Status::Skipped, found: why.into(), advice: None }
    }

    pub(crate) fn warning(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, status: Status::Warning, found: found.into(), advice: Some(advice.into()) }
    }

    pub(crate) fn failed(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, status: Status::Failed, found: found.into(), advice: Some(advice.into()) }
    }
}

/// All checks, in the order in which one would put things right.
pub(crate) async fn examine(around: &Surroundings) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(folder::check(around));
    findings.extend(disk::check(around));
    findings.extend(kernel::check());
    findings.extend(limits::check(around));
    findings.extend(programs::check(around));
    findings.extend(network::check(around).await);
    findings.extend(database::check(around));
    findings.extend(clock::check(around));
    findings.extend(server::check(around).await);
    findings.extend(deployments::check(around));
    findings
}
