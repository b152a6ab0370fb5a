//! One server's share of the queue: a store, a dispatcher and an engine in a process of their own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use domain::queue::{Candidate, choose};
use domain::{DeploymentId, ServerId};
use saga::{Begun, Cancel, Engine, Fence, SagaId};
use store::appends::Append;
use store::starts::{self, Ready, Started};
use store::{DatabaseUrl, Session, Store, StoreError};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::Notify;
use ulid::Ulid;

use super::fill::HOST;
use crate::passes::{Passes, State, StoreJournal};

/// As the server's own dispatcher: `control::dispatch`.
const LOOK: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_millis(60);

struct Worker {
    store: Store,
    server: ServerId,
    engine: Engine<Passes<1>>,
    slots: usize,
    running: AtomicUsize,
    done: AtomicUsize,
    freed: Notify,
}

/// Says "ready", begins at the first line of its input, prints how many are done, and ends with its input.
pub(crate) async fn work() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let url: DatabaseUrl = variable("DATABASE_URL").parse().unwrap();
    let store = Store::open(&url).await.unwrap();
    let worker = Arc::new(Worker {
        engine: Engine::new(Arc::new(StoreJournal(store.clone())), Arc::new(()), Vec::new()).unwrap(),
        store,
        server: ServerId::from_ulid(Ulid::generate()),
        slots: variable("SLOTS").parse().unwrap(),
        running: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        freed: Notify::new(),
    });
    println!("ready");
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    if input.next_line().await.unwrap().is_none() {
        return;
    }
    tokio::spawn(dispatch(worker.clone()));
    loop {
        tokio::select! {
            _ = input.next_line() => return,
            () = tokio::time::sleep(Duration::from_millis(5)) => println!("done {}", worker.done.load(Ordering::Relaxed)),
        }
    }
}

async fn dispatch(worker: Arc<Worker>) {
    let mut moved = worker.store.dispatches();
    loop {
        moved.borrow_and_update();
        let began = Instant::now();
        if let Err(e) = due(&worker).await {
            eprintln!("the queue can't be looked at: {e}");
        }
        tokio::time::sleep((began.elapsed() * 4).min(REST)).await;
        tokio::select! {
            _ = moved.changed() => {}
            () = worker.freed.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// What the server's dispatcher does, with the same parts of the store and the same choice; windows there are none.
async fn due(worker: &Arc<Worker>) -> Result<(), StoreError> {
    let mut outrun = false;
    while worker.free() > 0 {
        let chosen = choice(&worker.store).await?;
        if chosen.is_empty() {
            break;
        }
        let tx = worker.store.write().await?;
        let chosen = if outrun { choice(&tx).await? } else { chosen };
        let now = Utc::now();
        let most = chosen.len().min(worker.free());
        let ready = starts::first_ready(&tx, &chosen, most).await?;
        store::windows::list(&tx, Some(now)).await?;
        let candidates: Vec<_> = ready.iter().map(Ready::candidate).collect();
        let apps = store::queue::facts(&tx, &candidates.iter().map(|c| c.app.clone()).collect()).await?;
        let start = choose(candidates, &apps, most, now, |_| None).start;
        let may: BTreeSet<_> = start.into_iter().map(|start| start.deployment).collect();
        let entries: Vec<_> =
            ready.into_iter().map(|ready| ready.entry).filter(|entry| may.contains(&entry.deployment)).collect();
        let started = begin(worker, starts::start(&tx, &worker.server, &entries, now).await?);
        let appends: Vec<_> = started.iter().map(|(_, _, append)| append.clone()).collect();
        store::appends::many(&tx, &appends).await?;
        worker.running.fetch_add(started.len(), Ordering::Relaxed);
        tx.commit().await?;
        let none = started.is_empty();
        for (started, begun, _) in started {
            tokio::spawn(run(worker.clone(), started, begun));
        }
        if none && outrun {
            break;
        }
        outrun = none;
    }
    store::queue::next_time(&worker.store, HOST, Utc::now()).await.map(drop)
}

async fn choice(session: &impl Session) -> Result<Vec<DeploymentId>, StoreError> {
    let now = Utc::now();
    let heads = store::queue::heads(session, HOST, now, None).await?;
    let heads: Vec<Candidate> = heads.into_iter().map(|head| head.candidate).collect();
    store::windows::list(session, Some(now)).await?;
    let apps = store::queue::facts(session, &heads.iter().map(|head| head.app.clone()).collect()).await?;
    let each = heads.len();
    let start = choose(heads, &apps, each, now, |_| None).start;
    Ok(start.into_iter().map(|start| start.deployment).collect())
}

/// The first step of each, which is written in the transaction that takes it.
fn begin(worker: &Worker, started: Vec<Started>) -> Vec<(Started, Begun<State, String>, Append)> {
    let begin = |started: Started| {
        let journal: Vec<_> = started.journal.iter().cloned().map(|r| serde_json::from_value(r).unwrap()).collect();
        let id = SagaId::new(started.deployment.as_str());
        let begun = worker.engine.begin(&id, &journal).unwrap();
        let records = begun.records().map(|record| serde_json::to_value(record).unwrap()).collect();
        let (saga, seq) = (id.as_str().to_owned(), journal.len() as u64);
        let append = Append { saga, fence: started.fence, seq, records, end: None, advance: None };
        (started, begun, append)
    };
    started.into_iter().map(begin).collect()
}

async fn run(worker: Arc<Worker>, started: Started, begun: Begun<State, String>) {
    let id = SagaId::new(started.deployment.as_str());
    worker.engine.run_begun(&id, Fence(started.fence), begun, &Cancel::new()).await.unwrap();
    worker.running.fetch_sub(1, Ordering::Relaxed);
    worker.done.fetch_add(1, Ordering::Relaxed);
    worker.freed.notify_one();
}

impl Worker {
    fn free(&self) -> usize {
        self.slots.saturating_sub(self.running.load(Ordering::Relaxed))
    }
}
