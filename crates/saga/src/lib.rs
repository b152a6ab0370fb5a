#![doc = include_str!("../README.md")]

mod cancel;
mod decide;
mod engine;
mod event;
pub mod harness;
mod history;
mod journal;
mod listener;
mod outcome;
mod plan;
mod retry;
mod stage;

pub use cancel::{Cancel, CancelRefused};
pub use decide::{Decision, decide, entry, failed};
pub use engine::{Begun, Engine, opening};
pub use event::{Cause, Event, Record, Remedy};
pub use history::{History, IllegalTransition, Progress, StageRecord, StageStatus, Way};
pub use journal::{Fence, FileJournal, Journal, JournalError, MemoryJournal};
pub use listener::{Listener, Notice};
pub use outcome::{EngineError, Outcome};
pub use plan::{Plan, PlanError, PlannedStage, PlannedWork};
pub use retry::Retry;
pub use stage::{Failure, Kind, Saga, SagaId, Stage, Step, Verdict};

/// The [`History`] of a saga of type `G`.
pub type HistoryOf<G> = History<<G as Saga>::State, <G as Saga>::Error>;
/// A journal [`Record`] of a saga of type `G`.
pub type RecordOf<G> = Record<<G as Saga>::State, <G as Saga>::Error>;
/// The [`Event`] of a saga of type `G`.
pub type EventOf<G> = Event<<G as Saga>::State, <G as Saga>::Error>;
/// The [`Outcome`] of a saga of type `G`.
pub type OutcomeOf<G> = Outcome<<G as Saga>::State, <G as Saga>::Error>;
