//! One saga under way: the loop that carries out decisions.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::{Engine, attempt, illegal};
use crate::listener::Dispatch;
use crate::{
    Cancel, CancelRefused, Decision, EngineError, Event, EventOf, Failure, Fence, History, HistoryOf,
    IllegalTransition, Notice, OutcomeOf, Plan, Progress, Record, RecordOf, Saga, SagaId, Stage, Step, decide, entry,
    failed,
};

pub(super) struct Drive<'a, G: Saga> {
    engine: &'a Engine<G>,
    id: &'a SagaId,
    fence: Fence,
    history: Arc<HistoryOf<G>>,
    dispatch: Dispatch<G>,
    /// Time does not run backwards within a run, whatever the machine's clock does.
    floor: DateTime<Utc>,
    /// The last record was written under this drive's fence: nobody else can have begun an effect.
    ours: bool,
}

/// A drive that is over.
pub(super) struct Closed<G: Saga>(Arc<HistoryOf<G>>);

impl<G: Saga> Closed<G> {
    pub(super) fn and_history(self, result: Result<(), EngineError>) -> Result<HistoryOf<G>, EngineError> {
        result.map(|()| HistoryOf::<G>::clone(&self.0))
    }
}

impl<'a, G: Saga> Drive<'a, G> {
    pub(super) fn resume(engine: &'a Engine<G>, id: &'a SagaId, fence: Fence, history: Arc<HistoryOf<G>>) -> Self {
        let floor = history.updated_at();
        Self { engine, id, fence, history, dispatch: Dispatch::new(&engine.listeners), floor, ours: false }
    }

    pub(super) fn open(
        engine: &'a Engine<G>,
        id: &'a SagaId,
        fence: Fence,
        first: &RecordOf<G>,
    ) -> Result<Self, EngineError> {
        let history = HistoryOf::<G>::replay(std::slice::from_ref(first)).map_err(|source| illegal(id, source))?;
        Ok(Self::resume(engine, id, fence, Arc::new(history)))
    }

    pub(super) async fn journal_opening(&mut self, first: RecordOf<G>) -> Result<(), EngineError> {
        let after = Arc::clone(&self.history);
        self.append(0, std::slice::from_ref(&first), &after).await?;
        self.dispatch.send(Notice { saga: self.id.clone(), before: None, record: first, after });
        Ok(())
    }

    /// Goes on until the saga comes to rest; with the outcome comes the answer to any later cancel.
    pub(super) async fn go_to_rest(&mut self, cancel: &Cancel) -> Result<(OutcomeOf<G>, CancelRefused), EngineError> {
        self.take_over().await?;
        if self.history.cancel_reason().is_some() && self.history.outcome().is_none() {
            cancel.accept();
        }
        loop {
            self.answer(cancel).await?;
            if self.cancelled_before_it_began() {
                self.commit(vec![EventOf::<G>::Interrupted]).await?;
            }
            let decision = decide(&self.history, &self.engine.plan, self.now());
            if let Some(event) = entry(&self.history, &decision) {
                self.commit(vec![event]).await?;
                continue;
            }
            match decision {
                Decision::Run { stage, attempt } => self.run_stage(stage, attempt, cancel).await?,
                Decision::Undo { stage, .. } => self.undo_stage(stage, cancel).await?,
                Decision::Wait { until } => self.wait(until, cancel).await?,
                Decision::Abandon { stage, interruptions, .. } => self.abandon(stage, interruptions).await?,
                Decision::Finished | Decision::Undone { .. } | Decision::Stuck { .. } => break,
            }
        }
        let later = self.history.can_cancel().err().unwrap_or(CancelRefused::Ended);
        // The decisions that end the loop have no entry only where the history has an outcome.
        self.history.outcome().map(|outcome| (outcome, later)).ok_or_else(|| self.nonsense("rest"))
    }

