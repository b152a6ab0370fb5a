//! How a run of a saga ends.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Cause, IllegalTransition, JournalError, PlanError, SagaId, Way};

/// Where a saga has come to rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<S, E> {
    /// Every stage has finished (or was skipped by an operator after the pivot).
    Done(S),
    /// Every stage that had been started was undone. `state` is the last journaled one, which tells what the stages had made.
    Undone { why: Cause<E>, state: S },
    /// The saga waits for an operator: see [`Engine::unstick`](crate::Engine::unstick). `why` says why the saga was being undone,
    /// if it was.
    Stuck { stage: String, way: Way, error: E, why: Option<Cause<E>>, state: S },
}

impl<S, E> Outcome<S, E> {
    pub fn state(&self) -> &S {
        match self {
            Outcome::Done(state) | Outcome::Undone { state, .. } | Outcome::Stuck { state, .. } => state,
        }
    }

    pub fn is_done(&self) -> bool {
        matches!(self, Outcome::Done(_))
    }

    /// `done`, `undone` or `stuck`.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Done(_) => "done",
            Outcome::Undone { .. } => "undone",
            Outcome::Stuck { .. } => "stuck",
        }
    }
}

/// Why the engine stopped without an outcome. The saga stays as its journal has it and can be resumed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EngineError {
    #[error("saga {id}: {source}")]
    Journal { id: SagaId, source: JournalError },
    #[error("saga {id} has no journal; start it first")]
    Unknown { id: SagaId },
    #[error("saga {id} was started before; run it to resume it")]
    AlreadyStarted { id: SagaId },
    #[error("saga {id} is a {found}, not a {expected}")]
    WrongSaga { id: SagaId, found: String, expected: String },
    #[error(
        "saga {id} was started by version {found} of {name}; this program knows version {known}; finish it with the program that started it"
    )]
    WrongVersion { id: SagaId, name: String, found: u32, known: u32 },
    #[error(
        "saga {id} was started with the stages [{found}], but version {version} of this program has [{known}]; raise the saga's version"
    )]
    StagesChanged { id: SagaId, version: u32, found: String, known: String },
    #[error("saga {id} is not stuck; there is nothing to retry or skip")]
    NotStuck { id: SagaId },
    #[error("saga {id}: the journal does not make sense: {source}")]
    Illegal { id: SagaId, source: IllegalTransition },
    #[error(transparent)]
    Plan(#[from] PlanError),
}
