//! The new process's side: asking for the sockets, and keeping the old process in line until it ends.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::DeploymentId;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::link::{ANSWER, Link, READY, Word, has_ended};
use super::sockets::{Sockets, receive_sockets};
use crate::client::{Client, Unavailable};
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
            Err(e) if has_ended(&e) => {
                drop(self.link);
                // It has ended, or it lives and gave up on us: then somebody still answers, in whatever words.
                match timeout(ANSWER, Client::new(&self.dir).status()).await {
                    Ok(Err(gone)) if is_nobody(&gone) => Ok(None),
                    _ => {
                        let reason = format!("it gave up on the hand-over ({e}); see the ingress's log");
                        Err(io::Error::new(e.kind(), reason))
                    }
                }
            }
            Err(e) => Err(e),
        }
    }
}

/// Whether no process answers for the folder, as opposed to one that can't be understood.
fn is_nobody(unavailable: &Unavailable) -> bool {
    let error = &unavailable.source;
    has_ended(error) || matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
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
    pub(crate) async fn follow(&self, table: &RouteTable, within: Duration) {
        self.ask(Word::Follow { table: table.clone(), within }, within).await;
    }

    /// Requests in flight there under routes of `deployment` that are replaced or removed.
    pub(crate) async fn leaving(&self, deployment: &DeploymentId, within: Duration) -> u64 {
        match self.ask(Word::Leaving { deployment: deployment.clone(), within }, within).await {
            Some(Word::InFlight { requests }) => requests,
            _ => 0,
        }
    }

    /// Asks tunnels under those routes to end, and gives their number.
    pub(crate) async fn close_tunnels(&self, deployment: &DeploymentId, within: Duration) -> u64 {
        match self.ask(Word::CloseTunnels { deployment: deployment.clone(), within }, within).await {
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

    async fn ask(&self, word: Word, within: Duration) -> Option<Word> {
        let mut link = self.0.lock().await;
        let open = link.as_mut()?;
        let answer = match open.say(word).await {
            Ok(()) => open.hear_within(within).await,
            Err(e) => Err(e),
        };
        // One that hangs, or says what nobody understands, doesn't follow.
        if matches!(&answer, Err(e) if !has_ended(e)) {
            open.end_other().await;
        }
        if answer.is_err() {
            *link = None;
        }
        answer.ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::UnixStream;

    use super::*;

    /// What a new process makes of an old one that says this, and then closes its end if it `closes`.
    async fn taken(dir: &Path, said: &[u8], closes: bool) -> io::Result<Option<Predecessor>> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(said).await.unwrap();
        if closes {
            theirs.shutdown().await.unwrap();
        }
        Claim { link: Link::new(ours), dir: dir.to_owned() }.take().await
    }

    fn frame(message: &str) -> Vec<u8> {
        [&u32::try_from(message.len()).unwrap().to_be_bytes()[..], message.as_bytes()].concat()
    }

    #[tokio::test]
    async fn an_old_process_that_is_not_understood_is_not_taken_for_one_that_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let yours = frame(r#"{"version":1,"message":{"word":"yours"}}"#);
        assert!(taken(dir.path(), &yours, false).await.unwrap().is_some());
        let (version, word) =
            (r#"{"version":2,"message":{"word":"yours"}}"#, r#"{"version":1,"message":{"word":"x"}}"#);
        for strange in [version, word, "{"] {
            for closes in [false, true] {
                let error = taken(dir.path(), &frame(strange), closes).await.err().unwrap();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{strange}");
            }
        }
        assert!(taken(dir.path(), &[], true).await.unwrap().is_none(), "it ended, and nobody answers");
        assert!(taken(dir.path(), &yours[..9], true).await.unwrap().is_none(), "it ended in the middle of a word");

        // It gave up on the hand-over, and goes on in words of another version.
        let listener = socket::bind(dir.path()).unwrap();
        let answering = tokio::spawn(async move {
            while let Ok((mut io, _)) = listener.accept().await {
                protocol::receive::<serde_json::Value>(&mut io).await.unwrap();
                io.write_all(&frame(r#"{"version":2,"message":{}}"#)).await.unwrap();
            }
        });
        let error = taken(dir.path(), &[], true).await.err().unwrap();
        assert!(error.to_string().contains("gave up"), "{error}");
        answering.abort();
    }
}
