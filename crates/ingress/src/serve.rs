//! One client connection: TLS if it is for that, then HTTP/1.1 or HTTP/2, until its end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::header::{CONNECTION, HOST, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::body::ResponseBody;
use crate::connection::{self, Connection, Door, Ending};
use crate::options::Limits;
use crate::pages::Page;
use crate::redirect::as_http1;
use crate::stalls::Stalls;
use crate::watched::Watched;
use crate::{proxy, tls};

/// How an HTTP/2 connection begins, RFC 9113 section 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Between two looks at an HTTP/2 connection.
const LOOK: Duration = Duration::from_secs(5);
/// For an HTTP/2 client without open requests to take leave.
const FAREWELL: Duration = Duration::from_secs(3);

pub(crate) async fn serve(stream: TcpStream, client: SocketAddr, connection: Connection, door: Arc<Door>) {
    let limits = &door.shared.limits;
    connection::prepare(&stream, limits.write_stall);
    let ended = match connection.peer.secure {
        false => match timeout(limits.head_time, speaks_h2(&stream)).await {
            Ok(Ok(true)) => http2(stream, connection, &door).await,
            Ok(Ok(false)) => http1(stream, connection, &door).await,
            Ok(Err(e)) => Err(e.into()),
            Err(_) => Err("it said nothing".into()),
        },
        true => match door.tls.accept(stream, limits.handshake).await {
            Ok(stream) if tls::speaks_h2(&stream) => http2(stream, connection, &door).await,
            Ok(stream) => http1(stream, connection, &door).await,
            Err(e) => Err(e.into()),
        },
    };
    if let Err(e) = ended {
        tracing::debug!(%client, error = %e, "connection ended");
    }
}

type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn http1<S>(stream: S, connection: Connection, door: &Arc<Door>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &door.shared.limits;
    let stream = Watched::new(stream, connection.heads.clone(), limits.head_time);
    let ending = connection.ending.clone();
    let connection = Arc::new(connection);
    let service = service_fn(|request| answer(connection.clone(), door, request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // It runs between requests, too; the time for the head alone is kept by the stream.
        .header_read_timeout(limits.idle.max(limits.head_time))
        .max_header_size(limits.head_size)
        .max_buf_size((limits.head_size * 2).max(64 << 10));
    // Any number but hyper's own costs an allocation for each request.
    if limits.headers != 100 {
        http.max_headers(limits.headers);
    }
    let mut serving = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    tokio::select! {
        biased;
        ended = serving.as_mut() => return Ok(ended?),
        () = ending.stop.cancelled() => {}
        // One more request is answered, and told to close the connection: a client that sends it at this moment
        // loses nothing. So only those that have nothing to say are closed here.
        () = lingered(&ending, limits.linger) => {}
    }
    serving.as_mut().graceful_shutdown();
    Ok(serving.await?)
}

async fn lingered(ending: &Ending, linger: Duration) {
    ending.handed_over.cancelled().await;
    tokio::time::sleep(linger).await;
}

async fn answer(
    connection: Arc<Connection>,
    door: &Door,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    if !connection.peer.secure
        && let Some(redirect) = &door.redirect
        && let Some(mut elsewhere) = redirect.answer(&request, &door.shared.secret)
    {
        connection.heads.framing(&request);
        // The body, if there is one, is not read.
        elsewhere.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return Ok(elsewhere);
    }
    let mut response = proxy::answer(connection.clone(), request).await;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        connection.heads.end();
    } else if connection.ending.handed_over.is_cancelled() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// Requests of one HTTP/2 connection, for whoever watches it.
struct Activity {
    begun: Instant,
    /// When the last request came, in milliseconds since `begun`.
    last: AtomicU64,
}

async fn http2<S>(stream: S, connection: Connection, door: &Arc<Door>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &door.shared.limits;
    let ending = connection.ending.clone();
    let connection = Arc::new(connection);
    // Frames tell where heads and bodies end.
    connection.heads.end();
    let activity = Activity { begun: Instant::now(), last: AtomicU64::new(0) };
    let stalls = Stalls::default();
    let service = service_fn(|request| {
        activity.last.store(millis(activity.begun.elapsed()), Ordering::Relaxed);
        let (connection, door, open) = (connection.clone(), door.clone(), stalls.begin());
        async move { Ok::<_, Infallible>(open.answered(answer_h2(connection, door, request).await)) }
    });
    let http = http2_builder(limits);
    let mut serving = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut clock = tokio::time::interval(LOOK.min(limits.idle));
    let mut left: Option<Instant> = None;
    loop {
        let leave = tokio::select! {
            ended = serving.as_mut() => return Ok(ended?),
            () = ending.begun(), if left.is_none() => true,
            () = stalls.too_much_taken_back() => {
                // One that means no harm opens another connection when it is told to.
                if left.is_some() {
                    return Err("the client takes back what it asks for".into());
                }
                true
            }
            _ = clock.tick() => {
                let since = millis(activity.begun.elapsed()).saturating_sub(activity.last.load(Ordering::Relaxed));
                // A client may pause one response while it asks for others, but not for ever.
                let patience = if since > millis(limits.write_stall) { 1 } else { 10 };
                if stalls.longest() > limits.write_stall * patience {
                    return Err("the client takes nothing of a response".into());
                }
                if left.is_some_and(|at| at.elapsed() > FAREWELL) && stalls.open() == 0 {
                    return Err("the client does not take leave".into());
                }
                since > millis(limits.idle)
            }
        };
        // Streams that are open are finished; no new ones are opened.
        if leave && left.is_none() {
            left = Some(Instant::now());
            serving.as_mut().graceful_shutdown();
        }
    }
}

fn http2_builder(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_size).unwrap_or(u32::MAX))
        // Each stream and each connection may keep so much of a body here that the app has not taken.
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .max_send_buf_size(64 << 10)
        // Streams that a client opens and takes back at once (CVE-2023-44487), or makes us reset (CVE-2025-8671).
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100)
        .keep_alive_interval(limits.ping)
        .keep_alive_timeout(limits.ping);
    http
}

async fn answer_h2(
    connection: Arc<Connection>,
    door: Arc<Door>,
    mut request: Request<Incoming>,
) -> Response<ResponseBody> {
    // A stream's pseudo-header and `Host` must agree, RFC 9113 section 8.3.1.
    let authority = request.uri().authority().map(|a| a.as_str());
    let agrees = request.headers().get(HOST).is_none_or(|host| Some(host.as_bytes()) == authority.map(str::as_bytes));
    if !agrees {
        return Page::new(StatusCode::BAD_REQUEST, request.headers()).last_response(None);
    }
    as_http1(&mut request);
    let Ok(mut response) = answer(connection, &door, request).await;
    // There is no such header in HTTP/2.
    response.headers_mut().remove(CONNECTION);
    response
}

/// Whether the client begins with HTTP/2's preface. Nothing of what it sent is taken.
async fn speaks_h2(stream: &TcpStream) -> io::Result<bool> {
    let mut start = [0_u8; 4];
    loop {
        let count = stream.peek(&mut start).await?;
        if count == 0 || start[..count] != PREFACE[..count] {
            return Ok(false);
        }
        if count == start.len() {
            return Ok(true);
        }
        // What is there already can't be waited for again.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
