//! The saga journal in our database: an append, the deployment's row and the events
//! that tell of it are one transaction.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use domain::approval::ApprovalState;
use domain::deployment::Deployment;
use domain::event::EventKind;
use domain::failure::Failure;
use domain::phase::Phase;
use domain::smoke::SmokeResult;
use domain::{DeploymentId, ReleaseId};
use saga::{Event, Fence, HistoryOf, Journal, JournalError, Progress, RecordOf, Remedy, SagaId};
use store::advances::{Advance, Change};
use store::appends::{Append, End};
use store::deployments::{DeploymentUpdate, Record as Row};
use store::{Constraint, Store, StoreError, Tx, Work};

use super::project::{NOT_APPROVED, Projection, project};
use super::stages::{ACTIVATE, CREATE_RELEASE, phase_of, superseded};
use super::state::Order;
use super::{Begun, Deploying, State};
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
        // Nobody else changes it: whose epoch is over is refused.
        let row = store::deployments::get(&self.store, &after.state().order.deployment).await.map_err(journal_error)?;
        let events: Vec<_> = records.iter().map(|record| record.event.clone()).collect();
        let append = addition(id, fence, seq, values, &events, Shown::of(&row), after);
        let effects = effects(id, fence, &events, after);
        let work = (!effects.is_empty()).then(|| -> Work {
            let effects = Arc::new(effects);
            Box::new(move |tx| {
                let effects = Arc::clone(&effects);
                Box::pin(async move { apply(tx, &effects).await })
            })
        });
        let written = self.store.append_together(append, work);
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

/// What people have seen of a deployment, from its row.
#[derive(Clone, Copy)]
struct Shown<'a> {
    phase: Phase,
    smoke_tests: &'a [SmokeResult],
}

impl<'a> Shown<'a> {
    /// Of one that waits.
    const NOTHING: Shown<'static> = Shown { phase: Phase::Queued, smoke_tests: &[] };

    fn of(row: &'a Row) -> Self {
        Self { phase: row.deployment.phase, smoke_tests: &row.deployment.metadata.smoke_tests }
    }
}

/// The records, and what they mean for the deployment. If they end the saga, the next one of the environment may start
/// with it.
fn addition(
    id: &SagaId,
    fence: Fence,
    seq: u64,
    values: Vec<serde_json::Value>,
    records: &[Event<State, Failure>],
    shown: Shown<'_>,
    after: &saga::History<State, Failure>,
) -> Append {
    let order = &after.state().order;
    let projection = project(after);
    let events = tell(shown, &projection, records.iter(), after);
    let change = Change {
        deployment: order.deployment.clone(),
        from: shown.phase,
        update: update(projection),
        at: store::clock::now(),
    };
    let (app, environment) = (order.app_name.clone(), order.environment_name.clone());
    let end = End { environment: order.environment.clone(), deployment: order.deployment.clone() };
    Append {
        saga: id.as_str().to_owned(),
        fence: fence.0,
        seq,
        records: values,
        end: ends(after).then_some(end),
        advance: Some(Advance { app, environment, change, events, at: after.updated_at() }),
    }
}

/// What a deployment writes when it begins, for the transaction that takes it.
pub(crate) fn beginning(deployment: &DeploymentId, fence: u64, begun: &Begun) -> Result<Option<Append>, StoreError> {
    let id = SagaId::new(deployment.as_str());
    let values =
        begun.records().map(serde_json::to_value).collect::<Result<Vec<_>, _>>().map_err(|e| nonsense(&id, &e))?;
    let records: Vec<_> = begun.records().map(|record| record.event.clone()).collect();
    let Some(seq) = begun.records().map(|record| record.seq).next() else { return Ok(None) };
    Ok(Some(addition(&id, Fence(fence), seq, values, &records, Shown::NOTHING, begun.after())))
}

/// Why a deployment that no stage has begun of is not to run.
pub(crate) enum Unwanted {
    Cancelled {
        by: String,
    },
    Superseded {
        newer: u64,
    },
    /// Those who were asked did not say yes; why.
    NotApproved {
        why: String,
    },
}

