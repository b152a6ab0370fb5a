//! Deployments as they are recorded and shown.

use std::fmt;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::id::{ApprovalId, DeploymentId, ReleaseId, UploadId};
use crate::name::Name;
use crate::phase::Phase;
use crate::promotion::PromotionRecord;
use crate::release::Digest;
use crate::smoke::SmokeResult;
use crate::source::{Commit, Source};

/// What a deployment sets out to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentKind {
    /// Source to release to traffic.
    Deploy,
    /// An earlier release gets the traffic again, without building.
    Rollback,
    /// The release of another environment, as it was built, gets the traffic of this one.
    Promotion,
}

impl DeploymentKind {
    pub const ALL: [DeploymentKind; 3] = [DeploymentKind::Deploy, DeploymentKind::Rollback, DeploymentKind::Promotion];

    pub const fn as_str(self) -> &'static str {
        match self {
            DeploymentKind::Deploy => "deploy",
            DeploymentKind::Rollback => "rollback",
            DeploymentKind::Promotion => "promotion",
        }
    }
}

/// Typed facts that a deployment collects on its way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Metadata {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// The uploaded archive that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadId>,
    /// `node`, `python+static`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_copied: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_total: Option<u64>,
    /// Names of the instances it started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<String>,
    /// What it waits for, when it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// When its routes were put: from then on it may have been asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched_at: Option<DateTime<Utc>>,
    /// The release that its routes are of, also when that is gone because the traffic was given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched_to: Option<ReleaseId>,
    /// The release that served when its routes were prepared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_release: Option<ReleaseId>,
    /// Where it answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// What a promotion brings, and what was found when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotionRecord>,
    /// Digest of the plan that it carries out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Digest>,
    /// What it waited for, or waits for, when others have to approve of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// Branch, tag or commit that the plan was made of or that others approve of, if one was named; its source is the very
    /// commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// How every smoke test that was asked for went, as far as it is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub smoke_tests: Vec<SmokeResult>,
    /// Set when it was stuck and somebody ended it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abandoned: Option<Abandoned>,
}

/// Who ended a stuck deployment, and what it has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Abandoned {
    /// Name of the token.
    pub by: String,
    /// Steps that were not taken back; of an active one, those that were not done. Absent when its journal can't be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "abandoned by {}", self.by)?;
        match self.left.as_slice() {
            [] => Ok(()),
            left => write!(f, "; not taken back: {}", left.join(", ")),
        }
    }
}

/// When a phase began and ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseTimes {
    pub phase: Phase,
    pub started_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
}

/// One deployment or rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deployment {
    pub id: DeploymentId,
    pub app: Name,
    pub environment: Name,
    pub kind: DeploymentKind,
    /// The number that its environment gave it, from 1, when it was accepted, or when the time had come that it was ordered
    /// for. A later deployment has a higher one, and wins.
    pub generation: u64,
    pub phase: Phase,
    /// Percent.
    pub progress: u8,
    pub source: Option<Source>,
    /// Set once the release exists.
    pub release: Option<ReleaseId>,
    pub release_number: Option<u32>,
    pub metadata: Metadata,
    pub phases: Vec<PhaseTimes>,
    pub failure: Option<Failure>,
    /// A cancel was asked for and has not been answered yet.
    pub cancelling: bool,
    /// It can't go on or back by itself and waits for an operator; the reason.
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub stuck: Option<String>,
    /// Name of the token that asked for it.
    pub requested_by: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

impl Deployment {
    /// The source as people asked for it: of a plan, or of what others approve of, the branch that it was made of, not the
    /// commit that it deploys.
    pub fn asked(&self) -> Option<Source> {
        match &self.source {
            Some(Source::Git { url, .. }) if self.metadata.plan.is_some() || self.metadata.approval.is_some() => {
                Some(Source::Git { url: url.clone(), reference: self.metadata.reference.clone() })
            }
            source => source.clone(),
        }
    }
}
