//! What the deployment's row says, made from the saga's history and nothing else.

use chrono::{DateTime, Utc};
use domain::ReleaseId;
use domain::deployment::{Abandoned, DeploymentKind, Metadata, PhaseTimes};
use domain::failure::Failure;
use domain::phase::Phase;
use domain::smoke::{Moment, SmokeResult};
use saga::{Cause, History, Progress, StageRecord, StageStatus};

use super::smoke;
use super::stages::{BUILD, CREATE_RELEASE, CUTOVER, LINK, PULL_SOURCE, RELEASE_COMMAND, RETIRE, START, phase_of};
use super::state::Order;
use super::{State, fail};

/// The row as it should be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Projection {
    pub phase: Phase,
    /// Percent.
    pub progress: u8,
    pub phases: Vec<PhaseTimes>,
    pub failure: Option<Failure>,
    pub stuck: Option<String>,
    pub cancelling: bool,
    pub metadata: Metadata,
    /// None leaves the row's as it is: a release that is being undone may be gone already.
    pub release: Option<(ReleaseId, u32)>,
}

type DeploymentHistory = History<State, Failure>;

pub(crate) fn project(history: &DeploymentHistory) -> Projection {
    let state = history.state();
    let phase = phase(history);
    Projection {
        phase,
        progress: phase.progress(),
        phases: phases(history, phase),
        failure: history.undoing().map(|why| match abandoned(history) {
            Some(abandoned) => left(failure(why, furthest(history)), &abandoned),
            None => failure(why, furthest(history)),
        }),
        stuck: match history.progress() {
            Progress::Stuck { error, .. } => Some(error.message.clone()),
            _ => None,
        },
        cancelling: history.cancel_reason().is_some() && !phase.is_end(),
        metadata: Metadata {
            smoke_tests: smoke_tests(history),
            switched_at: switched_at(history),
            abandoned: abandoned(history),
            ..metadata(state)
        },
        release: release(history),
    }
}

fn phase(history: &DeploymentHistory) -> Phase {
    match history.progress() {
        Progress::Done => Phase::Active,
        // Something of it is still there, whatever it was to become.
        Progress::Undone { .. } if history.abandoned_by().is_some() => Phase::Failed,
        Progress::Undone { why } if why.is_cancel() && stalled(why).is_none() => Phase::Cancelled,
        Progress::Undone { .. } if history.state().switched => Phase::RolledBack,
        Progress::Undone { .. } => Phase::Failed,
        _ if history.past_pivot() => Phase::Active,
        _ => furthest(history),
    }
}

/// The furthest phase that was begun; undoing does not go back in it.
fn furthest(history: &DeploymentHistory) -> Phase {
    begun(history).map(|(phase, _)| phase).max().unwrap_or(Phase::Queued)
}

/// Phases of the stages that were begun, before the end, each with the time.
fn begun(history: &DeploymentHistory) -> impl Iterator<Item = (Phase, DateTime<Utc>)> {
    history.stages().iter().filter_map(|stage| {
        let phase = shown_phase(stage, history.state()).filter(|p| !p.is_end())?;
        Some((phase, stage.started_at?))
    })
}

/// A release command that does not exist makes no phase.
fn shown_phase(stage: &StageRecord<Failure>, state: &State) -> Option<Phase> {
    let has_command = || state.spec.as_ref().is_some_and(|s| s.components.iter().any(|c| c.release_command.is_some()));
    if stage.name == RELEASE_COMMAND && !has_command() {
        return None;
    }
    phase_of(&stage.name)
}

fn phases(history: &DeploymentHistory, now: Phase) -> Vec<PhaseTimes> {
    let mut times = vec![PhaseTimes { phase: Phase::Queued, started_at: history.started_at(), finished_at: None }];
    let mut enter = |phase: Phase, at: DateTime<Utc>| {
        let Some(last) = times.last_mut() else { return };
        if phase > last.phase {
            last.finished_at = Some(at);
            times.push(PhaseTimes { phase, started_at: at, finished_at: None });
        }
    };
    for (phase, at) in begun(history) {
        enter(phase, at);
    }
    if now.is_end() {
        let pivot = history.stages().iter().find(|s| s.kind == saga::Kind::Pivot);
        let at = match now {
            Phase::Active => pivot.and_then(|s| s.ended_at).unwrap_or(history.updated_at()),
            _ => history.updated_at(),
        };
        enter(now, at);
        if let Some(last) = times.last_mut() {
            last.finished_at = Some(at);
        }
    }
    times
}

