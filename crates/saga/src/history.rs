//! The state of a saga as its events tell it: the pure heart of the engine.

mod apply;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{CancelRefused, Cause, Kind, Outcome};

/// Everything that a saga's journal says: the typed state, what became of each stage, and where the saga stands.
///
/// Made from records by legal transitions alone; a copy that was kept as JSON is for showing, the journal is the truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History<S, E> {
    name: String,
    version: u32,
    next_seq: u64,
    started_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    state: S,
    /// Shared with the histories before and after, but for the one that an event changes.
    stages: Vec<Arc<StageRecord<E>>>,
    progress: Progress<E>,
    cancel: Option<String>,
    abandoned_by: Option<String>,
}

/// What became of one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRecord<E> {
    pub name: String,
    pub kind: Kind,
    pub status: StageStatus,
    /// Attempts begun since the saga started or an operator had it retried.
    pub attempts: u32,
    pub undo_attempts: u32,
    /// How often a process died in the attempt at hand, or lost the saga to another one.
    pub interruptions: u32,
    pub started_at: Option<DateTime<Utc>>,
    /// When it last finished, failed or was undone.
    pub ended_at: Option<DateTime<Utc>>,
    /// The last error of the stage or of its undo.
    pub error: Option<E>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageStatus {
    Pending,
    Running,
    /// An attempt failed and another follows.
    Waiting,
    Finished,
    Failed,
    /// It was not done, as an operator abandoned the saga.
    Skipped,
    Undoing,
    /// An attempt to undo it failed and another follows.
    UndoWaiting,
    Undone,
    UndoFailed,
    /// It was not taken back, as an operator abandoned the saga.
    UndoSkipped,
}

/// Where a saga stands. `stage` is an index into [`History::stages`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress<E> {
    /// All stages before `stage` are over; it may be the number of stages.
    Ready {
        stage: usize,
    },
    Running {
        stage: usize,
        attempt: u32,
    },
    /// Attempt number `attempt` begins at `until`.
    Backoff {
        stage: usize,
        attempt: u32,
        until: DateTime<Utc>,
    },
    /// Being undone; the first `remaining` stages are still to be undone, the last of them first.
    Unwinding {
        remaining: usize,
        why: Cause<E>,
    },
    Undoing {
        stage: usize,
        attempt: u32,
        why: Cause<E>,
    },
    UndoBackoff {
        stage: usize,
        attempt: u32,
        until: DateTime<Utc>,
        why: Cause<E>,
    },
    /// No attempts are left and there is no way back: about to be [`Progress::Stuck`].
    Exhausted {
        stage: usize,
        way: Way,
        error: E,
        why: Option<Cause<E>>,
    },
    /// Waits for an operator.
    Stuck {
        stage: usize,
        way: Way,
        error: E,
        why: Option<Cause<E>>,
    },
    Done,
    Undone {
        why: Cause<E>,
    },
}

/// The direction in which a saga moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    Forward,
    Undo,
}

/// An event that can't follow on what happened before: a damaged journal or a fault in the engine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("event {event} (record {seq}) can't follow when the saga is {progress}")]
pub struct IllegalTransition {
    pub seq: u64,
    pub event: &'static str,
    pub progress: String,
}

impl<S, E> History<S, E> {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn version(&self) -> u32 {
        self.version
    }

