//! What clients were promised, and what they were told since.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use domain::DeploymentId;
use domain::event::Event;

use crate::orders::Order;

/// An accepted order.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) order: Order,
    pub(crate) generation: u64,
    pub(crate) cancel: Cancel,
}

/// How far somebody got who wanted it cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancel {
    Never,
    /// The wish was sent; whether it came too late is not known.
    Wished,
    /// A server has promised to take it back.
    Promised,
}

#[derive(Default)]
pub(crate) struct Ledger {
    accepted: Mutex<BTreeMap<DeploymentId, Accepted>>,
    ended: Mutex<BTreeSet<DeploymentId>>,
    last_end: Mutex<Option<Instant>>,
    /// As they came through the stream.
    events: Mutex<Vec<Event>>,
    /// Requests on their way that will be accepted.
    sending: AtomicUsize,
    most: AtomicUsize,
}

impl Ledger {
    /// Keeps room for one more, if fewer than `level` are in flight.
    pub(crate) fn may_send(&self, level: usize) -> bool {
        let accepted = self.accepted.lock().unwrap();
        let ended = self.ended.lock().unwrap().len();
        let free = accepted.len() + self.sending.load(Ordering::SeqCst) < ended + level;
        if free {
            self.sending.fetch_add(1, Ordering::SeqCst);
        }
        free
    }

    /// It was refused, or entered.
    pub(crate) fn sent(&self) {
        self.sending.fetch_sub(1, Ordering::SeqCst);
    }

    /// `false` when the id was given to another order before.
    pub(crate) fn enter(&self, id: DeploymentId, order: Order, generation: u64) -> bool {
        let accepted = Accepted { order, generation, cancel: Cancel::Never };
        let new = self.accepted.lock().unwrap().insert(id, accepted).is_none();
        self.most.fetch_max(self.in_flight(), Ordering::SeqCst);
        new
    }

    pub(crate) fn cancel(&self, id: &DeploymentId, how: Cancel) {
        if let Some(accepted) = self.accepted.lock().unwrap().get_mut(id)
            && accepted.cancel != Cancel::Promised
        {
            accepted.cancel = how;
        }
    }

    pub(crate) fn accepted(&self) -> BTreeMap<DeploymentId, Accepted> {
        self.accepted.lock().unwrap().clone()
    }

    pub(crate) fn in_flight(&self) -> usize {
        let accepted = self.accepted.lock().unwrap();
        let ended = self.ended.lock().unwrap();
        accepted.keys().filter(|id| !ended.contains(*id)).count()
    }

    /// The most that were in flight at the same time.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) -> Vec<DeploymentId> {
        let accepted = self.accepted.lock().unwrap();
        let ended = self.ended.lock().unwrap();
        accepted.keys().filter(|id| !ended.contains(*id)).cloned().collect()
    }

    /// `false` when it had ended before.
    pub(crate) fn ended(&self, id: &DeploymentId) -> bool {
        *self.last_end.lock().unwrap() = Some(Instant::now());
        self.ended.lock().unwrap().insert(id.clone())
    }

    pub(crate) fn last_end(&self) -> Option<Instant> {
        *self.last_end.lock().unwrap()
    }

    pub(crate) fn hear(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }

    pub(crate) fn heard(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }
}
