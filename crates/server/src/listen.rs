//! Connections: accepted, bounded in time, and closed in good order at the end.
//!
//! Instead of `axum::serve`, because that sets no time limit for the head of a
//! request: a handful of silent clients could hold connections for ever.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use control::Control;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::connections::Connections;
use crate::in_flight::InFlight;
use crate::{Plane, Settings, routes};

/// How long the head of a request may take, and how long a connection may wait for its first and its next request.
const HEAD_TIME: Duration = Duration::from_secs(60);
/// The largest head of a request, in bytes.
const MAX_HEAD: u32 = 64 * 1024;
/// How long requests in flight may take once the server stops.
const GRACE: Duration = Duration::from_secs(10);

/// Where a request comes from: the address of its connection's other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct From(pub(crate) IpAddr);

/// Serves the API until `shutdown` resolves, then lets requests in flight end, for ten seconds at most. Where the
/// database is away they wait for that in vain, and are cut off once it is known. Streams end at once, in a way that makes
/// clients come back.
pub async fn serve(
    control: Control,
    settings: &Settings,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let closing = CancellationToken::new();
    let router = routes::router(Plane::new(control.clone(), closing.clone(), settings), settings);
    let patience = async move { if control.database_answers().await { GRACE } else { Duration::ZERO } };
    let room = Connections::new(settings.trusted_proxies.clone());
    serve_router(router, listener, shutdown, closing, patience, room).await
}

/// Serves `/metrics`, `/healthz` and `/readyz` alone, without tokens, until `shutdown` resolves.
///
/// For an address that only those can reach who may know how much is going on.
pub async fn serve_metrics(
    control: Control,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let closing = CancellationToken::new();
    let router = routes::watching(Plane::new(control, closing.clone(), &Settings::default()));
    serve_router(router, listener, shutdown, closing, async { GRACE }, Connections::new(Vec::new())).await
}

async fn serve_router(
    router: axum::Router,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
    closing: CancellationToken,
    patience: impl Future<Output = Duration>,
    room: Connections,
) -> io::Result<()> {
    let connections = TaskTracker::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepting = async {
            // Who is not accepted yet waits in the kernel, which has room for some more.
            let free = room.room().await;
            (listener.accept().await, free)
        };
        let (accepted, free) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accepting => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if passes(&error) => continue,
            Err(error) => {
                // Out of files, mostly: connections that end give some back.
                tracing::error!(%error, "can't accept connections");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let Some(open) = free.and_then(|free| room.open(free, from.ip())) else {
            tracing::debug!(from = %from.ip(), "a connection too many from there");
            continue;
        };
        let (router, closing) = (router.clone(), closing.clone());
        connections.spawn(async move {
            connection(stream, from.ip(), router, closing, HEAD_TIME).await;
            drop(open);
        });
    }
    drop(listener);
    closing.cancel();
    connections.close();
    let over = async { tokio::time::sleep(patience.await).await };
    tokio::select! {
        biased;
        () = connections.wait() => {}
        () = over => {
            tracing::warn!(left = connections.len(), "requests were still in flight when the server stopped");
        }
    }
    Ok(())
}

