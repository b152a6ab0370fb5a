//! Every legal transition of a saga, in one match.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{History, IllegalTransition, Progress, StageRecord, StageStatus, Way};
use crate::{Cause, Event, Kind, PlannedStage, Record, Remedy};

impl<S: Clone, E: Clone> History<S, E> {
    /// The history that `records` tell.
    ///
    /// # Errors
    /// The first record that can't follow on those before it; a journal without records has none to begin with.
    pub fn replay(records: &[Record<S, E>]) -> Result<Self, IllegalTransition> {
        let nothing = |record: Option<&Record<S, E>>| IllegalTransition {
            seq: record.map_or(0, |record| record.seq),
            event: record.map_or("none", |record| record.event.name()),
            progress: "not started".to_owned(),
        };
        let first = records.first().ok_or_else(|| nothing(None))?;
        let mut history = Self::open(first).ok_or_else(|| nothing(Some(first)))?;
        for record in &records[1..] {
            history = history.apply(record)?;
        }
        Ok(history)
    }

    /// The history after its first record, [`Event::Started`]; `None` for another record.
    pub fn open(record: &Record<S, E>) -> Option<Self> {
        let Event::Started { name, version, stages, state } = &record.event else {
            return None;
        };
        (record.seq == 0).then(|| Self {
            name: name.clone(),
            version: *version,
            next_seq: 1,
            started_at: record.at,
            updated_at: record.at,
            state: state.clone(),
            stages: stages.iter().map(|stage| Arc::new(StageRecord::pending(stage))).collect(),
            progress: Progress::Ready { stage: 0 },
            cancel: None,
            abandoned_by: None,
        })
    }

    /// The history with one more record. Every legal transition of a saga is in this match.
    ///
    /// # Errors
    /// The record isn't the next in number, or its event can't follow here. Never panics, whatever the record says.
    pub fn apply(&self, record: &Record<S, E>) -> Result<Self, IllegalTransition> {
        use Event as On;
        use Progress as At;

        let illegal = || IllegalTransition {
            seq: record.seq,
            event: record.event.name(),
            progress: self.progress.describe(&self.stages),
        };
        if record.seq != self.next_seq {
            return Err(illegal());
        }
        let mut next = self.clone();
        let at = record.at;
        next.progress = match (&self.progress, &record.event) {
            // Forward.
            (At::Ready { stage }, On::StageStarted { stage: which, attempt: 1 })
                if stage == which && *stage < self.stages.len() =>
            {
                next.begin(*stage, 1, at);
                At::Running { stage: *stage, attempt: 1 }
            }
            (At::Backoff { stage, attempt, .. }, On::StageStarted { stage: which, attempt: number })
                if stage == which && attempt == number =>
            {
                next.begin(*stage, *attempt, at);
                At::Running { stage: *stage, attempt: *attempt }
            }
            (At::Running { stage, .. }, On::StageFinished { stage: which, state }) if stage == which => {
                next.state = state.clone();
                next.end(*stage, StageStatus::Finished, None, at);
                match &self.cancel {
                    None => At::Ready { stage: stage + 1 },
                    Some(reason) => At::Unwinding { remaining: stage + 1, why: cancelled(reason, None) },
                }
            }
            (At::Running { stage, attempt }, On::StageFailed { stage: which, attempt: number, error, retry_at })
                if stage == which && attempt == number =>
            {
                let stage = *stage;
                match (retry_at, &self.cancel, self.stages[stage].kind) {
                    (Some(until), None, _) => {
                        next.end(stage, StageStatus::Waiting, Some(error), at);
                        At::Backoff { stage, attempt: attempt + 1, until: *until }
                    }
                    (Some(_), Some(_), _) => return Err(illegal()),
                    (None, _, Kind::ForwardOnly) => {
                        next.end(stage, StageStatus::Failed, Some(error), at);
                        At::Exhausted { stage, way: Way::Forward, error: error.clone(), why: None }
                    }
                    (None, cancel, Kind::Undoable | Kind::Pivot) => {
                        next.end(stage, StageStatus::Failed, Some(error), at);
                        let why = match cancel {
                            Some(reason) => cancelled(reason, Some(error)),
                            None => {
                                Cause::Failed { stage, name: self.stages[stage].name.clone(), error: error.clone() }
                            }
                        };
                        At::Unwinding { remaining: stage + 1, why }
                    }
                }
            }
            (At::Ready { stage }, On::Finished) if *stage == self.stages.len() => At::Done,

            // Cancel.
            (At::Ready { stage: remaining }, On::CancelRequested { reason }) if self.accepts_cancel() => {
                next.cancel = Some(reason.clone());
                At::Unwinding { remaining: *remaining, why: cancelled(reason, None) }
            }
            (At::Backoff { stage, .. }, On::CancelRequested { reason }) if self.accepts_cancel() => {
                next.cancel = Some(reason.clone());
                At::Unwinding { remaining: stage + 1, why: cancelled(reason, self.stages[*stage].error.as_ref()) }
            }
            (running @ At::Running { .. }, On::CancelRequested { reason }) if self.accepts_cancel() => {
                next.cancel = Some(reason.clone());
                running.clone()
            }

            // Ended before it began.
            (At::Ready { stage: 0 }, On::Refused { error }) if self.cancel.is_none() => match self.stages.first() {
                Some(first) => {
                    let why = Cause::Failed { stage: 0, name: first.name.clone(), error: error.clone() };
                    At::Unwinding { remaining: 0, why }
                }
                None => return Err(illegal()),
            },

            // Backward.
            (At::Unwinding { remaining, why }, On::UndoStarted { stage, attempt: 1 }) if stage + 1 == *remaining => {
                next.begin_undo(*stage, 1);
                At::Undoing { stage: *stage, attempt: 1, why: why.clone() }
            }
            (At::UndoBackoff { stage, attempt, why, .. }, On::UndoStarted { stage: which, attempt: number })
                if stage == which && attempt == number =>
            {
                next.begin_undo(*stage, *attempt);
                At::Undoing { stage: *stage, attempt: *attempt, why: why.clone() }
            }
            (At::Undoing { stage, why, .. }, On::UndoFinished { stage: which }) if stage == which => {
                // The error that made the stage fail stays on record; only its status changes.
                let error = self.stages[*stage].error.clone();
                next.end(*stage, StageStatus::Undone, error.as_ref(), at);
                At::Unwinding { remaining: *stage, why: why.clone() }
            }
            (
                At::Undoing { stage, attempt, why },
                On::UndoFailed { stage: which, attempt: number, error, retry_at },
            ) if stage == which && attempt == number => {
                let (stage, why) = (*stage, why.clone());
                match retry_at {
                    Some(until) => {
                        next.end(stage, StageStatus::UndoWaiting, Some(error), at);
                        At::UndoBackoff { stage, attempt: attempt + 1, until: *until, why }
                    }
                    None => {
                        next.end(stage, StageStatus::UndoFailed, Some(error), at);
                        At::Exhausted { stage, way: Way::Undo, error: error.clone(), why: Some(why) }
                    }
                }
            }
            (At::Unwinding { remaining: 0, why }, On::Undone { .. }) => At::Undone { why: why.clone() },

            // Nobody is at it any more. After an accepted cancel there is no sense in running the stage again.
            (running @ At::Running { stage, .. }, On::Interrupted) => {
                next.interrupt(*stage);
                match &self.cancel {
                    Some(reason) => At::Unwinding { remaining: stage + 1, why: cancelled(reason, None) },
                    None => running.clone(),
                }
            }
            (undoing @ At::Undoing { stage, .. }, On::Interrupted) => {
                next.interrupt(*stage);
                undoing.clone()
            }

            // Stuck, and out of it.
            (At::Exhausted { stage, way, error, why }, On::StuckAt { stage: which, way: whither, .. })
                if stage == which && way == whither =>
            {
                At::Stuck { stage: *stage, way: *way, error: error.clone(), why: why.clone() }
            }
            (At::Stuck { stage, way: Way::Forward, .. }, On::Resumed { remedy, by }) => match remedy {
                Remedy::Retry => {
                    next.stage(*stage).status = StageStatus::Waiting;
                    At::Backoff { stage: *stage, attempt: 1, until: at }
                }
                Remedy::Abandon => {
                    next.abandon(*stage..self.stages.len(), StageStatus::Skipped, by);
                    At::Ready { stage: self.stages.len() }
                }
            },
            (At::Stuck { stage, way: Way::Undo, why: Some(why), .. }, On::Resumed { remedy, by }) => match remedy {
                Remedy::Retry => {
                    next.stage(*stage).status = StageStatus::UndoWaiting;
                    At::UndoBackoff { stage: *stage, attempt: 1, until: at, why: why.clone() }
                }
                Remedy::Abandon => {
                    next.abandon(0..=*stage, StageStatus::UndoSkipped, by);
                    At::Unwinding { remaining: 0, why: why.clone() }
                }
            },
            _ => return Err(illegal()),
        };
        next.next_seq += 1;
        next.updated_at = at;
        Ok(next)
    }

