//! Watching sagas run.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{Cause, Event, HistoryOf, OutcomeOf, RecordOf, Saga, SagaId};

/// Is told what happened, after it was journaled, in order.
///
/// A listener runs beside the saga: it can't change the outcome, a panic in it is logged and ends only the call, and a slow one is
/// waited for no longer than the engine's listener grace at the end of a run (if it then is still behind, it may hear of the next run meanwhile). It may miss what happened just before a crash:
/// whoever must not miss anything reads the journal.
#[async_trait]
#[allow(unused_variables)]
pub trait Listener<G: Saga>: Send + Sync {
    /// Every journaled event, before the more specific call.
    async fn on_transition(&self, notice: &Notice<G>) {}
    async fn on_stage_start(&self, notice: &Notice<G>, stage: &str, attempt: u32) {}
    async fn on_stage_complete(&self, notice: &Notice<G>, stage: &str) {}
    /// An attempt failed; `retry_at` is the time of the next one, if there is one.
    async fn on_stage_failure(
        &self,
        notice: &Notice<G>,
        stage: &str,
        error: &G::Error,
        retry_at: Option<DateTime<Utc>>,
    ) {
    }
    /// The saga begins to be undone.
    async fn on_rollback(&self, notice: &Notice<G>, why: &Cause<G::Error>) {}
    /// The last stage has finished.
    async fn on_complete(&self, notice: &Notice<G>, state: &G::State) {}
    /// The saga was undone or is stuck; the outcome says which.
    async fn on_failure(&self, notice: &Notice<G>, outcome: &OutcomeOf<G>) {}
}

/// One transition of a saga.
pub struct Notice<G: Saga> {
    pub saga: SagaId,
    /// Absent for the first record.
    pub before: Option<Arc<HistoryOf<G>>>,
    pub record: RecordOf<G>,
    pub after: Arc<HistoryOf<G>>,
}

impl<G: Saga> Notice<G> {
    async fn tell(&self, listener: &dyn Listener<G>) {
        listener.on_transition(self).await;
        let stages = self.after.stages();
        let name = |stage: usize| stages.get(stage).map(|stage| stage.name.as_str()).unwrap_or_default();
        match &self.record.event {
            Event::StageStarted { stage, attempt } => listener.on_stage_start(self, name(*stage), *attempt).await,
            Event::StageFinished { stage, .. } => listener.on_stage_complete(self, name(*stage)).await,
            Event::StageFailed { stage, error, retry_at, .. } => {
                listener.on_stage_failure(self, name(*stage), error, *retry_at).await;
            }
            _ => {}
        }
        let was_undoing = self.before.as_ref().is_some_and(|before| before.undoing().is_some());
        if let (false, Some(why)) = (was_undoing, self.after.undoing()) {
            listener.on_rollback(self, why).await;
        }
        match self.after.outcome() {
            Some(OutcomeOf::<G>::Done(state)) => listener.on_complete(self, &state).await,
            Some(outcome) => listener.on_failure(self, &outcome).await,
            None => {}
        }
    }
}

/// The way to one listener, and the task at its end.
type Post<G> = (mpsc::UnboundedSender<Arc<Notice<G>>>, JoinHandle<()>);

/// Hands notices to listeners, each in a task of its own so that none holds up the saga or another listener.
pub(crate) struct Dispatch<G: Saga> {
    posts: Vec<Post<G>>,
}

impl<G: Saga> Dispatch<G> {
    pub(crate) fn new(listeners: &[Arc<dyn Listener<G>>]) -> Self {
        Self { posts: listeners.iter().cloned().map(post).collect() }
    }

    pub(crate) fn send(&self, notice: Notice<G>) {
        let notice = Arc::new(notice);
        for (sender, _) in &self.posts {
            // A closed channel means that the task was ended with the runtime; then nobody listens any more.
            let _ = sender.send(Arc::clone(&notice));
        }
    }

    /// Lets the listeners catch up, for at most `grace` in all. One that needs longer goes on by itself.
    pub(crate) async fn close(self, grace: Duration) {
        let (senders, tasks): (Vec<_>, Vec<_>) = self.posts.into_iter().unzip();
        drop(senders);
        if tokio::time::timeout(grace, futures::future::join_all(tasks)).await.is_err() {
            tracing::warn!(?grace, "a saga listener is slow; the saga does not wait for it any longer");
        }
    }
}

fn post<G: Saga>(listener: Arc<dyn Listener<G>>) -> Post<G> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Arc<Notice<G>>>();
    let task = tokio::spawn(async move {
        while let Some(notice) = receiver.recv().await {
            if AssertUnwindSafe(notice.tell(listener.as_ref())).catch_unwind().await.is_err() {
                tracing::error!(saga = %notice.saga, event = notice.record.event.name(), "a saga listener panicked");
            }
        }
    });
    (sender, task)
}
