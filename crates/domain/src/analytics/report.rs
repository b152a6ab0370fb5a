//! The figures, from counts.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bucket, Durations, Ending, Histogram, Measure};
use crate::deployment::DeploymentKind;
use crate::failure::Cause;
use crate::id::DeploymentId;
use crate::phase::Phase;

/// How often something was timed, and by how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub measure: Measure,
    pub ending: Ending,
    pub bucket: Bucket,
    pub times: u64,
}

/// The time that a report tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub since: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// How deployments went in a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Analytics {
    /// The beginning of the first day, in UTC.
    pub since: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// Deploys and promotions that ended, together.
    pub changes: Outcomes,
    /// Rollbacks that somebody asked for and that ended.
    pub rollbacks: Outcomes,
    /// From the order to the end, by kind.
    pub kinds: Vec<KindFigures>,
    /// In the order of phases; those that nothing went through are left out.
    pub phases: Vec<PhaseFigures>,
    /// Where deployments failed, the most frequent first.
    pub failures: Vec<FailurePoint>,
    pub dora: Dora,
}

/// How often deployments ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcomes {
    pub total: u64,
    pub active: u64,
    pub failed: u64,
    /// Switched to, and taken back by itself.
    pub rolled_back: u64,
    pub cancelled: u64,
    /// A newer one was there first.
    pub superseded: u64,
    /// `active` of `active`, `failed` and `rolled_back`, from 0 to 1; absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_rate: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KindFigures {
    pub kind: DeploymentKind,
    /// Of those that became active.
    pub good: Durations,
    /// Of those that failed or were taken back.
    pub failed: Durations,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseFigures {
    pub phase: Phase,
    /// Times that it was passed.
    pub good: Durations,
    /// Times that the deployment failed in it, with the time that undoing took.
    pub failed: Durations,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailurePoint {
    pub phase: Phase,
    pub cause: Cause,
    pub count: u64,
    /// The last one, as an example; retention may have removed it since.
    pub last: DeploymentId,
}

/// The four keys of DevOps Research and Assessment (dora.dev); the guide says how each is reckoned here.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dora {
    /// Deploys and promotions that became active.
    pub deployments: u64,
    /// The same for each day.
    pub deployments_per_day: f64,
    /// From the commit until it was active, for commits that were new to their environment.
    pub lead_time: Durations,
    /// Changes that were taken back by themselves, or rolled back within 24 hours.
    pub failed_changes: u64,
    /// `failed_changes` of all that got the traffic, from 0 to 1; absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_failure_rate: Option<f64>,
    /// From the moment that a failed change got the traffic until something good served again.
    pub time_to_restore: Durations,
}

/// Makes the figures. `counted` may come in any order, and the same thing more than once.
pub fn report(
    window: Window,
    counted: impl IntoIterator<Item = Counted>,
    mut failures: Vec<FailurePoint>,
) -> Analytics {
    let mut all: BTreeMap<(Measure, Ending), Histogram> = BTreeMap::new();
    for Counted { measure, ending, bucket, times } in counted {
        all.entry((measure, ending)).or_default().add(bucket, times);
    }
    let times = |measure, ending| all.get(&(measure, ending)).map(Histogram::durations).unwrap_or_default();
    let count = |measure, ending| all.get(&(measure, ending)).map_or(0, Histogram::count);
    let together = |measure, endings: &[Ending]| {
        let mut sum = Histogram::default();
        for histogram in endings.iter().filter_map(|ending| all.get(&(measure, *ending))) {
            sum.merge(histogram);
        }
        sum.durations()
    };
    let bad = [Ending::Failed, Ending::RolledBack];
    let of = |kinds: &[DeploymentKind]| {
        let sum = |ending| kinds.iter().map(|kind| count(Measure::Whole(*kind), ending)).sum();
        Outcomes::new(Ending::ALL.map(sum))
    };
    let changes = of(&[DeploymentKind::Deploy, DeploymentKind::Promotion]);
    let failed_changes = count(Measure::Restore, Ending::Good);
    let days = ((window.until - window.since).as_seconds_f64() / 86_400.0).max(f64::EPSILON);
    failures.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| b.last.cmp(&a.last)));
    Analytics {
        since: window.since,
        until: window.until,
        changes,
        rollbacks: of(&[DeploymentKind::Rollback]),
        kinds: DeploymentKind::ALL
            .into_iter()
            .map(|kind| {
                let measure = Measure::Whole(kind);
                KindFigures { kind, good: times(measure, Ending::Good), failed: together(measure, &bad) }
            })
            .filter(|figures| figures.good.count + figures.failed.count > 0)
            .collect(),
        phases: Phase::ALL
            .into_iter()
            .map(|phase| {
                let measure = Measure::Phase(phase);
                PhaseFigures { phase, good: times(measure, Ending::Good), failed: together(measure, &bad) }
            })
            .filter(|figures| figures.good.count + figures.failed.count > 0)
            .collect(),
        failures,
        dora: Dora {
            deployments: changes.active,
            deployments_per_day: changes.active as f64 / days,
            lead_time: times(Measure::LeadTime, Ending::Good),
            failed_changes,
            change_failure_rate: share(failed_changes, changes.active + changes.rolled_back),
            time_to_restore: times(Measure::Restore, Ending::Good),
        },
    }
}