    fn accepts_cancel(&self) -> bool {
        self.cancel.is_none() && self.can_cancel().is_ok()
    }

    /// Its own copy of it.
    fn stage(&mut self, stage: usize) -> &mut StageRecord<E> {
        Arc::make_mut(&mut self.stages[stage])
    }

    fn begin(&mut self, stage: usize, attempt: u32, at: DateTime<Utc>) {
        let record = self.stage(stage);
        record.status = StageStatus::Running;
        record.attempts = attempt;
        record.interruptions = 0;
        record.started_at.get_or_insert(at);
        record.ended_at = None;
    }

    fn begin_undo(&mut self, stage: usize, attempt: u32) {
        let record = self.stage(stage);
        record.status = StageStatus::Undoing;
        record.undo_attempts = attempt;
        record.interruptions = 0;
    }

    fn end(&mut self, stage: usize, status: StageStatus, error: Option<&E>, at: DateTime<Utc>) {
        let record = self.stage(stage);
        record.status = status;
        record.error = error.cloned();
        record.ended_at = Some(at);
    }

    /// These stages stay as they are.
    fn abandon(&mut self, stages: impl Iterator<Item = usize>, status: StageStatus, by: &str) {
        self.abandoned_by = Some(by.to_owned());
        for stage in stages {
            self.stage(stage).status = status;
        }
    }

    fn interrupt(&mut self, stage: usize) {
        let record = self.stage(stage);
        record.interruptions = record.interruptions.saturating_add(1);
    }
}

fn cancelled<E: Clone>(reason: &str, error: Option<&E>) -> Cause<E> {
    Cause::Cancelled { reason: reason.to_owned(), error: error.cloned() }
}

impl<E> StageRecord<E> {
    fn pending(stage: &PlannedStage) -> Self {
        Self {
            name: stage.name.clone(),
            kind: stage.kind,
            status: StageStatus::Pending,
            attempts: 0,
            undo_attempts: 0,
            interruptions: 0,
            started_at: None,
            ended_at: None,
            error: None,
        }
    }
}