/// Ends a queued deployment in `tx`, as if its saga had run and found nothing to undo. `false` when a stage of it has begun: then
/// only its owner can end it.
pub(crate) async fn end_unstarted(tx: &Tx, deployment: &DeploymentId, why: Unwanted) -> Result<bool, StoreError> {
    let id = SagaId::new(deployment.as_str());
    let row = store::sagas::get(tx, id.as_str()).await?;
    if row.seq != 1 || row.finished {
        return Ok(false);
    }
    let history = opening(tx, &id).await?.1;
    let cancelled = |reason: String| {
        let why = saga::Cause::Cancelled { reason: reason.clone(), error: None };
        [Event::CancelRequested { reason }, Event::Undone { why }]
    };
    let (told, events) = match why {
        Unwanted::Cancelled { by } => {
            let reason = format!("cancelled by {by}");
            (reason.clone(), cancelled(reason))
        }
        Unwanted::NotApproved { why } => (why.clone(), cancelled(format!("{NOT_APPROVED}{why}"))),
        Unwanted::Superseded { newer } => {
            let error = superseded(Phase::Queued, newer, history.state().order.generation);
            let name = history.stages().first().map(|stage| stage.name.clone()).unwrap_or_default();
            let why = saga::Cause::Failed { stage: 0, name, error: error.clone() };
            (error.message.clone(), [Event::Refused { error }, Event::Undone { why }])
        }
    };
    let deployment = add(tx, &id, Fence(row.fence), history, &events).await?;
    void(tx, &deployment, &told).await?;
    Ok(true)
}

/// Ends a stuck deployment in `tx` as it is, under the epoch `fence`. `false` when its journal can't be read, or does not say that it
/// is stuck: another version has begun it.
pub(crate) async fn abandon(tx: &Tx, deployment: &DeploymentId, fence: u64, by: &str) -> Result<bool, StoreError> {
    let id = SagaId::new(deployment.as_str());
    let values = match store::sagas::load(tx, id.as_str()).await {
        Err(StoreError::Corrupt { .. }) => return Ok(false),
        values => values?,
    };
    let records = values.into_iter().map(|(_, value)| serde_json::from_value(value));
    let records: Result<Vec<saga::Record<State, Failure>>, serde_json::Error> = records.collect();
    let history = records.ok().and_then(|records| DeploymentHistory::replay(&records).ok());
    let Some(history) = history.filter(|history| matches!(history.progress(), Progress::Stuck { .. })) else {
        return Ok(false);
    };
    let end = match history.undoing() {
        Some(why) => Event::Undone { why: why.clone() },
        None => Event::Finished,
    };
    let abandoned = Event::Resumed { remedy: Remedy::Abandon, by: by.to_owned() };
    add(tx, &id, Fence(fence), history, &[abandoned, end]).await?;
    Ok(true)
}

/// Adds events to a journal in `tx`, with all that they mean. The deployment as it was before.
async fn add(
    tx: &Tx,
    id: &SagaId,
    fence: Fence,
    mut history: DeploymentHistory,
    events: &[Event<State, Failure>],
) -> Result<Deployment, StoreError> {
    let seq = history.next_seq();
    let mut values = Vec::new();
    for event in events {
        let at = store::clock::now().max(history.updated_at());
        let record = saga::Record { seq: history.next_seq(), at, event: event.clone() };
        history = history.apply(&record).map_err(|e| nonsense(id, &e))?;
        values.push(serde_json::to_value(&record).map_err(|e| nonsense(id, &e))?);
    }
    let row = store::deployments::get(tx, &history.state().order.deployment).await?;
    let addition = addition(id, fence, seq, values, events, Shown::of(&row), &history);
    store::appends::one(tx, &addition).await?;
    apply(tx, &effects(id, fence, events, &history)).await?;
    store::appends::advance(tx, &[&addition]).await?;
    Ok(row.deployment)
}

