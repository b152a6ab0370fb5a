//! What the process is started with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How one process is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its folder; made if need be.
    pub dir: PathBuf,
    pub settings: Settings,
    pub limits: Limits,
    /// Where the listening sockets come from.
    pub start: Start,
}

/// What a person decides. The process tells it in its status, and another process is put in its place when it
/// should be something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// For HTTP. Port 0 means: the port of the last time if there was one, else a free one.
    pub listen: SocketAddr,
    /// For HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_listen: Option<SocketAddr>,
    /// Plain requests for a host that has a certificate are sent to HTTPS.
    #[serde(default)]
    pub https_redirect: bool,
    /// In place of [`Limits::connections`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<usize>,
    /// In place of [`Limits::connections_per_client`], and then for clients on this machine as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections_per_client: Option<usize>,
}

/// How a process comes to its listening sockets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Start {
    /// It opens them. Another process with the folder is an error.
    #[default]
    Fresh,
    /// From the process that runs with the folder, which then finishes its requests and ends; if there is none, it
    /// opens them.
    TakeOver,
    /// Whoever started it sends them through its standard input, a unix socket.
    Given,
}

impl Options {
    pub fn new(dir: impl Into<PathBuf>, settings: impl Into<Settings>) -> Self {
        Self { dir: dir.into(), settings: settings.into(), limits: Limits::default(), start: Start::Fresh }
    }
}

impl From<SocketAddr> for Settings {
    fn from(listen: SocketAddr) -> Self {
        Self {
            listen,
            https_listen: None,
            https_redirect: false,
            max_connections: None,
            max_connections_per_client: None,
        }
    }
}

impl Settings {
    /// Whether a process that was started with `self` is what `wanted` asks for.
    pub(crate) fn suits(&self, wanted: &Self) -> bool {
        let same = |own: SocketAddr, other: SocketAddr| {
            own.ip() == other.ip() && (other.port() == 0 || own.port() == other.port())
        };
        let https = match (self.https_listen, wanted.https_listen) {
            (Some(own), Some(other)) => same(own, other),
            (own, other) => own == other,
        };
        same(self.listen, wanted.listen)
            && https
            && Self { listen: wanted.listen, https_listen: wanted.https_listen, ..self.clone() } == *wanted
    }

    /// As arguments of `plimsoll ingress`.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--listen".to_owned(), self.listen.to_string()];
        let mut option = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                arguments.extend([name.to_owned(), value]);
            }
        };
        option("--https-listen", self.https_listen.map(|a| a.to_string()));
        option("--max-connections", self.max_connections.map(|n| n.to_string()));
        option("--max-connections-per-client", self.max_connections_per_client.map(|n| n.to_string()));
        if self.https_redirect {
            arguments.push("--https-redirect".to_owned());
        }
        arguments
    }
}

/// What clients and upstreams may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For a TLS handshake.
    pub handshake: Duration,
    /// For the whole head of a request, from its first byte, and for the first byte of a connection.
    pub head_time: Duration,
    /// Between two requests of a connection.
    pub idle: Duration,
    /// Of a request's head, in bytes.
    pub head_size: usize,
    /// Header lines of a request.
    pub headers: usize,
    /// Between two pieces of a request's body.
    pub body_idle: Duration,
    /// The least that a client must send of a request's body, in bytes per second, once it was waited for it for
    /// [`Limits::body_patience`] altogether. Time in which the app takes nothing doesn't count.
    pub body_rate: u64,
    pub body_patience: Duration,
    /// Between writes of a response that the client doesn't take.
    pub write_stall: Duration,
    /// Client connections at the same time; more wait in the listening socket's queue. Also bounded by a
    /// third of the files that the process may open, as each connection needs up to three.
    pub connections: usize,
    /// Of them from one client address (of IPv6 the first 64 bits); more are closed at once. Clients on this machine
    /// are not counted, as one of them may be a proxy for many.
    pub connections_per_client: usize,
    /// Requests at the same time on one HTTP/2 connection.
    pub streams: u32,
    /// Between two signs of life that are asked of an HTTP/2 client, and for its answer.
    pub ping: Duration,
    /// To connect to one upstream.
    pub connect: Duration,
    /// From the request's head until an upstream takes it, when none refuses: their queues are full, and there may be room
    /// in a moment. Not longer than `response_head`.
    pub reach: Duration,
    /// From the request's head to the head of the upstream's response.
    pub response_head: Duration,
    /// For requests in flight when the process is told to stop.
    pub shutdown: Duration,
    /// For requests, downloads and tunnels in flight when another process has taken over.
    pub handed_over: Duration,
    /// How long kept connections stay for one more request after another process has taken over.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head_time: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            head_size: 32 << 10,
            headers: 100,
            body_idle: Duration::from_secs(60),
            body_rate: 100,
            body_patience: Duration::from_secs(30),
            write_stall: Duration::from_secs(60),
            connections: 16_384,
            connections_per_client: 1024,
            streams: 128,
            ping: Duration::from_secs(20),
            connect: Duration::from_secs(2),
            reach: Duration::from_secs(10),
            response_head: Duration::from_secs(60),
            shutdown: Duration::from_secs(30),
            handed_over: Duration::from_secs(600),
            linger: Duration::from_secs(10),
        }
    }
}