impl Outcomes {
    /// In the order of [`Ending::ALL`].
    fn new([active, failed, rolled_back, cancelled, superseded]: [u64; 5]) -> Self {
        let total = active + failed + rolled_back + cancelled + superseded;
        let success_rate = share(active, active + failed + rolled_back);
        Self { total, active, failed, rolled_back, cancelled, superseded, success_rate }
    }
}

fn share(part: u64, all: u64) -> Option<f64> {
    // A change of the day before the first may have failed within the window.
    (all > 0).then(|| (part as f64 / all as f64).min(1.0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_what_was_counted() {
        let counted = |measure, ending, ms, times| Counted { measure, ending, bucket: Bucket::of(ms), times };
        let deploy = Measure::Whole(DeploymentKind::Deploy);
        let build = Measure::Phase(Phase::Building);
        let since = DateTime::UNIX_EPOCH;
        let window = Window { since, until: since + chrono::TimeDelta::days(2) };
        let point = |cause, count, n| FailurePoint {
            phase: Phase::Building,
            cause,
            count,
            last: DeploymentId::from_ulid(ulid::Ulid::from_parts(n, 0)),
        };
        let found = report(
            window,
            [
                counted(deploy, Ending::Good, 1000, 5),
                counted(deploy, Ending::Good, 9000, 1),
                counted(Measure::Whole(DeploymentKind::Promotion), Ending::Good, 10, 1),
                counted(deploy, Ending::Failed, 10, 2),
                counted(deploy, Ending::RolledBack, 10, 1),
                counted(deploy, Ending::Cancelled, 10, 7),
                counted(deploy, Ending::Superseded, 10, 3),
                counted(Measure::Whole(DeploymentKind::Rollback), Ending::Good, 10, 1),
                counted(build, Ending::Good, 800, 3),
                counted(build, Ending::Failed, 100, 1),
                counted(build, Ending::RolledBack, 100, 1),
                counted(Measure::LeadTime, Ending::Good, 3_600_000, 6),
                counted(Measure::Restore, Ending::Good, 60_000, 2),
            ],
            vec![point(Cause::Build, 1, 1), point(Cause::Limit, 2, 2)],
        );
        assert_eq!((found.changes.total, found.changes.active, found.changes.failed), (20, 7, 2));
        assert_eq!(found.changes.success_rate, Some(0.7));
        assert_eq!((found.rollbacks.total, found.rollbacks.success_rate), (1, Some(1.0)));
        assert_eq!(found.phases.len(), 1);
        assert_eq!((found.phases[0].good.count, found.phases[0].failed.count), (3, 2));
        assert_eq!(found.kinds.len(), 3);
        assert_eq!(found.failures.iter().map(|f| f.cause).collect::<Vec<_>>(), [Cause::Limit, Cause::Build]);
        assert_eq!((found.dora.deployments, found.dora.deployments_per_day), (7, 3.5));
        assert_eq!((found.dora.failed_changes, found.dora.change_failure_rate), (2, Some(0.25)));
        assert!((found.dora.lead_time.p50_ms.unwrap() / 3_600_000.0 - 1.0).abs() < 0.05);
    }

    #[test]
    fn of_nothing_there_are_no_rates() {
        let found = report(Window { since: DateTime::UNIX_EPOCH, until: DateTime::UNIX_EPOCH }, [], Vec::new());
        assert_eq!((found.changes.success_rate, found.dora.change_failure_rate), (None, None));
        assert_eq!(found.dora.deployments_per_day, 0.0);
        assert!(found.phases.is_empty() && found.kinds.is_empty());
    }
}
