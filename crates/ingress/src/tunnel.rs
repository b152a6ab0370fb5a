//! Connections that switched protocols: bytes both ways until both sides have said all, or until the release behind
//! them is about to be stopped. Then a WebSocket gets a close frame, anything else the end of its stream.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::body::ResponseBody;
use crate::connection::Connection;
use crate::epoch::InFlight;
use crate::reply::Reply;
use crate::websocket::{CLOSE_TO_CLIENT, CLOSE_TO_SERVER, Frames};

/// From the wish to close a tunnel to its end.
pub(crate) const GRACE: Duration = Duration::from_secs(2);
const PIECE: usize = 8 << 10;

/// The upstream's side of a tunnel.
pub(crate) struct Far {
    pub(crate) stream: TcpStream,
    /// What it said right after its agreement.
    pub(crate) said: Bytes,
}

/// Agrees with the client, too, and passes bytes as soon as it has heard. It counts as a request in flight.
pub(crate) fn open(
    reply: Reply,
    far: Far,
    client: OnUpgrade,
    mut in_flight: InFlight,
    connection: &Arc<Connection>,
) -> Response<ResponseBody> {
    in_flight.answered(reply.status);
    in_flight.tunnels();
    let is_websocket = reply.upgrade.as_ref().is_some_and(|u| u.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let open = connection.clone();
    connection.shared.tasks.spawn(async move {
        if let Ok(client) = client.await {
            // Either side's failure ends both; there is nobody left to tell.
            let _ = pass(TokioIo::new(client), far, is_websocket, &in_flight).await;
        }
        drop((in_flight, open));
    });
    let mut response = Response::new(ResponseBody::empty(None));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = reply.headers;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = reply.upgrade {
        response.headers_mut().insert(header::UPGRADE, protocol);
    }
    response
}

async fn pass(
    client: impl AsyncRead + AsyncWrite + Unpin,
    far: Far,
    is_websocket: bool,
    in_flight: &InFlight,
) -> io::Result<()> {
    let (from_client, mut to_client) = tokio::io::split(client);
    let (from_far, to_far) = far.stream.into_split();
    let mut frames = is_websocket.then(Frames::default);
    if let Some(frames) = &mut frames {
        frames.feed(&far.said);
    }
    to_client.write_all(&far.said).await?;
    let mut down = Pump::new(from_far, to_client, frames, CLOSE_TO_CLIENT);
    let mut up = Pump::new(from_client, to_far, is_websocket.then(Frames::default), CLOSE_TO_SERVER);
    let (closing, behind) = in_flight.closing();
    let closing = async {
        tokio::select! {
            () = closing.cancelled() => {}
            () = async { match behind { Some(behind) => behind.cancelled().await, None => pending().await } } => {}
        }
    };
    {
        let both = async { tokio::try_join!(down.run(), up.run()).map(drop) };
        tokio::select! {
            ended = both => return ended,
            () = closing => {}
        }
    }
    let close = async {
        tokio::try_join!(down.close(), up.close())?;
        // The other side's goodbye, so that its end sees a whole conversation and no reset.
        tokio::try_join!(down.hear_out(), up.hear_out()).map(drop)
    };
    timeout(GRACE, close).await.unwrap_or(Ok(()))
}

/// One direction.
struct Pump<R, W> {
    from: R,
    to: W,
    /// Followed if they are those of a WebSocket.
    frames: Option<Frames>,
    goodbye: &'static [u8],
    buffer: Box<[u8; PIECE]>,
    /// Read, and not yet written. Kept here, as a pump may be stopped at any await.
    pending: std::ops::Range<usize>,
    ended: bool,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Pump<R, W> {
    fn new(from: R, to: W, frames: Option<Frames>, goodbye: &'static [u8]) -> Self {
        Self { from, to, frames, goodbye, buffer: Box::new([0; PIECE]), pending: 0..0, ended: false }
    }

    /// Until the end of what comes, which is passed on as well.
    async fn run(&mut self) -> io::Result<()> {
        while !self.ended {
            self.write().await?;
            let read = self.from.read(&mut self.buffer[..]).await?;
            self.ended = read == 0;
            if let Some(frames) = &mut self.frames {
                frames.feed(&self.buffer[..read]);
            }
            self.pending = 0..read;
        }
        self.to.shutdown().await
    }

    /// Says goodbye at the next place where that is possible.
    async fn close(&mut self) -> io::Result<()> {
        self.write().await?;
        let Some(mut frames) = self.frames.take().filter(|_| !self.ended) else {
            return self.to.shutdown().await;
        };
        while !frames.is_between() {
            let read = self.from.read(&mut self.buffer[..]).await?;
            if read == 0 {
                self.ended = true;
                return self.to.shutdown().await;
            }
            let end = frames.feed(&self.buffer[..read]);
            self.pending = 0..end.unwrap_or(read);
            self.write().await?;
            if end.is_some() {
                break;
            }
        }
        self.to.write_all(self.goodbye).await?;
        self.to.shutdown().await
    }

    async fn hear_out(&mut self) -> io::Result<()> {
        while !self.ended {
            self.ended = self.from.read(&mut self.buffer[..]).await? == 0;
        }
        Ok(())
    }

    async fn write(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            let written = self.to.write(&self.buffer[self.pending.clone()]).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.pending.start += written;
        }
        self.to.flush().await
    }
}