    /// The number of records so far, which is the number of the next one.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    pub fn started_at(&self) -> DateTime<Utc> {
        self.started_at
    }

    /// The time of the last record.
    pub fn updated_at(&self) -> DateTime<Utc> {
        self.updated_at
    }

    /// What the finished stages have put together.
    pub fn state(&self) -> &S {
        &self.state
    }

    pub fn stages(&self) -> &[Arc<StageRecord<E>>] {
        &self.stages
    }

    pub fn progress(&self) -> &Progress<E> {
        &self.progress
    }

    /// The reason of the cancel that was accepted.
    pub fn cancel_reason(&self) -> Option<&str> {
        self.cancel.as_deref()
    }

    /// The operator who abandoned it, if one did.
    pub fn abandoned_by(&self) -> Option<&str> {
        self.abandoned_by.as_deref()
    }

    /// The stage that is at hand, or comes next if the saga is between two; none if all are over.
    pub fn current_stage(&self) -> Option<&StageRecord<E>> {
        self.stages.get(self.progress.stage()?).map(Arc::as_ref)
    }

    /// The stage behind the current one in the saga's order.
    pub fn next_stage(&self) -> Option<&StageRecord<E>> {
        self.stages.get(self.progress.stage()?.checked_add(1)?).map(Arc::as_ref)
    }

    /// The stage ahead of the current one in the saga's order; the last one if all are done.
    pub fn previous_stage(&self) -> Option<&StageRecord<E>> {
        let stage = match self.progress {
            Progress::Done => self.stages.last(),
            _ => self.stages.get(self.progress.stage()?.checked_sub(1)?),
        };
        stage.map(Arc::as_ref)
    }

    /// Whether the point of no return is passed: nothing will be undone any more.
    pub fn past_pivot(&self) -> bool {
        self.undoing().is_none()
            && self.stages.iter().any(|stage| stage.kind == Kind::Pivot && stage.status == StageStatus::Finished)
    }

    /// Why the saga is being undone or was, if so.
    pub fn undoing(&self) -> Option<&Cause<E>> {
        match &self.progress {
            Progress::Unwinding { why, .. }
            | Progress::Undoing { why, .. }
            | Progress::UndoBackoff { why, .. }
            | Progress::Undone { why } => Some(why),
            Progress::Exhausted { why, .. } | Progress::Stuck { why, .. } => why.as_ref(),
            Progress::Ready { .. } | Progress::Running { .. } | Progress::Backoff { .. } | Progress::Done => None,
        }
    }

    /// Whether a cancel would be accepted now; also `Ok` when one was.
    pub fn can_cancel(&self) -> Result<(), CancelRefused> {
        match &self.progress {
            Progress::Done | Progress::Undone { .. } => Err(CancelRefused::Ended),
            _ if self.cancel.is_some() => Ok(()),
            _ if self.undoing().is_some() => Err(CancelRefused::AlreadyUndoing),
            _ if self.past_pivot() => Err(CancelRefused::PastPivot),
            _ => Ok(()),
        }
    }
}

impl<S: Clone, E: Clone> History<S, E> {
    /// How the saga ended or got stuck, if it did.
    pub fn outcome(&self) -> Option<Outcome<S, E>> {
        match &self.progress {
            Progress::Done => Some(Outcome::Done(self.state.clone())),
            Progress::Undone { why } => Some(Outcome::Undone { why: why.clone(), state: self.state.clone() }),
            Progress::Stuck { stage, way, error, why } => Some(Outcome::Stuck {
                stage: self.stages[*stage].name.clone(),
                way: *way,
                error: error.clone(),
                why: why.clone(),
                state: self.state.clone(),
            }),
            _ => None,
        }
    }
}

impl<E> Progress<E> {
    /// The stage at hand; see [`History::current_stage`].
    pub fn stage(&self) -> Option<usize> {
        match self {
            Progress::Ready { stage }
            | Progress::Running { stage, .. }
            | Progress::Backoff { stage, .. }
            | Progress::Undoing { stage, .. }
            | Progress::UndoBackoff { stage, .. }
            | Progress::Exhausted { stage, .. }
            | Progress::Stuck { stage, .. } => Some(*stage),
            Progress::Unwinding { remaining, .. } => remaining.checked_sub(1),
            Progress::Done | Progress::Undone { .. } => None,
        }
    }

    /// `ready`, `running`, `backoff`, `unwinding`, `undoing`, `undo_backoff`, `exhausted`, `stuck`, `done` or `undone`.
    pub fn name(&self) -> &'static str {
        match self {
            Progress::Ready { .. } => "ready",
            Progress::Running { .. } => "running",
            Progress::Backoff { .. } => "backoff",
            Progress::Unwinding { .. } => "unwinding",
            Progress::Undoing { .. } => "undoing",
            Progress::UndoBackoff { .. } => "undo_backoff",
            Progress::Exhausted { .. } => "exhausted",
            Progress::Stuck { .. } => "stuck",
            Progress::Done => "done",
            Progress::Undone { .. } => "undone",
        }
    }

    fn describe(&self, stages: &[Arc<StageRecord<E>>]) -> String {
        match self.stage().and_then(|stage| stages.get(stage)) {
            Some(stage) => format!("{} at stage {}", self.name(), stage.name),
            None => self.name().to_owned(),
        }
    }
}
