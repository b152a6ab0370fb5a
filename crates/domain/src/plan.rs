//! Plans: what a deployment would do, step by step and with the reasons, found out without doing any of it. A plan is data
//! with a digest over the facts that it rests on, so that later exactly it can be carried out, or refused with the fact
//! that has changed.

mod basis;
mod measure;
mod reference;
mod simulation;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use basis::{Agreed, Basis, BasisStep, Fact, Serving, digest_of_spec, digest_of_variables};
pub use measure::Estimate;
pub use reference::{InvalidPlanRef, PlanRef};
pub use simulation::{Simulated, SimulatedStep, Simulation, StepEnd};

use crate::access::Role;
use crate::deployment::DeploymentKind;
use crate::estimate::{Forecast, Start};
use crate::id::ReleaseId;
use crate::lifetime::Lifetime;
use crate::name::Name;
use crate::phase::Phase;
use crate::promotion::{Commits, Finding, RouteDifference, SettingDifference, Severity, Version};
use crate::queue::Waiting;
use crate::release::Digest;
use crate::route::{Host, PathPrefix};
use crate::source::{Commit, Source};
use crate::spec::AppSpec;

/// What a deployment of an environment would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Names the plan, and is made from the facts alone: the same world gives the same digest.
    pub digest: Digest,
    pub app: Name,
    pub environment: Name,
    pub kind: DeploymentKind,
    /// What is deployed, of a git repository the very commit; absent for a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Branch, tag or commit as it was asked for. It may move: the plan's commit is deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    pub release: PlannedRelease,
    /// What serves now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Version>,
    /// Why carrying it out would change nothing, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing_to_do: Option<String>,
    /// What speaks against it, the most serious first. A blocking one says that the deployment would fail.
    pub findings: Vec<Finding>,
    /// The stages of the deployment, in their order.
    pub steps: Vec<Step>,
    /// The yes of others that it would wait for before anything else; absent where nobody is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<PlannedApproval>,
    pub start: PlannedStart,
    /// From the first step until the new release serves; absent when nothing was measured yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Estimate>,
    pub downtime: Downtime,
    pub differences: Differences,
    /// Remarks of the detection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub notes: Vec<String>,
    pub spec: AppSpec,
    /// What the digest is made from.
    pub basis: Basis,
    /// Name of the token that asked for it.
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    /// It is forgotten then.
    pub expires_at: DateTime<Utc>,
}

/// The release that would serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedRelease {
    pub digest: Digest,
    /// Set when it is there already, so that nothing is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
}

/// Whose yes the deployment would wait for, by the environment's policy as it is now. No part of the digest: whoever carries the
/// plan out waits for what the policy asks for then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedApproval {
    /// So many people have to say yes.
    pub required: u8,
    /// The least that they are at the app.
    pub role: Role,
    /// Whether the vote of whoever asks counts, if they order the deployment.
    pub own_counts: bool,
    /// So long votes may take; then the deployment ends.
    pub expires_in: Lifetime,
}

/// When the deployment would begin if it were ordered now with the priority `normal`, once it is approved of where that is asked
/// for. No part of the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStart {
    /// What it would wait for; absent when it would begin at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// Deployments of all apps that wait before it.
    pub ahead: u32,
    /// Absent while nothing says when it could begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Start>,
}

impl From<Forecast> for PlannedStart {
    fn from(forecast: Forecast) -> Self {
        let waiting = Some(forecast.waits_for).filter(|waiting| *waiting != Waiting::Turn);
        Self {
            waiting_for: waiting.as_ref().map(ToString::to_string),
            waiting,
            ahead: forecast.position.saturating_sub(1),
            estimate: forecast.start,
        }
    }
}

/// One stage of the deployment, and why it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    pub stage: String,
    /// The phase in which it is seen; `claim` is seen in whatever phase it finds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    pub kind: StepKind,
    pub action: Action,
    /// What it does and why, or why it has nothing to do.
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub reason: String,
    pub touches: Vec<Touch>,
    /// Absent when it was never measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Estimate>,
    /// What becomes of it when it fails, or a later step does.
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub undo: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Taken back when it or a later step fails.
    Undoable,
    /// The point of no return.
    Pivot,
    /// Comes after the pivot: tried until it succeeds, or waits for an operator.
    ForwardOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Run,
    /// The stage is passed through and does nothing.
    Skip,
}

