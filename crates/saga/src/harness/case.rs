//! What a saga is put through, as data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One run of a saga: what course it takes, and what goes wrong with the process meanwhile. Stages are named.
///
/// Its JSON text is the replay description: [`Harness::replay`](super::Harness::replay) takes it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    pub course: Course,
    pub fault: Fault,
}

/// Where the saga is headed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// To the end.
    Straight,
    /// `stage` fails permanently, before or after it has had its effect.
    Fail { stage: String, when: Moment },
    /// A cancel is requested just before `stage` has its effect or just after, while it still runs.
    Cancel { stage: String, when: Moment },
}

/// What befalls the process, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    Nothing,
    /// The stage runs twice from the same state, as after a crash between its effect and the journal's write.
    RunTwice {
        stage: String,
    },
    UndoTwice {
        stage: String,
    },
    /// The process dies just before or just after the journal's write number `write` (from 0) is durable.
    KillAtWrite {
        write: usize,
        when: Moment,
    },
    /// The process dies when the stage has been polled `polls` times (or has finished, if it does so in fewer).
    KillInRun {
        stage: String,
        polls: u32,
    },
    KillInUndo {
        stage: String,
        polls: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    Before,
    After,
}

impl Moment {
    pub(super) const BOTH: [Self; 2] = [Self::Before, Self::After];
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.course {
            Course::Straight => f.write_str("straight on")?,
            Course::Fail { stage, when } => write!(f, "{stage} fails {when} its effect")?,
            Course::Cancel { stage, when } => write!(f, "cancelled in {stage} {when} its effect")?,
        }
        match &self.fault {
            Fault::Nothing => Ok(()),
            Fault::RunTwice { stage } => write!(f, ", {stage} run twice"),
            Fault::UndoTwice { stage } => write!(f, ", {stage} undone twice"),
            Fault::KillAtWrite { write, when } => write!(f, ", killed {when} write {write}"),
            Fault::KillInRun { stage, polls } => write!(f, ", killed in {stage} at poll {polls}"),
            Fault::KillInUndo { stage, polls } => {
                write!(f, ", killed in the undo of {stage} at poll {polls}")
            }
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Moment::Before => "before",
            Moment::After => "after",
        })
    }
}
