//! One upstream address and the connections to it that are free.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::io::poll_read_buf;

use crate::{keepalive, workers};

/// Free connections are closed after so long.
const IDLE: Duration = Duration::from_secs(30);
/// A request that can't be repeated takes no connection that was free for longer: the upstream might be
/// closing it at this moment.
const FRESH: Duration = Duration::from_millis(500);
const MAX_IDLE: usize = 256;
/// Of one read, at first. It doubles as long as reads fill it.
const PIECE: usize = 8 << 10;
const MOST: usize = 64 << 10;

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    /// By worker, as a connection belongs to the event loop in which it was made.
    idle: Box<[Free]>,
}

/// Of one worker. On a cache line of its own, so that no worker waits for what another one has written.
#[derive(Default)]
#[repr(align(128))]
struct Free(Mutex<Vec<Idle>>);

struct Idle {
    link: Link,
    since: Instant,
}

/// One connection, and what was read from it and not yet used.
pub(crate) struct Link {
    pub(crate) stream: TcpStream,
    pub(crate) read: BytesMut,
    piece: usize,
}

impl Upstream {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, idle: (0..workers::count()).map(|_| Free::default()).collect() }
    }

    /// A free connection, the one last used.
    pub(crate) fn take(&self, repeatable: bool) -> Option<Link> {
        loop {
            let Idle { mut link, since } = self.idle().pop()?;
            let is_young = since.elapsed() <= if repeatable { IDLE } else { FRESH };
            if is_young && link.is_quiet() {
                return Some(link);
            }
        }
    }

    /// A new connection. As long as it fails, nothing was sent.
    pub(crate) async fn connect(&self, limit: Duration) -> io::Result<Link> {
        let stream = match timeout(limit, TcpStream::connect(self.address)).await {
            Ok(stream) => stream?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        stream.set_nodelay(true)?;
        keepalive::ask(&stream);
        Ok(Link { stream, read: BytesMut::new(), piece: PIECE })
    }

    /// For a connection on which all was said and answered.
    pub(crate) fn put_back(&self, mut link: Link) {
        if !link.read.is_empty() {
            // More than was asked for: nobody can say whose answer it is.
            return;
        }
        link.piece = PIECE;
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(Idle { link, since: Instant::now() });
        }
    }

    /// Closes what was free for long or was closed by the other side, and gives memory back.
    pub(crate) fn reap(&self) {
        for idle in &self.idle {
            lock(idle).retain_mut(|idle| {
                let age = idle.since.elapsed();
                if age > FRESH {
                    idle.link.read = BytesMut::new();
                }
                age < IDLE && idle.link.is_quiet()
            });
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        lock(&self.idle[workers::current() % self.idle.len()])
    }
}

fn lock(idle: &Free) -> MutexGuard<'_, Vec<Idle>> {
    idle.0.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    /// Nothing came that nobody asked for, such as the end.
    fn is_quiet(&mut self) -> bool {
        let nothing = self.stream.try_read(&mut [0]);
        self.read.is_empty() && nothing.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }

    /// Reads some bytes more; 0 is the end.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.read.capacity() - self.read.len() < self.piece / 4 {
            self.read.reserve(self.piece);
        }
        let room = self.read.capacity() - self.read.len();
        let filled = poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.read);
        if let Poll::Ready(Ok(n)) = filled
            && n == room
        {
            self.piece = (self.piece * 2).min(MOST);
        }
        filled
    }
}
