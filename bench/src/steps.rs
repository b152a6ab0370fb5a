//! Durable steps of sagas against the disk itself, and against DBOS on PostgreSQL.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use plimsoll_tests::postgres::Postgres;
use saga::{Cancel, Engine, Fence, Saga, SagaId};
use store::{DatabaseUrl, Store, sagas};

use crate::Outcome;
use crate::figure::{Figure, Goal, quantile};
use crate::passes::{Passes, State, StoreJournal};
use crate::peer::Peer;

/// Of a saga against the disk, and of one against DBOS.
const LONG: usize = 50;
const SHORT: usize = 10;
/// Sagas at a time.
const AT_ONCE: usize = 64;
/// Beside the disk each is measured this often, in turn and for a short time, so that a busy moment of the machine hits all alike.
const ROUNDS: usize = 9;
const TIME: Duration = Duration::from_secs(1);
/// Beside a peer.
const LONG_TIME: Duration = Duration::from_secs(4);
/// What one commit writes, about.
const BLOCK: usize = 4096;

pub(crate) async fn run() -> Outcome {
    let mut figures = on_sqlite().await?;
    figures.extend(on_postgres().await?);
    Ok(figures)
}

/// Sagas of 50 stages that do nothing, journaled in SQLite with `synchronous=FULL`: one after the other, then 64 at a time. Against
/// what the same disk gives a program that appends 4 KiB to a file and calls fdatasync.
async fn on_sqlite() -> Outcome {
    let dir = tempfile::Builder::new()
        .prefix("plimsoll-bench-")
        .tempdir_in(plimsoll_tests::server::binary().parent().unwrap())
        .map_err(|e| e.to_string())?;
    let store = Store::open(&DatabaseUrl::sqlite(dir.path().join("db"))).await.map_err(|e| e.to_string())?;

    let [mut appended, mut overwritten, mut one, mut many] = [const { Vec::new() }; 4];
    for round in 0..ROUNDS {
        appended.push(disk(dir.path(), true));
        one.push(steps::<LONG>(&store, TIME, round, 1).await);
        overwritten.push(disk(dir.path(), false));
        many.push(steps::<LONG>(&store, TIME, round, AT_ONCE).await);
    }
    store.close().await;
    let [appended, overwritten, one, many] =
        [appended, overwritten, one, many].map(|rates: Vec<f64>| quantile(&rates, 0.5));
    let disk = "append 4 KiB + fdatasync";
    Ok(vec![
        Figure::new("durable steps, one saga, SQLite FULL", one, "/s", Goal::RatioAtLeast(0.9)).against(disk, appended),
        Figure::new("durable steps, 64 sagas, SQLite FULL", many, "/s", Goal::RatioAtLeast(1.0))
            .against(disk, appended),
        Figure::new("one saga, beside a block overwritten in place", one, "/s", Goal::Shown)
            .against("overwrite 4 KiB + fdatasync", overwritten),
    ])
}

/// Sagas of ten stages that do nothing, and DBOS's workflows of ten steps that do nothing, in one PostgreSQL: one after the other,
/// and 64 at a time; for DBOS what is better of 16 and 64 threads.
async fn on_postgres() -> Outcome {
    let postgres = Postgres::start_durable();
    let url: DatabaseUrl = postgres.create_database().parse().map_err(|e| format!("{e}"))?;
    let store = Store::open(&url).await.map_err(|e| e.to_string())?;
    let one = steps::<SHORT>(&store, LONG_TIME, 0, 1).await;
    let many = steps::<SHORT>(&store, LONG_TIME, 0, AT_ONCE).await;
    store.close().await;
    // Its driver knows the scheme by its long name.
    let url = postgres.create_database().replacen("postgres://", "postgresql://", 1);
    let (at_once, seconds) = (AT_ONCE.to_string(), LONG_TIME.as_secs().to_string());
    let env = [("DATABASE_URL", url.as_str()), ("AT_ONCE", &at_once), ("SECONDS", &seconds)];
    let printed = match Peer::Dbos.output(&[], &env) {
        Ok(printed) => printed,
        Err(why) => {
            eprintln!("  not compared: {why}");
            String::new()
        }
    };
    let peer = |at_once: &[usize]| {
        let found = printed.lines().filter_map(|line| {
            let (threads, rate) = line.strip_prefix("steps ")?.split_once(' ')?;
            at_once.contains(&threads.parse().ok()?).then(|| rate.parse::<f64>().ok())?
        });
        found.reduce(f64::max)
    };
    let figure = |name: &str, value, threads: &[usize]| {
        let figure = Figure::new(name, value, "/s", Goal::RatioAtLeast(1.0));
        match peer(threads) {
            Some(rate) => figure.against("DBOS (Python)", rate),
            None => Figure { goal: Goal::Shown, ..figure },
        }
    };
    Ok(vec![
        figure("durable steps, one saga of ten, PostgreSQL", one, &[1]),
        figure("durable steps, 64 sagas of ten, PostgreSQL", many, &[16, AT_ONCE]),
    ])
}

/// How often a second one block gets to the disk.
fn disk(dir: &Path, append: bool) -> f64 {
    let file = File::create(dir.join("blocks")).unwrap();
    let blocks = 256;
    file.write_all_at(&vec![1; if append { 0 } else { BLOCK * blocks }], 0).unwrap();
    file.sync_all().unwrap();
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < TIME {
        let at = if append { count } else { count % blocks };
        file.write_all_at(&[2; BLOCK], (at * BLOCK) as u64).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    count as f64 / began.elapsed().as_secs_f64()
}

/// Steps a second with so many sagas at a time.
async fn steps<const STAGES: usize>(store: &Store, time: Duration, round: usize, at_once: usize) -> f64 {
    // The epoch of a saga that nobody has taken from another.
    let fence = Fence(0);
    let journal = Arc::new(StoreJournal(store.clone()));
    let engine = Arc::new(Engine::<Passes<STAGES>>::new(journal, Arc::new(()), Vec::new()).unwrap());
    let began = Instant::now();
    let lanes = (0..at_once).map(|lane| {
        let engine = Arc::clone(&engine);
        let store = store.clone();
        tokio::spawn(async move {
            let mut done = 0;
            while began.elapsed() < time {
                let id = SagaId::new(format!("{round}-{at_once}-{lane}-{done}"));
                let name = id.as_str().to_owned();
                let created = store.write_together(move |tx| {
                    let name = name.clone();
                    let (kind, version) = (Passes::<STAGES>::NAME, Passes::<STAGES>::VERSION);
                    Box::pin(async move { sagas::create(tx, &name, kind, version).await })
                });
                created.await.unwrap();
                engine.start(&id, fence, State::default()).await.unwrap();
                engine.run(&id, fence, &Cancel::new()).await.unwrap();
                done += 1;
            }
            done
        })
    });
    let sagas: usize = join_all(lanes).await.into_iter().map(Result::unwrap).sum();
    (sagas * STAGES) as f64 / began.elapsed().as_secs_f64()
}
