//! A saga of four stages whose every attempt does what the test's script says.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use saga::{
    Cancel, Engine, EngineError, EventOf, Failure, Fence, Journal, Kind, Listener, MemoryJournal, OutcomeOf, RecordOf,
    Retry, Saga, SagaId, Stage, Step,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone)]
pub(crate) enum Act {
    Ok,
    Retry,
    Permanent,
    Panic,
    /// Never ends.
    Hang,
    /// Ends with `Cancelled` once the token fires.
    UntilCancel,
    /// Waits for the token and then succeeds all the same.
    IgnoreCancel,
    /// Takes what the journal needs, too, and gives it back a little later.
    Hold(Arc<tokio::sync::Mutex<()>>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Error {
    Scripted(String),
    TimedOut(String),
    Panicked(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) done: Vec<String>,
    pub(crate) limit_ms: Option<u64>,
}

#[derive(Default)]
pub(crate) struct World {
    script: Mutex<HashMap<String, VecDeque<Act>>>,
    log: Mutex<Vec<String>>,
    tokens: Mutex<Vec<CancellationToken>>,
}

impl World {
    /// What `call` (`run a`, `undo a`) does, one act for each time; `Ok` afterwards.
    pub(crate) fn script(&self, call: &str, acts: impl IntoIterator<Item = Act>) {
        self.script.lock().unwrap().entry(call.to_owned()).or_default().extend(acts);
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The token of each attempt of a stage so far.
    pub(crate) fn tokens(&self) -> Vec<CancellationToken> {
        self.tokens.lock().unwrap().clone()
    }

    async fn act(&self, call: String, cancel: Option<&Step>) -> Result<(), Failure<Error>> {
        self.log.lock().unwrap().push(call.clone());
        self.tokens.lock().unwrap().extend(cancel.map(|step| step.cancel.clone()));
        let act = self.script.lock().unwrap().get_mut(&call).and_then(VecDeque::pop_front).unwrap_or(Act::Ok);
        let error = Error::Scripted(call.clone());
        match act {
            Act::Ok => Ok(()),
            Act::Retry => Err(Failure::retry(error)),
            Act::Permanent => Err(Failure::permanent(error)),
            Act::Panic => panic!("{call} panics"),
            Act::Hang => std::future::pending().await,
            Act::UntilCancel => {
                cancel.unwrap().cancel.cancelled().await;
                Err(Failure::cancelled(error))
            }
            Act::Hold(turn) => {
                let _held = turn.lock().await;
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(())
            }
            Act::IgnoreCancel => {
                cancel.unwrap().cancel.cancelled().await;
                Ok(())
            }
        }
    }
}

/// Stages `a` and `b`, the pivot `p`, the forward-only `f`. Every stage has three attempts, two for its undo.
pub(crate) struct Scripted<const VERSION: u32>;

impl<const VERSION: u32> Saga for Scripted<VERSION> {
    type World = World;
    type State = State;
    type Error = Error;
    const NAME: &'static str = "scripted";
    const VERSION: u32 = VERSION;

    fn stages() -> Vec<Box<dyn Stage<Self>>> {
        let stage = |name, kind| Box::new(Scene { name, kind }) as Box<dyn Stage<Self>>;
        vec![
            stage("a", Kind::Undoable),
            stage("b", Kind::Undoable),
            stage("p", Kind::Pivot),
            stage("f", Kind::ForwardOnly),
        ]
    }

    fn timed_out(stage: &str, _limit: Duration) -> Error {
        Error::TimedOut(stage.to_owned())
    }

    fn panicked(_stage: &str, message: String) -> Error {
        Error::Panicked(message)
    }
}

struct Scene {
    name: &'static str,
    kind: Kind,
}

#[async_trait]
impl<const VERSION: u32> Stage<Scripted<VERSION>> for Scene {
    fn name(&self) -> &'static str {
        self.name
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn retry(&self) -> Retry {
        Retry::attempts(3).base(Duration::from_millis(150)).factor(1.0).jitter(0.0)
    }

    fn undo_retry(&self) -> Retry {
        Retry::attempts(2).base(Duration::from_millis(5)).jitter(0.0)
    }

    fn limit(&self, state: &State) -> Option<Duration> {
        state.limit_ms.map(Duration::from_millis)
    }

    fn undo_limit(&self, state: &State) -> Option<Duration> {
        state.limit_ms.map(Duration::from_millis)
    }

    async fn run(&self, world: &World, mut state: State, step: &Step) -> Result<State, Failure<Error>> {
        world.act(format!("run {}", self.name), Some(step)).await?;
        state.done.push(self.name.to_owned());
        Ok(state)
    }

    async fn undo(&self, world: &World, _state: &State) -> Result<(), Failure<Error>> {
        world.act(format!("undo {}", self.name), None).await
    }
}

pub(crate) type G = Scripted<1>;

/// A world with its journal.
#[derive(Default)]
pub(crate) struct Stand {
    pub(crate) world: Arc<World>,
    pub(crate) journal: MemoryJournal,
    pub(crate) state: State,
}

pub(crate) fn id() -> SagaId {
    SagaId::new("one")
}

impl Stand {
    pub(crate) fn engine(&self) -> Engine<G> {
        self.engine_over(Arc::new(self.journal.clone()), vec![])
    }

    pub(crate) fn engine_over(&self, journal: Arc<dyn Journal<G>>, listeners: Vec<Arc<dyn Listener<G>>>) -> Engine<G> {
        Engine::new(journal, Arc::clone(&self.world), listeners).unwrap()
    }

    pub(crate) async fn start(&self) {
        self.engine().start(&id(), Fence(1), self.state.clone()).await.unwrap();
    }

    pub(crate) async fn run(&self) -> Result<OutcomeOf<G>, EngineError> {
        self.engine().run(&id(), Fence(1), &Cancel::new()).await
    }

    pub(crate) async fn run_from_start(&self) -> OutcomeOf<G> {
        self.start().await;
        self.run().await.unwrap()
    }

    pub(crate) async fn records(&self) -> Vec<RecordOf<G>> {
        Journal::<G>::load(&self.journal, &id()).await.unwrap()
    }

    /// The names of the journaled events.
    pub(crate) async fn events(&self) -> Vec<&'static str> {
        self.records().await.iter().map(|record| record.event.name()).collect()
    }

    pub(crate) async fn count(&self, matches: impl Fn(&EventOf<G>) -> bool) -> usize {
        self.records().await.iter().filter(|record| matches(&record.event)).count()
    }

    /// Waits until the world has seen `call`.
    pub(crate) async fn seen(&self, call: &str) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while !self.world.log().iter().any(|entry| entry == call) {
            assert!(tokio::time::Instant::now() < deadline, "{call} never came");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
