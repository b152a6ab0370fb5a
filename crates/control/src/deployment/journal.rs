//! The saga journal in our database: an append, the deployment's row and the events
//! that tell of it are one transaction.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use chrono::Utc;
use domain::DeploymentId;
use domain::event::EventKind;
use domain::failure::Failure;
use domain::phase::Phase;
use saga::{Event, Fence, HistoryOf, Journal, JournalError, RecordOf, SagaId};
use store::deployments::{DeploymentUpdate, Record as Row};
use store::{Constraint, Store, StoreError, Tx};

use super::project::{Projection, project};
use super::stages::{ACTIVATE, CREATE_RELEASE, phase_of, superseded};
use super::{Deploying, State};
use crate::counters::Counters;

pub(crate) struct StoreJournal {
    store: Store,
    counters: Arc<Counters>,
}

impl StoreJournal {
    pub(crate) fn new(store: Store, counters: Arc<Counters>) -> Self {
        Self { store, counters }
    }
}

#[async_trait]
impl<G: Deploying> Journal<G> for StoreJournal {
    async fn load(&self, id: &SagaId) -> Result<Vec<RecordOf<G>>, JournalError> {
        let rows = store::sagas::load(&self.store, id.as_str()).await.map_err(journal_error)?;
        rows.into_iter()
            .map(|(seq, value)| {
                serde_json::from_value(value).map_err(|e| JournalError::Corrupt(format!("record {seq}: {e}")))
            })
            .collect()
    }

    async fn append(
        &self,
        id: &SagaId,
        fence: Fence,
        seq: u64,
        records: &[RecordOf<G>],
        after: &HistoryOf<G>,
    ) -> Result<(), JournalError> {
        let values: Vec<_> = records
            .iter()
            .map(serde_json::to_value)
            .collect::<Result<_, _>>()
            .map_err(|e| JournalError::Corrupt(e.to_string()))?;
        let began = Instant::now();
        let append = Arc::new(Append {
            id: id.clone(),
            fence,
            seq,
            values,
            records: records.iter().map(|record| record.event.clone()).collect(),
            after: after.clone(),
        });
        let written = self.store.write_together(move |tx| {
            let append = Arc::clone(&append);
            Box::pin(async move { append.write(tx).await })
        });
        written.await.map_err(|e| match e {
            StoreError::Fenced { by, .. } => JournalError::Fenced { held: fence, current: Fence(by) },
            StoreError::Conflict(Constraint::SagaSequence { expected, actual }) => {
                JournalError::Conflict { expected, found: actual }
            }
            other => journal_error(other),
        })?;
        self.counters.appended(began.elapsed());
        if ends(after) {
            match store::deployments::get(&self.store, &after.state().order.deployment).await {
                Ok(row) => self.counters.ended(&row.deployment),
                Err(e) => tracing::debug!("an end is not counted: {e}"),
            }
        }
        Ok(())
    }
}

/// Nothing more will be appended.
fn ends(after: &saga::History<State, Failure>) -> bool {
    after.outcome().is_some_and(|o| !matches!(o, saga::Outcome::Stuck { .. }))
}

/// One append, as a value: the store may write it together with those of other deployments.
struct Append {
    id: SagaId,
    fence: Fence,
    seq: u64,
    values: Vec<serde_json::Value>,
    records: Vec<Event<State, Failure>>,
    after: saga::History<State, Failure>,
}

impl Append {
    async fn write(&self, tx: &Tx) -> Result<(), StoreError> {
        let Self { id, after, .. } = self;
        store::sagas::append(tx, id.as_str(), self.fence.0, self.seq, &self.values).await?;
        for record in &self.records {
            effect(tx, record, after).await?;
        }
        let order = &after.state().order;
        let row = store::deployments::get(tx, &order.deployment).await?;
        let projection = project(after);
        for event in tell(&row, &projection, self.records.iter(), after) {
            let at = after.updated_at();
            let (app, environment) = (&order.app_name, &order.environment_name);
            store::events::insert(tx, Some(app), Some(environment), Some(&order.deployment), &event, at).await?;
        }
        store::deployments::update(tx, &order.deployment, Utc::now(), update(projection)).await?;
        match after.outcome() {
            Some(saga::Outcome::Stuck { .. }) => {
                // Any server of the host may try again what is stuck.
                store::sagas::give_up(tx, id.as_str(), self.fence.0).await?;
            }
            Some(_) => {
                store::sagas::finish(tx, id.as_str()).await?;
                // In the same transaction: the next one may start with this one's end.
                store::environments::end(tx, &order.environment, &order.deployment).await?;
            }
            None => {}
        }
        Ok(())
    }
}

/// Why a deployment that no stage has begun of is not to run.
pub(crate) enum Unwanted {
    Cancelled { by: String },
    Superseded { newer: u64 },
}