fn failure(why: &Cause<Failure>, at: Phase) -> Failure {
    match why {
        Cause::Failed { error, .. } => error.clone(),
        Cause::Cancelled { reason, .. } => match (stalled(why), reason.strip_prefix(NOT_APPROVED)) {
            (Some(stall), _) => fail::failure(
                at,
                domain::failure::Cause::Timeout,
                stall,
                "see what the output stopped at; `plimsoll stalls show` tells the limits",
            ),
            (None, Some(why)) => fail::failure(
                at,
                domain::failure::Cause::NotApproved,
                format!("it was not approved: {why}"),
                "ask whoever votes, then deploy again; `plimsoll approvals list` shows what they said",
            ),
            (None, None) => Failure { message: reason.clone(), ..fail::cancelled(at) },
        },
    }
}

/// Steps that leave something where they are not taken back, or not done; a claim ends with the deployment.
const LEAVES: [&str; 7] = [PULL_SOURCE, BUILD, CREATE_RELEASE, LINK, START, CUTOVER, RETIRE];

fn abandoned(history: &DeploymentHistory) -> Option<Abandoned> {
    let by = history.abandoned_by()?.to_owned();
    let left = history.stages().iter().filter(|stage| is_left(stage)).map(|stage| stage.name.clone()).collect();
    Some(Abandoned { by, left })
}

fn is_left(stage: &StageRecord<Failure>) -> bool {
    matches!(stage.status, StageStatus::Skipped | StageStatus::UndoSkipped) && LEAVES.contains(&stage.name.as_str())
}

/// The failure of a deployment that was abandoned while it was taken back.
pub(super) fn left(failure: Failure, abandoned: &Abandoned) -> Failure {
    Failure { message: format!("{}; {abandoned}", failure.message), ..failure }
}

/// Why it was taken back without anybody's wish.
fn stalled(why: &Cause<Failure>) -> Option<&str> {
    match why {
        Cause::Cancelled { reason, .. } => reason.strip_prefix(STALLED),
        Cause::Failed { .. } => None,
    }
}

/// What the reason of such a cancel begins with; no token's name has a space.
const STALLED: &str = "cancelled by stall detection: ";

/// The same of one that others did not approve of.
pub(super) const NOT_APPROVED: &str = "not approved: ";

fn release(history: &DeploymentHistory) -> Option<(ReleaseId, u32)> {
    let release = history.state().release.as_ref().filter(|_| history.undoing().is_none())?;
    Some((release.id.clone(), release.number))
}

fn switched_at(history: &DeploymentHistory) -> Option<DateTime<Utc>> {
    let cutover = history.stages().iter().find(|stage| stage.name == CUTOVER);
    cutover.filter(|_| history.state().switched)?.started_at
}

fn metadata(state: &State) -> Metadata {
    let files = state.release.as_ref().map(|r| r.files);
    Metadata {
        commit: state.commit.clone(),
        upload: state.order.upload().cloned(),
        detected_type: state.spec.as_ref().map(|s| s.stacks()),
        files_copied: files,
        files_total: files,
        instances: state.placements.iter().map(|p| p.key.name()).collect(),
        waiting_for: None,
        switched_at: None,
        switched_to: state.release.as_ref().filter(|_| state.switched).map(|release| release.id.clone()),
        previous_release: state.previous.as_ref().map(|previous| previous.release.clone()),
        urls: state.urls.clone(),
        promotion: state.order.promotion.as_ref().map(|p| p.record.clone()),
        plan: state.order.plan.as_ref().map(|agreed| agreed.plan.clone()),
        approval: state.order.approval.as_ref().map(|awaited| awaited.id.clone()),
        reference: asked(&state.order),
        smoke_tests: Vec::new(),
        abandoned: None,
    }
}

