//! The model of the store: rows, and transactions that happen at one instant.
//!
//! What can go wrong on the way is in [`Link`]: the database is away, an answer is lost after the write was done, a write that
//! was sent arrives after its sender has died.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use domain::queue::{Priority, rank};
use domain::schedule::{Cron, Missed};
use saga::{Event, Record, RecordOf};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::chance::Chance;
use crate::clock::{queue_time, time};
use crate::deployment::{Deploy, State};
use crate::process::Process;
use crate::signal::Signal;

#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    pub(crate) app: u32,
    pub(crate) host: u32,
    pub(crate) generation: u64,
    /// Dispatched and not ended.
    pub(crate) running: Option<u32>,
    pub(crate) acting: Option<u32>,
    pub(crate) active: Option<u32>,
    pub(crate) active_generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Active,
    Failed,
    Cancelled,
    Superseded,
}

#[derive(Clone)]
pub(crate) struct Deployment {
    pub(crate) environment: u32,
    pub(crate) generation: u64,
    pub(crate) priority: Priority,
    pub(crate) rank: i64,
    /// In milliseconds of the run, as is the next.
    pub(crate) enqueued_at: u64,
    /// It was ordered for later.
    pub(crate) not_before: Option<u64>,
    /// What was ordered for later and then for now: the newest generation of its environment then, for the invariants.
    pub(crate) hastened: Option<u64>,
    pub(crate) queued: bool,
    pub(crate) owner: Option<u32>,
    pub(crate) epoch: u64,
    pub(crate) records: Vec<RecordOf<Deploy>>,
    /// Of the last append, for the invariants.
    pub(crate) written_under: u64,
    pub(crate) cancel_requested: bool,
    /// Says its journal.
    pub(crate) stuck: bool,
    /// An operator wants it to be tried again.
    pub(crate) resume: bool,
    pub(crate) end: Option<End>,
    /// How often its end was told.
    pub(crate) ends: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) host: u32,
    pub(crate) heartbeat: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub(crate) environment: u32,
    pub(crate) cron: Cron,
    pub(crate) missed: Missed,
    /// `None` when it is stopped.
    pub(crate) next: Option<DateTime<Utc>>,
    pub(crate) runs: Vec<Run>,
}

/// What came of a plan of a schedule.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) planned: DateTime<Utc>,
    /// By the clock of who carried it out.
    pub(crate) at: DateTime<Utc>,
    /// `None` when it was skipped.
    pub(crate) deployment: Option<u32>,
    /// The plan after it.
    pub(crate) next: Option<DateTime<Utc>>,
}

/// The rows.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) environments: BTreeMap<u32, Environment>,
    pub(crate) deployments: BTreeMap<u32, Deployment>,
    pub(crate) servers: BTreeMap<u32, Server>,
    pub(crate) schedules: Vec<Schedule>,
    /// Answers by idempotency key.
    pub(crate) answers: BTreeMap<u64, u32>,
    /// Whose session holds the advisory lock, and under which epoch it writes.
    pub(crate) lock: Option<u32>,
    pub(crate) leader_epoch: u64,
    pub(crate) limit: usize,
    /// When a deployment of an app last started, in milliseconds of the run.
    pub(crate) last_started: BTreeMap<u32, u64>,
    /// Set by a write of which others should hear.
    pub(crate) tell: bool,
}

impl Rows {
    /// Records a deployment, waiting.
    pub(crate) fn accept(&mut self, environment: u32, priority: Priority, now: u64, not_before: Option<u64>) -> u32 {
        self.tell = true;
        let id = u32::try_from(self.deployments.len()).unwrap_or(u32::MAX) + 1;
        let generation = self.environments.get_mut(&environment).map_or(0, |e| {
            e.generation += 1;
            e.generation
        });
        let state = State { deployment: id, environment, generation, previous: None };
        let opening = saga::opening::<Deploy>(state, time(now));
        let deployment = Deployment {
            environment,
            generation,
            priority,
            rank: rank(queue_time(now), not_before.map(queue_time), priority),
            enqueued_at: now,
            not_before,
            hastened: None,
            queued: true,
            owner: None,
            epoch: 0,
            records: opening.into_iter().collect(),
            written_under: 0,
            cancel_requested: false,
            stuck: false,
            resume: false,
            end: None,
            ends: 0,
        };
        self.deployments.insert(id, deployment);
        id
    }

