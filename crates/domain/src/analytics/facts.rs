//! What is counted of a deployment that has ended.

use chrono::{DateTime, TimeDelta, Utc};

use super::Bucket;
use crate::deployment::{Deployment, DeploymentKind};
use crate::failure::Cause;
use crate::phase::Phase;

/// A deployment that is rolled back within this time after it became active is a change that failed.
pub const REMEDY_WINDOW: TimeDelta = TimeDelta::hours(24);

/// What was timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    Phase(Phase),
    /// From the order to the end.
    Whole(DeploymentKind),
    /// From the commit until it was active, the first time that the environment got it.
    LeadTime,
    /// From the activation of a change that failed until something good served again. There is one for each such change.
    Restore,
}

/// How what was timed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    Good,
    Failed,
    /// It had been switched to, and was taken back.
    RolledBack,
    Cancelled,
    /// A newer one was there first.
    Superseded,
}

impl Measure {
    /// As it is stored.
    pub fn name(self) -> String {
        match self {
            Measure::Phase(phase) => format!("phase.{}", phase.as_str()),
            Measure::Whole(kind) => format!("kind.{}", kind.as_str()),
            Measure::LeadTime => "lead_time".to_owned(),
            Measure::Restore => "restore".to_owned(),
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        match name.split_once('.') {
            Some(("phase", phase)) => Phase::from_name(phase).map(Measure::Phase),
            Some(("kind", kind)) => DeploymentKind::ALL.into_iter().find(|k| k.as_str() == kind).map(Measure::Whole),
            _ if name == "lead_time" => Some(Measure::LeadTime),
            _ if name == "restore" => Some(Measure::Restore),
            _ => None,
        }
    }
}

impl Ending {
    pub const ALL: [Ending; 5] =
        [Ending::Good, Ending::Failed, Ending::RolledBack, Ending::Cancelled, Ending::Superseded];

    pub fn as_str(self) -> &'static str {
        match self {
            Ending::Good => "good",
            Ending::Failed => "failed",
            Ending::RolledBack => "rolled_back",
            Ending::Cancelled => "cancelled",
            Ending::Superseded => "superseded",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.as_str() == name)
    }

    fn of(deployment: &Deployment) -> Option<Self> {
        let superseded = deployment.failure.as_ref().is_some_and(|f| f.cause == Cause::Superseded);
        match deployment.phase {
            Phase::Active => Some(Ending::Good),
            Phase::Failed if superseded => Some(Ending::Superseded),
            Phase::Failed => Some(Ending::Failed),
            Phase::RolledBack => Some(Ending::RolledBack),
            Phase::Cancelled => Some(Ending::Cancelled),
            _ => None,
        }
    }
}

/// One time that something took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sample {
    /// Since 1970, in UTC.
    pub day: i32,
    pub measure: Measure,
    pub ending: Ending,
    pub bucket: Bucket,
}

/// What a rollback took the traffic from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    pub kind: DeploymentKind,
    pub active_at: DateTime<Utc>,
}

/// What is to be counted of one deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub samples: Vec<Sample>,
    /// Day, phase and cause.
    pub failure: Option<(i32, Phase, Cause)>,
}

/// The day of a point in time.
pub fn day_of(at: DateTime<Utc>) -> i32 {
    // Good for five million years.
    i32::try_from(at.timestamp().div_euclid(86_400)).unwrap_or(i32::MAX)
}