/// Nobody need vote on what has ended.
async fn void(tx: &Tx, deployment: &Deployment, why: &str) -> Result<(), StoreError> {
    let now = store::clock::now();
    let Some(approval) = store::approvals::void(tx, &deployment.id, why, now).await? else { return Ok(()) };
    let event = EventKind::ApprovalDecided { approval, state: ApprovalState::Void, why: Some(why.to_owned()) };
    let (app, environment) = (Some(&deployment.app), Some(&deployment.environment));
    store::events::insert(tx, app, environment, Some(&deployment.id), &event, now).await?;
    Ok(())
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

type DeploymentHistory = saga::History<State, Failure>;

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

/// What an addition changes beyond the deployment's own row.
enum Effect {
    /// Passing the pivot makes the release active, and gives a release that was there before the labels that this deployment brings.
    Activated { order: Box<Order>, release: ReleaseId, generation: u64 },
    /// Any server of the host may try again what is stuck.
    GivenUp { saga: SagaId, fence: Fence },
}

fn effects(
    id: &SagaId,
    fence: Fence,
    records: &[Event<State, Failure>],
    after: &saga::History<State, Failure>,
) -> Vec<Effect> {
    let activated = records.iter().filter_map(|event| {
        let Event::StageFinished { stage, state } = event else { return None };
        let passed = after.stages().get(*stage).is_some_and(|s| s.name == ACTIVATE) && after.past_pivot();
        let release = state.release.as_ref().filter(|_| passed)?.id.clone();
        Some(Effect::Activated { order: Box::new(state.order.clone()), release, generation: state.generation() })
    });
    let stuck = matches!(after.outcome(), Some(saga::Outcome::Stuck { .. }));
    activated.chain(stuck.then(|| Effect::GivenUp { saga: id.clone(), fence })).collect()
}

async fn apply(tx: &Tx, effects: &[Effect]) -> Result<(), StoreError> {
    for effect in effects {
        match effect {
            Effect::Activated { order, release, generation } => {
                store::releases::label(tx, release, &order.labels).await?;
                let (environment, deployment) = (&order.environment, &order.deployment);
                store::environments::activate(tx, environment, deployment, release, *generation).await?;
            }
            Effect::GivenUp { saga, fence } => store::sagas::give_up(tx, saga.as_str(), fence.0).await?,
        }
    }
    Ok(())
}

/// The events that tell people what this append means.
fn tell<'a>(
    shown: Shown<'_>,
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
    let known = |result: &&SmokeResult| shown.smoke_tests.contains(result);
    let results: Vec<_> = next.metadata.smoke_tests.iter().filter(|result| !known(result)).cloned().collect();
    if !results.is_empty() {
        events.push(EventKind::SmokeTested { results });
    }
    if next.phase != shown.phase {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::Utc;
    use domain::deployment::{DeploymentKind, Metadata};
    use domain::event::Event as Told;
    use domain::{AppId, EnvironmentId, Name, ServerId};
    use store::DatabaseUrl;
    use ulid::Ulid;

    use super::*;
    use crate::deployment::Deploy;
    use crate::deployment::state::Order;

    /// An environment with deployments that are recorded and wait.
    struct World {
        store: Store,
        environment: EnvironmentId,
        app: AppId,
        _dir: tempfile::TempDir,
    }

    impl World {
        async fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(&DatabaseUrl::sqlite(dir.path().join("db"))).await.unwrap();
            let (app, environment) = (AppId::from_ulid(Ulid::generate()), EnvironmentId::from_ulid(Ulid::generate()));
            let tx = store.write().await.unwrap();
            let row = store::apps::App {
                id: app.clone(),
                name: name("hello"),
                source: None,
                created_at: Utc::now(),
                concurrency: 2,
            };
            store::apps::insert(&tx, &row).await.unwrap();
            let row = store::environments::Environment {
                id: environment.clone(),
                app_id: app.clone(),
                app: name("hello"),
                name: name("production"),
                generation: 0,
                acting: None,
                active_deployment: None,
                active_generation: 0,
                active_release: None,
                created_at: Utc::now(),
                host: "here".to_owned(),
                running: None,
                supersede: Default::default(),
            };
            store::environments::insert(&tx, &row).await.unwrap();
            tx.commit().await.unwrap();
            Self { store, environment, app, _dir: dir }
        }

        async fn record(&self) -> DeploymentId {
            let id = DeploymentId::from_ulid(Ulid::generate());
            let tx = self.store.write().await.unwrap();
            let generation = store::environments::next_generation(&tx, &self.environment).await.unwrap();
            let at = Utc::now();
            let deployment = Deployment {
                id: id.clone(),
                app: name("hello"),
                environment: name("production"),
                kind: DeploymentKind::Deploy,
                generation,
                phase: Phase::Queued,
                progress: 0,
                source: None,
                release: None,
                release_number: None,
                metadata: Metadata::default(),
                phases: Vec::new(),
                failure: None,
                cancelling: false,
                stuck: None,
                requested_by: "test".to_owned(),
                created_at: at,
                updated_at: at,
                finished_at: None,
            };
            let row = Row { app_id: self.app.clone(), environment_id: self.environment.clone(), deployment };
            store::deployments::insert(&tx, &row).await.unwrap();
            let state = State::deploy(Order {
                kind: DeploymentKind::Deploy,
                deployment: id.clone(),
                app: self.app.clone(),
                app_name: name("hello"),
                environment: self.environment.clone(),
                environment_name: name("production"),
                generation,
                source: None,
                labels: Default::default(),
                promotion: None,
                plan: None,
                approval: None,
            });
            let opening = serde_json::to_value(saga::opening::<Deploy>(state, at).unwrap()).unwrap();
            store::sagas::create(&tx, id.as_str(), "deploy", 1).await.unwrap();
            store::sagas::append(&tx, id.as_str(), 0, 0, &[opening]).await.unwrap();
            tx.commit().await.unwrap();
            id
        }

        async fn end(&self, id: &DeploymentId, why: Unwanted) -> bool {
            let tx = self.store.write().await.unwrap();
            let ended = end_unstarted(&tx, id, why).await.unwrap();
            tx.commit().await.unwrap();
            ended
        }

        async fn row(&self, id: &DeploymentId) -> Deployment {
            store::deployments::get(&self.store, id).await.unwrap().deployment
        }

        async fn history(&self, id: &DeploymentId) -> HistoryOf<Deploy> {
            let journal = StoreJournal::new(self.store.clone(), Arc::default());
            let records = Journal::<Deploy>::load(&journal, &SagaId::new(id.as_str())).await.unwrap();
            HistoryOf::<Deploy>::replay(&records).unwrap()
        }
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn what_waits_ends_without_a_run_and_the_journal_says_so() {
        let world = World::new().await;
        let (cancelled, superseded, refused) = (world.record().await, world.record().await, world.record().await);
        assert!(world.end(&refused, Unwanted::NotApproved { why: "refused by zoe".into() }).await);
        let three = world.row(&refused).await;
        let failure = three.failure.unwrap();
        assert_eq!((three.phase, failure.cause), (Phase::Cancelled, domain::failure::Cause::NotApproved));
        assert_eq!(failure.message, "it was not approved: refused by zoe");
        assert!(world.end(&cancelled, Unwanted::Cancelled { by: "ann".into() }).await);
        assert!(world.end(&superseded, Unwanted::Superseded { newer: 7 }).await);
        let (one, two) = (world.row(&cancelled).await, world.row(&superseded).await);
        assert_eq!((one.phase, one.failure.unwrap().message), (Phase::Cancelled, "cancelled by ann".to_owned()));
        assert_eq!((two.phase, two.failure.unwrap().cause), (Phase::Failed, domain::failure::Cause::Superseded));
        for id in [&cancelled, &superseded, &refused] {
            assert!(world.row(id).await.finished_at.is_some());
            let saga = store::sagas::get(&world.store, id.as_str()).await.unwrap();
            assert!(saga.finished);
            let history = world.history(id).await;
            assert!(matches!(history.outcome(), Some(saga::Outcome::Undone { .. })));
            assert!(history.stages().iter().all(|stage| stage.started_at.is_none()), "a stage was begun");
            let filter = store::events::Filter { deployment: Some(id.clone()), ..Default::default() };
            let told: Vec<Told> = store::events::list(&world.store, &filter, 0, 9).await.unwrap();
            assert!(told.iter().any(|event| matches!(event.kind, EventKind::DeploymentFinished { .. })), "{told:?}");
            assert!(!world.end(id, Unwanted::Superseded { newer: 8 }).await, "it has ended already");
        }
    }

    #[tokio::test]
    async fn what_has_begun_is_ended_by_its_owner_alone() {
        let world = World::new().await;
        let id = world.record().await;
        let server = ServerId::from_ulid(Ulid::generate());
        let tx = world.store.write().await.unwrap();
        let epoch = store::sagas::take(&tx, id.as_str(), &server, None).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        let history = world.history(&id).await;
        let record = saga::Record { seq: 1, at: Utc::now(), event: Event::StageStarted { stage: 0, attempt: 1 } };
        let after = history.apply(&record).unwrap();
        let journal = StoreJournal::new(world.store.clone(), Arc::default());
        let saga = SagaId::new(id.as_str());
        let append = async |epoch| {
            Journal::<Deploy>::append(&journal, &saga, Fence(epoch), 1, std::slice::from_ref(&record), &after).await
        };
        // Somebody who was taken over writes nothing, however right it is otherwise.
        let fenced = append(epoch - 1).await.unwrap_err();
        assert_eq!(fenced, JournalError::Fenced { held: Fence(epoch - 1), current: Fence(epoch) });
        assert_eq!(world.row(&id).await.phase, Phase::Queued);
        append(epoch).await.unwrap();
        assert!(!world.end(&id, Unwanted::Cancelled { by: "ann".into() }).await);
        assert_eq!(world.row(&id).await.phase, Phase::PullingSource);
        let tx = world.store.write().await.unwrap();
        assert!(matches!(regenerate(&tx, &id, 9).await, Err(StoreError::Conflict(_))));
    }

    #[tokio::test]
    async fn what_was_ordered_for_later_becomes_the_newest() {
        let world = World::new().await;
        let (older, newer) = (world.record().await, world.record().await);
        let tx = world.store.write().await.unwrap();
        let generation = store::environments::next_generation(&tx, &world.environment).await.unwrap();
        regenerate(&tx, &older, generation).await.unwrap();
        tx.commit().await.unwrap();
        assert!(world.row(&older).await.generation > world.row(&newer).await.generation);
        assert_eq!(world.history(&older).await.state().order.generation, generation);
    }
}
