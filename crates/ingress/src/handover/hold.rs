//! Holding an ingress's listening sockets from outside: if it is killed, connections wait in the kernel's queue for the
//! next process in place of being refused.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::sockets::{Sockets, receive_sockets};
use crate::protocol::{self, Request};
use crate::socket;

const LIMIT: Duration = Duration::from_secs(10);

/// Sockets of the ingress that runs with a folder.
pub struct Holder {
    dir: std::path::PathBuf,
    state: Mutex<State>,
    lost: Notify,
}

#[derive(Default)]
struct State {
    sockets: Option<Sockets>,
    /// The process lives that they are from.
    attached: bool,
    /// Grows with each process.
    turn: u64,
}

impl Holder {
    pub fn new(dir: impl AsRef<Path>) -> Arc<Self> {
        Arc::new(Self { dir: dir.as_ref().to_owned(), state: Mutex::default(), lost: Notify::new() })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the process lives whose sockets are held.
    pub fn is_attached(&self) -> bool {
        self.state().attached
    }

    /// Gets the sockets of the process that runs now. Its end is told by [`Holder::lost`].
    pub async fn attach(self: &Arc<Self>) -> std::io::Result<()> {
        let asking = async {
            let mut io = socket::connect(&self.dir).await?;
            protocol::send(&mut io, Request::Hold).await?;
            let (sockets, _) = receive_sockets(&mut io).await?;
            Ok::<_, std::io::Error>((io, sockets))
        };
        let (mut io, sockets) =
            timeout(LIMIT, asking).await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        let turn = {
            let mut state = self.state();
            state.turn += 1;
            state.sockets = Some(sockets);
            state.attached = true;
            state.turn
        };
        let holder = Arc::downgrade(self);
        tokio::spawn(async move {
            // It says nothing; its end is what counts.
            let _ = io.read(&mut [0_u8; 1]).await;
            let Some(holder) = holder.upgrade() else { return };
            let mut state = holder.state();
            if state.turn == turn {
                state.attached = false;
                drop(state);
                holder.lost.notify_one();
            }
        });
        Ok(())
    }

    /// Ready when the process has ended, or has handed its sockets over.
    pub async fn lost(&self) {
        self.lost.notified().await;
    }

    /// Gives the sockets up, so that clients are refused in place of waiting for nobody.
    pub fn forget(&self) {
        self.state().sockets = None;
    }

    pub(crate) fn sockets(&self) -> Option<Sockets> {
        self.state().sockets.as_ref()?.share().ok()
    }

    /// A panic elsewhere can't leave it half-written.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
