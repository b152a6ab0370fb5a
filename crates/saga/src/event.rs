//! What is journaled.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{PlannedStage, Way};

/// One journaled event. Records of a saga are numbered from 0 without gaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record<S, E> {
    pub seq: u64,
    pub at: DateTime<Utc>,
    pub event: Event<S, E>,
}

/// Something that happened to a saga. Stages are named by their index in the plan that [`Event::Started`] carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event<S, E> {
    /// Always the first record and only that.
    Started {
        name: String,
        version: u32,
        stages: Vec<PlannedStage>,
        state: S,
    },
    StageStarted {
        stage: usize,
        attempt: u32,
    },
    StageFinished {
        stage: usize,
        state: S,
    },
    /// `retry_at` is the time of the next attempt; without it the stage has failed for good.
    StageFailed {
        stage: usize,
        attempt: u32,
        error: E,
        retry_at: Option<DateTime<Utc>>,
    },
    CancelRequested {
        reason: String,
    },
    UndoStarted {
        stage: usize,
        attempt: u32,
    },
    UndoFinished {
        stage: usize,
    },
    /// `retry_at` is the time of the next attempt; without it the undo has failed for good.
    UndoFailed {
        stage: usize,
        attempt: u32,
        error: E,
        retry_at: Option<DateTime<Utc>>,
    },
    /// It is not to begin: what it was for has become pointless before its first stage.
    Refused {
        error: E,
    },
    /// Nobody is at the stage or undo that was started: a new owner found it so, or a cancel came before it began. Written before
    /// any effect of a new owner, so that the old one is refused at its next write.
    Interrupted,
    /// All stages are done.
    Finished,
    /// Every started stage is undone.
    Undone {
        why: Cause<E>,
    },
    /// An undo, or a stage after the pivot, gave up. An operator must decide.
    StuckAt {
        stage: usize,
        way: Way,
        error: E,
    },
    /// The operator's decision on a stuck saga.
    Resumed {
        remedy: Remedy,
        by: String,
    },
}

impl<S, E> Event<S, E> {
    /// The event's name as it stands in the journal, e.g. `stage_started`.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Started { .. } => "started",
            Event::StageStarted { .. } => "stage_started",
            Event::StageFinished { .. } => "stage_finished",
            Event::StageFailed { .. } => "stage_failed",
            Event::CancelRequested { .. } => "cancel_requested",
            Event::UndoStarted { .. } => "undo_started",
            Event::UndoFinished { .. } => "undo_finished",
            Event::UndoFailed { .. } => "undo_failed",
            Event::Refused { .. } => "refused",
            Event::Interrupted => "interrupted",
            Event::Finished => "finished",
            Event::Undone { .. } => "undone",
            Event::StuckAt { .. } => "stuck_at",
            Event::Resumed { .. } => "resumed",
        }
    }

    /// The stage that the event is about, if it is about one.
    pub fn stage(&self) -> Option<usize> {
        match self {
            Event::StageStarted { stage, .. }
            | Event::StageFinished { stage, .. }
            | Event::StageFailed { stage, .. }
            | Event::UndoStarted { stage, .. }
            | Event::UndoFinished { stage }
            | Event::UndoFailed { stage, .. }
            | Event::StuckAt { stage, .. } => Some(*stage),
            Event::Started { .. }
            | Event::CancelRequested { .. }
            | Event::Refused { .. }
            | Event::Interrupted
            | Event::Finished
            | Event::Undone { .. }
            | Event::Resumed { .. } => None,
        }
    }
}

/// Why a saga was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause<E> {
    /// Stage `stage` failed for good.
    Failed { stage: usize, name: String, error: E },
    /// A cancel was accepted. `error` is what the running stage ended with, if it did not finish.
    Cancelled { reason: String, error: Option<E> },
}

impl<E> Cause<E> {
    pub fn error(&self) -> Option<&E> {
        match self {
            Cause::Failed { error, .. } => Some(error),
            Cause::Cancelled { error, .. } => error.as_ref(),
        }
    }

    pub fn is_cancel(&self) -> bool {
        matches!(self, Cause::Cancelled { .. })
    }
}

impl<E: fmt::Display> fmt::Display for Cause<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Failed { name, error, .. } => write!(f, "stage {name} failed: {error}"),
            Cause::Cancelled { reason, .. } => write!(f, "cancelled: {reason}"),
        }
    }
}

/// What an operator can do about a stuck saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Try the stage (or its undo) again, with all its attempts.
    Retry,
    /// End here: what was not done is not done, and what was not taken back stays. Nothing is tried any more.
    Abandon,
}
