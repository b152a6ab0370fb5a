//! Where a saga's events are kept.

mod file;
mod memory;

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{HistoryOf, RecordOf, Saga, SagaId};

pub use file::FileJournal;
pub use memory::MemoryJournal;

/// Durable, ordered storage of the events of sagas.
///
/// The engine journals before it acts and goes on only once the write is known to be durable. All safety against crashes
/// and against two owners rests on the four promises below; put a new implementation through the
/// [`harness`](crate::harness), which kills a saga just before and just after each call.
///
/// 1. `append` is atomic: all of its records become durable or none does.
/// 2. When it returns `Ok`, the records survive a crash of process and machine.
/// 3. It succeeds only if `seq` equals the number of records that the saga has: of two writers, one fails.
/// 4. It fails with [`JournalError::Fenced`] once a higher fence is known for the saga (or its lease).
#[async_trait]
pub trait Journal<G: Saga>: Send + Sync {
    /// All records of a saga in order, or none if it was never started. Reading changes nothing, so a crash before or after
    /// means nothing.
    ///
    /// # Errors
    /// `Unavailable` if the storage can't be read now, `Corrupt` if what it holds was damaged or makes no sense.
    async fn load(&self, id: &SagaId) -> Result<Vec<RecordOf<G>>, JournalError>;

    /// Writes `records` (at least one, numbered from `seq`) in one durable write. `after` is the history with the records
    /// applied: an implementation may keep a copy of what it says in rows of its own, in the same transaction.
    ///
    /// A crash **just before** the write: nothing happened as far as the saga is concerned. If the records tell of a finished stage,
    /// that stage is run again on resume; if they start one, its effect has not begun.
    ///
    /// A crash **just after** the write: if the records start a stage, the stage is run (or, after an accepted cancel, undone) on
    /// resume although its effect may not have begun; if they end the saga, resuming it only reads the outcome.
    ///
    /// # Errors
    /// `Fenced`: nothing was written, another owner has the saga. `Conflict`: nothing was written, the journal is not as it was read;
    /// under a fence that is still the highest it was this owner, in a run that was dropped before its write was done. `Unavailable`:
    /// **unknown** whether the records were written. In each case the engine stops and runs no further effect; whoever resumes the saga
    /// reads what became of them.
    async fn append(
        &self,
        id: &SagaId,
        fence: Fence,
        seq: u64,
        records: &[RecordOf<G>],
        after: &HistoryOf<G>,
    ) -> Result<(), JournalError>;
}

/// The epoch of the lease under which a saga is run: each new owner has a higher one. A program that is the only one to run its
/// sagas may always use `Fence(0)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub u64);

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JournalError {
    #[error("the saga was taken over: fence {held} is held, {current} is current; nothing was written")]
    Fenced { held: Fence, current: Fence },
    #[error(
        "the journal has {found} records where {expected} were expected; nothing was written, read it again to go on"
    )]
    Conflict { expected: u64, found: u64 },
    #[error("the journal can't be used now: {0}; resume the saga when it can")]
    Unavailable(String),
    #[error("the journal is damaged: {0}; restore it from a backup")]
    Corrupt(String),
}
