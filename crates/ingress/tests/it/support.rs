//! An ingress, upstreams and a client that hides nothing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::{DeploymentId, EnvironmentId, ReleaseId};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ingress::{Client, EnvironmentRoutes, Gate, Limits, Options, Route, RouteLimits, RunError, Standby, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

pub(crate) const HOST: &str = "app.localhost";

/// An ingress in this process.
pub(crate) struct Ingress {
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    https: Option<SocketAddr>,
    pub(crate) dir: PathBuf,
    _temp: Option<tempfile::TempDir>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
}

impl Ingress {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let mut ingress = Self::on(&temp.path().join("ingress"), limits).await;
        ingress._temp = Some(temp);
        ingress
    }

    pub(crate) async fn on(dir: &Path, limits: Limits) -> Self {
        let settings = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_as(Options { limits, ..Options::new(dir, settings) }).await
    }

    /// With a folder of its own if none is named.
    pub(crate) async fn start_as(mut options: Options) -> Self {
        let temp = options.dir.as_os_str().is_empty().then(|| tempfile::tempdir().unwrap());
        if let Some(temp) = &temp {
            options.dir = temp.path().join("ingress");
        }
        let dir = options.dir.clone();
        let stop = CancellationToken::new();
        let task = tokio::spawn(ingress::serve(options, stop.clone().cancelled_owned()));
        let client = Client::new(&dir);
        let status = until(|| async { client.status().await.ok() }).await;
        Self { client, address: status.listen, https: status.https, dir, _temp: temp, stop, task }
    }

    /// Where it listens for HTTPS.
    pub(crate) fn https(&self) -> SocketAddr {
        self.https.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    pub(crate) fn begin_stop(&self) {
        self.stop.cancel();
    }

    pub(crate) async fn raw(&self) -> Raw {
        Raw::connect(self.address).await
    }

    /// One GET on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.raw().await.get(path).await
    }

    pub(crate) async fn route(&self, generation: u64, upstreams: &[SocketAddr]) {
        self.client.cutover(routes(generation, upstreams)).await.unwrap();
    }
}

/// Polls until something is there; fails after 60 s.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not happen within 60 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn deployment(n: u64) -> DeploymentId {
    DeploymentId::from_ulid(Ulid::from_parts(2, n.into()))
}

pub(crate) fn release(n: u64) -> ReleaseId {
    ReleaseId::from_ulid(Ulid::from_parts(3, n.into()))
}

pub(crate) fn environment() -> EnvironmentId {
    EnvironmentId::from_ulid(Ulid::from_parts(1, 1))
}

/// Everything on [`HOST`] goes to `upstreams`, as deployment and release number `generation` want it.
pub(crate) fn routes(generation: u64, upstreams: &[SocketAddr]) -> EnvironmentRoutes {
    targeting(generation, Target::Upstreams { upstreams: upstreams.to_vec(), standby: vec![], gate: Gate::Tcp })
}

pub(crate) fn with_standby(
    generation: u64,
    upstreams: &[SocketAddr],
    old: SocketAddr,
    old_release: u64,
) -> EnvironmentRoutes {
    let standby = vec![Standby { address: old, release: release(old_release) }];
    targeting(generation, Target::Upstreams { upstreams: upstreams.to_vec(), standby, gate: Gate::None })
}

pub(crate) fn targeting(generation: u64, target: Target) -> EnvironmentRoutes {
    EnvironmentRoutes {
        environment: environment(),
        app: "hello".parse().unwrap(),
        environment_name: "production".parse().unwrap(),
        generation,
        deployment: deployment(generation),
        release: release(generation),
        routes: vec![Route {
            host: HOST.parse().unwrap(),
            path: "/".parse().unwrap(),
            component: "web".parse().unwrap(),
            target,
            limits: RouteLimits::default(),
        }],
    }
}

