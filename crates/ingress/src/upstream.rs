//! One upstream address and the connections to it that are free.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::body::RequestBody;

pub(crate) type Sender = SendRequest<RequestBody>;

/// Free connections are closed after so long.
const IDLE: Duration = Duration::from_secs(30);
/// A request that can't be repeated takes no connection that was free for longer: the upstream might be
/// closing it at this moment.
const FRESH: Duration = Duration::from_millis(500);
const MAX_IDLE: usize = 256;
/// A connection whose response has ended is ready as soon as its task ran once more.
const SETTLE: Duration = Duration::from_millis(50);

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    sender: Sender,
    since: Instant,
}

impl Upstream {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, idle: Mutex::default() }
    }

    /// A free connection, the one last used.
    pub(crate) async fn take(&self, repeatable: bool) -> Option<Sender> {
        loop {
            let Idle { mut sender, since } = self.idle().pop()?;
            if sender.is_closed() || since.elapsed() > if repeatable { IDLE } else { FRESH } {
                continue;
            }
            if sender.is_ready() || matches!(timeout(SETTLE, sender.ready()).await, Ok(Ok(()))) {
                return Some(sender);
            }
        }
    }

    /// A new connection. As long as it fails, nothing was sent.
    pub(crate) async fn connect(&self, limit: Duration) -> io::Result<Sender> {
        let stream = match timeout(limit, TcpStream::connect(self.address)).await {
            Ok(stream) => stream?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(128 << 10)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(async move {
            // Its failure shows at the request that it carried.
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    pub(crate) fn put_back(&self, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }

    pub(crate) fn reap(&self) {
        self.idle().retain(|i| !i.sender.is_closed() && i.since.elapsed() < IDLE);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
