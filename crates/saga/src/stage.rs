//! What the author of a saga writes: a [`Saga`] with its [`Stage`]s.

use std::fmt::{self, Debug, Display};
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::Retry;

/// A saga type: stages in order over one typed state.
///
/// The type itself is never instantiated; it names the three types and the stages that belong together.
pub trait Saga: Sized + Send + Sync + 'static {
    /// The services that the stages act on. Shared by all sagas that an [`Engine`](crate::Engine) runs; never journaled.
    type World: Send + Sync + 'static;
    /// What the stages have found out so far. Journaled whole with every finished stage, so keep it small: names and ids,
    /// not contents. A field that serde skips is lost at a resume.
    type State: Clone + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// Why a stage failed. Journaled, hence free of secrets.
    type Error: Clone + Serialize + DeserializeOwned + Display + Debug + Send + Sync + 'static;

    /// The name that is journaled. A journal of another name is refused.
    const NAME: &'static str;
    /// Raise it whenever stages are added, removed, reordered or change kind, or the state changes incompatibly.
    const VERSION: u32;

    /// The stages in the order in which they run. Names are unique, at most one stage is the [`Kind::Pivot`], every stage
    /// after it is [`Kind::ForwardOnly`] and none before it is.
    fn stages() -> Vec<Box<dyn Stage<Self>>>;

    /// The error to journal when an attempt outlived [`Stage::limit`].
    fn timed_out(stage: &str, limit: Duration) -> Self::Error;

    /// The error to journal when a stage panicked, or when the process died in it again and again.
    fn panicked(stage: &str, message: String) -> Self::Error;

    /// Whether a saga that was started by this version of the code may be resumed by the present one. Its journaled stages
    /// must equal the present ones in any case.
    fn resumes(version: u32) -> bool {
        version == Self::VERSION
    }
}

/// One step of a saga.
///
/// **Effects must be idempotent.** The engine journals that a stage starts, runs it, and journals that it finished. A process
/// that dies in between runs the stage again when it resumes, with the same input state. Give what you make a name that follows
/// from the state alone, and adopt what you find under that name.
#[async_trait]
pub trait Stage<G: Saga>: Send + Sync {
    /// Unique within the saga; journaled.
    fn name(&self) -> &'static str;

    /// Whether the stage can be undone. Default: [`Kind::Undoable`].
    fn kind(&self) -> Kind {
        Kind::Undoable
    }

    /// How often [`run`](Stage::run) is tried when it fails with [`Verdict::Retry`]. Default: once.
    fn retry(&self) -> Retry {
        Retry::never()
    }

    /// How often [`undo`](Stage::undo) is tried before the saga is stuck. Default: five attempts, the first waits being
    /// about 0.2, 0.4, 0.8 and 1.6 seconds.
    fn undo_retry(&self) -> Retry {
        Retry::attempts(5).base(Duration::from_millis(200)).cap(Duration::from_secs(30))
    }

    /// The longest that one attempt of [`run`](Stage::run) may take. An attempt that exceeds it is dropped and counts as a
    /// failure with [`Saga::timed_out`] and [`Verdict::Retry`]. Default: no limit.
    fn limit(&self, state: &G::State) -> Option<Duration> {
        let _ = state;
        None
    }

    /// The longest that one attempt of [`undo`](Stage::undo) may take. Default: no limit.
    fn undo_limit(&self, state: &G::State) -> Option<Duration> {
        let _ = state;
        None
    }

    /// Does the work and returns the state with the stage's outputs filled in.
    ///
    /// `state` is the last journaled one: what a failed attempt put into its copy is gone. When `step.cancel` fires, stop soon
    /// and return [`Failure::cancelled`]; a stage that ignores it is undone once it has finished.
    async fn run(&self, world: &G::World, state: G::State, step: &Step) -> Result<G::State, Failure<G::Error>>;

    /// Takes back whatever [`run`](Stage::run) did, be it all, half or nothing: it is also called for a stage that failed and for one
    /// that was interrupted, in which case `state` lacks its outputs. Called again after a crash. Never called for a
    /// [`Kind::ForwardOnly`] stage, nor for a pivot that was passed.
    async fn undo(&self, world: &G::World, state: &G::State) -> Result<(), Failure<G::Error>> {
        let _ = (world, state);
        Ok(())
    }
}

/// What may become of a stage once it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Is undone when a later stage fails or the saga is cancelled.
    Undoable,
    /// The point of no return: undone if it fails itself; once it has finished, nothing is undone any more.
    Pivot,
    /// Comes after the pivot: retried until it succeeds, else the saga is stuck and waits for an operator.
    ForwardOnly,
}

/// What a stage is told about the attempt at hand.
#[derive(Debug, Clone)]
pub struct Step {
    pub saga: SagaId,
    pub stage: &'static str,
    /// Counted from 1. A repeat after a crash keeps its number.
    pub attempt: u32,
    /// Fires when a cancel was accepted, and when the attempt is over for any reason (time limit, shutdown), so that
    /// tasks which the stage spawned can end with it.
    pub cancel: CancellationToken,
}

/// A stage's error, with the verdict on what it means for the saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure<E> {
    pub error: E,
    pub verdict: Verdict,
}

impl<E> Failure<E> {
    /// Worth another attempt, if the stage's [`Retry`] allows one.
    pub fn retry(error: E) -> Self {
        Self { error, verdict: Verdict::Retry }
    }

    /// Another attempt would end the same way.
    pub fn permanent(error: E) -> Self {
        Self { error, verdict: Verdict::Permanent }
    }

    /// The stage stopped because [`Step::cancel`] fired.
    pub fn cancelled(error: E) -> Self {
        Self { error, verdict: Verdict::Cancelled }
    }

    /// The same verdict on another error.
    pub fn map<F>(self, map: impl FnOnce(E) -> F) -> Failure<F> {
        Failure { error: map(self.error), verdict: self.verdict }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Retry,
    Permanent,
    Cancelled,
}

/// Names one saga in its journal. Any text; the caller makes it unique.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SagaId(String);

impl SagaId {
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for SagaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for SagaId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

impl From<String> for SagaId {
    fn from(id: String) -> Self {
        Self::new(id)
    }
}
