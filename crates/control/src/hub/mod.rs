//! Many who follow the same log share one reading of it.
//!
//! A [`Tail`] is what is followed. Its [`pump`] reads what the log has got and puts it into a ring as [`Frame`]s, each of
//! which is written for the wire once, whoever it is sent to. A [`Watcher`] is a place in the log: it takes the frames
//! behind its place one by one, when it is asked for the next. Who is further back than the ring reaches reads the log by
//! himself until he meets it; who takes his time falls behind, and holds nobody up. The first watcher starts a pump,
//! and it ends with the last one.

mod frame;
mod instances;
mod output;
mod pump;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use domain::{DeploymentId, EnvironmentId, Name};
use operations::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use frame::{Form, Frame};
pub(crate) use instances::Instances;
pub(crate) use output::Output;
use tail::Tail;
pub(crate) use tail::Watcher;

/// A log that grows at its end. Its clone reads for itself.
pub(crate) trait Log: Clone + Send + Sync + 'static {
    type Line: Clone + Send + Sync + 'static;
    /// How far it was read: behind some line, or before all of them.
    type Place: Clone + PartialEq + Send + Sync + 'static;

    /// Goes near the end, as far back as may be of use to those who come soon. The place is before what is read next.
    fn begin(&mut self) -> impl Future<Output = Result<Self::Place, Error>> + Send;

    /// Whether it has stopped growing. Asked before a reading: then that finds all there is.
    fn is_over(&mut self) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Some lines behind the place, which moves behind them; none when that is all there is.
    fn read(&mut self, place: &mut Self::Place) -> impl Future<Output = Result<Read<Self::Line>, Error>> + Send;

    /// Waits until there may be more.
    fn grown(&mut self) -> impl Future<Output = ()> + Send;

    /// Whether who is at `place` has had all that is before `other`.
    fn covers(place: &Self::Place, other: &Self::Place) -> bool;

    /// The line as somebody at `place` gets it, which moves behind it; `None` when he has had it.
    fn meet(place: &mut Self::Place, line: &Self::Line) -> Option<Self::Line>;

    /// Bytes of memory, more or less.
    fn weight(line: &Self::Line) -> usize;
}

/// Lines that were read in one go.
pub(crate) struct Read<L> {
    pub lines: Vec<L>,
    /// There is more: one need not wait for it.
    pub full: bool,
}

/// Everything that somebody follows.
#[derive(Default)]
pub(crate) struct Hub {
    pub outputs: Tails<DeploymentId, Output>,
    pub instances: Tails<(EnvironmentId, Option<Name>), Instances>,
}

/// Logs of one kind that somebody follows.
pub(crate) struct Tails<K, L: Log>(Mutex<HashMap<K, Weak<Tail<L>>>>);

impl<K, L: Log> Default for Tails<K, L> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, L: Log> Tails<K, L> {
    /// Follows `log`, which is the one called `key`, from `place` on.
    pub(crate) fn follow(
        &self,
        key: K,
        log: L,
        place: L::Place,
        tasks: &TaskTracker,
        stopping: &CancellationToken,
    ) -> Watcher<L> {
        let mut tails = lock(&self.0);
        // One whose pump has ended may have ended too early: a deployment can be resumed.
        let there = tails.get(&key).and_then(Weak::upgrade).filter(|tail| !tail.has_ended());
        let tail = there.unwrap_or_else(|| {
            let (tail, pump) = Tail::start(log, stopping.clone());
            tasks.spawn(pump);
            tails.retain(|_, tail| tail.strong_count() > 0);
            tails.insert(key, Arc::downgrade(&tail));
            tail
        });
        Watcher::new(tail, place)
    }
}

/// A panic while holding the lock leaves nothing half-done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