    pub(super) async fn close(self) -> Closed<G> {
        self.dispatch.close(self.engine.listener_grace).await;
        Closed(self.history)
    }

    /// Makes the journal ours before the first effect. Only where an effect may come without another write before it.
    async fn take_over(&mut self) -> Result<(), EngineError> {
        match self.history.progress() {
            Progress::Running { .. } | Progress::Undoing { .. } if !self.ours => {
                self.commit(vec![EventOf::<G>::Interrupted]).await
            }
            _ => Ok(()),
        }
    }

    /// A cancel that came with the write that started a stage: its effect has not begun and need not.
    fn cancelled_before_it_began(&self) -> bool {
        self.history.cancel_reason().is_some() && matches!(self.history.progress(), Progress::Running { .. })
    }

    async fn run_stage(&mut self, index: usize, attempt: u32, cancel: &Cancel) -> Result<(), EngineError> {
        let stage = self.stage(index);
        let token = CancellationToken::new();
        // Whatever the stage has spawned ends with the attempt, also if this future is dropped.
        let _over = token.clone().drop_guard();
        let step = Step { saga: self.id.clone(), stage: stage.name(), attempt, cancel: token.clone() };
        let state = self.history.state().clone();
        let work = attempt::run(stage, &self.engine.world, state, &step);
        let event = match self.attend(work, cancel, &token).await? {
            Ok(state) => EventOf::<G>::StageFinished { stage: index, state },
            Err(failure) => self.failure(failure)?,
        };
        self.commit(vec![event]).await
    }

    async fn undo_stage(&mut self, index: usize, cancel: &Cancel) -> Result<(), EngineError> {
        let stage = self.stage(index);
        let history = Arc::clone(&self.history);
        let work = attempt::undo(stage, &self.engine.world, history.state());
        let event = match self.attend(work, cancel, &CancellationToken::new()).await? {
            Ok(()) => EventOf::<G>::UndoFinished { stage: index },
            Err(failure) => self.failure(failure)?,
        };
        self.commit(vec![event]).await
    }

    async fn abandon(&mut self, index: usize, interruptions: u32) -> Result<(), EngineError> {
        let message = format!("the process ended {interruptions} times while this ran");
        let error = G::panicked(self.stage(index).name(), message);
        let event = self.failure(Failure::permanent(error))?;
        self.commit(vec![event]).await
    }

    /// Returns at `until`, or earlier if a cancel turned the saga round.
    async fn wait(&mut self, until: DateTime<Utc>, cancel: &Cancel) -> Result<(), EngineError> {
        let was_undoing = self.history.undoing().is_some();
        // The monotonic clock decides when the wait is over: the wall clock may be set back meanwhile.
        let mut wait = pin!(tokio::time::sleep((until - self.now()).to_std().unwrap_or_default()));
        while self.history.undoing().is_some() == was_undoing {
            tokio::select! {
                biased;
                () = &mut wait => {
                    self.floor = self.floor.max(until);
                    return Ok(());
                }
                () = cancel.asked() => self.answer(cancel).await?,
            }
        }
        Ok(())
    }