/// An upstream. Dropping or killing it closes its socket and all its connections at once.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Origin {
    /// Speaks HTTP as `answer` says.
    pub(crate) async fn http<F>(answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        Self::http_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer)
    }

    fn http_on<F>(
        listener: TcpListener,
        answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        Self::on(listener, move |stream| {
            let answer = answer.clone();
            async move {
                let service = service_fn(move |request| {
                    let answer = answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            }
        })
    }

    /// Answers everything with its name; `/slow` after 150 ms.
    pub(crate) async fn named(name: &str) -> Self {
        Self::named_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), name)
    }

    fn named_on(listener: TcpListener, name: &str) -> Self {
        let name = Bytes::from(name.to_owned());
        Self::http_on(listener, move |request| {
            let name = name.clone();
            async move {
                if request.uri().path() == "/slow" {
                    tokio::time::sleep(Duration::from_millis(150)).await;
                }
                let _ = request.into_body().collect().await;
                Response::new(Full::new(name))
            }
        })
    }

    /// Answers with the request's line and headers as it got them, one each line, and the body.
    pub(crate) async fn echo() -> Self {
        Self::http(|request| async move {
            let (parts, body) = request.into_parts();
            let mut lines = vec![format!("{} {}", parts.method, parts.uri)];
            lines.extend(parts.headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())));
            let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
            let text = [lines.join("\n").into_bytes(), body.to_vec()].join(&b"\n\n"[..]);
            Response::new(Full::new(text.into()))
        })
        .await
    }

    /// Switches protocols at once, and then says what it hears.
    pub(crate) async fn upgrading() -> Self {
        Self::raw(|mut stream| async move {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
            let _ = stream.write_all(switch).await;
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                if stream.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
        })
        .await
    }

    /// Does with each connection what `talk` says.
    pub(crate) async fn raw<F>(talk: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), talk)
    }

    fn on<F>(listener: TcpListener, talk: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(talk(stream));
            }
        });
        Self { address, task }
    }

    pub(crate) async fn kill(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An upstream that takes no connection, and whose queue has no room: the kernel drops what comes, and nobody is refused.
pub(crate) struct Crowded {
    pub(crate) address: SocketAddr,
    listener: TcpListener,
    /// Those in its queue.
    queue: Vec<TcpStream>,
}

impl Crowded {
    pub(crate) async fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = vec![];
        while let Ok(connected) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            queue.push(connected.unwrap());
            assert!(queue.len() < 10, "its queue has no end");
        }
        Self { address, listener, queue }
    }

    /// From now on it takes all connections, and answers with its name.
    pub(crate) fn open(self, name: &str) -> Origin {
        drop(self.queue);
        Origin::named_on(self.listener, name)
    }
}

/// An address where nothing listens.
pub(crate) async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A client that never repeats anything.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), buffer: vec![] }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        self.answer().await.unwrap()
    }

    /// The next response to a request that was not HEAD.
    pub(crate) async fn answer(&mut self) -> Result<Answer, String> {
        self.read(false).await
    }

    /// The next response, at most 60 s from now. `Err` says how it broke off.
    pub(crate) async fn read(&mut self, head: bool) -> Result<Answer, String> {
        tokio::time::timeout(Duration::from_secs(60), self.read_on(head)).await.map_err(|_| "no answer within 60 s")?
    }

    async fn read_on(&mut self, is_head: bool) -> Result<Answer, String> {
        let end = loop {
            if let Some(n) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break n + 4;
            }
            self.more("head").await?;
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let mut lines = head.lines();
        let status: u16 =
            lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok()).ok_or(head.clone())?;
        let headers: BTreeMap<String, String> =
            lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).collect();
        let mut answer = Answer { status, headers, body: vec![] };
        if is_head || matches!(status, 100..=199 | 204 | 304) {
            return Ok(answer);
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.line().await?;
                let size = usize::from_str_radix(&line, 16).map_err(|_| format!("chunk size `{line}`"))?;
                answer.body.extend(self.take(size).await?);
                self.line().await?;
                if size == 0 {
                    return Ok(answer);
                }
            }
        } else if let Some(length) = answer.header("content-length").map(|l| l.parse().unwrap()) {
            answer.body = self.take(length).await?;
        } else {
            while self.more("body").await.is_ok() {}
            answer.body = std::mem::take(&mut self.buffer);
        }
        Ok(answer)
    }

    async fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(n) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let line = self.buffer.drain(..n + 2).take(n).collect();
                return String::from_utf8(line).map_err(|e| e.to_string());
            }
            self.more("line").await?;
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>, String> {
        while self.buffer.len() < length {
            self.more("body").await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn more(&mut self, what: &str) -> Result<(), String> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(format!("closed in the {what} after {} bytes", self.buffer.len())),
            Ok(_) => Ok(()),
            Err(e) => Err(format!("{e} in the {what}")),
        }
    }

    /// So many bytes, at most 60 s from now.
    pub(crate) async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, String> {
        tokio::time::timeout(Duration::from_secs(60), self.take(length)).await.map_err(|_| "not within 60 s")?
    }

    /// The ingress closes the connection without another byte, and not because a head takes too long, which is 30 s.
    pub(crate) async fn is_closed(&mut self) -> bool {
        tokio::time::timeout(Duration::from_secs(25), self.more("end")).await.is_ok_and(|r| r.is_err())
    }
}

/// Kills the processes that `ensure` started with a folder, however the test ends.
pub(crate) struct Reaper(pub(crate) PathBuf);

impl Drop for Reaper {
    fn drop(&mut self) {
        for pid in processes(&self.0) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// Processes of the ingress that live and were started with a folder.
pub(crate) fn processes(dir: &Path) -> Vec<i32> {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let argument = [b"\0", dir.as_os_str().as_encoded_bytes(), b"\0"].concat();
    let mut found = vec![];
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if pid != std::process::id() as i32 && arguments.windows(argument.len()).any(|w| w == argument) {
            found.push(pid);
        }
    }
    found
}

/// The ingress as a program, built with these tests.
pub(crate) fn binary() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let path = deps.parent().and_then(Path::parent).unwrap().join("examples/ingress");
    assert!(path.exists(), "build the example `ingress` first: {}", path.display());
    path
}
