//! Asking a running saga to stop and undo itself.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::watch;

/// A handle on one saga's run: give a clone to [`Engine::run`](crate::Engine::run) and keep one to ask for a cancel.
///
/// A request that was made before the run begins is answered as soon as it does.
#[derive(Debug, Clone)]
pub struct Cancel {
    ask: Arc<watch::Sender<Ask>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ask {
    Nothing,
    Cancel { reason: String },
    Accepted,
    Refused(CancelRefused),
}

/// Why a cancel has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelRefused {
    #[error("the point of no return is passed; let it finish, then go back")]
    PastPivot,
    #[error("a stage has failed and everything is being undone already")]
    AlreadyUndoing,
    #[error("it has ended already")]
    Ended,
    #[error("it stopped running before the request was recorded; ask again once it runs")]
    Stopped,
}

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}

impl Cancel {
    pub fn new() -> Self {
        Self { ask: Arc::new(watch::Sender::new(Ask::Nothing)) }
    }

    /// Asks for a cancel and waits until the request is journaled or refused; with nobody running the saga, until somebody does.
    /// `Ok` is a promise: the saga will be undone, by another process if need be. Asking twice gives the first answer.
    pub async fn request(&self, reason: impl Into<String>) -> Result<(), CancelRefused> {
        let mut answer = self.ask.subscribe();
        self.place(reason);
        let settled = answer.wait_for(|ask| matches!(ask, Ask::Accepted | Ask::Refused(_))).await;
        match settled.as_deref() {
            Ok(Ask::Refused(refusal)) => Err(*refusal),
            Ok(_) => Ok(()),
            Err(_) => Err(CancelRefused::Stopped),
        }
    }

    /// Asks for a cancel without waiting for the answer. The request is lost if the run stops before it is journaled.
    pub fn place(&self, reason: impl Into<String>) {
        self.ask.send_if_modified(|ask| {
            let first = *ask == Ask::Nothing;
            if first {
                *ask = Ask::Cancel { reason: reason.into() };
            }
            first
        });
    }

    /// The request that waits for an answer, if there is one.
    pub(crate) fn pending(&self) -> Option<String> {
        match &*self.ask.borrow() {
            Ask::Cancel { reason } => Some(reason.clone()),
            Ask::Nothing | Ask::Accepted | Ask::Refused(_) => None,
        }
    }

    /// Returns once a request waits for an answer; safe to drop at any time.
    pub async fn asked(&self) {
        let mut asks = self.ask.subscribe();
        if asks.wait_for(|ask| matches!(ask, Ask::Cancel { .. })).await.is_err() {
            // We hold a sender ourselves, so the channel can't close; never return rather than claim a request.
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn accept(&self) {
        self.ask.send_replace(Ask::Accepted);
    }

    pub(crate) fn refuse(&self, refusal: CancelRefused) {
        self.ask.send_replace(Ask::Refused(refusal));
    }

    /// A run begins: a handle whose last run was stopped can be used again. The returned guard answers whatever is still open
    /// when the run is over or dropped.
    pub(crate) fn attach(&self) -> Attached<'_> {
        self.ask.send_if_modified(|ask| {
            let stopped = *ask == Ask::Refused(CancelRefused::Stopped);
            if stopped {
                *ask = Ask::Nothing;
            }
            stopped
        });
        Attached { cancel: self }
    }
}

pub(crate) struct Attached<'a> {
    cancel: &'a Cancel,
}

impl Attached<'_> {
    /// Answers requests that come after the saga has come to rest.
    pub(crate) fn close(&self, refusal: CancelRefused) {
        self.cancel.ask.send_if_modified(|ask| {
            let open = matches!(ask, Ask::Nothing | Ask::Cancel { .. });
            if open {
                *ask = Ask::Refused(refusal);
            }
            open
        });
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        self.close(CancelRefused::Stopped);
    }
}
