//! What to run: the description of an instance.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use domain::instance::InstanceKey;
use serde::{Deserialize, Serialize};

use crate::isolation::Sandbox;

/// One instance, complete.
#[derive(Clone, Serialize, Deserialize)]
pub struct InstanceSpec {
    pub key: InstanceKey,
    /// A command line for `/bin/sh`; see the crate's page for how it is run.
    pub command: String,
    /// Where it runs; absolute.
    pub directory: PathBuf,
    /// Given to the app as `PORT`.
    pub port: Option<u16>,
    /// The app's environment. It may hold secrets: it is never written to disk,
    /// to an argument list, or to `Debug`.
    #[serde(skip)]
    pub env: BTreeMap<String, String>,
    /// Names of variables in `env` whose values its log must not have.
    #[serde(default)]
    pub secrets: BTreeSet<String>,
    /// From TERM to KILL.
    pub stop_timeout: Duration,
    pub restart: RestartPolicy,
    pub log: LogLimits,
    /// `None`: it runs as the server itself does. Its home and its folder for temporary files are added at the start.
    #[serde(default)]
    pub sandbox: Option<Sandbox>,
}

/// What happens when the app ends without having been told to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// The instance is then stopped.
    Never,
    /// It is started again, whatever its exit status.
    Always(Backoff),
}

/// How long to wait before an app is started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Before the first restart; doubles with each further one.
    pub base: Duration,
    /// The longest wait while it isn't a crash loop.
    pub cap: Duration,
    /// An app that ran this long has recovered: the wait begins at `base` again.
    pub recovered_after: Duration,
    /// This many exits within `loop_window` make a crash loop.
    pub loop_exits: u32,
    pub loop_window: Duration,
    /// Wait between two attempts in a crash loop.
    pub loop_retry: Duration,
}

/// How much of the output is kept: `files` full files of `bytes`, and one that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimits {
    pub bytes: u64,
    pub files: u32,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self::Always(Backoff::default())
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            recovered_after: Duration::from_secs(10),
            loop_exits: 5,
            loop_window: Duration::from_secs(60),
            loop_retry: Duration::from_secs(60),
        }
    }
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { bytes: 10 * 1024 * 1024, files: 5 }
    }
}

impl fmt::Debug for InstanceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceSpec")
            .field("key", &self.key)
            .field("command", &self.command)
            .field("directory", &self.directory)
            .field("port", &self.port)
            .field("env", &format_args!("{} variables", self.env.len()))
            .field("secrets", &self.secrets)
            .field("stop_timeout", &self.stop_timeout)
            .field("restart", &self.restart)
            .field("log", &self.log)
            .field("sandbox", &self.sandbox)
            .finish()
    }
}
