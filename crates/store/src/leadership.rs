//! Which one server of all does what must be done once: the tick of schedules, the clean-up of what is old.
//!
//! With PostgreSQL it is who holds an advisory lock, on a connection of its own: the lock ends with the connection,
//! however that ends. A leader that stands still keeps its connection, so a peer that sees that ends it
//! ([`Store::end_session`]). What a leader writes is fenced besides, by the lease [`leases::LEADER`].

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection};

use crate::{Store, StoreError, leases};

/// For an answer to a question that waits for nobody.
const PATIENCE: Duration = Duration::from_secs(10);
/// For one who leaves: the lock ends without a word, too.
const FAREWELL: Duration = Duration::from_secs(2);

/// Name of the lock; `plimlead` in ASCII.
const LOCK: i64 = i64::from_be_bytes(*b"plimlead");

/// Holds the lock as long as its connection lives.
pub struct Leadership {
    /// None with SQLite, where one server is alone.
    connection: Option<PgConnection>,
    /// What its writes are checked against: [`leases::check`] of [`leases::LEADER`].
    pub epoch: u64,
}

impl Leadership {
    /// Whether the lock is still held. Once `false`, never `true` again.
    pub async fn holds(&mut self) -> bool {
        match &mut self.connection {
            None => true,
            Some(connection) => connection.ping().await.is_ok(),
        }
    }

    /// Gives the lock back, so that another may lead at once. Takes two seconds at most, whatever the database does.
    pub async fn step_down(self) {
        let Some(mut connection) = self.connection else { return };
        let left = async move {
            // Said, and not left to the end of the connection, which the database notices a moment after it.
            sqlx::query("SELECT pg_advisory_unlock($1)").bind(LOCK).execute(&mut connection).await?;
            connection.close().await
        };
        if !matches!(tokio::time::timeout(FAREWELL, left).await, Ok(Ok(()))) {
            tracing::debug!("the leader's lock ends with its connection");
        }
    }
}

/// Who would lead. It keeps its connection from one try to the next: making one costs both sides far more than the question.
#[derive(Default)]
pub struct Candidate {
    connection: Option<PgConnection>,
}

impl Candidate {
    /// Leads, if nobody else does; `holder` is told to people.
    pub async fn lead(&mut self, store: &Store, holder: &str) -> Result<Option<Leadership>, StoreError> {
        // Taken: whatever goes wrong, its end is the end of the lock.
        let connection = match (store.postgres(), self.connection.take()) {
            (None, _) => None,
            (Some(_), Some(connection)) => Some(connection),
            (Some(options), None) => Some(options.connect().await.map_err(|e| StoreError::from(&e))?),
        };
        let connection = match connection {
            None => None,
            Some(mut connection) => {
                let asked = sqlx::query_scalar::<_, bool>("SELECT pg_try_advisory_lock($1)")
                    .bind(LOCK)
                    .fetch_one(&mut connection);
                // A connection of which the other end is gone without a word would never answer.
                let got = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| silent())?;
                let got = got.map_err(|e| StoreError::from(&e))?;
                if !got {
                    self.connection = Some(connection);
                    return Ok(None);
                }
                Some(connection)
            }
        };
        let tx = store.write().await?;
        let epoch = leases::acquire(&tx, leases::LEADER, holder).await?;
        tx.wakes();
        tx.commit().await?;
        Ok(Some(Leadership { connection, epoch }))
    }
}

fn silent() -> StoreError {
    StoreError::Unavailable {
        reason: format!("no answer within {} seconds", PATIENCE.as_secs()),
        hint: "check the network on the way to the database",
    }
}

impl Store {
    /// Ends all connections of another server: it stands still, and must hold no lock any more. Nothing with SQLite.
    pub async fn end_session(&self, session: &str) -> Result<(), StoreError> {
        if let Some(options) = self.postgres() {
            let mut connection = options.connect().await.map_err(|e| StoreError::from(&e))?;
            let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1";
            sqlx::query(sql).bind(session).execute(&mut connection).await.map_err(|e| StoreError::from(&e))?;
            let _ = connection.close().await;
        }
        Ok(())
    }
}
