//! Client connections: taking them in, within limits, and letting them go.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderValue, Request, header};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::live::Shared;
use crate::proxy;

/// What the requests of one client connection have in common.
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    /// The client's address.
    pub(crate) client: HeaderValue,
    pub(crate) heads: Arc<Heads>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes connections until `stop`, at most `most` at a time.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>, most: usize, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(most));
    loop {
        let next = async {
            // Beyond the limit clients wait in the kernel's queue.
            let place = places.clone().acquire_owned().await.ok()?;
            Some((listener.accept().await, place))
        };
        let (accepted, place) = tokio::select! {
            () = stop.cancelled() => return,
            next = next => match next {
                Some(next) => next,
                None => return,
            },
        };
        match accepted {
            Ok((stream, address)) => {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let connection = Connection {
                    shared: shared.clone(),
                    client: proxy::client_header(address.ip()),
                    heads: Arc::default(),
                    _place: place,
                };
                shared.tasks.spawn(serve(stream, address, connection, stop.clone()));
            }
            Err(e) => {
                // Out of file descriptors, or the client is gone already: the next one may do better.
                tracing::warn!(error = %e, "can't take a connection");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, address: SocketAddr, connection: Connection, stop: CancellationToken) {
    let limits = connection.shared.limits.clone();
    let _ = stream.set_nodelay(true);
    // The kernel gives up on clients that don't take what is sent, so no timer is needed here.
    let stall = u32::try_from(limits.write_stall.as_millis()).unwrap_or(u32::MAX);
    #[cfg(target_os = "linux")]
    let _ = nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::TcpUserTimeout, &stall);
    let heads = connection.heads.clone();
    let connection = Arc::new(connection);
    let service = service_fn(move |request| {
        let connection = connection.clone();
        async move { Ok::<_, Infallible>(proxy::answer(connection, request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_header_size(limits.head_size)
        .max_buf_size((limits.head_size * 2).max(64 << 10));
    // Any number but hyper's own costs an allocation for each request.
    if limits.headers != 100 {
        http.max_headers(limits.headers);
    }
    let serving = http.serve_connection(TokioIo::new(Recorded { stream, heads }), service).with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(e) = ended {
        tracing::debug!(client = %address, error = %e, "connection ended");
    }
}

/// Whether a request's length is beyond doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Clear,
    /// `Content-Length` and `Transfer-Encoding`: what one server takes for a body is a request for another.
    Ambiguous,
    /// Chunked, and its head was not recorded. hyper goes by the encoding alone, which is safe, but RFC 9112
    /// section 6.3 wants the connection closed after it.
    Unknown,
}

/// The bytes of the request head that a connection read last.
///
/// hyper drops `Content-Length` where there is a `Transfer-Encoding` too, before anyone can see it; so the raw
/// bytes are kept until the request is with us. Bodies are not recorded.
#[derive(Debug)]
pub(crate) struct Heads {
    bytes: Mutex<Vec<u8>>,
    recording: AtomicBool,
}

impl Default for Heads {
    fn default() -> Self {
        Self { bytes: Mutex::default(), recording: AtomicBool::new(true) }
    }
}

impl Heads {
    /// Judges a request that has just arrived, and forgets its head.
    pub(crate) fn framing<B: hyper::body::Body>(&self, request: &Request<B>) -> Framing {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let framing = if request.headers().contains_key(header::TRANSFER_ENCODING) {
            judge(&bytes, request)
        } else {
            Framing::Clear
        };
        bytes.clear();
        if !request.body().is_end_stream() {
            self.recording.store(false, Ordering::Relaxed);
        }
        framing
    }

    /// The body is through; what is read from now on is a head again.
    pub(crate) fn resume(&self) {
        self.recording.store(true, Ordering::Relaxed);
    }

    fn record(&self, read: &[u8]) {
        if self.recording.load(Ordering::Relaxed) {
            let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
            // Longer than any head that hyper accepts: of no use.
            if bytes.len() <= 1 << 20 {
                bytes.extend_from_slice(read);
            }
        }
    }
}

fn judge<B>(recorded: &[u8], request: &Request<B>) -> Framing {
    let mut lines = recorded.split(|&b| b == b'\n').map(<[u8]>::trim_ascii).skip_while(|l| l.is_empty());
    let expected = format!("{} {} ", request.method(), request.uri());
    if !lines.next().is_some_and(|first| first.starts_with(expected.as_bytes())) {
        return Framing::Unknown;
    }
    let mut encoded = false;
    for line in lines {
        if line.is_empty() {
            return if encoded { Framing::Clear } else { Framing::Unknown };
        }
        let name = line.split(|&b| b == b':').next().unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            return Framing::Ambiguous;
        }
        encoded |= name.eq_ignore_ascii_case(b"transfer-encoding");
    }
    Framing::Unknown
}

/// A stream that leaves a copy of request heads.
struct Recorded {
    stream: TcpStream,
    heads: Arc<Heads>,
}

impl AsyncRead for Recorded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.heads.record(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
