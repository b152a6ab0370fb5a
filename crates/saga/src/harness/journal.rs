//! The suite that every journal is put through.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Event, Failure, Fence, HistoryOf, Journal, JournalError, Record, RecordOf, Saga, SagaId, Stage, Step, opening,
};

/// The saga whose records [`check_journal`] writes; it never runs.
#[derive(Debug)]
pub enum Counting {}

/// Has no values of its own but those of serde's text form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plain(String);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Saga for Counting {
    type World = ();
    type State = u64;
    type Error = Plain;
    const NAME: &'static str = "counting";
    const VERSION: u32 = 1;

    fn stages() -> Vec<Box<dyn Stage<Self>>> {
        vec![Box::new(Count("one")), Box::new(Count("two"))]
    }

    fn timed_out(stage: &str, limit: Duration) -> Plain {
        Plain(format!("{stage} took longer than {limit:?}"))
    }

    fn panicked(stage: &str, message: String) -> Plain {
        Plain(format!("{stage}: {message}"))
    }
}

struct Count(&'static str);

#[async_trait]
impl Stage<Counting> for Count {
    fn name(&self) -> &'static str {
        self.0
    }

    async fn run(&self, _world: &(), state: u64, _step: &Step) -> Result<u64, Failure<Plain>> {
        Ok(state + 1)
    }
}

/// Whether `open` gives a journal that keeps the promises of [`Journal`]. `open` is called several times and must open the same
/// storage each time, as a new process would; `prefix` makes the saga ids unique within it.
pub async fn check_journal<J: Journal<Counting> + 'static>(open: impl Fn() -> J, prefix: &str) -> Result<(), String> {
    let id = SagaId::new(format!("{prefix}-a/ü"));
    let journal = open();
    demand("an unknown saga has no records", read(&journal, &id).await?.is_empty())?;

    let first = opening::<Counting>(7, now()).map_err(|error| error.to_string())?;
    let history = HistoryOf::<Counting>::replay(std::slice::from_ref(&first)).map_err(|error| error.to_string())?;
    let (begun, history_1) = next(&history, vec![Event::StageStarted { stage: 0, attempt: 1 }])?;
    let error = Plain("line\nbreak, \"quote\" and \u{1F980}".to_owned());
    let (ended, history_2) = next(
        &history_1,
        vec![
            Event::StageFailed { stage: 0, attempt: 1, error, retry_at: None },
            Event::UndoStarted { stage: 0, attempt: 1 },
        ],
    )?;

    write(&journal, &id, 5, 0, std::slice::from_ref(&first), &history).await.map_err(|error| error.to_string())?;
    write(&journal, &id, 5, 1, &begun, &history_1).await.map_err(|error| error.to_string())?;
    let written = [vec![first.clone()], begun.clone()].concat();
    demand("records come back as they were written", read(&journal, &id).await? == written)?;
    demand("another process reads them too", read(&open(), &id).await? == written)?;

    let behind = write(&journal, &id, 5, 1, &begun, &history_1).await;
    demand(
        "a writer that is behind is refused",
        matches!(behind, Err(JournalError::Conflict { expected: 1, found: 2 })),
    )?;
    let ahead = write(&journal, &id, 5, 3, &ended, &history_2).await;
    demand(
        "a writer that is ahead is refused",
        matches!(ahead, Err(JournalError::Conflict { expected: 3, found: 2 })),
    )?;
    demand("a refused write leaves nothing", read(&journal, &id).await? == written)?;

    write(&open(), &id, 6, 2, &ended, &history_2).await.map_err(|error| error.to_string())?;
    let written = [written, ended.clone()].concat();
    demand("a write of several records is read whole", read(&journal, &id).await? == written)?;
    let (late, history_3) = next(&history_2, vec![Event::UndoFinished { stage: 0 }])?;
    let fenced = write(&journal, &id, 5, 4, &late, &history_3).await;
    demand("the former owner is fenced", matches!(fenced, Err(JournalError::Fenced { .. })))?;
    demand("a fenced write leaves nothing", read(&journal, &id).await? == written)?;
    write(&journal, &id, 6, 4, &late, &history_3).await.map_err(|error| error.to_string())?;

    // Opened once: a race is won by a hair, and needs several tries to be seen.
    let writers: Vec<Arc<J>> = (0..8).map(|_| Arc::new(open())).collect();
    for round in 0..16 {
        let other = SagaId::new(format!("{prefix}-b{round}"));
        demand("sagas are kept apart", read(&journal, &other).await?.is_empty())?;
        one_of_many_writers_wins(&writers, &other, &first, &history).await?;
    }
    Ok(())
}

async fn one_of_many_writers_wins<J: Journal<Counting> + 'static>(
    writers: &[Arc<J>],
    id: &SagaId,
    first: &RecordOf<Counting>,
    history: &HistoryOf<Counting>,
) -> Result<(), String> {
    let write_first = |journal: &Arc<J>| {
        let (journal, id, first, history) = (Arc::clone(journal), id.clone(), first.clone(), history.clone());
        tokio::spawn(async move { write(journal.as_ref(), &id, 1, 0, &[first], &history).await })
    };
    let tasks: Vec<_> = writers.iter().map(write_first).collect();
    let mut won = 0;
    for task in tasks {
        match task.await.map_err(|error| error.to_string())? {
            Ok(()) => won += 1,
            Err(JournalError::Conflict { .. }) => {}
            Err(error) => return Err(format!("a writer that lost a race got: {error}")),
        }
    }
    demand("of many writers at the same place one wins", won == 1)?;
    demand("and its record is the only one", read(writers[0].as_ref(), id).await?.len() == 1)
}

async fn read<J: Journal<Counting>>(journal: &J, id: &SagaId) -> Result<Vec<RecordOf<Counting>>, String> {
    journal.load(id).await.map_err(|error| error.to_string())
}

async fn write<J: Journal<Counting>>(
    journal: &J,
    id: &SagaId,
    fence: u64,
    seq: u64,
    records: &[RecordOf<Counting>],
    after: &HistoryOf<Counting>,
) -> Result<(), JournalError> {
    journal.append(id, Fence(fence), seq, records, after).await
}

fn next(
    history: &HistoryOf<Counting>,
    events: Vec<Event<u64, Plain>>,
) -> Result<(Vec<RecordOf<Counting>>, HistoryOf<Counting>), String> {
    let mut history = history.clone();
    let mut records = Vec::new();
    for event in events {
        let record = Record { seq: history.next_seq(), at: now(), event };
        history = history.apply(&record).map_err(|error| error.to_string())?;
        records.push(record);
    }
    Ok((records, history))
}

/// In whole milliseconds: a journal need keep no more than that.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(Utc::now().timestamp_millis()).unwrap_or_default()
}

fn demand(what: &str, kept: bool) -> Result<(), String> {
    if kept { Ok(()) } else { Err(format!("promise broken: {what}")) }
}
