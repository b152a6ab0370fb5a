//! What two processes say to each other while one takes the other's place.

use std::io;
use std::time::Duration;

use domain::DeploymentId;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::protocol;
use crate::route::millis;
use crate::table::RouteTable;

/// For the other one to be ready: it starts, or it finishes a change.
pub(super) const READY: Duration = Duration::from_secs(15);
/// For an answer of the old process afterwards, when nobody waits for one's own. A process that takes longer hangs.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);

/// For an answer of the process before this one, when this one's own is waited for that long. Processes that were replaced
/// one after the other are asked along a chain: one that hangs must be ended by its own successor, before that one is
/// taken for hanging, too.
pub(crate) fn inner(limit: Duration) -> Duration {
    limit * 3 / 4
}

/// What those wait who don't say it.
fn answer() -> Duration {
    ANSWER
}

/// Whether the other process has closed its end. After anything else that goes wrong it lives, and may believe to be the
/// one.
pub(super) fn has_ended(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub(super) enum Word {
    /// New: I could serve.
    Ready,
    /// Old: I change nothing any more.
    Yours,
    /// New: I accept connections.
    Serving,
    /// New: this is the table from now on. As with all questions, the answer is waited for `within`.
    Follow {
        table: RouteTable,
        #[serde(with = "millis", default = "answer")]
        within: Duration,
    },
    /// Old: each request follows it.
    Followed,
    /// New: how many requests are in flight under routes of that deployment which are replaced?
    Leaving {
        deployment: DeploymentId,
        #[serde(with = "millis", default = "answer")]
        within: Duration,
    },
    /// New: ask the tunnels among them to end. The answer is their number.
    CloseTunnels {
        deployment: DeploymentId,
        #[serde(with = "millis", default = "answer")]
        within: Duration,
    },
    InFlight {
        requests: u64,
    },
    /// New: I am to end, so end, too.
    Stop,
}

/// The connection between them. Its end means that the other process has ended, or that it gave up.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) io: UnixStream,
    pid: Option<i32>,
}

impl Link {
    pub(super) fn new(io: UnixStream) -> Self {
        let pid = io.peer_cred().ok().and_then(|peer| peer.pid());
        Self { io, pid }
    }

    pub(super) async fn say(&mut self, word: Word) -> io::Result<()> {
        protocol::send(&mut self.io, word).await
    }

    pub(super) async fn hear(&mut self) -> io::Result<Word> {
        protocol::receive(&mut self.io).await
    }

    pub(super) async fn hear_within(&mut self, limit: Duration) -> io::Result<Word> {
        match timeout(limit, self.hear()).await {
            Ok(word) => word,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Ends a process that hangs, as two could otherwise both believe to be the one. It is no stranger: as long as it
    /// holds its end of the connection, nobody else has its number.
    pub(super) async fn end_other(&mut self) {
        let Some(pid) = self.pid.filter(|&pid| u32::try_from(pid).is_ok_and(|pid| pid != std::process::id())) else {
            return;
        };
        tracing::error!(pid, "the other ingress does not answer; it is ended");
        if nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).is_ok() {
            // Its end closes the connection, whatever it still says.
            let is_over = |e: &io::Error| has_ended(e) || e.kind() == io::ErrorKind::TimedOut;
            while !matches!(self.hear_within(ANSWER).await, Err(e) if is_over(&e)) {}
        }
    }
}
