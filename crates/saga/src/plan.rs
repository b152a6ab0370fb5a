//! The stages of a saga as data: what [`decide`](crate::decide) needs to know of them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Kind, Retry, Saga, Stage};

/// The checked stages of a saga with their retry policies, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    works: Vec<PlannedWork>,
    /// How often the process may die in one stage before the stage counts as failed.
    max_interruptions: u32,
}

/// One stage of a [`Plan`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedWork {
    pub stage: PlannedStage,
    pub retry: Retry,
    pub undo_retry: Retry,
}

/// The part of a stage that is journaled when the saga starts, and that may not change while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStage {
    pub name: String,
    pub kind: Kind,
}

impl Plan {
    /// Interruptions of one stage that are put up with unless [`Plan::max_interruptions`] says otherwise. A server that is
    /// restarted a few times during a long stage must not fail it; a stage that kills the server each time must end.
    pub const MAX_INTERRUPTIONS: u32 = 10;

    pub fn new(works: Vec<PlannedWork>) -> Result<Self, PlanError> {
        if works.is_empty() {
            return Err(PlanError::Empty);
        }
        let mut pivot: Option<&str> = None;
        for (index, work) in works.iter().enumerate() {
            let PlannedStage { name, kind } = &work.stage;
            if works[..index].iter().any(|earlier| earlier.stage.name == *name) {
                return Err(PlanError::NameTwice { name: name.clone() });
            }
            match (kind, pivot) {
                (Kind::Pivot, None) => pivot = Some(name),
                (Kind::Undoable, None) | (Kind::ForwardOnly, Some(_)) => {}
                (Kind::ForwardOnly, None) => {
                    return Err(PlanError::ForwardOnlyBeforePivot { name: name.clone() });
                }
                (Kind::Pivot | Kind::Undoable, Some(pivot)) => {
                    return Err(PlanError::NotForwardOnlyAfterPivot { name: name.clone(), pivot: pivot.to_owned() });
                }
            }
        }
        Ok(Self { works, max_interruptions: Self::MAX_INTERRUPTIONS })
    }

    /// The plan of a saga type's stages.
    pub fn of<G: Saga>(stages: &[Box<dyn Stage<G>>]) -> Result<Self, PlanError> {
        Self::new(
            stages
                .iter()
                .map(|stage| PlannedWork {
                    stage: PlannedStage { name: stage.name().to_owned(), kind: stage.kind() },
                    retry: stage.retry(),
                    undo_retry: stage.undo_retry(),
                })
                .collect(),
        )
    }

    /// The same plan with another bound on how often the process may die in one stage.
    pub fn with_max_interruptions(mut self, max: u32) -> Self {
        self.max_interruptions = max;
        self
    }

    pub fn max_interruptions(&self) -> u32 {
        self.max_interruptions
    }

    pub fn works(&self) -> &[PlannedWork] {
        &self.works
    }

    pub fn stages(&self) -> Vec<PlannedStage> {
        self.works.iter().map(|work| work.stage.clone()).collect()
    }
}

/// Why a list of stages is no saga.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    #[error("the saga has no stages")]
    Empty,
    #[error("two stages are named {name}; rename one of them")]
    NameTwice { name: String },
    #[error("stage {name} is forward-only but comes before any pivot; make it undoable or move it behind the pivot")]
    ForwardOnlyBeforePivot { name: String },
    #[error("stage {name} comes after the pivot {pivot}, where nothing is undone; make it forward-only")]
    NotForwardOnlyAfterPivot { name: String, pivot: String },
}
