//! The shell around the pure core: decide, journal, act, journal.

mod attempt;
mod begin;
mod drive;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::cancel::Attached;
use crate::{
    Cancel, EngineError, Event, Fence, HistoryOf, IllegalTransition, Journal, Listener, OutcomeOf, Plan, PlanError,
    Record, RecordOf, Remedy, Saga, SagaId, Stage,
};
pub use begin::Begun;
use drive::Drive;

/// Runs sagas of one type over one journal and one world. Sagas of different ids may run at the same time.
pub struct Engine<G: Saga> {
    journal: Arc<dyn Journal<G>>,
    world: Arc<G::World>,
    listeners: Vec<Arc<dyn Listener<G>>>,
    listener_grace: Duration,
    stages: Vec<Box<dyn Stage<G>>>,
    plan: Plan,
    chance: Chance,
}

/// What a run takes from outside besides its journal: the time, and randomness for the waits between attempts.
pub(crate) struct Chance {
    pub(crate) clock: Box<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    pub(crate) random: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl<G: Saga> Engine<G> {
    /// # Errors
    /// [`PlanError`] if the saga's stages are in no legal order.
    pub fn new(
        journal: Arc<dyn Journal<G>>,
        world: Arc<G::World>,
        listeners: Vec<Arc<dyn Listener<G>>>,
    ) -> Result<Self, PlanError> {
        Self::with_stages(journal, world, listeners, G::stages())
    }

    /// An engine whose stages are wrapped, for the harness.
    pub(crate) fn with_stages(
        journal: Arc<dyn Journal<G>>,
        world: Arc<G::World>,
        listeners: Vec<Arc<dyn Listener<G>>>,
        stages: Vec<Box<dyn Stage<G>>>,
    ) -> Result<Self, PlanError> {
        let plan = Plan::of(&stages)?;
        let chance = Chance { clock: Box::new(Utc::now), random: Box::new(rand::random) };
        Ok(Self { journal, world, listeners, listener_grace: Duration::from_secs(2), stages, plan, chance })
    }

    /// Takes the time from `clock`, and the randomness of waits from `random`, so that a run can be repeated. Default: the machine's own.
    /// Waits themselves are tokio's, whose time a test can hold.
    pub fn chance(
        mut self,
        clock: impl Fn() -> DateTime<Utc> + Send + Sync + 'static,
        random: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        self.chance = Chance { clock: Box::new(clock), random: Box::new(random) };
        self
    }

    /// How long the end of a run waits for listeners that are behind. Default: two seconds.
    pub fn listener_grace(mut self, grace: Duration) -> Self {
        self.listener_grace = grace;
        self
    }

    /// How often the process may die in one attempt of a stage before the attempt counts as failed (see [`Plan::MAX_INTERRUPTIONS`]).
    pub fn max_interruptions(mut self, max: u32) -> Self {
        self.plan = self.plan.with_max_interruptions(max);
        self
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn world(&self) -> &Arc<G::World> {
        &self.world
    }

    /// Journals that a saga begins, from the state that the stages start with. No stage runs yet: see [`Engine::run`].
    ///
    /// # Errors
    /// [`EngineError::AlreadyStarted`] if it has a journal; [`EngineError::Journal`].
    pub async fn start(&self, id: &SagaId, fence: Fence, state: G::State) -> Result<HistoryOf<G>, EngineError> {
        if !self.load(id).await?.is_empty() {
            return Err(EngineError::AlreadyStarted { id: id.clone() });
        }
        let first = opening_of::<G>(&self.plan, state, (self.chance.clock)());
        let mut drive = Drive::open(self, id, fence, &first)?;
        let result = drive.journal_opening(first).await;
        drive.close().await.and_history(result)
    }

    /// Runs a saga to where it comes to rest, from wherever its journal says it is: just started, half-way when a process died, or
    /// at rest already (then nothing is written). `cancel` is this run's handle; use each for one saga.
    ///
    /// Dropping the future is as safe as killing the process: the saga stays resumable.
    ///
    /// # Errors
    /// A write that failed stops the run at once; no further effect begins. The saga can be resumed by running it again, under the
    /// same fence or a higher one. See [`EngineError`] for the sagas that this program may not resume.
    pub async fn run(&self, id: &SagaId, fence: Fence, cancel: &Cancel) -> Result<OutcomeOf<G>, EngineError> {
        let attached = cancel.attach();
        let history = Arc::new(self.history(id).await?);
        self.go_on(Drive::resume(self, id, fence, history), cancel, attached).await
    }

    async fn go_on(
        &self,
        mut drive: Drive<'_, G>,
        cancel: &Cancel,
        attached: Attached<'_>,
    ) -> Result<OutcomeOf<G>, EngineError> {
        let result = drive.go_to_rest(cancel).await;
        if let Ok((_, later)) = &result {
            attached.close(*later);
        }
        drive.close().await;
        result.map(|(outcome, _)| outcome)
    }

    /// Journals an operator's decision on a stuck saga. [`Engine::run`] then carries it out. `by` is kept as it is given.
    ///
    /// # Errors
    /// [`EngineError::NotStuck`] if it is not stuck; else as [`Engine::run`].
    pub async fn unstick(
        &self,
        id: &SagaId,
        fence: Fence,
        remedy: Remedy,
        by: impl Into<String>,
    ) -> Result<HistoryOf<G>, EngineError> {
        let history = self.history(id).await?;
        if !matches!(history.progress(), crate::Progress::Stuck { .. }) {
            return Err(EngineError::NotStuck { id: id.clone() });
        }
        let mut drive = Drive::resume(self, id, fence, Arc::new(history));
        let result = drive.commit(vec![Event::Resumed { remedy, by: by.into() }]).await;
        drive.close().await.and_history(result)
    }

    /// What the journal says of a saga.
    ///
    /// # Errors
    /// [`EngineError::Unknown`] if it was never started; the errors for a saga that this program may not resume.
    pub async fn history(&self, id: &SagaId) -> Result<HistoryOf<G>, EngineError> {
        let records = self.load(id).await?;
        self.replay(id, &records)
    }

    fn replay(&self, id: &SagaId, records: &[RecordOf<G>]) -> Result<HistoryOf<G>, EngineError> {
        if records.is_empty() {
            return Err(EngineError::Unknown { id: id.clone() });
        }
        let history =
            HistoryOf::<G>::replay(records).map_err(|source| EngineError::Illegal { id: id.clone(), source })?;
        self.check_resumable(id, &history)?;
        Ok(history)
    }

    fn check_resumable(&self, id: &SagaId, history: &HistoryOf<G>) -> Result<(), EngineError> {
        let id = || id.clone();
        if history.name() != G::NAME {
            return Err(EngineError::WrongSaga {
                id: id(),
                found: history.name().to_owned(),
                expected: G::NAME.to_owned(),
            });
        }
        if !G::resumes(history.version()) {
            return Err(EngineError::WrongVersion {
                id: id(),
                name: G::NAME.to_owned(),
                found: history.version(),
                known: G::VERSION,
            });
        }
        let known = self.plan.works().iter().map(|work| (work.stage.name.as_str(), work.stage.kind));
        let found = history.stages().iter().map(|stage| (stage.name.as_str(), stage.kind));
        if !known.clone().eq(found.clone()) {
            let list = |names: Vec<String>| names.join(", ");
            return Err(EngineError::StagesChanged {
                id: id(),
                version: G::VERSION,
                found: list(found.map(|(name, kind)| format!("{name} {kind:?}")).collect()),
                known: list(known.map(|(name, kind)| format!("{name} {kind:?}")).collect()),
            });
        }
        Ok(())
    }

    async fn load(&self, id: &SagaId) -> Result<Vec<RecordOf<G>>, EngineError> {
        self.journal.load(id).await.map_err(|source| EngineError::Journal { id: id.clone(), source })
    }
}

/// The first record of a saga, for a caller that writes it in a transaction of its own (as record 0, with the history that
/// [`History::open`](crate::History::open) gives) instead of calling [`Engine::start`].
///
/// # Errors
/// [`PlanError`] if the saga's stages are in no legal order.
pub fn opening<G: Saga>(state: G::State, at: DateTime<Utc>) -> Result<RecordOf<G>, PlanError> {
    Ok(opening_of::<G>(&Plan::of(&G::stages())?, state, at))
}

fn opening_of<G: Saga>(plan: &Plan, state: G::State, at: DateTime<Utc>) -> RecordOf<G> {
    let started = Event::Started { name: G::NAME.to_owned(), version: G::VERSION, stages: plan.stages(), state };
    Record { seq: 0, at, event: started }
}

fn illegal(id: &SagaId, source: IllegalTransition) -> EngineError {
    EngineError::Illegal { id: id.clone(), source }
}