/// Until it ends, or nothing was in flight on it for `head_time`.
async fn connection(
    stream: TcpStream,
    from: IpAddr,
    router: axum::Router,
    closing: CancellationToken,
    head_time: Duration,
) {
    // A message of a stream must not wait for the next one.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let mut builder = Builder::new(TokioExecutor::new());
    // Up to 100 headers are read, as the library has it.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head_time).max_buf_size(MAX_HEAD as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .max_header_list_size(MAX_HEAD);
    let in_flight = InFlight::new();
    let begun = in_flight.clone();
    let service = tower::service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(From(from));
        let (request_of, router) = (begun.begin(), router.clone());
        async move { router.oneshot(request).await.map(|response| request_of.until_read(response)) }
    });
    let mut connection =
        std::pin::pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = async { tokio::select! { () = closing.cancelled() => {}, () = in_flight.idle(head_time) => {} } } => {
            connection.as_mut().graceful_shutdown();
            // Who has nothing to get any more, and does not go, is left.
            let left = async {
                tokio::time::sleep(GRACE).await;
                in_flight.idle(head_time).await;
            };
            tokio::select! { result = connection.as_mut() => result, () = left => return }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Errors of the one connection that was about to be accepted.
fn passes(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::routing::get;
    use futures::stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::{Notify, oneshot};

    use super::*;
    use crate::sse;

    const LIMIT: Duration = Duration::from_secs(20);

    async fn get_path(address: std::net::SocketAddr, path: &str) -> TcpStream {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        client
    }

    #[tokio::test]
    async fn a_stop_ends_streams_and_lets_requests_finish() {
        let closing = CancellationToken::new();
        let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (slow_begun, slow_finish, streams) = (begun.clone(), finish.clone(), closing.clone());
        let router =
            Router::new()
                .route(
                    "/slow",
                    get(move || async move {
                        slow_begun.notify_one();
                        slow_finish.notified().await;
                        "done"
                    }),
                )
                .route(
                    "/stream",
                    get(move || async move {
                        sse::response(stream::pending(), streams, sse::Access::new(|| async { Ok(()) }))
                    }),
                );

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve_router(
            router,
            listener,
            async { _ = stopped.await },
            closing,
            async { LIMIT },
            Connections::new(Vec::new()),
        ));

        let mut follower = get_path(address, "/stream").await;
        let mut head = vec![0; 4096];
        let mut seen = String::new();
        while !seen.contains("retry: 1000") {
            let n = tokio::time::timeout(LIMIT, follower.read(&mut head)).await.unwrap().unwrap();
            assert!(n > 0, "the stream's first bytes are sent at once");
            seen.push_str(std::str::from_utf8(&head[..n]).unwrap());
        }
        let mut slow = get_path(address, "/slow").await;
        tokio::time::timeout(LIMIT, begun.notified()).await.unwrap();
        let mut idle = TcpStream::connect(address).await.unwrap();

        stop.send(()).unwrap();
        let mut rest = String::new();
        tokio::time::timeout(LIMIT, follower.read_to_string(&mut rest)).await.unwrap().unwrap();
        assert!(rest.contains("interrupted") && !rest.contains("event: end"), "{rest}");
        assert!(TcpStream::connect(address).await.is_err(), "nobody is accepted any more");
        assert!(!server.is_finished(), "the slow request is still being answered");

        finish.notify_one();
        let mut answer = String::new();
        tokio::time::timeout(LIMIT, slow.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.contains("200 OK") && answer.ends_with("done"), "{answer}");
        // Closed in order, or reset when it had not even been accepted.
        let idle = tokio::time::timeout(LIMIT, idle.read(&mut head)).await.unwrap();
        assert!(matches!(idle, Ok(0) | Err(_)), "{idle:?}");
        tokio::time::timeout(LIMIT, server).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_asks_nothing_is_closed_and_who_reads_a_stream_is_not() {
        const HEAD: Duration = Duration::from_millis(300);
        let closing = CancellationToken::new();
        let streams = closing.clone();
        let router = Router::new().route("/", get(|| async { "here" })).route(
            "/stream",
            get(
                move || async move { sse::response(stream::pending(), streams, sse::Access::new(|| async { Ok(()) })) },
            ),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            loop {
                let (stream, from) = listener.accept().await.unwrap();
                tokio::spawn(connection(stream, from.ip(), router.clone(), closing.clone(), HEAD));
            }
        });
        let mut follower = get_path(address, "/stream").await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut half = TcpStream::connect(address).await.unwrap();
        half.write_all(b"PRI * HT").await.unwrap();
        let mut kept = get_path(address, "/").await;
        // Speaks HTTP/2, answers its pings, and asks once.
        let stream = hyper_util::rt::TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (mut ask, talk) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        let talk = tokio::spawn(talk);
        let request = http::Request::get("http://x/").body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
        let answer = ask.send_request(request).await.unwrap();
        assert_eq!(http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes(), "here");

        let mut said = Vec::new();
        for idle in [&mut silent, &mut half, &mut kept] {
            _ = tokio::time::timeout(LIMIT, idle.read_to_end(&mut said)).await.expect("it is closed");
        }
        assert!(String::from_utf8_lossy(&said).contains("here"));
        tokio::time::timeout(LIMIT, talk).await.expect("it is told to go").unwrap().unwrap();
        drop(ask);
        let mut head = vec![0; 4096];
        while tokio::time::timeout(HEAD * 3, follower.read(&mut head)).await.is_ok_and(|read| read.unwrap() > 0) {}
        let last = tokio::time::timeout(HEAD, follower.read(&mut head)).await;
        assert!(last.is_err(), "a stream lives on: {last:?}");
        server.abort();
    }

    #[tokio::test]
    async fn a_stop_waits_no_longer_than_there_is_hope() {
        let (begun, given_up) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let seen = begun.clone();
        let never = get(move || async move {
            seen.notify_one();
            std::future::pending::<&'static str>().await
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = async move { begun.notified().await };
        let hopeless = given_up.clone();
        let patience = async move {
            hopeless.notified().await;
            Duration::ZERO
        };
        let router = Router::new().route("/never", never);
        let room = Connections::new(Vec::new());
        let server = tokio::spawn(serve_router(router, listener, stop, CancellationToken::new(), patience, room));
        let _request = get_path(address, "/never").await;
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(!server.is_finished(), "the request may still be answered");
        given_up.notify_one();
        tokio::time::timeout(LIMIT, server).await.unwrap().unwrap().unwrap();
    }
}
