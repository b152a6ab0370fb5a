//! How long each stage took in past deployments of the environment, by their journals.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::EnvironmentId;
use domain::deployment::DeploymentKind;
use domain::failure::Failure;
use domain::phase::Phase;
use domain::plan::Estimate;
use operations::Error;
use saga::{History, Kind, Record, StageStatus};
use store::Store;
use store::deployments::Filter;

use crate::deployment::State;
use crate::error::store_error;

/// So many of the newest deployments are looked at; older ones tell of an app that was another.
const MOST: usize = 20;
/// Of all kinds, to find those of one kind.
const LOOKED_AT: u64 = 100;

type DeploymentHistory = History<State, Failure>;

/// What was measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    stages: BTreeMap<String, Vec<Duration>>,
    /// From the first stage's start until the new release served.
    pub whole: Option<Estimate>,
}

impl Measured {
    pub(crate) fn stage(&self, name: &str) -> Option<Estimate> {
        Estimate::of(self.stages.get(name)?.iter().copied())
    }
}

/// Of deployments that became active, of this kind, which used a release again or built one, as this one would: a build that had
/// nothing to do tells nothing of one that has.
pub(super) async fn measure(
    store: &Store,
    environment: &EnvironmentId,
    kind: DeploymentKind,
    reuses: bool,
) -> Result<Measured, Error> {
    let filter = Filter { environment: Some(environment.clone()), phase: Some(Phase::Active), ..Filter::default() };
    let records = store::deployments::list(store, &filter, None, LOOKED_AT).await.map_err(store_error)?;
    let mut histories = Vec::new();
    for record in records.into_iter().filter(|record| record.deployment.kind == kind) {
        if histories.len() == MOST {
            break;
        }
        let id = record.deployment.id.as_str();
        let journal = store::sagas::load(store, id).await.map_err(store_error)?;
        // A journal of a version that wrote otherwise is no reason to refuse a plan.
        let records: Result<Vec<Record<State, Failure>>, _> =
            journal.into_iter().map(|(_, value)| serde_json::from_value(value)).collect();
        let history = records.ok().and_then(|records| DeploymentHistory::replay(&records).ok());
        histories.extend(history.filter(|history| history.state().reused == reuses));
    }
    Ok(of(&histories))
}

fn of(histories: &[DeploymentHistory]) -> Measured {
    let mut measured = Measured::default();
    let mut wholes = Vec::new();
    for history in histories {
        let took = |from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>| (to? - from?).to_std().ok();
        for stage in history.stages().iter().filter(|stage| stage.status == StageStatus::Finished) {
            if let Some(time) = took(stage.started_at, stage.ended_at) {
                measured.stages.entry(stage.name.clone()).or_default().push(time);
            }
        }
        let pivot = history.stages().iter().find(|stage| stage.kind == Kind::Pivot);
        let begun = history.stages().first().and_then(|stage| stage.started_at);
        wholes.extend(took(begun, pivot.and_then(|stage| stage.ended_at)));
    }
    measured.whole = Estimate::of(wholes);
    measured
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::TimeDelta;
    use saga::Event;

    use super::*;
    use crate::deployment::Rollback;
    use crate::planning::tests::scene;

    /// Each stage takes `ms`, with a millisecond between two.
    fn history(ms: i64, stages: usize) -> DeploymentHistory {
        let scene = scene(DeploymentKind::Rollback);
        let mut at = DateTime::<Utc>::UNIX_EPOCH;
        let mut history = History::open(&saga::opening::<Rollback>(scene.state(), at).unwrap()).unwrap();
        for stage in 0..stages {
            let state = history.state().clone();
            for (event, later) in
                [(Event::StageStarted { stage, attempt: 1 }, 1), (Event::StageFinished { stage, state }, ms)]
            {
                at += TimeDelta::milliseconds(later);
                history = history.apply(&Record { seq: history.next_seq(), at, event }).unwrap();
            }
        }
        history
    }

    #[test]
    fn what_was_never_measured_is_unknown() {
        let measured = of(&[]);
        assert_eq!((measured.stage("claim"), measured.whole), (None, None));
        let measured = of(&[history(5, 2)]);
        assert_eq!(measured.stage("claim").unwrap().median_ms, 5);
        assert_eq!((measured.stage("activate"), measured.whole), (None, None), "it did not come so far");
    }

    #[test]
    fn stages_and_the_whole_are_measured() {
        let measured = of(&[history(10, 7), history(20, 7), history(90, 7)]);
        let claim = measured.stage("claim").unwrap();
        assert_eq!((claim.median_ms, claim.p90_ms, claim.samples), (20, 90, 3));
        // Six stages to the pivot, and five pauses between them.
        assert_eq!(measured.whole.unwrap().median_ms, 6 * 20 + 5);
    }
}