/// Something that a step makes, changes, removes or runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Touch {
    /// The folder in which the source is built.
    Workspace {
        change: Change,
    },
    /// The right to act on the environment.
    Claim {
        change: Change,
    },
    Command {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        component: Option<Name>,
        /// Its first line.
        #[schemars(extend("x-plimsoll-untrusted" = true))]
        command: String,
    },
    ReleaseFolder {
        digest: Digest,
        change: Change,
    },
    /// A process. The id of the deployment is not known before it is made.
    Instance {
        name: String,
        component: Name,
        change: Change,
    },
    Route {
        host: Host,
        path: PathPrefix,
        component: Name,
        change: Change,
    },
    /// The link to the files of a static component.
    StaticLink {
        component: Name,
        change: Change,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Makes,
    Uses,
    /// It is there and leads to the new release then.
    Switches,
    Removes,
}

impl Touch {
    pub fn change(&self) -> Option<Change> {
        match self {
            Touch::Workspace { change }
            | Touch::Claim { change }
            | Touch::ReleaseFolder { change, .. }
            | Touch::Instance { change, .. }
            | Touch::Route { change, .. }
            | Touch::StaticLink { change, .. } => Some(*change),
            Touch::Command { .. } => None,
        }
    }
}

/// The thing alone, whatever is done to it.
impl fmt::Display for Touch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Touch::Workspace { .. } => f.write_str("workspace"),
            Touch::Claim { .. } => f.write_str("claim on the environment"),
            Touch::Command { component: Some(component), command } => write!(f, "`{command}` of {component}"),
            Touch::Command { component: None, command } => write!(f, "`{command}`"),
            Touch::ReleaseFolder { digest, .. } => write!(f, "release folder {}", digest.short()),
            Touch::Instance { name, .. } => write!(f, "instance {name}"),
            Touch::Route { host, path, component, .. } => write!(f, "route {host}{path} to {component}"),
            Touch::StaticLink { component, .. } => write!(f, "link to the files of {component}"),
        }
    }
}

impl Change {
    /// `makes`, `uses`, `switches` or `removes`.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::Makes => "makes",
            Change::Uses => "uses",
            Change::Switches => "switches",
            Change::Removes => "removes",
        }
    }
}

/// For how long visitors get no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Downtime {
    /// Zero by construction: the new release is healthy before it gets the traffic, and the old one ends after that.
    pub expected_ms: u64,
    /// Each component, and what is not covered by that.
    pub components: Vec<ComponentDowntime>,
    /// What no construction can promise.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentDowntime {
    pub component: Name,
    pub expected: Interruption,
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interruption {
    None,
    /// No traffic that could be switched: the old and the new one run side by side for a while, then only the new one.
    Overlap,
    /// It serves nothing yet.
    Begins,
    /// It does not come back.
    Ends,
}

/// From what serves to what is planned. Variables by name: no value is in a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Differences {
    pub commits: Commits,
    pub variables: Changes,
    pub components: Changes,
    /// Those that change hands, come or go; `promoted` is what is planned.
    pub routes: Vec<RouteDifference>,
    /// Of the app's specification; `promoted` is what is planned.
    pub configuration: Vec<SettingDifference>,
}

/// Names, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changes {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
}

impl Changes {
    /// What differs between two maps, by key.
    pub fn between<V: PartialEq>(old: &BTreeMap<String, V>, new: &BTreeMap<String, V>) -> Self {
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let mut changes = Self::default();
        for name in names {
            let list = match (old.get(name), new.get(name)) {
                (None, _) => &mut changes.added,
                (_, None) => &mut changes.removed,
                (a, b) if a != b => &mut changes.changed,
                _ => continue,
            };
            list.push(name.clone());
        }
        changes
    }

    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// A plan in one line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanSummary {
    pub digest: Digest,
    pub app: Name,
    pub environment: Name,
    pub kind: DeploymentKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    pub release: PlannedRelease,
    /// The deployment would fail.
    pub blocked: bool,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl Plan {
    pub fn is_blocked(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Blocking)
    }

    pub fn summary(&self) -> PlanSummary {
        PlanSummary {
            digest: self.digest.clone(),
            app: self.app.clone(),
            environment: self.environment.clone(),
            kind: self.kind,
            commit: self.commit.clone(),
            release: self.release.clone(),
            blocked: self.is_blocked(),
            created_by: self.created_by.clone(),
            created_at: self.created_at,
            expires_at: self.expires_at,
        }
    }

    /// What the environment would serve, in short: `v7`, or `a new release`.
    pub fn brings(&self) -> String {
        self.release.number.map_or_else(|| "a new release".to_owned(), |number| format!("v{number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_apart() {
        let map = |pairs: &[(&str, u8)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
        let changes = Changes::between(
            &map(&[("gone", 1), ("same", 1), ("other", 1)]),
            &map(&[("new", 1), ("same", 1), ("other", 2)]),
        );
        let own = |name: &str| vec![name.to_owned()];
        assert_eq!(changes, Changes { added: own("new"), removed: own("gone"), changed: own("other") });
        assert!(Changes::between(&map(&[("a", 1)]), &map(&[("a", 1)])).is_empty());
    }
}
