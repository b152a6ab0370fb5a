//! A client that hides nothing: raw HTTP/1.1, open loop, no retries.
//!
//! Requests leave at a fixed rate, whether or not earlier ones were answered. Connections are kept;
//! one that the server has closed while it was idle is left for a new one, but a request that was written and
//! not answered with 200 is lost.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer after this long: lost.
const PATIENCE: Duration = Duration::from_secs(60);
/// Well below the time after which servers close what is idle, so that the two never meet.
const IDLE: Duration = Duration::from_secs(2);

/// Requests on their way; `stop` tells how they ended.
pub struct RawLoad {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    address: SocketAddr,
    request: String,
    began: Instant,
    stop: AtomicBool,
    answered: AtomicUsize,
    idle: Mutex<Vec<(TcpStream, Instant)>>,
    ends: Mutex<Vec<End>>,
}

/// How one request ended.
#[derive(Debug, Clone)]
pub struct End {
    /// Since the load began: when it was due, when its end was known.
    pub sent: Duration,
    pub ended: Duration,
    /// Status and body, or what happened instead.
    pub answer: Result<(u16, String), String>,
}

/// How all requests ended, in the order of their sending.
#[derive(Debug, Clone)]
pub struct Tally {
    pub ends: Vec<End>,
}

impl RawLoad {
    /// GETs of `/` for `host`, `rate` a second, until it is stopped.
    pub fn start(address: SocketAddr, host: &str, rate: u32) -> Self {
        let shared = Arc::new(Shared {
            address,
            request: format!("GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: raw\r\n\r\n"),
            began: Instant::now(),
            stop: AtomicBool::new(false),
            answered: AtomicUsize::new(0),
            idle: Mutex::default(),
            ends: Mutex::default(),
        });
        let ours = shared.clone();
        // A thread of its own: whatever the test waits for, requests go on.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(ours.run(rate));
        });
        Self { shared, thread }
    }

    /// How many were answered with 200 so far.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Since it began.
    pub fn elapsed(&self) -> Duration {
        self.shared.began.elapsed()
    }

    /// Waits until `more` requests were answered from now on.
    pub async fn go_on(&self, more: usize) {
        let goal = self.answered() + more;
        crate::wait_for("more answers", Duration::from_secs(60), async || (self.answered() >= goal).then_some(()))
            .await;
    }

    /// Ends the load and waits for what is on its way.
    pub fn stop(self) -> Tally {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        let mut ends = std::mem::take(&mut *self.shared.ends.lock().unwrap());
        ends.sort_by_key(|end| end.sent);
        Tally { ends }
    }
}

impl Tally {
    /// Every request that was not answered with 200.
    pub fn lost(&self) -> Vec<&End> {
        self.ends.iter().filter(|end| !matches!(end.answer, Ok((200, _)))).collect()
    }

    /// The answers' bodies as they came, repetitions left out: `["v1", "v2"]` after one clean cutover.
    pub fn versions(&self) -> Vec<&str> {
        let mut answers: Vec<(&Duration, &str)> = self
            .ends
            .iter()
            .filter_map(|end| end.answer.as_ref().ok().filter(|a| a.0 == 200).map(|a| (&end.sent, a.1.as_str())))
            .collect();
        answers.sort();
        let mut versions: Vec<&str> = answers.into_iter().map(|(_, version)| version).collect();
        versions.dedup();
        versions
    }

    /// The answers' bodies by their first coming, each once.
    pub fn distinct(&self) -> Vec<&str> {
        let mut seen = Vec::new();
        for version in self.versions() {
            if !seen.contains(&version) {
                seen.push(version);
            }
        }
        seen
    }

    /// # Panics
    /// When one was lost, or none was sent.
    pub fn assert_none_lost(&self) {
        assert!(!self.ends.is_empty(), "no request was sent");
        assert!(self.lost().is_empty(), "{self}");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = self.lost();
        writeln!(f, "{} of {} requests lost; versions {:?}", lost.len(), self.ends.len(), self.versions())?;
        lost.iter().take(10).try_for_each(|end| writeln!(f, "  {:?} … {:?}: {:?}", end.sent, end.ended, end.answer))
    }
}

