//! What becomes of runs that could not begin when they should have.

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Cron;
use crate::id::DeploymentId;

/// What to do about runs that were missed, such as while no server ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Run once as soon as possible, however many were missed.
    #[default]
    RunOnce,
    /// Wait for the next one.
    Skip,
}

impl Missed {
    pub const ALL: [Missed; 2] = [Missed::RunOnce, Missed::Skip];

    pub const fn as_str(self) -> &'static str {
        match self {
            Missed::RunOnce => "run_once",
            Missed::Skip => "skip",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.as_str() == name)
    }
}

/// What came of the last plan of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastRun {
    /// When it was to run.
    pub planned_at: DateTime<Utc>,
    /// When that was looked at.
    pub at: DateTime<Utc>,
    #[serde(flatten)]
    pub outcome: RunOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RunOutcome {
    /// A deployment was accepted.
    Deployed { deployment: DeploymentId },
    /// None was, on purpose.
    Skipped { why: String },
    /// None could be.
    Failed { why: String },
}

/// Whether a schedule is to run now, and when it is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    NotYet,
    /// Run now, for `planned`; `late` when it should have been before.
    Run {
        planned: DateTime<Utc>,
        late: bool,
        next: Option<DateTime<Utc>>,
    },
    /// Don't run; `planned` was the first that was missed.
    Skip {
        planned: DateTime<Utc>,
        next: Option<DateTime<Utc>>,
    },
}

/// A run that begins within this time of its plan is on time: servers restart, leaders change.
pub const GRACE: TimeDelta = TimeDelta::seconds(60);

/// Judges a schedule whose next run is planned for `planned`, at `now`.
///
/// The next plan is always after both, so that a clock that jumps back repeats nothing, and one that jumps forward
/// has missed what lies between.
pub fn due(cron: &Cron, missed: Missed, planned: DateTime<Utc>, now: DateTime<Utc>) -> Due {
    if planned > now {
        return Due::NotYet;
    }
    let next = cron.next_after(now.max(planned));
    let late = now - planned > GRACE;
    match (late, missed) {
        (true, Missed::Skip) => Due::Skip { planned, next },
        (late, _) => Due::Run { planned, late, next },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn missed_runs_follow_the_policy_and_are_never_made_up_for_one_by_one() {
        let cron: Cron = "0 6 * * * UTC".parse().unwrap();
        let planned = at("2026-11-20T06:00:00Z");
        let soon = at("2026-11-20T06:00:03Z");
        let tomorrow = Some(at("2026-11-21T06:00:00Z"));
        for policy in Missed::ALL {
            assert_eq!(due(&cron, policy, planned, at("2026-11-20T05:59:59Z")), Due::NotYet);
            assert_eq!(due(&cron, policy, planned, soon), Due::Run { planned, late: false, next: tomorrow });
            assert_eq!(Missed::from_name(policy.as_str()), Some(policy));
        }
        let later = at("2026-11-25T12:00:00Z");
        let next = Some(at("2026-11-26T06:00:00Z"));
        assert_eq!(due(&cron, Missed::RunOnce, planned, later), Due::Run { planned, late: true, next });
        assert_eq!(due(&cron, Missed::Skip, planned, later), Due::Skip { planned, next });
    }

    #[test]
    fn a_clock_that_jumps_back_repeats_nothing() {
        let cron: Cron = "*/10 * * * * UTC".parse().unwrap();
        let Due::Run { next: Some(next), .. } =
            due(&cron, Missed::RunOnce, at("2026-11-20T06:00:00Z"), at("2026-11-20T06:00:01Z"))
        else {
            panic!("it is due");
        };
        assert_eq!(due(&cron, Missed::RunOnce, next, at("2026-11-20T05:30:00Z")), Due::NotYet);
        assert_eq!(due(&cron, Missed::RunOnce, next, at("2026-11-20T06:00:01Z")), Due::NotYet);
    }
}
