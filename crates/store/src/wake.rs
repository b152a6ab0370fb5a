//! Waking those who wait for what is written: in this process by a channel, in others by PostgreSQL's notifications.

use std::sync::Arc;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::StoreError;

const CHANNEL: &str = "plimsoll";
/// Between two tries to listen again.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// Two counters that grow: one with each commit that somebody may follow, one with those that move the queue.
#[derive(Clone)]
pub(crate) struct Wakers {
    changes: watch::Sender<u64>,
    dispatch: watch::Sender<u64>,
    /// With PostgreSQL: what this store calls itself, so that it does not wake itself twice.
    name: Option<Arc<str>>,
}

impl Wakers {
    pub(crate) fn new(name: Option<&str>) -> Self {
        Self { changes: watch::Sender::new(0), dispatch: watch::Sender::new(0), name: name.map(Arc::from) }
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn dispatch(&self) -> watch::Receiver<u64> {
        self.dispatch.subscribe()
    }

    /// Wakes those of this process.
    pub(crate) fn wake(&self, dispatch: bool) {
        self.changes.send_modify(|n| *n += 1);
        if dispatch {
            self.dispatch.send_modify(|n| *n += 1);
        }
    }

    /// The statement that wakes other processes when its transaction is committed.
    pub(crate) fn notice(&self, dispatch: bool) -> Option<String> {
        // The name is ours, of letters and digits.
        let name = self.name.as_ref()?;
        Some(format!("SELECT pg_notify('{CHANNEL}', '{name} {}')", if dispatch { "queue" } else { "events" }))
    }

    fn hear(&self, payload: &str) {
        match payload.split_once(' ') {
            Some((from, _)) if self.name.as_deref() == Some(from) => {}
            Some((_, "events")) => self.wake(false),
            _ => self.wake(true),
        }
    }
}

/// The task that listens; it ends with this value.
pub(crate) struct Listening(AbortHandle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens on a connection of its own, and goes on when it was lost. What was missed meanwhile nobody can know, so
/// everybody is woken then.
pub(crate) async fn listen(options: &PgConnectOptions, wakers: Wakers) -> Result<Listening, StoreError> {
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
    let first = subscribe(&pool).await.map_err(|e| StoreError::from(&e))?;
    let task = tokio::spawn(async move {
        let mut listener = Some(first);
        loop {
            let Some(mut at_work) = listener.take() else {
                tokio::time::sleep(PAUSE).await;
                listener = subscribe(&pool).await.ok();
                if listener.is_some() {
                    wakers.wake(true);
                }
                continue;
            };
            // `None` and errors alike: the connection is lost.
            while let Ok(Some(notice)) = at_work.try_recv().await {
                wakers.hear(notice.payload());
            }
        }
    });
    Ok(Listening(task.abort_handle()))
}

async fn subscribe(pool: &PgPool) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    // We come back by ourselves, so that nothing is taken for heard that was not.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_s_own_notices_wake_nobody_twice() {
        let wakers = Wakers::new(Some("me"));
        let (changes, dispatch) = (wakers.changes(), wakers.dispatch());
        let counts = || (*changes.borrow(), *dispatch.borrow());
        wakers.hear("me queue");
        assert_eq!(counts(), (0, 0));
        wakers.hear("you events");
        assert_eq!(counts(), (1, 0));
        wakers.hear("you queue");
        wakers.hear("rubbish");
        assert_eq!(counts(), (3, 2));
        assert!(Wakers::new(None).notice(true).is_none());
    }
}
