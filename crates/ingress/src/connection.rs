//! Client connections: taking them in, within limits, and letting them go.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::heads::{Heads, Recorded};
use crate::live::Shared;
use crate::peer::Peer;
use crate::proxy;

/// What the requests of one client connection have in common.
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Peer,
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
                    peer: Peer::new(address.ip(), false),
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
    let serving = http.serve_connection(TokioIo::new(Recorded::new(stream, heads)), service).with_upgrades();
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
