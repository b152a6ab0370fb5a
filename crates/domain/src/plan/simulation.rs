//! What a plan would leave behind: if all goes well, and if one step fails.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PlannedApproval;
use crate::name::Name;
use crate::phase::Phase;
use crate::release::Digest;

/// A plan, run against a model: once to the end, and once for each step that could fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Simulation {
    pub plan: Digest,
    pub app: Name,
    pub environment: Name,
    /// The yes of others that the deployment would wait for before its first step; absent where nobody is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<PlannedApproval>,
    /// The first one is without a failure.
    pub runs: Vec<Simulated>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Simulated {
    /// The stage that fails for good; none does in the first run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails_at: Option<String>,
    /// Where the deployment ends.
    pub ends: Phase,
    /// It can go neither on nor back, and waits for `plimsoll resume`.
    pub stuck: bool,
    /// What visitors get then.
    pub serves: String,
    /// What happened, in order: stages forward, then what was taken back.
    pub steps: Vec<SimulatedStep>,
    /// What is there afterwards that was not there before, or is gone.
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub left: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SimulatedStep {
    pub stage: String,
    pub end: StepEnd,
    /// What was taken back, of an undo that had something to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub text: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    Finished,
    /// There was nothing to do.
    Skipped,
    Failed,
    Undone,
    /// Waits for an operator.
    Stuck,
}
