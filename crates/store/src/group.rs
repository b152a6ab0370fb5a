//! Writers that wait at the same time share one transaction, and so one wait for the disk. What they add to journals shares
//! its statements, too.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use tokio::sync::oneshot;

use crate::appends::{self, Append};
use crate::{Store, StoreError, Tx};

/// How many with statements of their own share a transaction at most: enough to make the disk's share of each small, few
/// enough to be short.
const LARGEST: usize = 64;
/// And how many in all.
const MOST: usize = 1024;

/// What one writer does. It may be called twice, in two transactions of which one is undone.
pub type Work = Box<dyn for<'a> Fn(&'a Tx) -> Written<'a> + Send + Sync>;
/// The writing of one writer in a transaction.
pub type Written<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// Writers that wait for the next transaction, first come first.
#[derive(Clone, Default)]
pub(crate) struct Group {
    waiting: Arc<Mutex<VecDeque<Member>>>,
}

struct Member {
    append: Option<Append>,
    /// Done after the append, if that was not refused, and before what the append means.
    work: Option<Work>,
    answer: oneshot::Sender<Result<(), StoreError>>,
}

impl Group {
    fn join(&self, member: Member) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(member);
    }

    /// Whether anybody waits.
    pub(crate) fn waits(&self) -> bool {
        !self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn next(&self) -> Vec<Member> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut own = 0;
        let fits = |member: &&Member| {
            own += usize::from(member.work.is_some());
            own <= LARGEST
        };
        let count = waiting.iter().take(MOST).take_while(fits).count();
        waiting.drain(..count).collect()
    }
}

impl Store {
    /// Writes what `work` writes, durably, in a transaction that others may share who call this at the same time.
    ///
    /// An error of one, or a panic, is its own: the others are written. Alone it is [`Store::write`] with a commit. `work` may be called again, after
    /// what it did was undone. Who drops the future may find it written all the same.
    ///
    /// # Errors
    /// Those of `work`; and those of [`Tx::commit`], after which the write may have been done or not.
    pub async fn write_together<W>(&self, work: W) -> Result<(), StoreError>
    where
        W: for<'a> Fn(&'a Tx) -> Written<'a> + Send + Sync + 'static,
    {
        self.join(None, Some(Box::new(work))).await
    }

    /// Adds to the journal of a saga, durably, then does `work`, and writes what the addition means, in the same transaction, which
    /// others may share who call this at the same time: their additions take no statements of their own. Else as
    /// [`Store::write_together`].
    ///
    /// # Errors
    /// Those of [`appends::one`], of `work`, of [`appends::advance`] and of [`Tx::commit`].
    pub async fn append_together(&self, append: Append, work: Option<Work>) -> Result<(), StoreError> {
        if work.is_none() && self.append_lone(&append) {
            return Ok(());
        }
        self.join(Some(append), work).await
    }

    async fn join(&self, append: Option<Append>, work: Option<Work>) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.group.join(Member { append, work, answer });
        let store = self.clone();
        // A task of its own: it writes for others too, who must not suffer when this caller goes away.
        tokio::spawn(async move { store.write_waiting().await });
        answered.await.unwrap_or_else(|_| {
            let reason = "the write was given up, as the process is ending".to_owned();
            Err(StoreError::Unavailable { reason, hint: "see after the next start whether it was done" })
        })
    }

    /// Writes for all who wait when its turn comes. Each caller brings one such turn, so nobody is left waiting; those whose
    /// work was done in an earlier turn find nothing to do.
    async fn write_waiting(&self) {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let members = self.group.next();
        if members.is_empty() {
            return;
        }
        let together = match self.begin(turn).await {
            Ok(tx) => all(tx, &members).await,
            Err(error) => Together::Known(members.iter().map(|_| Err(error.clone())).collect()),
        };
        match together {
            Together::Known(results) => {
                members.into_iter().zip(results).for_each(|(member, result)| member.tell(result))
            }
            // Whose error it was and whom it touched isn't asked: each gets a transaction of its own.
            Together::Spoilt => {
                for member in members {
                    let result = self.alone(&member).await;
                    member.tell(result);
                }
            }
        }
    }

    async fn alone(&self, member: &Member) -> Result<(), StoreError> {
        let tx = self.write().await?;
        if let Some(append) = &member.append {
            appends::one(&tx, append).await?;
        }
        done(member, &tx).await?;
        if let Some(append) = &member.append {
            appends::advance(&tx, &[append]).await?;
        }
        tx.commit().await
    }
}

impl Member {
    fn tell(self, result: Result<(), StoreError>) {
        // Nobody listens when the caller has gone.
        let _ = self.answer.send(result);
    }
}

enum Together {
    /// What it came to for each of them.
    Known(Vec<Result<(), StoreError>>),
    /// One of several failed, and nothing was written.
    Spoilt,
}

