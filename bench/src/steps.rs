//! Durable steps of sagas against the disk itself.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::join_all;
use saga::{Cancel, Engine, Failure, Fence, HistoryOf, Journal, JournalError, RecordOf, Saga, SagaId, Stage, Step};
use store::{DatabaseUrl, Store, sagas};

use crate::Outcome;
use crate::figure::{Figure, Goal};

const STAGES: usize = 50;
const TIME: Duration = Duration::from_secs(4);
/// What one commit writes, about.
const BLOCK: usize = 4096;

/// Sagas of 50 stages that do nothing, journaled in SQLite with `synchronous=FULL`: one after the other, then 64 at a time. Against
/// what the same disk gives a program that appends 4 KiB to a file and calls fdatasync, before and after.
pub(crate) async fn run() -> Outcome {
    let dir = tempfile::Builder::new()
        .prefix("plimsoll-bench-")
        .tempdir_in(plimsoll_tests::server::binary().parent().unwrap())
        .map_err(|e| e.to_string())?;
    let store = Store::open(&DatabaseUrl::sqlite(dir.path().join("db"))).await.map_err(|e| e.to_string())?;
    // The epoch of a saga that nobody has taken from another.
    let fence = Fence(0);

    let (appended, overwritten) = (disk(dir.path(), true), disk(dir.path(), false));
    let one = steps(&store, fence, 1).await;
    let many = steps(&store, fence, 64).await;
    let appended = (appended + disk(dir.path(), true)) / 2.0;
    store.close().await;
    let disk = "append 4 KiB + fdatasync";
    Ok(vec![
        Figure::new("durable steps, one saga, SQLite FULL", one, "/s", Goal::RatioAtLeast(0.9)).against(disk, appended),
        Figure::new("durable steps, 64 sagas, SQLite FULL", many, "/s", Goal::RatioAtLeast(1.0))
            .against(disk, appended),
        Figure::new("one saga, beside a block overwritten in place", one, "/s", Goal::Shown)
            .against("overwrite 4 KiB + fdatasync", overwritten),
    ])
}

/// How often a second one block gets to the disk.
fn disk(dir: &Path, append: bool) -> f64 {
    let file = File::create(dir.join("blocks")).unwrap();
    let blocks = 256;
    file.write_all_at(&vec![1; if append { 0 } else { BLOCK * blocks }], 0).unwrap();
    file.sync_all().unwrap();
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < TIME / 2 {
        let at = if append { count } else { count % blocks };
        file.write_all_at(&[2; BLOCK], (at * BLOCK) as u64).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    count as f64 / began.elapsed().as_secs_f64()
}

/// Steps a second with so many sagas at a time.
async fn steps(store: &Store, fence: Fence, at_once: usize) -> f64 {
    let engine = Engine::<Nothing>::new(Arc::new(StoreJournal(store.clone())), Arc::new(()), Vec::new()).unwrap();
    let engine = Arc::new(engine);
    let began = Instant::now();
    let lanes = (0..at_once).map(|lane| {
        let engine = Arc::clone(&engine);
        let store = store.clone();
        tokio::spawn(async move {
            let mut done = 0;
            while began.elapsed() < TIME {
                let id = SagaId::new(format!("{at_once}-{lane}-{done}"));
                let name = id.as_str().to_owned();
                let created = store.write_together(move |tx| {
                    let name = name.clone();
                    Box::pin(async move { sagas::create(tx, &name, Nothing::NAME, Nothing::VERSION).await })
                });
                created.await.unwrap();
                engine.start(&id, fence, 0).await.unwrap();
                engine.run(&id, fence, &Cancel::new()).await.unwrap();
                done += 1;
            }
            done
        })
    });
    let sagas: usize = join_all(lanes).await.into_iter().map(Result::unwrap).sum();
    (sagas * STAGES) as f64 / began.elapsed().as_secs_f64()
}

/// A stage's name lives as long as the program.
static NAMES: LazyLock<Vec<&str>> =
    LazyLock::new(|| (0..STAGES).map(|n| &*Box::leak(format!("pass_{n}").into_boxed_str())).collect());

struct Nothing;

impl Saga for Nothing {
    type World = ();
    type State = usize;
    type Error = String;
    const NAME: &'static str = "nothing";
    const VERSION: u32 = 1;

    fn stages() -> Vec<Box<dyn Stage<Self>>> {
        NAMES.iter().map(|name| Box::new(Pass(name)) as Box<dyn Stage<Self>>).collect()
    }

    fn timed_out(stage: &str, limit: Duration) -> String {
        format!("{stage} took longer than {limit:?}")
    }

    fn panicked(stage: &str, message: String) -> String {
        format!("{stage} panicked: {message}")
    }
}

/// Counts, and does nothing else.
struct Pass(&'static str);

#[async_trait]
impl Stage<Nothing> for Pass {
    fn name(&self) -> &'static str {
        self.0
    }

    async fn run(&self, (): &(), state: usize, _: &Step) -> Result<usize, Failure<String>> {
        Ok(state + 1)
    }
}

/// The store's journal without what deployments add to it.
struct StoreJournal(Store);

#[async_trait]
impl Journal<Nothing> for StoreJournal {
    async fn load(&self, id: &SagaId) -> Result<Vec<RecordOf<Nothing>>, JournalError> {
        let rows = sagas::load(&self.0, id.as_str()).await.map_err(unavailable)?;
        rows.into_iter().map(|(_, value)| serde_json::from_value(value).map_err(unavailable)).collect()
    }

    async fn append(
        &self,
        id: &SagaId,
        fence: Fence,
        seq: u64,
        records: &[RecordOf<Nothing>],
        _: &HistoryOf<Nothing>,
    ) -> Result<(), JournalError> {
        let values: Arc<[_]> = records.iter().map(|record| serde_json::to_value(record).unwrap()).collect();
        let id = id.clone();
        let written = self.0.write_together(move |tx| {
            let (id, values) = (id.clone(), Arc::clone(&values));
            Box::pin(async move { sagas::append(tx, id.as_str(), fence.0, seq, &values).await.map(drop) })
        });
        written.await.map_err(unavailable)
    }
}

fn unavailable(error: impl std::fmt::Display) -> JournalError {
    JournalError::Unavailable(error.to_string())
}