    /// Polls `work` to its end and answers cancel requests meanwhile; an accepted one fires `token`.
    async fn attend<T>(
        &mut self,
        work: impl Future<Output = T>,
        cancel: &Cancel,
        token: &CancellationToken,
    ) -> Result<T, EngineError> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = cancel.asked() => {}
            }
            // The work goes on meanwhile: it may hold what the journal waits for.
            let mut finished = None;
            {
                let mut answer = pin!(self.answer(cancel));
                loop {
                    tokio::select! {
                        biased;
                        answered = &mut answer => {
                            answered?;
                            break;
                        }
                        done = &mut work, if finished.is_none() => finished = Some(done),
                    }
                }
            }
            if self.history.cancel_reason().is_some() {
                token.cancel();
            }
            if let Some(done) = finished {
                return Ok(done);
            }
        }
    }

    /// Answers a cancel request that waits, if there is one. Accepting it means that it is journaled.
    async fn answer(&mut self, cancel: &Cancel) -> Result<(), EngineError> {
        let Some(reason) = cancel.pending() else {
            return Ok(());
        };
        match self.history.can_cancel() {
            Err(refusal) => cancel.refuse(refusal),
            Ok(()) => {
                if self.history.cancel_reason().is_none() {
                    self.commit(vec![EventOf::<G>::CancelRequested { reason }]).await?;
                }
                cancel.accept();
            }
        }
        Ok(())
    }

    fn failure(&self, failure: Failure<G::Error>) -> Result<EventOf<G>, EngineError> {
        failed(&self.history, &self.engine.plan, failure, self.now(), (self.engine.chance.random)())
            .ok_or_else(|| self.nonsense("failure"))
    }

    /// A fault of the engine itself: an error rather than a panic, so that the saga stays resumable.
    fn nonsense(&self, event: &'static str) -> EngineError {
        let progress = self.history.progress().name().to_owned();
        illegal(self.id, IllegalTransition { seq: self.history.next_seq(), event, progress })
    }

    /// Journals `events` and whatever follows from them without any effect (the next stage's start, the end of the saga), all in
    /// one write.
    pub(super) async fn commit(&mut self, events: Vec<EventOf<G>>) -> Result<(), EngineError> {
        let at = self.now();
        let seq = self.history.next_seq();
        let steps = follow(&self.history, &self.engine.plan, events, at).map_err(|source| illegal(self.id, source))?;
        let records: Vec<_> = steps.iter().map(|(record, _)| record.clone()).collect();
        let Some((_, after)) = steps.last() else { return Ok(()) };
        self.append(seq, &records, after).await?;
        self.was_written(steps);
        Ok(())
    }

    /// Goes on from there, and tells the listeners.
    pub(super) fn was_written(&mut self, steps: Vec<Followed<G::State, G::Error>>) {
        for (record, after) in steps {
            let before = std::mem::replace(&mut self.history, Arc::clone(&after));
            self.floor = self.floor.max(record.at);
            self.ours = true;
            self.dispatch.send(Notice { saga: self.id.clone(), before: Some(before), record, after });
        }
    }

    async fn append(&self, seq: u64, records: &[RecordOf<G>], after: &HistoryOf<G>) -> Result<(), EngineError> {
        self.engine
            .journal
            .append(self.id, self.fence, seq, records, after)
            .await
            .map_err(|source| EngineError::Journal { id: self.id.clone(), source })
    }

    fn stage(&self, index: usize) -> &'a dyn Stage<G> {
        // In range: decisions name stages of the history, whose stages were found equal to the engine's.
        self.engine.stages[index].as_ref()
    }

    fn now(&self) -> DateTime<Utc> {
        (self.engine.chance.clock)().max(self.floor)
    }
}

/// A record with the history after it.
pub(super) type Followed<S, E> = (Record<S, E>, Arc<History<S, E>>);

/// A record for each of `events` and for whatever follows from them without any effect, each with the history after it.
pub(super) fn follow<S: Clone, E: Clone>(
    history: &Arc<History<S, E>>,
    plan: &Plan,
    events: Vec<Event<S, E>>,
    at: DateTime<Utc>,
) -> Result<Vec<Followed<S, E>>, IllegalTransition> {
    let mut steps: Vec<Followed<S, E>> = Vec::new();
    let mut queue = events.into_iter();
    loop {
        let after = steps.last().map_or(history, |(_, after)| after);
        let event = match queue.next() {
            Some(event) => event,
            None => match entry(after, &decide(after, plan, at)) {
                Some(event) => event,
                None => return Ok(steps),
            },
        };
        let record = Record { seq: after.next_seq(), at, event };
        let next = Arc::new(after.apply(&record)?);
        steps.push((record, next));
    }
}
