//! A process as the operating system sees it: it can be stopped, continued and killed at any of its steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use crate::signal::Signal;

/// The process of one server. Clones are the same process.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) id: u32,
    paused: Arc<AtomicBool>,
    continued: Signal,
    killed: CancellationToken,
    cut_off: Arc<AtomicBool>,
}

impl Process {
    pub(crate) fn new(id: u32) -> Self {
        Self {
            id,
            paused: Arc::default(),
            continued: Signal::default(),
            killed: CancellationToken::new(),
            cut_off: Arc::default(),
        }
    }

    /// SIGSTOP: nothing of it happens until [`Process::carry_on`].
    pub(crate) fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    pub(crate) fn carry_on(&self) {
        self.paused.store(false, Ordering::Relaxed);
        self.continued.send();
    }

    /// SIGKILL: nothing of it happens any more, paused or not.
    pub(crate) fn kill(&self) {
        self.killed.cancel();
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.killed.is_cancelled()
    }

    /// The database can't be reached from it.
    pub(crate) fn cut_off(&self, yes: bool) {
        self.cut_off.store(yes, Ordering::Relaxed);
    }

    pub(crate) fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Relaxed)
    }

    /// Between any two steps of it: waits while it is paused, for ever when it is dead.
    pub(crate) async fn step(&self) {
        while self.paused.load(Ordering::Relaxed) {
            self.continued.wait(self.continued.seen()).await;
        }
        if !self.is_alive() {
            std::future::pending::<()>().await;
        }
    }

    /// Runs `work` as long as the process lives.
    pub(crate) async fn run(&self, work: impl Future<Output = ()>) {
        self.killed.run_until_cancelled(work).await;
    }
}
