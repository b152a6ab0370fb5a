//! What the functions of this crate read from and write to.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::OwnedMutexGuard;

use crate::StoreError;
use crate::timing::Timing;
use crate::wake::Wakers;

/// Something to read from: a [`Store`](crate::Store), which sees what is committed, or a
/// [`Tx`], which sees its own writes too. Nothing else can be one.
pub trait Session: sealed::Connected {}

pub(crate) mod sealed {
    /// Has a connection; sealed, as connections stay inside this crate.
    pub trait Connected: Send + Sync {
        type Connection: sea_orm::ConnectionTrait;

        fn connection(&self) -> &Self::Connection;
    }
}

/// A write in progress. Others see nothing of it before [`Tx::commit`]; dropping it undoes it.
///
/// While it lives no other write can begin, so keep it short.
pub struct Tx {
    // Dropped in this order: the next writer's turn comes after the rollback was sent.
    connection: Writing,
    wakers: Wakers,
    news: News,
    _turn: OwnedMutexGuard<()>,
    began: Instant,
    timing: Timing,
    /// Taken back by a commit.
    doubted: Arc<AtomicBool>,
}

impl Tx {
    pub(crate) fn new(
        inner: DatabaseTransaction,
        wakers: Wakers,
        turn: OwnedMutexGuard<()>,
        timing: Timing,
        doubted: Arc<AtomicBool>,
    ) -> Self {
        let connection = Writing { inner, unfinished: AtomicU32::new(0) };
        Self { connection, wakers, news: News::default(), _turn: turn, began: Instant::now(), timing, doubted }
    }

    /// Makes everything written durable and visible, or nothing of it.
    ///
    /// After `Unavailable` the write may have been done or not: read again before repeating it.
    pub async fn commit(self) -> Result<(), StoreError> {
        // PostgreSQL answers COMMIT with a silent rollback when a statement had failed, and SQLite would keep the
        // other statements: neither is what the caller meant.
        if self.connection.unfinished.load(Ordering::Relaxed) > 0 {
            let why = "a statement of the transaction failed or was given up, so all of it was undone";
            return Err(StoreError::Internal(why.into()));
        }
        let dispatch = self.news.dispatch.load(Ordering::Relaxed);
        if dispatch || self.news.told.load(Ordering::Relaxed) {
            // Other servers hear of it with the commit, and only if it comes.
            if let Some(sql) = self.wakers.notice(dispatch) {
                self.connection.inner.execute_unprepared(&sql).await?;
            }
        }
        let committed = self.connection.inner.commit().await;
        if committed.is_ok() {
            self.doubted.store(false, Ordering::Relaxed);
        }
        self.wakers.wake(dispatch);
        self.timing.note(self.began.elapsed());
        Ok(committed?)
    }
}

impl Tx {
    /// Whoever follows the events, on any server, wants to know of this write.
    pub(crate) fn tells(&self) {
        self.news.told.store(true, Ordering::Relaxed);
    }

    /// Whoever starts and drives deployments, on any server, has to look at what this writes.
    pub fn wakes(&self) {
        self.news.dispatch.store(true, Ordering::Relaxed);
    }
}

/// A [`Tx`] that can't be committed without a `P`: whoever begins it says what must be at hand in the end.
pub struct Held<P> {
    tx: Tx,
    proof: PhantomData<fn(P)>,
}

impl<P> Held<P> {
    pub(crate) fn new(tx: Tx) -> Self {
        Self { tx, proof: PhantomData }
    }

    /// As [`Tx::commit`].
    pub async fn commit(self, _: P) -> Result<(), StoreError> {
        self.tx.commit().await
    }
}

impl<P> Deref for Held<P> {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

/// What a write changed that somebody waits for.
#[derive(Default)]
struct News {
    told: AtomicBool,
    dispatch: AtomicBool,
}

impl Session for Tx {}
impl sealed::Connected for Tx {
    type Connection = Writing;

    fn connection(&self) -> &Writing {
        &self.connection
    }
}

impl<P> Session for Held<P> {}
impl<P> sealed::Connected for Held<P> {
    type Connection = Writing;

    fn connection(&self) -> &Writing {
        self.tx.connection()
    }
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tx")
    }
}

/// A database transaction that remembers whether a statement in it failed, or was given up half-way.
pub struct Writing {
    inner: DatabaseTransaction,
    /// Statements that were begun and have not succeeded.
    unfinished: AtomicU32,
}

impl Writing {
    /// The transaction itself, for the migrations.
    pub(crate) fn transaction(&self) -> &DatabaseTransaction {
        &self.inner
    }

    async fn note<T>(&self, statement: impl Future<Output = Result<T, DbErr>> + Send) -> Result<T, DbErr> {
        // Counted before, as nothing is told when the caller drops the future.
        self.unfinished.fetch_add(1, Ordering::Relaxed);
        let done = statement.await?;
        self.unfinished.fetch_sub(1, Ordering::Relaxed);
        Ok(done)
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Writing {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.note(self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.note(self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.note(self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.note(self.inner.query_all_raw(statement)).await
    }
}
