//! The new process's side: asking for the sockets, and keeping the old process in line until it ends.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::DeploymentId;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::link::{ANSWER, Link, READY, Word};
use super::sockets::{Sockets, receive_sockets};
use crate::client::Client;
use crate::protocol::{self, Request};
use crate::socket;
use crate::table::RouteTable;

/// Between two looks whether the old process has ended.
const LOOK: Duration = Duration::from_millis(100);

/// The sockets of a process that still serves.
pub(crate) struct Offer {
    pub(crate) sockets: Sockets,
    /// The folder's lock, held by both.
    pub(crate) lock: File,
    pub(crate) claim: Claim,
}

/// The right to become the one, once everything is ready.
pub(crate) struct Claim {
    link: Link,
    dir: PathBuf,
}

/// The process before this one, as long as it finishes its requests.
pub(crate) struct Predecessor(Mutex<Option<Link>>);

impl Offer {
    /// `None` when no process runs with the folder.
    pub(crate) async fn ask(dir: &Path) -> io::Result<Option<Self>> {
        let Ok(mut io) = socket::connect(dir).await else {
            return Ok(None);
        };
        let asking = async {
            protocol::send(&mut io, Request::TakeOver).await?;
            receive_sockets(&mut io).await
        };
        let (sockets, lock) = timeout(READY, asking).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let lock = lock.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the folder's lock did not come"))?;
        Ok(Some(Self { sockets, lock, claim: Claim { link: Link::new(io), dir: dir.to_owned() } }))
    }
}

impl Claim {
    /// From here on the folder is this process's. `None` when the old process ended meanwhile. An error means that it
    /// goes on, and this process must not.
    pub(crate) async fn take(mut self) -> io::Result<Option<Predecessor>> {
        let heard = match self.link.say(Word::Ready).await {
            Ok(()) => self.link.hear_within(READY * 2).await,
            Err(e) => Err(e),
        };
        match heard {
            Ok(Word::Yours) => Ok(Some(Predecessor(Mutex::new(Some(self.link))))),
            Ok(other) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("it said {other:?}"))),
            Err(e) => {
                drop(self.link);
                // It has ended, or it lives and gave up on us: then it still answers.
                match timeout(ANSWER, Client::new(&self.dir).status()).await {
                    Ok(Err(_)) => Ok(None),
                    Ok(Ok(_)) | Err(_) => Err(e),
                }
            }
        }
    }
}

impl Predecessor {
    /// Lets it go: this process accepts connections.
    pub(crate) async fn relieve(&self) {
        let mut link = self.0.lock().await;
        if let Some(open) = link.as_mut()
            && open.say(Word::Serving).await.is_err()
        {
            *link = None;
        }
    }

    /// When this returns, no request on a connection of the old process goes where `table` doesn't lead.
    pub(crate) async fn follow(&self, table: &RouteTable) {
        self.ask(Word::Follow { table: table.clone() }).await;
    }

    /// Requests in flight there under routes of `deployment` that are replaced or removed.
    pub(crate) async fn leaving(&self, deployment: &DeploymentId) -> u64 {
        match self.ask(Word::Leaving { deployment: deployment.clone() }).await {
            Some(Word::InFlight { requests }) => requests,
            _ => 0,
        }
    }

    /// Asks tunnels under those routes to end, and gives their number.
    pub(crate) async fn close_tunnels(&self, deployment: &DeploymentId) -> u64 {
        match self.ask(Word::CloseTunnels { deployment: deployment.clone() }).await {
            Some(Word::InFlight { requests }) => requests,
            _ => 0,
        }
    }

    /// Waits for its end; with `stop` it is told to hurry.
    pub(crate) async fn end(&self, stop: bool) {
        if stop && let Some(link) = self.0.lock().await.as_mut() {
            let _ = link.say(Word::Stop).await;
        }
        loop {
            {
                let mut link = self.0.lock().await;
                let Some(open) = link.as_mut() else { return };
                // It says nothing unless asked, so all there is to read is its end.
                match open.io.try_read(&mut [0_u8; 1]) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    _ => *link = None,
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn ask(&self, word: Word) -> Option<Word> {
        let mut link = self.0.lock().await;
        let open = link.as_mut()?;
        let answer = match open.say(word).await {
            Ok(()) => open.hear_within(ANSWER).await,
            Err(e) => Err(e),
        };
        if matches!(&answer, Err(e) if e.kind() == io::ErrorKind::TimedOut) {
            open.end_other().await;
        }
        if answer.is_err() {
            *link = None;
        }
        answer.ok()
    }
}