impl Shared {
    async fn run(self: Arc<Self>, rate: u32) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        let mut under_way = tokio::task::JoinSet::new();
        while !self.stop.load(Ordering::Relaxed) {
            let due = ticks.tick().await.into_std().saturating_duration_since(self.began);
            under_way.spawn(self.clone().one(due));
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
    }

    async fn one(self: Arc<Self>, sent: Duration) {
        let answer = match tokio::time::timeout(PATIENCE, self.exchange()).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        if matches!(answer, Ok((200, _))) {
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        self.ends.lock().unwrap().push(End { sent, ended: self.began.elapsed(), answer });
    }

    async fn exchange(&self) -> io::Result<(u16, String)> {
        let mut stream = match self.idle_connection() {
            Some(stream) => stream,
            None => TcpStream::connect(self.address).await?,
        };
        stream.write_all(self.request.as_bytes()).await?;
        let (status, body, keep) = answer(&mut stream).await?;
        if keep {
            self.idle.lock().unwrap().push((stream, Instant::now()));
        }
        Ok((status, body))
    }

    /// The one used last that is open still.
    fn idle_connection(&self) -> Option<TcpStream> {
        let mut idle = self.idle.lock().unwrap();
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        while let Some((stream, _)) = idle.pop() {
            // Asked of the kernel itself, as the runtime may not have heard of the end yet. Nothing to read means
            // open; an end or bytes nobody asked for mean that it is of no use.
            let look = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
            if matches!(recv(stream.as_raw_fd(), &mut [0; 1], look), Err(Errno::EAGAIN)) {
                return Some(stream);
            }
        }
        None
    }
}

/// Status, body, and whether the connection may be used again.
async fn answer(stream: &mut TcpStream) -> io::Result<(u16, String, bool)> {
    let bad = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(bad(if bytes.is_empty() { "closed without an answer" } else { "closed in the head" }));
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| bad("no status"))?;
    let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let keep = header("connection") != Some("close");
    let body = match (header("content-length"), header("transfer-encoding")) {
        (Some(length), _) => {
            let length: usize = length.parse().map_err(|_| bad("bad length"))?;
            while bytes.len() < head + length {
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Err(bad("closed in the body"));
                }
            }
            bytes[head..head + length].to_vec()
        }
        (None, Some("chunked")) => {
            while !bytes[head - 2..].ends_with(b"\r\n0\r\n\r\n") {
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Err(bad("closed in a chunk"));
                }
            }
            unchunked(&bytes[head..]).ok_or_else(|| bad("bad chunks"))?
        }
        _ => return Err(bad("neither a length nor chunks")),
    };
    Ok((status, String::from_utf8_lossy(&body).trim().to_owned(), keep))
}

fn unchunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = find(bytes, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(bytes.get(line + 2..line + 2 + size)?);
        bytes = bytes.get(line + 2 + size + 2..)?;
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// A server that gives each connection these answers, one a request, and then hangs up.
    fn server(answers: &'static [&'static str]) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    for answer in answers {
                        if !matches!(stream.read(&mut [0; 1024]), Ok(1..)) {
                            return;
                        }
                        let _ = stream.write_all(answer.as_bytes());
                    }
                });
            }
        });
        address
    }

    fn tally(address: SocketAddr) -> Tally {
        let load = RawLoad::start(address, "x.localhost", 50);
        let deadline = Instant::now() + Duration::from_secs(60);
        while load.shared.ends.lock().unwrap().len() < 12 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        load.stop()
    }

    #[test]
    fn answers_are_told_from_losses() {
        let good = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nv1\n";
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nv2\r\n0\r\n\r\n";
        let clean = tally(server(Box::leak(Box::new([good, chunked]))));
        clean.assert_none_lost();
        assert_eq!(clean.distinct(), ["v1", "v2"]);
        for bad in [
            "",
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nv1",
        ] {
            let tally = tally(server(Box::leak(Box::new([bad]))));
            assert!(tally.ends.len() > 5 && tally.lost().len() == tally.ends.len(), "{bad:?}: {tally}");
        }
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let nobody = tally(closed);
        assert_eq!(nobody.lost().len(), nobody.ends.len());
    }
}
