//! Watchers that take bytes and look at nothing but the lines: reading JSON would measure the client.
//!
//! All are on one thread. Each counts the lines that came and remembers the number of the last one; of some, the time of
//! each line is looked at.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{RATE, SAMPLED, SECONDS, WATCHERS};

/// In which all must be connected.
const PATIENCE: Duration = Duration::from_secs(60);
/// Every line begins with it.
const MARK: u8 = b'|';
/// Number and time of a line are not longer.
const LONGEST: usize = 48;

/// How a watcher introduces itself.
#[derive(Clone)]
pub(super) struct Hello {
    /// The head of the request.
    pub head: String,
    /// The status of its answer.
    pub status: u16,
    /// Sent once that has come.
    pub then: Vec<u8>,
    /// After this the watcher is one.
    pub welcome: &'static [u8],
}

/// What a watcher has got.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub lines: u64,
    /// The number of the last line.
    pub last: u64,
    /// In milliseconds; of those who are asked.
    pub latencies: Vec<f64>,
}

/// Everybody who watches.
pub(super) struct Crowd {
    thread: JoinHandle<Vec<Told>>,
    leave: CancellationToken,
    /// So many have got the last line.
    done: Arc<AtomicUsize>,
}

impl Crowd {
    /// Connects all of them.
    pub(super) async fn gather(address: SocketAddr, hello: Hello) -> Result<Self, String> {
        let (leave, done) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let (ready, gathered) = tokio::sync::oneshot::channel();
        let (stop, finished) = (leave.clone(), done.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let all = tokio::task::LocalSet::new();
            all.block_on(&runtime, watch_all(address, hello, ready, stop, finished))
        });
        let crowd = Self { thread, leave, done };
        match tokio::time::timeout(PATIENCE, gathered).await {
            Ok(Ok(Ok(()))) => Ok(crowd),
            Ok(Ok(Err(why))) => Err(why),
            Ok(Err(_)) => Err("the client ended".to_owned()),
            Err(_) => Err(format!("not all watchers were connected after {} s", PATIENCE.as_secs())),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed) == WATCHERS
    }

    /// Ends all connections.
    pub(super) fn leave(self) -> Result<Vec<Told>, String> {
        self.leave.cancel();
        self.thread.join().map_err(|_| "the client panicked".to_owned())
    }
}

async fn watch_all(
    address: SocketAddr,
    hello: Hello,
    ready: tokio::sync::oneshot::Sender<Result<(), String>>,
    leave: CancellationToken,
    done: Arc<AtomicUsize>,
) -> Vec<Told> {
    let mut connected = Vec::new();
    for _ in 0..WATCHERS {
        match connect(address, &hello).await {
            Ok(one) => connected.push(one),
            Err(e) => {
                _ = ready.send(Err(format!("watcher {}: {e}", connected.len())));
                return Vec::new();
            }
        }
    }
    let watching: Vec<_> = connected
        .into_iter()
        .enumerate()
        .map(|(n, stream)| {
            tokio::task::spawn_local(watch(stream, Reader::new(n % SAMPLED == 0), leave.clone(), done.clone()))
        })
        .collect();
    _ = ready.send(Ok(()));
    let mut told = Vec::new();
    for one in watching {
        told.push(one.await.unwrap());
    }
    told
}

async fn connect(address: SocketAddr, hello: &Hello) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(hello.head.as_bytes()).await?;
    let (mut seen, mut buffer, mut greeted) = (Vec::new(), [0; 4096], false);
    loop {
        if !greeted && seen.windows(4).any(|four| four == b"\r\n\r\n") {
            if !seen.starts_with(format!("HTTP/1.1 {} ", hello.status).as_bytes()) {
                return Err(io::Error::other(String::from_utf8_lossy(&seen).lines().next().unwrap_or("").to_owned()));
            }
            stream.write_all(&hello.then).await?;
            greeted = true;
        }
        if greeted && seen.windows(hello.welcome.len()).any(|part| part == hello.welcome) {
            return Ok(stream);
        }
        match stream.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => seen.extend_from_slice(&buffer[..n]),
        }
    }
}

