//! What the process is started with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of one ingress.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its folder; made if need be.
    pub dir: PathBuf,
    /// Port 0 means: the port of the last time if there was one, else a free one.
    pub listen: SocketAddr,
    pub limits: Limits,
}

impl Options {
    pub fn new(dir: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        Self { dir: dir.into(), listen, limits: Limits::default() }
    }
}

/// What clients and upstreams may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For the whole head of a request; and between two requests of a connection.
    pub head_time: Duration,
    /// Of a request's head, in bytes.
    pub head_size: usize,
    /// Header lines of a request.
    pub headers: usize,
    /// Between two pieces of a request's body.
    pub body_idle: Duration,
    /// Between writes of a response that the client doesn't take.
    pub write_stall: Duration,
    /// Client connections at the same time; more wait in the listening socket's queue. Also bounded by a
    /// third of the files that the process may open, as each connection needs up to three.
    pub connections: usize,
    /// To connect to one upstream.
    pub connect: Duration,
    /// From the request's head to the head of the upstream's response.
    pub response_head: Duration,
    /// For requests in flight when the process is told to stop.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_time: Duration::from_secs(60),
            head_size: 32 << 10,
            headers: 100,
            body_idle: Duration::from_secs(60),
            write_stall: Duration::from_secs(60),
            connections: 16_384,
            connect: Duration::from_secs(2),
            response_head: Duration::from_secs(60),
            shutdown: Duration::from_secs(30),
        }
    }
}