/// Ends a queued deployment in `tx`, as if its saga had run and found nothing to undo. `false` when a stage of it has begun: then
/// only its owner can end it.
pub(crate) async fn end_unstarted(tx: &Tx, deployment: &DeploymentId, why: Unwanted) -> Result<bool, StoreError> {
    let id = SagaId::new(deployment.as_str());
    let row = store::sagas::get(tx, id.as_str()).await?;
    if row.seq != 1 || row.finished {
        return Ok(false);
    }
    let mut history = opening(tx, &id).await?.1;
    let mut records = Vec::new();
    let events = match why {
        Unwanted::Cancelled { by } => {
            let reason = format!("cancelled by {by}");
            let why = saga::Cause::Cancelled { reason: reason.clone(), error: None };
            [Event::CancelRequested { reason }, Event::Undone { why }]
        }
        Unwanted::Superseded { newer } => {
            let error = superseded(Phase::Queued, newer, history.state().order.generation);
            let name = history.stages().first().map(|stage| stage.name.clone()).unwrap_or_default();
            let why = saga::Cause::Failed { stage: 0, name, error: error.clone() };
            [Event::Refused { error }, Event::Undone { why }]
        }
    };
    for event in events {
        let record = saga::Record { seq: history.next_seq(), at: Utc::now().max(history.updated_at()), event };
        history = history.apply(&record).map_err(|e| nonsense(&id, &e))?;
        records.push(record);
    }
    let values = records.iter().map(serde_json::to_value).collect::<Result<_, _>>().map_err(|e| nonsense(&id, &e))?;
    let events = records.into_iter().map(|record| record.event).collect();
    let append = Append { id, fence: Fence(row.fence), seq: 1, values, records: events, after: history };
    append.write(tx).await?;
    Ok(true)
}

/// Gives a queued deployment another generation: it was ordered for later, and is the newest when its time has come.
pub(crate) async fn regenerate(tx: &Tx, deployment: &DeploymentId, generation: u64) -> Result<(), StoreError> {
    let id = SagaId::new(deployment.as_str());
    let (mut record, _) = opening(tx, &id).await?;
    if let Event::Started { state, .. } = &mut record.event {
        state.order.generation = generation;
    }
    let value = serde_json::to_value(&record).map_err(|e| nonsense(&id, &e))?;
    store::sagas::reopen(tx, id.as_str(), &value).await?;
    store::deployments::set_generation(tx, deployment, generation).await
}

type Opening = (saga::Record<State, Failure>, saga::History<State, Failure>);

async fn opening(tx: &Tx, id: &SagaId) -> Result<Opening, StoreError> {
    let records = store::sagas::load(tx, id.as_str()).await?;
    let (_, first) = records.into_iter().next().ok_or_else(|| nonsense(id, &"it has no records"))?;
    let record: saga::Record<State, Failure> = serde_json::from_value(first).map_err(|e| nonsense(id, &e))?;
    let history = saga::History::open(&record).ok_or_else(|| nonsense(id, &"it begins with another record"))?;
    Ok((record, history))
}

fn nonsense(id: &SagaId, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt { what: format!("the journal of {}", id.as_str()), why: why.to_string() }
}

/// What a record changes beyond the deployment's own row: passing the pivot makes the release active, and gives a
/// release that was there before the labels that this deployment brings.
async fn effect(
    tx: &Tx,
    event: &Event<State, Failure>,
    after: &saga::History<State, Failure>,
) -> Result<(), StoreError> {
    let Event::StageFinished { stage, state } = event else { return Ok(()) };
    let passed = after.stages().get(*stage).is_some_and(|s| s.name == ACTIVATE) && after.past_pivot();
    match (&state.release, passed) {
        (Some(release), true) => {
            let order = &state.order;
            store::releases::label(tx, &release.id, &order.labels).await?;
            store::environments::activate(tx, &order.environment, &order.deployment, &release.id, order.generation)
                .await
        }
        _ => Ok(()),
    }
}

/// The events that tell people what this append means.
fn tell<'a>(
    row: &Row,
    next: &Projection,
    records: impl Iterator<Item = &'a Event<State, Failure>>,
    after: &saga::History<State, Failure>,
) -> Vec<EventKind> {
    let mut events = Vec::new();
    let name = |stage: &usize| after.stages().get(*stage).map(|s| s.name.as_str()).unwrap_or_default();
    for record in records {
        match record {
            Event::CancelRequested { reason } => events.push(EventKind::CancelRequested { by: reason.clone() }),
            Event::StageFailed { stage, error, retry_at, .. } => events.push(EventKind::StepFailed {
                phase: phase_of(name(stage)).unwrap_or(error.phase),
                message: error.message.clone(),
                will_retry: retry_at.is_some(),
            }),
            Event::StageFinished { stage, state } if name(stage) == CREATE_RELEASE && !state.reused => {
                if let Some(release) = &state.release {
                    events.push(EventKind::ReleaseCreated { release: release.id.clone(), number: release.number });
                }
            }
            Event::StuckAt { error, .. } => {
                events.push(EventKind::DeploymentStuck { phase: next.phase, message: error.message.clone() });
            }
            _ => {}
        }
    }
    let known = &row.deployment.metadata.smoke_tests;
    let results: Vec<_> = next.metadata.smoke_tests.iter().filter(|r| !known.contains(r)).cloned().collect();
    if !results.is_empty() {
        events.push(EventKind::SmokeTested { results });
    }
    if next.phase != row.deployment.phase {
        events.push(EventKind::PhaseChanged { phase: next.phase, progress: next.progress });
        if next.phase.is_end() {
            let failure = next.failure.clone();
            events.push(EventKind::DeploymentFinished { phase: next.phase, failure });
        }
    }
    events
}

fn update(projection: Projection) -> DeploymentUpdate {
    DeploymentUpdate {
        phase: Some(projection.phase),
        progress: Some(projection.progress),
        metadata: Some(projection.metadata),
        phases: Some(projection.phases),
        failure: projection.failure,
        release: projection.release,
        cancelling: Some(projection.cancelling),
        stuck: Some(projection.stuck),
    }
}

fn journal_error(error: StoreError) -> JournalError {
    match error {
        StoreError::Corrupt { .. } => JournalError::Corrupt(error.to_string()),
        // Everything else may pass, and a saga that can be resumed is better than one that is given up.
        _ => JournalError::Unavailable(error.to_string()),
    }
}