thread_local! {
    /// What a watcher reads is looked at at once, so that one place for it does for all.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 256 * 1024]);
}

async fn watch(stream: TcpStream, mut reader: Reader, leave: CancellationToken, done: Arc<AtomicUsize>) -> Told {
    loop {
        tokio::select! {
            biased;
            () = leave.cancelled() => break,
            readable = stream.readable() => if readable.is_err() { break },
        }
        let read = BUFFER.with_borrow_mut(|buffer| {
            let n = stream.try_read(buffer)?;
            reader.take(&buffer[..n]);
            Ok(n)
        });
        match read {
            Ok(0) => break,
            Ok(_) => {}
            Err(e) if io::Error::kind(&e) == io::ErrorKind::WouldBlock => continue,
            Err(_) => break,
        }
        if !reader.done && reader.told.lines >= u64::from(RATE * SECONDS) {
            reader.done = true;
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
    reader.end()
}

/// Finds lines in what comes.
struct Reader {
    sampled: bool,
    done: bool,
    told: Told,
    /// The beginning of the last line, as far as it has come.
    last: Vec<u8>,
}

impl Reader {
    fn new(sampled: bool) -> Self {
        Self { sampled, done: false, told: Told::default(), last: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) {
        if !self.last.is_empty() && self.last.len() < LONGEST {
            let until = bytes.iter().position(|b| *b == MARK).unwrap_or(bytes.len());
            let more = until.min(LONGEST - self.last.len());
            let was_cut = numbers(&self.last).is_none();
            self.last.extend_from_slice(&bytes[..more]);
            if was_cut {
                self.note_time();
            }
        }
        let count = bytes.iter().filter(|b| **b == MARK).count();
        self.told.lines += count as u64;
        if count == 0 {
            return;
        }
        let first = match self.sampled {
            true => bytes.iter().position(|b| *b == MARK),
            false => bytes.iter().rposition(|b| *b == MARK),
        };
        let mut rest = &bytes[first.unwrap_or(0)..];
        loop {
            let next = rest[1..].iter().position(|b| *b == MARK).map(|at| at + 1);
            let line = &rest[..next.unwrap_or(rest.len()).min(LONGEST)];
            self.last.clear();
            self.last.extend_from_slice(line);
            self.note_time();
            match next {
                Some(next) => rest = &rest[next..],
                None => return,
            }
        }
    }

    /// The time of a line that has come whole, of one who is asked.
    fn note_time(&mut self) {
        if self.sampled
            && let Some((_, made)) = numbers(&self.last)
        {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros() as u64);
            self.told.latencies.push(now.saturating_sub(made) as f64 / 1000.0);
        }
    }

    fn end(mut self) -> Told {
        self.told.last = numbers(&self.last).map_or(0, |(number, _)| number);
        self.told
    }
}

/// Number and time of a line, once there is something behind them.
fn numbers(line: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(line.strip_prefix(&[MARK])?).ok()?;
    let (number, rest) = text.split_once(' ')?;
    let (made, _) = rest.split_once(' ')?;
    Some((number.parse().ok()?, made.parse().ok()?))
}

/// A thousand connections are more than programs may have open by default.
pub(super) fn allow_files(wanted: u64) {
    if let Ok((now, most)) = getrlimit(Resource::RLIMIT_NOFILE)
        && now < wanted
    {
        _ = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(most), most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_wherever_they_are_cut() {
        let text: String = (1..=9).map(|n| format!("3f\r\n\"|{n} 1700000000000000 xx\",\r\n")).collect();
        for size in 1..text.len() {
            for sampled in [true, false] {
                let mut reader = Reader::new(sampled);
                text.as_bytes().chunks(size).for_each(|piece| reader.take(piece));
                let told = reader.end();
                assert_eq!((told.lines, told.last), (9, 9), "pieces of {size}");
                assert_eq!(told.latencies.len(), if sampled { 9 } else { 0 }, "pieces of {size}");
            }
        }
    }
}
