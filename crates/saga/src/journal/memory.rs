//! A journal that ends with the process, for tests and examples.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::{Fence, HistoryOf, Journal, JournalError, RecordOf, Saga, SagaId};

/// Keeps the records as JSON text, so that a state that doesn't survive serde is found out here and not in production. Clones
/// share the storage.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal {
    sagas: Arc<Mutex<HashMap<SagaId, Kept>>>,
}

#[derive(Debug, Default)]
struct Kept {
    fence: Fence,
    records: Vec<String>,
}

impl MemoryJournal {
    pub fn new() -> Self {
        Self::default()
    }

    /// The records of a saga as JSON texts.
    pub fn lines(&self, id: &SagaId) -> Vec<String> {
        let sagas = self.sagas.lock().unwrap_or_else(PoisonError::into_inner);
        sagas.get(id).map(|kept| kept.records.clone()).unwrap_or_default()
    }
}

#[async_trait]
impl<G: Saga> Journal<G> for MemoryJournal {
    async fn load(&self, id: &SagaId) -> Result<Vec<RecordOf<G>>, JournalError> {
        self.lines(id)
            .iter()
            .map(|line| serde_json::from_str(line).map_err(|error| JournalError::Corrupt(error.to_string())))
            .collect()
    }

    async fn append(
        &self,
        id: &SagaId,
        fence: Fence,
        seq: u64,
        records: &[RecordOf<G>],
        _after: &HistoryOf<G>,
    ) -> Result<(), JournalError> {
        let lines = records
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| JournalError::Unavailable(format!("a record can't be written as JSON: {error}")))?;
        let mut sagas = self.sagas.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = sagas.entry(id.clone()).or_default();
        if fence < kept.fence {
            return Err(JournalError::Fenced { held: fence, current: kept.fence });
        }
        let found = kept.records.len() as u64;
        if found != seq {
            return Err(JournalError::Conflict { expected: seq, found });
        }
        kept.fence = fence;
        kept.records.extend(lines);
        Ok(())
    }
}
