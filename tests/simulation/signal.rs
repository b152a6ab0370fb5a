//! Waking those who wait, in the order in which they came: tokio's `watch` wakes in a random one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// A number that grows with each [`Signal::send`]. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Signal {
    count: Arc<AtomicU64>,
    waiting: Arc<Notify>,
}

impl Signal {
    pub(crate) fn send(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.waiting.notify_waiters();
    }

    pub(crate) fn seen(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns once more was sent than what was `seen`.
    pub(crate) async fn wait(&self, seen: u64) {
        // The runtime has one thread: nothing is sent between the look and the wait.
        while self.seen() == seen {
            self.waiting.notified().await;
        }
    }
}
