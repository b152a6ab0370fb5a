//! The wrappers that make things go wrong: a journal that dies at a write, and stages that fail, repeat, die or cancel.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{Case, Course, Fault, Moment};
use crate::{
    Cancel, CancelRefused, Failure, Fence, HistoryOf, Journal, JournalError, Kind, MemoryJournal, RecordOf, Retry,
    Saga, SagaId, Stage, Step,
};

/// What the wrappers of one case share.
pub(super) struct Rig {
    pub(super) case: Case,
    pub(super) journal: MemoryJournal,
    writes: AtomicUsize,
    fault_is_over: AtomicBool,
    course_is_over: AtomicBool,
    killed: CancellationToken,
    cancel: Mutex<Cancel>,
    answer: Mutex<Option<Result<(), CancelRefused>>>,
}

impl Rig {
    pub(super) fn new(case: Case) -> Arc<Self> {
        Arc::new(Self {
            case,
            journal: MemoryJournal::new(),
            writes: AtomicUsize::new(0),
            fault_is_over: AtomicBool::new(false),
            course_is_over: AtomicBool::new(false),
            killed: CancellationToken::new(),
            cancel: Mutex::new(Cancel::new()),
            answer: Mutex::new(None),
        })
    }

    pub(super) fn journal_for<G: Saga>(self: &Arc<Self>) -> Arc<dyn Journal<G>> {
        Arc::new(DeadlyJournal { rig: Arc::clone(self) })
    }

    pub(super) fn stages<G: Saga>(self: &Arc<Self>) -> Vec<Box<dyn Stage<G>>> {
        let wrap = |inner| Box::new(TroubledStage { inner, rig: Arc::clone(self) }) as Box<dyn Stage<G>>;
        G::stages().into_iter().map(wrap).collect()
    }

    /// A new life of the process begins; its saga listens to a new handle.
    pub(super) fn revive(&self) -> Cancel {
        let cancel = Cancel::new();
        *self.cancel.lock().unwrap_or_else(PoisonError::into_inner) = cancel.clone();
        cancel
    }

    /// From now on the stage no longer fails: the operator has mended what was broken.
    pub(super) fn mend(&self) {
        self.course_is_over.store(true, Ordering::SeqCst);
    }

    pub(super) fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    pub(super) fn answer(&self) -> Option<Result<(), CancelRefused>> {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fault_fired(&self) -> bool {
        self.fault_is_over.load(Ordering::SeqCst)
    }

    pub(super) async fn killed(&self) {
        self.killed.cancelled().await;
    }

    async fn die(&self) -> ! {
        self.killed.cancel();
        pending::<()>().await;
        unreachable!("the harness drops a saga that was killed")
    }

    /// Whether the case has this fault and it has not happened yet; it has from now on.
    fn strikes(&self, fault: &Fault) -> bool {
        self.case.fault == *fault && !self.fault_is_over.swap(true, Ordering::SeqCst)
    }

    async fn follow_course(&self, name: &str, now: Moment) -> bool {
        if self.course_is_over.load(Ordering::SeqCst) {
            return false;
        }
        match &self.case.course {
            Course::Fail { stage, when } => stage == name && *when == now,
            Course::Cancel { stage, when } if stage == name && *when == now => {
                let cancel = self.cancel.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let answer = cancel.request("the harness cancels").await;
                *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
                false
            }
            Course::Straight | Course::Cancel { .. } => false,
        }
    }

    /// `polls` if the process is to die in this run or undo.
    fn doom(&self, name: &str, undoing: bool) -> Option<u32> {
        let polls = match &self.case.fault {
            Fault::KillInRun { stage, polls } if !undoing && stage == name => *polls,
            Fault::KillInUndo { stage, polls } if undoing && stage == name => *polls,
            _ => return None,
        };
        (!self.fault_is_over.swap(true, Ordering::SeqCst)).then_some(polls)
    }

    /// Polls `work` so many times, drops it and dies.
    async fn die_in(&self, work: impl Future, polls: u32) -> ! {
        {
            let mut work = pin!(work);
            let mut left = polls;
            poll_fn(|context| {
                left = left.saturating_sub(1);
                match work.as_mut().poll(context) {
                    Poll::Pending if left > 0 => Poll::Pending,
                    Poll::Pending | Poll::Ready(_) => Poll::Ready(()),
                }
            })
            .await;
        }
        self.die().await
    }
}

struct DeadlyJournal {
    rig: Arc<Rig>,
}

#[async_trait]
impl<G: Saga> Journal<G> for DeadlyJournal {
    async fn load(&self, id: &SagaId) -> Result<Vec<RecordOf<G>>, JournalError> {
        Journal::<G>::load(&self.rig.journal, id).await
    }

    async fn append(
        &self,
        id: &SagaId,
        fence: Fence,
        seq: u64,
        records: &[RecordOf<G>],
        after: &HistoryOf<G>,
    ) -> Result<(), JournalError> {
        let write = self.rig.writes.fetch_add(1, Ordering::SeqCst);
        if self.rig.strikes(&Fault::KillAtWrite { write, when: Moment::Before }) {
            self.rig.die().await;
        }
        Journal::<G>::append(&self.rig.journal, id, fence, seq, records, after).await?;
        if self.rig.strikes(&Fault::KillAtWrite { write, when: Moment::After }) {
            self.rig.die().await;
        }
        Ok(())
    }
}

struct TroubledStage<G: Saga> {
    inner: Box<dyn Stage<G>>,
    rig: Arc<Rig>,
}

impl<G: Saga> TroubledStage<G> {
    fn injected(&self) -> Failure<G::Error> {
        Failure::permanent(G::panicked(self.inner.name(), "failure injected by the harness".to_owned()))
    }
}

#[async_trait]
impl<G: Saga> Stage<G> for TroubledStage<G> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn kind(&self) -> Kind {
        self.inner.kind()
    }

    fn retry(&self) -> Retry {
        self.inner.retry()
    }

    fn undo_retry(&self) -> Retry {
        self.inner.undo_retry()
    }

    fn limit(&self, state: &G::State) -> Option<Duration> {
        self.inner.limit(state)
    }

    fn undo_limit(&self, state: &G::State) -> Option<Duration> {
        self.inner.undo_limit(state)
    }

    async fn run(&self, world: &G::World, state: G::State, step: &Step) -> Result<G::State, Failure<G::Error>> {
        let name = self.inner.name();
        if self.rig.follow_course(name, Moment::Before).await {
            return Err(self.injected());
        }
        if let Some(polls) = self.rig.doom(name, false) {
            self.rig.die_in(self.inner.run(world, state, step), polls).await;
        }
        if self.rig.strikes(&Fault::RunTwice { stage: name.to_owned() }) {
            self.inner.run(world, state.clone(), step).await?;
        }
        let state = self.inner.run(world, state, step).await?;
        if self.rig.follow_course(name, Moment::After).await {
            return Err(self.injected());
        }
        Ok(state)
    }

    async fn undo(&self, world: &G::World, state: &G::State) -> Result<(), Failure<G::Error>> {
        let name = self.inner.name();
        if let Some(polls) = self.rig.doom(name, true) {
            self.rig.die_in(self.inner.undo(world, state), polls).await;
        }
        if self.rig.strikes(&Fault::UndoTwice { stage: name.to_owned() }) {
            self.inner.undo(world, state).await?;
        }
        self.inner.undo(world, state).await
    }
}
