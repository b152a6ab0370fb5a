//! The phases of a deployment, in the order in which people see them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a deployment is. The last four are ends; every other one can be left
/// for the next in order (some are skipped) or for `failed` or `cancelled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Queued,
    PullingSource,
    Building,
    BackingUp,
    /// The release command of the app (`release:` in its Procfile), usually its migrations.
    Migrating,
    CopyingFiles,
    CreatingSymlinks,
    UpdatingRoutes,
    HealthCheck,
    /// Real requests reached the new release through the ingress.
    Active,
    Failed,
    Cancelled,
    /// It had been switched to, and was taken back because it did not hold.
    RolledBack,
}

impl Phase {
    pub const ALL: [Phase; 13] = [
        Phase::Queued,
        Phase::PullingSource,
        Phase::Building,
        Phase::BackingUp,
        Phase::Migrating,
        Phase::CopyingFiles,
        Phase::CreatingSymlinks,
        Phase::UpdatingRoutes,
        Phase::HealthCheck,
        Phase::Active,
        Phase::Failed,
        Phase::Cancelled,
        Phase::RolledBack,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Queued => "queued",
            Phase::PullingSource => "pulling_source",
            Phase::Building => "building",
            Phase::BackingUp => "backing_up",
            Phase::Migrating => "migrating",
            Phase::CopyingFiles => "copying_files",
            Phase::CreatingSymlinks => "creating_symlinks",
            Phase::UpdatingRoutes => "updating_routes",
            Phase::HealthCheck => "health_check",
            Phase::Active => "active",
            Phase::Failed => "failed",
            Phase::Cancelled => "cancelled",
            Phase::RolledBack => "rolled_back",
        }
    }

    pub fn from_name(name: &str) -> Option<Phase> {
        Phase::ALL.into_iter().find(|p| p.as_str() == name)
    }

    /// Nothing follows.
    pub fn is_end(self) -> bool {
        self >= Phase::Active
    }

    /// May a deployment go from `self` to `next`? Staying is not a transition.
    pub fn may_become(self, next: Phase) -> bool {
        match (self, next) {
            (from, _) if from.is_end() => false,
            (Phase::HealthCheck, Phase::RolledBack) => true,
            (_, Phase::RolledBack) => false,
            (_, Phase::Failed | Phase::Cancelled) => true,
            (Phase::HealthCheck, Phase::Active) => true,
            (_, Phase::Active) => false,
            (from, to) => from < to,
        }
    }

    /// Progress in percent when this phase begins; the end of it is the next one's.
    pub fn progress(self) -> u8 {
        match self {
            Phase::Queued => 0,
            Phase::PullingSource => 5,
            Phase::Building => 15,
            Phase::BackingUp => 55,
            Phase::Migrating => 60,
            Phase::CopyingFiles => 65,
            Phase::CreatingSymlinks => 75,
            Phase::UpdatingRoutes => 80,
            Phase::HealthCheck => 85,
            Phase::Active | Phase::Failed | Phase::Cancelled | Phase::RolledBack => 100,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_round_trip() {
        for phase in Phase::ALL {
            assert_eq!(Phase::from_name(phase.as_str()), Some(phase));
            assert_eq!(serde_json::to_value(phase).ok(), Some(phase.as_str().into()));
        }
    }

    proptest! {
        #[test]
        fn any_walk_ends_and_progress_never_falls(steps in proptest::collection::vec(0usize..13, 0..60)) {
            let mut at = Phase::Queued;
            for step in steps {
                let next = Phase::ALL[step];
                if at.may_become(next) {
                    prop_assert!(!at.is_end());
                    prop_assert!(next.progress() >= at.progress());
                    prop_assert!(next > at);
                    at = next;
                }
            }
        }
    }
}
