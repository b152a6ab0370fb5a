//! Client connections: taking them in, within limits, and letting them go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::heads::Heads;
use crate::keepalive;
use crate::live::Shared;
use crate::peer::Peer;
use crate::places::{Place, Places};
use crate::redirect::Redirect;
use crate::serve;
use crate::tls::Tls;

/// What the requests of one client connection have in common.
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Peer,
    /// The door's, by tokens of its own: those of all connections would be locked by all workers for each request.
    pub(crate) ending: Ending,
    pub(crate) heads: Arc<Heads>,
    _place: Place,
}

/// What a listening socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// What all listening sockets share.
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
    pub(crate) places: Arc<Places>,
    pub(crate) tls: Tls,
    pub(crate) redirect: Option<Redirect>,
    pub(crate) ending: Ending,
}

/// How far the process is on its way to its end.
#[derive(Clone, Default)]
pub(crate) struct Ending {
    /// Another process accepts connections in our place. Kept ones are served until they can be closed without harm.
    pub(crate) handed_over: CancellationToken,
    /// The process is to end soon: connections are closed as soon as they are between two requests.
    pub(crate) stop: CancellationToken,
}

impl Ending {
    /// Whatever ends this ends that one.
    fn child(&self) -> Self {
        Self { handed_over: self.handed_over.child_token(), stop: self.stop.child_token() }
    }

    /// No connection is accepted any more.
    pub(crate) async fn begun(&self) {
        tokio::select! {
            () = self.handed_over.cancelled() => {}
            () = self.stop.cancelled() => {}
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes connections until the process is about to end.
pub(crate) async fn accept(listener: TcpListener, scheme: Scheme, door: Arc<Door>) {
    loop {
        let next = async {
            // Beyond the limit clients wait in the kernel's queue.
            let place = door.places.wait().await?;
            Some((listener.accept().await, place))
        };
        let (accepted, place) = tokio::select! {
            () = door.ending.begun() => return,
            next = next => match next {
                Some(next) => next,
                None => return,
            },
        };
        match accepted {
            Ok((stream, address)) => {
                if let Some(place) = door.places.take(place, address.ip()) {
                    let connection = Connection::new(&door, address, scheme, place);
                    let (shared, door) = (&door.shared, door.clone());
                    let serve = move |stream| serve::serve(stream, address, connection, door);
                    shared.workers.spawn(&shared.tasks, stream, serve);
                }
            }
            Err(e) => {
                // Out of file descriptors, or the client is gone already: the next one may do better.
                tracing::warn!(error = %e, "can't take a connection");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

impl Connection {
    fn new(door: &Door, address: SocketAddr, scheme: Scheme, place: Place) -> Self {
        door.shared.connections.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: door.shared.clone(),
            peer: Peer::new(address.ip(), scheme == Scheme::Https),
            ending: door.ending.child(),
            heads: Arc::default(),
            _place: place,
        }
    }
}

/// What holds for every connection's socket.
pub(crate) fn prepare(stream: &TcpStream, stall: Duration) {
    let _ = stream.set_nodelay(true);
    keepalive::ask(stream);
    // The kernel gives up on clients that don't take what is sent, so no timer is needed here.
    let stall = u32::try_from(stall.as_millis()).unwrap_or(u32::MAX);
    #[cfg(target_os = "linux")]
    let _ = nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::TcpUserTimeout, &stall);
}