    /// Takes the time away that one waits for; `false` when it waits for none.
    pub(crate) fn hasten(&mut self, id: u32, now: u64) -> bool {
        let Some(deployment) = self.deployments.get_mut(&id).filter(|d| d.queued && d.not_before.is_some()) else {
            return false;
        };
        self.tell = true;
        deployment.not_before = None;
        deployment.enqueued_at = now;
        deployment.rank = rank(queue_time(now), None, deployment.priority);
        deployment.hastened = self.environments.get(&deployment.environment).map(|environment| environment.generation);
        true
    }

    /// The time has come of one that waits: it is newer than what was deployed since it was ordered.
    pub(crate) fn renew(&mut self, id: u32) {
        let Some(deployment) = self.deployments.get_mut(&id).filter(|deployment| deployment.queued) else { return };
        let Some(environment) = self.environments.get_mut(&deployment.environment) else { return };
        let [Record { event: Event::Started { state, .. }, .. }] = deployment.records.as_mut_slice() else { return };
        if deployment.generation == environment.generation {
            return;
        }
        environment.generation += 1;
        deployment.generation = environment.generation;
        state.generation = environment.generation;
    }

    pub(crate) fn end(&mut self, id: u32, end: End) {
        self.tell = true;
        let Some(deployment) = self.deployments.get_mut(&id) else { return };
        deployment.end = Some(end);
        deployment.ends += 1;
        deployment.queued = false;
        deployment.owner = None;
        if let Some(environment) = self.environments.get_mut(&deployment.environment) {
            environment.running = environment.running.filter(|by| *by != id);
            environment.acting = environment.acting.filter(|by| *by != id);
        }
    }
}

/// The database and the ways to it. Clones share it.
#[derive(Clone)]
pub(crate) struct Database {
    rows: Arc<Mutex<Rows>>,
    away: Arc<AtomicBool>,
    changes: Signal,
    chance: Chance,
    began: Instant,
}

/// No answer came: what was to be written may have been, or not.
#[derive(Debug)]
pub(crate) struct Away;

impl Database {
    pub(crate) fn new(rows: Rows, chance: Chance) -> Self {
        let rows = Arc::new(Mutex::new(rows));
        Self { rows, away: Arc::default(), changes: Signal::default(), chance, began: Instant::now() }
    }

    /// Milliseconds since the run began, by the clock of the world.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn go_away(&self, yes: bool) {
        self.away.store(yes, Ordering::Relaxed);
    }

    /// A look from outside of the world.
    pub(crate) fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of commits; some notifications get lost.
    pub(crate) fn changes(&self) -> Signal {
        self.changes.clone()
    }

    /// One transaction of `process`.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        process: &Process,
        work: impl FnOnce(&mut Rows) -> T + Send + 'static,
    ) -> Result<T, Away> {
        process.step().await;
        tokio::time::sleep(self.chance.millis(0, 4)).await;
        if self.away.load(Ordering::Relaxed) || process.is_cut_off() {
            tokio::time::sleep(self.chance.millis(1, 200)).await;
            return Err(Away);
        }
        process.step().await;
        let transit = if self.chance.percent(2) { self.chance.millis(50, 2000) } else { self.chance.millis(0, 3) };
        let database = self.clone();
        let (answer, answered) = oneshot::channel();
        // From here on it is on its way: it arrives even if its sender dies.
        tokio::spawn(async move {
            tokio::time::sleep(transit).await;
            let (done, tell) = {
                let mut rows = database.rows();
                let done = work(&mut rows);
                (done, std::mem::take(&mut rows.tell))
            };
            // Lost ones are what timers are for.
            if tell && !database.chance.percent(10) {
                database.changes.send();
            }
            _ = answer.send(done);
        });
        let done = answered.await.map_err(|_| Away)?;
        process.step().await;
        match self.chance.percent(1) {
            true => Err(Away),
            false => Ok(done),
        }
    }
}