/// When a day begins.
pub(super) fn beginning_of(day: i32) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH.checked_add_signed(TimeDelta::days(day.into())).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// What is to be counted of `deployment`; nothing before its end.
///
/// `replaced` is what served before a rollback. `new_commit`: no deployment of the environment has brought its commit before.
pub fn facts(deployment: &Deployment, replaced: Option<Replaced>, new_commit: bool) -> Facts {
    let (Some(ending), Some(end)) = (Ending::of(deployment), deployment.finished_at) else { return Facts::default() };
    let today = day_of(end);
    let mut samples = Vec::new();
    // A clock that went back tells nothing, and no time is better than a wrong one.
    let mut sample = |day, measure, ending, from: DateTime<Utc>, to: DateTime<Utc>| {
        let ms = u64::try_from((to - from).num_milliseconds()).unwrap_or(0);
        samples.push(Sample { day, measure, ending, bucket: Bucket::of(ms) });
    };

    let passed: Vec<_> = deployment.phases.iter().filter(|times| !times.phase.is_end()).collect();
    for (n, times) in passed.iter().enumerate() {
        let is_last = n + 1 == passed.len();
        let how = if is_last { ending } else { Ending::Good };
        sample(today, Measure::Phase(times.phase), how, times.started_at, times.finished_at.unwrap_or(end));
    }
    sample(today, Measure::Whole(deployment.kind), ending, deployment.created_at, end);

    let is_change = deployment.kind != DeploymentKind::Rollback;
    match (ending, is_change) {
        (Ending::Good, true) => {
            let commit = deployment.metadata.commit.as_ref().filter(|_| new_commit);
            if let Some(at) = commit.and_then(|commit| DateTime::from_timestamp(commit.time, 0)) {
                sample(today, Measure::LeadTime, ending, at, end);
            }
        }
        (Ending::RolledBack, true) => {
            let from = deployment.metadata.switched_at.unwrap_or(end);
            sample(today, Measure::Restore, Ending::Good, from, end);
        }
        (Ending::Good, false) => {
            let failed = replaced.filter(|replaced| {
                replaced.kind != DeploymentKind::Rollback && end - replaced.active_at <= REMEDY_WINDOW
            });
            if let Some(Replaced { active_at, .. }) = failed {
                // On the day of the change, as the share is of that day's changes.
                sample(day_of(active_at), Measure::Restore, Ending::Good, active_at, end);
            }
        }
        _ => {}
    }
    let counts = matches!(ending, Ending::Failed | Ending::RolledBack);
    let failure = deployment.failure.as_ref().filter(|_| counts).map(|failure| (today, failure.phase, failure.cause));
    Facts { samples, failure }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::deployment::{Metadata, PhaseTimes};
    use crate::failure::Failure;
    use crate::source::Commit;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(20_000 * 86_400 + seconds, 0).unwrap()
    }

    /// Queued for a second, built for nine.
    fn ended(kind: DeploymentKind, phase: Phase) -> Deployment {
        let times = |phase, from, to| PhaseTimes { phase, started_at: at(from), finished_at: Some(at(to)) };
        let commit =
            Commit { sha: "a".repeat(40), summary: String::new(), author: String::new(), time: at(-3590).timestamp() };
        Deployment {
            id: crate::DeploymentId::from_ulid(ulid::Ulid::from_parts(1, 2)),
            app: "shop".parse().unwrap(),
            environment: "production".parse().unwrap(),
            kind,
            generation: 1,
            phase,
            progress: 100,
            source: None,
            release: None,
            release_number: None,
            metadata: Metadata { commit: Some(commit), switched_at: Some(at(8)), ..Metadata::default() },
            phases: vec![times(Phase::Queued, 0, 1), times(Phase::Building, 1, 10), times(phase, 10, 10)],
            failure: None,
            cancelling: false,
            stuck: None,
            requested_by: String::new(),
            created_at: at(0),
            updated_at: at(10),
            finished_at: Some(at(10)),
        }
    }

    fn failed(cause: Cause, phase: Phase) -> Deployment {
        let failure = Failure {
            phase: Phase::Building,
            cause,
            message: String::new(),
            output: Vec::new(),
            hint: String::new(),
            smoke_tests: Vec::new(),
        };
        Deployment { failure: Some(failure), ..ended(DeploymentKind::Deploy, phase) }
    }

    fn find(facts: &Facts, measure: Measure) -> Option<(i32, Ending, Bucket)> {
        facts.samples.iter().find(|s| s.measure == measure).map(|s| (s.day, s.ending, s.bucket))
    }

    fn secs(n: u64) -> Bucket {
        Bucket::of(n * 1000)
    }

    #[test]
    fn a_good_change_has_a_lead_time_and_its_failed_phase_is_apart() {
        let good = facts(&ended(DeploymentKind::Deploy, Phase::Active), None, true);
        assert_eq!(find(&good, Measure::LeadTime), Some((20_000, Ending::Good, secs(3600))));
        assert_eq!(find(&good, Measure::Phase(Phase::Building)), Some((20_000, Ending::Good, secs(9))));
        assert_eq!(find(&good, Measure::Whole(DeploymentKind::Deploy)), Some((20_000, Ending::Good, secs(10))));
        assert_eq!((find(&good, Measure::Phase(Phase::Active)), good.failure), (None, None));
        assert_eq!(find(&good, Measure::Restore), None);
        let again = facts(&ended(DeploymentKind::Deploy, Phase::Active), None, false);
        assert_eq!(find(&again, Measure::LeadTime), None, "the environment has had that commit");

        let bad = facts(&failed(Cause::Build, Phase::Failed), None, true);
        assert_eq!(find(&bad, Measure::Phase(Phase::Queued)).unwrap().1, Ending::Good);
        assert_eq!(find(&bad, Measure::Phase(Phase::Building)).unwrap().1, Ending::Failed);
        assert_eq!(bad.failure, Some((20_000, Phase::Building, Cause::Build)));
        assert_eq!(find(&bad, Measure::LeadTime), None);
    }

    #[test]
    fn what_is_overtaken_or_cancelled_is_no_failure() {
        let overtaken = facts(&failed(Cause::Superseded, Phase::Failed), None, true);
        assert_eq!(overtaken.failure, None);
        assert_eq!(find(&overtaken, Measure::Whole(DeploymentKind::Deploy)).unwrap().1, Ending::Superseded);
        let cancelled = facts(&failed(Cause::Cancelled, Phase::Cancelled), None, true);
        assert_eq!(cancelled.failure, None);
    }

    #[test]
    fn a_change_that_is_taken_back_or_rolled_back_soon_has_failed() {
        let taken_back = facts(&failed(Cause::SmokeTest, Phase::RolledBack), None, true);
        assert_eq!(find(&taken_back, Measure::Restore), Some((20_000, Ending::Good, secs(2))));

        let rollback = ended(DeploymentKind::Rollback, Phase::Active);
        let of = |kind, seconds| facts(&rollback, Some(Replaced { kind, active_at: at(seconds) }), false);
        let soon = of(DeploymentKind::Deploy, -7200);
        assert_eq!(find(&soon, Measure::Restore), Some((19_999, Ending::Good, secs(7210))), "on the change's day");
        assert_eq!(find(&of(DeploymentKind::Promotion, -60), Measure::Restore).unwrap().0, 19_999);
        assert_eq!(find(&of(DeploymentKind::Deploy, -2 * 86_400), Measure::Restore), None, "too long ago");
        assert_eq!(find(&of(DeploymentKind::Rollback, -60), Measure::Restore), None, "a rollback is no change");
        assert_eq!(find(&facts(&rollback, None, false), Measure::Restore), None);
    }

    #[test]
    fn nothing_is_counted_before_the_end_and_a_clock_that_goes_back_counts_as_no_time() {
        let open = Deployment { finished_at: None, ..ended(DeploymentKind::Deploy, Phase::Building) };
        assert_eq!(facts(&open, None, true), Facts::default());
        let mut back = ended(DeploymentKind::Deploy, Phase::Active);
        back.created_at = at(60);
        assert_eq!(find(&facts(&back, None, true), Measure::Whole(DeploymentKind::Deploy)).unwrap().2, Bucket(0));
    }

    #[test]
    fn names_come_back() {
        let measures = Phase::ALL.map(Measure::Phase).into_iter().chain(DeploymentKind::ALL.map(Measure::Whole));
        for measure in measures.chain([Measure::LeadTime, Measure::Restore]) {
            assert_eq!(Measure::from_name(&measure.name()), Some(measure));
        }
        assert!(Ending::ALL.into_iter().all(|ending| Ending::from_name(ending.as_str()) == Some(ending)));
        assert_eq!((Measure::from_name("phase.x"), Ending::from_name("x")), (None, None));
    }
}