/// What the very commit of its source was called when it was asked for.
fn asked(order: &Order) -> Option<String> {
    let of_plan = order.plan.as_ref().and_then(|agreed| agreed.reference.as_ref());
    of_plan.or(order.approval.as_ref().and_then(|awaited| awaited.reference.as_ref())).cloned()
}

/// Every smoke test that was asked for: what is known of it, or, once it is known that it won't be run, why.
fn smoke_tests(history: &DeploymentHistory) -> Vec<SmokeResult> {
    let state = history.state();
    let (failed, never): (&[SmokeResult], _) = match history.undoing() {
        Some(Cause::Failed { error, .. }) => {
            (error.smoke_tests.as_slice(), Some("the deployment failed before it came to this"))
        }
        Some(Cause::Cancelled { .. }) => (&[][..], Some("the deployment was cancelled")),
        None if state.order.kind == DeploymentKind::Rollback => {
            (&[][..], Some("a rollback goes to a release that passed them; `plimsoll smoke-tests run` runs them"))
        }
        None => (&[][..], None),
    };
    let known = || state.smoke_tests.iter().chain(failed);
    let asked =
        [Moment::Before, Moment::After].into_iter().flat_map(|m| smoke::tests(state, m).map(move |test| (test, m)));
    asked
        .filter_map(|(test, moment)| {
            let found = known().find(|r| r.name == test.name && r.moment == moment).cloned();
            found.or_else(|| never.map(|reason| SmokeResult::skipped(test, moment, reason)))
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::deployment::state::ReleaseRef;
    use crate::deployment::{Deploy, Deploying};
    use domain::failure::Cause as FailureCause;
    use domain::release::Digest;
    use saga::{Event, Record};

    fn state() -> State {
        let id = |n| ulid::Ulid::from_parts(1, n);
        State::deploy(Order {
            kind: domain::deployment::DeploymentKind::Deploy,
            deployment: domain::DeploymentId::from_ulid(id(1)),
            app: domain::AppId::from_ulid(id(2)),
            app_name: "hello".parse().unwrap(),
            environment: domain::EnvironmentId::from_ulid(id(3)),
            environment_name: "production".parse().unwrap(),
            generation: 1,
            source: None,
            labels: Default::default(),
            promotion: None,
            plan: None,
            approval: None,
        })
    }

    /// The history of `Deploy` after these events.
    fn after<G: Deploying>(events: Vec<Event<State, Failure>>) -> DeploymentHistory {
        let mut history = History::open(&saga::opening::<G>(state(), Utc::now()).unwrap()).unwrap();
        for event in events {
            history = history.apply(&Record { seq: history.next_seq(), at: Utc::now(), event }).unwrap();
        }
        history
    }

    fn through(last: usize, state: &State) -> Vec<Event<State, Failure>> {
        (0..=last)
            .flat_map(|stage| {
                [Event::StageStarted { stage, attempt: 1 }, Event::StageFinished { stage, state: state.clone() }]
            })
            .collect()
    }

    fn failed(stage: usize) -> Vec<Event<State, Failure>> {
        let error = fail::failure(Phase::Building, FailureCause::Build, "no", "try");
        let mut events = vec![
            Event::StageStarted { stage, attempt: 1 },
            Event::StageFailed { stage, attempt: 1, error: error.clone(), retry_at: None },
        ];
        for undone in (0..=stage).rev() {
            events.push(Event::UndoStarted { stage: undone, attempt: 1 });
            events.push(Event::UndoFinished { stage: undone });
        }
        events.push(Event::Undone { why: Cause::Failed { stage, name: "x".into(), error } });
        events
    }

    #[test]
    fn phases_follow_the_stages_and_end_in_the_truth() {
        assert_eq!(project(&after::<Deploy>(vec![])).phase, Phase::Queued);
        let pulling = after::<Deploy>(vec![Event::StageStarted { stage: 0, attempt: 1 }]);
        assert_eq!(project(&pulling).phase, Phase::PullingSource);

        let mut events = through(1, &state());
        events.extend(failed(2));
        let projection = project(&after::<Deploy>(events));
        assert_eq!(projection.phase, Phase::Failed);
        assert_eq!(projection.failure.unwrap().cause, FailureCause::Build);
        assert!(projection.phases.iter().all(|p| p.finished_at.is_some()));
    }

    #[test]
    fn what_was_switched_and_taken_back_is_rolled_back() {
        let release = ReleaseRef {
            id: ReleaseId::from_ulid(ulid::Ulid::from_parts(1, 4)),
            number: 2,
            digest: Digest("d".to_owned()),
            artifact: None,
            size: 1,
            files: 1,
        };
        let mut events = through(9, &State { switched: true, release: Some(release.clone()), ..state() });
        events.extend(failed(10));
        let projection = project(&after::<Deploy>(events));
        assert_eq!((projection.phase, projection.release), (Phase::RolledBack, None));
        assert_eq!(projection.metadata.switched_to, Some(release.id), "whose requests were counted");
    }

    /// The undo of `stage`, which is the next to be taken back, fails for good; somebody abandons the deployment then.
    fn abandoned_at(stage: usize, way: saga::Way) -> Vec<Event<State, Failure>> {
        let error = fail::internal(Phase::HealthCheck, "the ingress is gone");
        let mut events = match way {
            saga::Way::Undo => vec![
                Event::UndoStarted { stage, attempt: 1 },
                Event::UndoFailed { stage, attempt: 1, error: error.clone(), retry_at: None },
            ],
            saga::Way::Forward => vec![
                Event::StageStarted { stage, attempt: 1 },
                Event::StageFailed { stage, attempt: 1, error: error.clone(), retry_at: None },
            ],
        };
        events.push(Event::StuckAt { stage, way, error });
        events.push(Event::Resumed { remedy: saga::Remedy::Abandon, by: "zoe".into() });
        events
    }

    #[test]
    fn what_is_abandoned_says_who_did_and_what_is_left() {
        let mut events = through(9, &State { switched: true, ..state() });
        events.extend(failed(10).into_iter().take(4));
        events.extend(abandoned_at(9, saga::Way::Undo));
        let why = Cause::Cancelled { reason: "not looked at".into(), error: None };
        events.push(Event::Undone { why });
        let projection = project(&after::<Deploy>(events));
        assert_eq!((projection.phase, projection.stuck), (Phase::Failed, None), "and not rolled back");
        let left = "no; abandoned by zoe; not taken back: pull_source, build, create_release, link, start, cutover";
        assert_eq!(projection.failure.unwrap().message, left);
        assert_eq!(projection.metadata.abandoned.unwrap().by, "zoe");

        // Past the pivot it serves, whatever is left to be cleaned.
        let mut events = through(10, &state());
        events.extend(abandoned_at(11, saga::Way::Forward));
        events.push(Event::Finished);
        let projection = project(&after::<Deploy>(events));
        assert_eq!((projection.phase, projection.failure), (Phase::Active, None));
        assert_eq!(projection.metadata.abandoned.unwrap().left, [RETIRE]);
    }

    #[test]
    fn it_is_active_from_the_pivot_on() {
        let projection = project(&after::<Deploy>(through(10, &state())));
        assert_eq!((projection.phase, projection.progress), (Phase::Active, 100));
        assert!(projection.phases.iter().all(|p| p.phase != Phase::Migrating), "there was no release command");
    }

    #[test]
    fn every_step_is_a_legal_transition_of_the_row() {
        let mut events = through(9, &State { switched: true, ..state() });
        events.extend(failed(10));
        let mut phase = Phase::Queued;
        for n in 1..=events.len() {
            let next = project(&after::<Deploy>(events[..n].to_vec())).phase;
            assert!(next == phase || phase.may_become(next), "{phase} -> {next}");
            phase = next;
        }
    }
}
