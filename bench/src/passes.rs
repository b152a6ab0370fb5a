//! A saga whose stages do nothing, and the store's journal without what deployments add to it.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use domain::{DeploymentId, EnvironmentId};
use saga::{Failure, Fence, HistoryOf, Journal, JournalError, RecordOf, Saga, SagaId, Stage, Step};
use serde::{Deserialize, Serialize};
use store::appends::{Append, End};
use store::{Store, sagas};

/// A saga of so many stages.
pub(crate) struct Passes<const STAGES: usize>;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) passed: usize,
    /// That of a deployment frees its environment with its end.
    pub(crate) deployment: Option<(EnvironmentId, DeploymentId)>,
}

/// A stage's name lives as long as the program.
static NAMES: LazyLock<Vec<&str>> =
    LazyLock::new(|| (0..50).map(|n| &*Box::leak(format!("pass_{n}").into_boxed_str())).collect());

impl<const STAGES: usize> Saga for Passes<STAGES> {
    type World = ();
    type State = State;
    type Error = String;
    const NAME: &'static str = "passes";
    const VERSION: u32 = 1;

    fn stages() -> Vec<Box<dyn Stage<Self>>> {
        NAMES.iter().take(STAGES).map(|name| Box::new(Pass(name)) as Box<dyn Stage<Self>>).collect()
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
impl<const STAGES: usize> Stage<Passes<STAGES>> for Pass {
    fn name(&self) -> &'static str {
        self.0
    }

    async fn run(&self, (): &(), state: State, _: &Step) -> Result<State, Failure<String>> {
        Ok(State { passed: state.passed + 1, ..state })
    }
}

pub(crate) struct StoreJournal(pub(crate) Store);

#[async_trait]
impl<const STAGES: usize> Journal<Passes<STAGES>> for StoreJournal {
    async fn load(&self, id: &SagaId) -> Result<Vec<RecordOf<Passes<STAGES>>>, JournalError> {
        let rows = sagas::load(&self.0, id.as_str()).await.map_err(unavailable)?;
        rows.into_iter().map(|(_, value)| serde_json::from_value(value).map_err(unavailable)).collect()
    }

    async fn append(
        &self,
        id: &SagaId,
        fence: Fence,
        seq: u64,
        records: &[RecordOf<Passes<STAGES>>],
        after: &HistoryOf<Passes<STAGES>>,
    ) -> Result<(), JournalError> {
        let records = records.iter().map(|record| serde_json::to_value(record).unwrap()).collect();
        let end = after.state().deployment.clone().filter(|_| after.outcome().is_some());
        let end = end.map(|(environment, deployment)| End { environment, deployment });
        let append = Append { saga: id.as_str().to_owned(), fence: fence.0, seq, records, end, advance: None };
        self.0.append_together(append, None).await.map_err(unavailable)
    }
}

fn unavailable(error: impl std::fmt::Display) -> JournalError {
    JournalError::Unavailable(error.to_string())
}
