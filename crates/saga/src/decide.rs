//! What to do next: pure decisions over a [`History`]. The engine only carries them out.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{Cause, Event, Failure, History, Plan, Progress, Retry, Verdict, Way};

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<E> {
    Run {
        stage: usize,
        attempt: u32,
    },
    Undo {
        stage: usize,
        attempt: u32,
    },
    Wait {
        until: DateTime<Utc>,
    },
    /// The process died `interruptions` times in this attempt: count it as failed rather than run it for ever.
    Abandon {
        stage: usize,
        way: Way,
        interruptions: u32,
    },
    Finished,
    Undone {
        why: Cause<E>,
    },
    /// Nothing, until an operator says so.
    Stuck {
        stage: usize,
        way: Way,
        error: E,
    },
}

/// What to do next with a saga that has this history, at the time `now`.
///
/// `plan` is the plan of the same stages as the history's.
pub fn decide<S: Clone, E: Clone>(history: &History<S, E>, plan: &Plan, now: DateTime<Utc>) -> Decision<E> {
    let died_too_often = |stage: usize| {
        let interruptions = history.stages().get(stage).map_or(0, |stage| stage.interruptions);
        (interruptions > plan.max_interruptions()).then_some(interruptions)
    };
    match history.progress() {
        Progress::Ready { stage } if *stage < history.stages().len() => Decision::Run { stage: *stage, attempt: 1 },
        Progress::Ready { .. } | Progress::Done => Decision::Finished,
        Progress::Running { stage, attempt } => match died_too_often(*stage) {
            Some(interruptions) => Decision::Abandon { stage: *stage, way: Way::Forward, interruptions },
            None => Decision::Run { stage: *stage, attempt: *attempt },
        },
        Progress::Backoff { until, .. } | Progress::UndoBackoff { until, .. } if now < *until => {
            Decision::Wait { until: *until }
        }
        Progress::Backoff { stage, attempt, .. } => Decision::Run { stage: *stage, attempt: *attempt },
        Progress::UndoBackoff { stage, attempt, .. } => Decision::Undo { stage: *stage, attempt: *attempt },
        Progress::Unwinding { remaining, why } => match remaining.checked_sub(1) {
            Some(stage) => Decision::Undo { stage, attempt: 1 },
            None => Decision::Undone { why: why.clone() },
        },
        Progress::Undoing { stage, attempt, .. } => match died_too_often(*stage) {
            Some(interruptions) => Decision::Abandon { stage: *stage, way: Way::Undo, interruptions },
            None => Decision::Undo { stage: *stage, attempt: *attempt },
        },
        Progress::Undone { why } => Decision::Undone { why: why.clone() },
        Progress::Exhausted { stage, way, error, .. } | Progress::Stuck { stage, way, error, .. } => {
            Decision::Stuck { stage: *stage, way: *way, error: error.clone() }
        }
    }
}

/// The event that must be durable before `decision` is carried out; `None` if it is in the history already.
pub fn entry<S: Clone, E: Clone>(history: &History<S, E>, decision: &Decision<E>) -> Option<Event<S, E>> {
    match (decision, history.progress()) {
        (Decision::Run { .. }, Progress::Running { .. })
        | (Decision::Undo { .. }, Progress::Undoing { .. })
        | (Decision::Finished, Progress::Done)
        | (Decision::Undone { .. }, Progress::Undone { .. })
        | (Decision::Stuck { .. }, Progress::Stuck { .. })
        | (Decision::Wait { .. } | Decision::Abandon { .. }, _) => None,
        (Decision::Run { stage, attempt }, _) => Some(Event::StageStarted { stage: *stage, attempt: *attempt }),
        (Decision::Undo { stage, attempt }, _) => Some(Event::UndoStarted { stage: *stage, attempt: *attempt }),
        (Decision::Finished, _) => Some(Event::Finished),
        (Decision::Undone { why }, _) => Some(Event::Undone { why: why.clone() }),
        (Decision::Stuck { stage, way, error }, _) => {
            Some(Event::StuckAt { stage: *stage, way: *way, error: error.clone() })
        }
    }
}

/// The event for a failure of the stage or undo that is running, with the time of the next attempt if there is to be one; `None` if
/// nothing is running. `seed` is any random number; it makes the jitter.
pub fn failed<S: Clone, E: Clone>(
    history: &History<S, E>,
    plan: &Plan,
    failure: Failure<E>,
    now: DateTime<Utc>,
    seed: u64,
) -> Option<Event<S, E>> {
    let next = |retry: Option<Retry>, attempt: u32| match failure.verdict {
        Verdict::Retry => {
            let wait = TimeDelta::from_std(retry?.wait_after(attempt, seed)?).ok()?;
            now.checked_add_signed(wait)
        }
        Verdict::Permanent | Verdict::Cancelled => None,
    };
    match history.progress() {
        Progress::Running { stage, attempt } => {
            let retry = plan.works().get(*stage).map(|work| work.retry);
            // After an accepted cancel another attempt would only be undone.
            let retry_at = if history.cancel_reason().is_some() { None } else { next(retry, *attempt) };
            Some(Event::StageFailed { stage: *stage, attempt: *attempt, error: failure.error, retry_at })
        }
        Progress::Undoing { stage, attempt, .. } => {
            let retry_at = next(plan.works().get(*stage).map(|work| work.undo_retry), *attempt);
            Some(Event::UndoFailed { stage: *stage, attempt: *attempt, error: failure.error, retry_at })
        }
        _ => None,
    }
}