async fn all(tx: Tx, members: &[Member]) -> Together {
    match in_one(&tx, members).await {
        Ok(mut results) => {
            let committed = tx.commit().await;
            if committed.is_err() {
                results.iter_mut().filter(|result| result.is_ok()).for_each(|result| *result = committed.clone());
            }
            Together::Known(results)
        }
        Err(error) => {
            // Where the database is away nobody's own try would end otherwise, and each would wait for it anew.
            let away = matches!(error, StoreError::Unavailable { .. });
            match away || members.len() == 1 {
                true => Together::Known(members.iter().map(|_| Err(error.clone())).collect()),
                false => Together::Spoilt,
            }
        }
    }
}

/// A refused addition to a journal has written nothing, and is nobody else's concern; any other error spoils the transaction.
async fn in_one(tx: &Tx, members: &[Member]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let appends: Vec<&Append> = members.iter().filter_map(|member| member.append.as_ref()).collect();
    let mut appended = appends::all(tx, &appends).await?.into_iter();
    let mut results = Vec::with_capacity(members.len());
    for member in members {
        let appended = member.append.as_ref().and_then(|_| appended.next()).unwrap_or(Ok(()));
        if appended.is_ok() {
            done(member, tx).await?;
        }
        results.push(appended);
    }
    let added = members.iter().zip(&results).filter(|(_, result)| result.is_ok());
    let added: Vec<&Append> = added.filter_map(|(member, _)| member.append.as_ref()).collect();
    appends::advance(tx, &added).await?;
    Ok(results)
}

/// A panic is an error of whoever's work it is, and nobody else's. What it left half-done is undone with the transaction.
async fn done(member: &Member, tx: &Tx) -> Result<(), StoreError> {
    let Some(work) = &member.work else { return Ok(()) };
    let panicked = |_| Err(StoreError::Internal("a write panicked; see the server's log".to_owned()));
    AssertUnwindSafe(async { work(tx).await }).catch_unwind().await.unwrap_or_else(panicked)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{DatabaseUrl, leases, sagas};

    async fn open() -> (Store, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::sqlite(dir.path().join("db"))).await.unwrap();
        (store, dir)
    }

    async fn together(store: &Store, ids: impl IntoIterator<Item = String>) -> Vec<Result<(), StoreError>> {
        // They meet while somebody else writes.
        let tx = store.write().await.unwrap();
        let writers: Vec<_> = ids
            .into_iter()
            .map(|id| {
                let store = store.clone();
                tokio::spawn(async move {
                    store
                        .write_together(move |tx| {
                            let id = id.clone();
                            Box::pin(async move {
                                sagas::create(tx, &id, "test", 1).await?;
                                assert_ne!(id, "panics");
                                Ok(())
                            })
                        })
                        .await
                })
            })
            .collect();
        while store.group.waiting.lock().unwrap().len() < writers.len() {
            tokio::task::yield_now().await;
        }
        drop(tx);
        let mut results = Vec::new();
        for writer in writers {
            results.push(writer.await.unwrap());
        }
        results
    }

    #[tokio::test]
    async fn writers_that_wait_share_a_commit() {
        let (store, _dir) = open().await;
        let commits = store.changes();
        let before = *commits.borrow();
        let results = together(&store, (0..LARGEST).map(|n| n.to_string())).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(*commits.borrow() - before, 1);
        assert_eq!(sagas::open(&store).await.unwrap().len(), LARGEST);
    }

    #[tokio::test]
    async fn an_error_of_one_is_its_own() {
        let (store, _dir) = open().await;
        let results = together(&store, ["a", "b", "a", "c"].map(str::to_owned)).await;
        let good = results.iter().filter(|r| r.is_ok()).count();
        assert!(good == 3 && matches!(results[2], Err(StoreError::Conflict(_))), "{results:?}");
        assert_eq!(sagas::open(&store).await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn a_panic_of_one_is_its_own() {
        let (store, _dir) = open().await;
        for ids in [&["a", "panics", "b"][..], &["panics"], &["c"]] {
            let results = together(&store, ids.iter().map(|id| (*id).to_owned())).await;
            for (id, result) in ids.iter().zip(results) {
                match result {
                    Ok(()) => assert_ne!(*id, "panics"),
                    Err(error) => assert!(*id == "panics" && matches!(error, StoreError::Internal(_)), "{id}: {error}"),
                }
            }
        }
        assert_eq!(sagas::open(&store).await.unwrap().len(), 3, "of the panic nothing is written");
    }

    #[tokio::test]
    async fn who_goes_away_takes_nobody_along() {
        let (store, _dir) = open().await;
        let calls = Arc::new(AtomicUsize::new(0));
        let write = |name: &'static str| {
            let (store, calls) = (store.clone(), Arc::clone(&calls));
            tokio::spawn(async move {
                store
                    .write_together(move |tx| {
                        calls.fetch_add(1, Ordering::Relaxed);
                        Box::pin(async move { leases::acquire(tx, name, "holder").await.map(drop) })
                    })
                    .await
            })
        };
        let tx = store.write().await.unwrap();
        let (gone, stays) = (write("gone"), write("stays"));
        while store.group.waiting.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        gone.abort();
        drop(tx);
        stays.await.unwrap().unwrap();
        assert!(leases::find(&store, "stays").await.unwrap().is_some());
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }
}
