//! Journals that count their writes and make things happen at them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use saga::{Cancel, Fence, HistoryOf, Journal, JournalError, RecordOf, SagaId};

use crate::scripted::G;

/// Counts writes, fails from write number `fails_from` on, and has a cancel come in the middle of write number `cancels_at`.
pub(crate) struct Counted<J> {
    inner: J,
    pub(crate) writes: AtomicUsize,
    fails_from: usize,
    cancels_at: Option<(usize, Cancel)>,
}

impl<J> Counted<J> {
    pub(crate) fn new(inner: J, fails_from: usize) -> Arc<Self> {
        Arc::new(Self { inner, writes: AtomicUsize::new(0), fails_from, cancels_at: None })
    }

    pub(crate) fn cancelling(inner: J, write: usize, cancel: Cancel) -> Arc<Self> {
        Arc::new(Self { inner, writes: AtomicUsize::new(0), fails_from: usize::MAX, cancels_at: Some((write, cancel)) })
    }
}

#[async_trait]
impl<J: Journal<G>> Journal<G> for Counted<J> {
    async fn load(&self, id: &SagaId) -> Result<Vec<RecordOf<G>>, JournalError> {
        self.inner.load(id).await
    }

    async fn append(
        &self,
        id: &SagaId,
        fence: Fence,
        seq: u64,
        records: &[RecordOf<G>],
        after: &HistoryOf<G>,
    ) -> Result<(), JournalError> {
        let write = self.writes.fetch_add(1, Ordering::SeqCst);
        if write >= self.fails_from {
            return Err(JournalError::Unavailable("disk full".to_owned()));
        }
        if let Some((_, cancel)) = self.cancels_at.as_ref().filter(|(at, _)| *at == write) {
            cancel.place("in the middle of a write");
        }
        assert_eq!(after.next_seq(), seq + records.len() as u64);
        self.inner.append(id, fence, seq, records, after).await
    }
}

/// A journal whose every write waits for a turn that others take, too, as the writers of one database do.
pub(crate) struct InTurn<J> {
    pub(crate) inner: J,
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
}

#[async_trait]
impl<J: Journal<G>> Journal<G> for InTurn<J> {
    async fn load(&self, id: &SagaId) -> Result<Vec<RecordOf<G>>, JournalError> {
        self.inner.load(id).await
    }

    async fn append(
        &self,
        id: &SagaId,
        fence: Fence,
        seq: u64,
        records: &[RecordOf<G>],
        after: &HistoryOf<G>,
    ) -> Result<(), JournalError> {
        let _turn = self.turn.lock().await;
        self.inner.append(id, fence, seq, records, after).await
    }
}

/// A journal whose write number `late_at` is done when the next one comes: by then whoever asked for it has gone.
pub(crate) struct Late<J> {
    inner: J,
    writes: AtomicUsize,
    late_at: usize,
    sent: Mutex<Option<Sent>>,
    pub(crate) is_sent: tokio::sync::Notify,
}

struct Sent {
    seq: u64,
    records: Vec<RecordOf<G>>,
    after: HistoryOf<G>,
}

impl<J> Late<J> {
    pub(crate) fn new(inner: J, late_at: usize) -> Arc<Self> {
        let (writes, sent, is_sent) = Default::default();
        Arc::new(Self { inner, writes, late_at, sent, is_sent })
    }
}

#[async_trait]
impl<J: Journal<G>> Journal<G> for Late<J> {
    async fn load(&self, id: &SagaId) -> Result<Vec<RecordOf<G>>, JournalError> {
        self.inner.load(id).await
    }

    async fn append(
        &self,
        id: &SagaId,
        fence: Fence,
        seq: u64,
        records: &[RecordOf<G>],
        after: &HistoryOf<G>,
    ) -> Result<(), JournalError> {
        if self.writes.fetch_add(1, Ordering::SeqCst) == self.late_at {
            *self.sent.lock().unwrap() = Some(Sent { seq, records: records.to_vec(), after: after.clone() });
            self.is_sent.notify_one();
            return std::future::pending().await;
        }
        let sent = self.sent.lock().unwrap().take();
        if let Some(Sent { seq, records, after }) = sent {
            self.inner.append(id, fence, seq, &records, &after).await?;
        }
        self.inner.append(id, fence, seq, records, after).await
    }
}
