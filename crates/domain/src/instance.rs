//! Instances: running copies of a process component.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{DeploymentId, EnvironmentId, ReleaseId};
use crate::name::Name;

/// Who an instance is. The name is made from it and nothing else, so a repeated
/// start finds the instance that an interrupted one had begun.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct InstanceKey {
    pub environment: EnvironmentId,
    pub deployment: DeploymentId,
    pub release: ReleaseId,
    /// Under which its deployment acts on the environment: from 1, higher is newer, and each is given to one deployment. It is the
    /// deployment's own `generation`, or a higher one where its turn came after that of a deployment that was asked for
    /// later. Fixed when the instance gets its port; the runtime starts none below the highest it has seen in the environment.
    pub generation: u64,
    pub component: Name,
    /// Counts from 0.
    pub index: u32,
}

impl InstanceKey {
    /// `<deployment>-<component>-<index>`; safe as a folder's name.
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.deployment, self.component, self.index)
    }
}

/// What an instance does, as its supervisor last wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum InstanceState {
    /// The supervisor is there, the app is about to run.
    Starting,
    Running {
        pid: i32,
        since: DateTime<Utc>,
    },
    /// It ended and will be started again.
    Backoff {
        until: DateTime<Utc>,
        last_exit: String,
    },
    /// It ended so often that restarting slowed down to a crawl.
    CrashLoop {
        until: DateTime<Utc>,
        last_exit: String,
    },
    /// It was told to stop, and has.
    Stopped {
        last_exit: String,
    },
    /// The supervisor itself is gone without a word (killed, or the machine restarted).
    Lost,
}

/// An instance as the runtime sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InstanceStatus {
    #[serde(flatten)]
    pub key: InstanceKey,
    pub port: Option<u16>,
    #[serde(flatten)]
    pub state: InstanceState,
    /// Times that the app was started again since the instance began.
    pub restarts: u32,
}
