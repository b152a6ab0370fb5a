//! The start of a saga in the write that gives it to its owner.

use std::sync::Arc;

use super::drive::{Drive, Followed, follow};
use super::{Engine, illegal};
use crate::{Cancel, EngineError, Fence, History, OutcomeOf, Record, RecordOf, Saga, SagaId};

/// What a saga writes before its first effect, for a caller that writes it in the transaction in which it takes the saga.
#[derive(Debug, Clone)]
pub struct Begun<S, E> {
    history: Arc<History<S, E>>,
    steps: Vec<Followed<S, E>>,
}

impl<S, E> Begun<S, E> {
    /// To be written as they are, under the epoch with which the saga is run then. None for a saga that had begun before: what to do
    /// with that is decided when it is run.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &Record<S, E>> {
        self.steps.iter().map(|(record, _)| record)
    }

    /// The history with the records applied.
    pub fn after(&self) -> &Arc<History<S, E>> {
        self.steps.last().map_or(&self.history, |(_, after)| after)
    }
}

impl<G: Saga> Engine<G> {
    /// The first step of a saga whose whole journal is `journal`; nothing is written.
    ///
    /// # Errors
    /// Those for a saga that this program may not resume; [`EngineError::Unknown`] for an empty journal.
    pub fn begin(&self, id: &SagaId, journal: &[RecordOf<G>]) -> Result<Begun<G::State, G::Error>, EngineError> {
        let history = Arc::new(self.replay(id, journal)?);
        if journal.len() > 1 {
            return Ok(Begun { history, steps: Vec::new() });
        }
        let at = (self.chance.clock)().max(history.updated_at());
        let steps = follow(&history, &self.plan, Vec::new(), at).map_err(|source| illegal(id, source))?;
        Ok(Begun { history, steps })
    }

    /// Runs a saga of which [`Engine::begin`] was written under `fence`, by this process and just now: nobody else can have added to its
    /// journal since. Else as [`Engine::run`].
    ///
    /// # Errors
    /// Those of [`Engine::run`].
    pub async fn run_begun(
        &self,
        id: &SagaId,
        fence: Fence,
        begun: Begun<G::State, G::Error>,
        cancel: &Cancel,
    ) -> Result<OutcomeOf<G>, EngineError> {
        let attached = cancel.attach();
        let mut drive = Drive::resume(self, id, fence, begun.history);
        drive.was_written(begun.steps);
        self.go_on(drive, cancel, attached).await
    }
}
