//! The saga journal in the model of the store, with what an append changes beyond itself; and the ways in which it can be broken
//! on purpose.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use saga::{
    Event, Fence, HistoryOf, IllegalTransition, Journal, JournalError, Outcome, Record, RecordOf, Remedy, SagaId,
};

use crate::database::{Database, End, Rows};
use crate::deployment::Deploy;
use crate::process::Process;
use crate::verdict::Verdicts;
use crate::world::Mutation;

/// The stage after which a release is active.
const PIVOT: &str = "activate";

/// The journal as one process reaches it.
pub(crate) struct ModelJournal {
    pub(crate) process: Process,
    pub(crate) database: Database,
    pub(crate) mutation: Option<Mutation>,
    pub(crate) verdicts: Verdicts,
    /// Records that should be on the disk and are not: a mutation.
    pub(crate) kept_back: Mutex<Vec<RecordOf<Deploy>>>,
}

fn number(id: &SagaId) -> u32 {
    id.as_str().parse().unwrap_or_default()
}

#[async_trait]
impl Journal<Deploy> for ModelJournal {
    async fn load(&self, id: &SagaId) -> Result<Vec<RecordOf<Deploy>>, JournalError> {
        let id = number(id);
        let records =
            self.database.write(&self.process, move |rows| rows.deployments.get(&id).map(|d| d.records.clone()));
        records.await.map(Option::unwrap_or_default).map_err(|_| JournalError::Unavailable("away".to_owned()))
    }

    async fn append(
        &self,
        id: &SagaId,
        fence: Fence,
        seq: u64,
        records: &[RecordOf<Deploy>],
        after: &HistoryOf<Deploy>,
    ) -> Result<(), JournalError> {
        let mut records = records.to_vec();
        let mut seq = seq;
        if self.mutation == Some(Mutation::ActBeforeTheJournal) {
            let mut kept_back = self.kept_back.lock().unwrap_or_else(PoisonError::into_inner);
            records.splice(0..0, kept_back.drain(..));
            seq = records.first().map_or(seq, |first| first.seq);
            if matches!(records.last().map(|r| &r.event), Some(Event::StageStarted { .. })) {
                kept_back.extend(records);
                return Ok(());
            }
        }
        let (id, after, mutation, verdicts) = (number(id), after.clone(), self.mutation, self.verdicts.clone());
        let append = move |rows: &mut Rows| append(rows, id, fence, seq, records, &after, mutation, &verdicts);
        match self.database.write(&self.process, append).await {
            Ok(result) => {
                self.verdicts.look();
                result
            }
            Err(_) => Err(JournalError::Unavailable("away".to_owned())),
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn append(
    rows: &mut Rows,
    id: u32,
    fence: Fence,
    seq: u64,
    records: Vec<RecordOf<Deploy>>,
    after: &HistoryOf<Deploy>,
    mutation: Option<Mutation>,
    verdicts: &Verdicts,
) -> Result<(), JournalError> {
    let Some(deployment) = rows.deployments.get_mut(&id) else {
        return Err(JournalError::Corrupt(format!("no deployment {id}")));
    };
    if fence.0 != deployment.epoch && mutation != Some(Mutation::DropTheFence) {
        return Err(JournalError::Fenced { held: fence, current: Fence(deployment.epoch) });
    }
    let found = deployment.records.len() as u64;
    if found != seq {
        return Err(JournalError::Conflict { expected: seq, found });
    }
    if fence.0 < deployment.written_under || fence.0 < deployment.epoch {
        let newer = deployment.written_under.max(deployment.epoch);
        verdicts.wrong(format!("the journal of {id} took a record under epoch {} after {newer}", fence.0));
    }
    deployment.written_under = fence.0;
    let passed = after.past_pivot() && records.iter().any(|record| {
        matches!(&record.event, Event::StageFinished { stage, .. } if after.stages().get(*stage).is_some_and(|s| s.name == PIVOT))
    });
    deployment.records.extend(records);
    deployment.stuck = matches!(after.outcome(), Some(Outcome::Stuck { .. }));
    if deployment.stuck {
        deployment.owner = None;
    }
    let (environment, generation) = (deployment.environment, deployment.generation);
    if passed && let Some(environment) = rows.environments.get_mut(&environment) {
        if generation < environment.active_generation {
            verdicts.wrong(format!("{id} became active after a newer one"));
        }
        environment.active = Some(id);
        environment.active_generation = generation;
    }
    let end = match after.outcome() {
        Some(Outcome::Done(_)) => Some(End::Active),
        Some(Outcome::Undone { .. }) if after.abandoned_by().is_some() => Some(End::Failed),
        Some(Outcome::Undone { .. }) if after.cancel_reason().is_some() => Some(End::Cancelled),
        Some(Outcome::Undone { .. }) => Some(End::Failed),
        Some(Outcome::Stuck { .. }) | None => None,
    };
    if let Some(end) = end {
        rows.end(id, end);
    }
    Ok(())
}

/// Ends a deployment as it is, if it is stuck. A server that is about to try it again is refused from here on.
pub(crate) fn abandon(rows: &mut Rows, id: u32, now: DateTime<Utc>, verdicts: &Verdicts) {
    let Some(deployment) = rows.deployments.get_mut(&id).filter(|deployment| deployment.stuck) else { return };
    deployment.epoch += 1;
    let (fence, seq) = (Fence(deployment.epoch), deployment.records.len() as u64);
    let done = match abandoned(&deployment.records, now) {
        Ok((records, after)) => {
            append(rows, id, fence, seq, records, &after, None, verdicts).map_err(|e| e.to_string())
        }
        Err(e) => Err(e.to_string()),
    };
    if let Err(why) = done {
        verdicts.wrong(format!("{id} is stuck and can't be abandoned: {why}"));
    }
}

/// What is added to its journal, and the history after it.
fn abandoned(
    records: &[RecordOf<Deploy>],
    now: DateTime<Utc>,
) -> Result<(Vec<RecordOf<Deploy>>, HistoryOf<Deploy>), IllegalTransition> {
    let mut history = HistoryOf::<Deploy>::replay(records)?;
    let end = match history.undoing() {
        Some(why) => Event::Undone { why: why.clone() },
        None => Event::Finished,
    };
    let mut added = Vec::new();
    for event in [Event::Resumed { remedy: Remedy::Abandon, by: "an operator".to_owned() }, end] {
        let record = Record { seq: history.next_seq(), at: now.max(history.updated_at()), event };
        history = history.apply(&record)?;
        added.push(record);
    }
    Ok((added, history))
}
