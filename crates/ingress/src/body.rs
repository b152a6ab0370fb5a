//! Bodies on their way through: never gathered, each piece passed on as it comes.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tokio::time::Sleep;
use tower_http::services::fs::ServeFileSystemResponseBody;

use crate::epoch::InFlight;
use crate::heads::Heads;
use crate::options::Limits;
use crate::pace::Pace;
use crate::upstream::{Sender, Upstream};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request's body, towards the upstream.
pub(crate) enum RequestBody {
    Empty,
    Stream(Box<Stream>),
}

pub(crate) struct Stream {
    incoming: Incoming,
    progress: Arc<Progress>,
    /// The connection may record heads again once the body is through.
    heads: Arc<Heads>,
    limit: Duration,
    stall: Option<Pin<Box<Sleep>>>,
    pace: Pace,
}

/// How far a request's body has come.
#[derive(Debug)]
pub(crate) struct Progress {
    begun: Instant,
    /// Of the last piece, in milliseconds since `begun`.
    last: AtomicU64,
    done: AtomicBool,
    /// The client sent no more, or its connection broke.
    broken: AtomicBool,
}

impl Progress {
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    pub(crate) fn last(&self) -> Instant {
        self.begun + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}

impl RequestBody {
    /// The body, and how to watch it if there is one.
    pub(crate) fn new(incoming: Incoming, limits: &Limits, heads: &Arc<Heads>) -> (Self, Option<Arc<Progress>>) {
        if incoming.is_end_stream() {
            return (Self::Empty, None);
        }
        let progress = Arc::new(Progress {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            done: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        });
        let pace = Pace::new(limits.body_rate, limits.body_patience);
        let (limit, heads) = (limits.body_idle, heads.clone());
        let stream = Stream { incoming, progress: progress.clone(), heads, limit, stall: None, pace };
        (Self::Stream(Box::new(stream)), Some(progress))
    }
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Stream(stream) => stream.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(stream) => stream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(stream) => stream.incoming.size_hint(),
        }
    }
}

impl Stream {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.stall = None;
                if !self.pace.receive(frame.data_ref().map_or(0, Bytes::len), Instant::now()) {
                    return self.give_up();
                }
                let millis = u64::try_from(self.progress.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.progress.last.store(millis, Ordering::Relaxed);
                if self.incoming.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                self.finish();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(e))) => {
                self.progress.broken.store(true, Ordering::Release);
                Poll::Ready(Some(Err(e.into())))
            }
            Poll::Pending => {
                let limit = self.limit;
                let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                if stall.as_mut().poll(cx).is_ready() {
                    return self.give_up();
                }
                self.pace.wait(Instant::now());
                Poll::Pending
            }
        }
    }

    /// The client is too slow.
    fn give_up(&self) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.progress.broken.store(true, Ordering::Release);
        Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())))
    }

    fn finish(&self) {
        self.progress.done.store(true, Ordering::Release);
        self.heads.resume();
    }
}

/// A response's body, towards the client. The request counts as in flight until this is dropped.
pub(crate) struct ResponseBody {
    kind: Kind,
    in_flight: Option<InFlight>,
    sent: u64,
}

enum Kind {
    Empty,
    Page(Option<Bytes>),
    Upstream { incoming: Incoming, lease: Option<Lease>, ended: bool },
    File(ServeFileSystemResponseBody),
}

/// A connection that becomes free when its response has ended.
pub(crate) struct Lease {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) sender: Sender,
    pub(crate) progress: Option<Arc<Progress>>,
}

impl Lease {
    fn free(self) {
        // An upstream that answered before it had the whole request may treat its rest as the next one.
        if self.progress.is_none_or(|p| p.is_done()) {
            self.upstream.put_back(self.sender);
        }
    }
}

impl ResponseBody {
    pub(crate) fn empty(in_flight: Option<InFlight>) -> Self {
        Self { kind: Kind::Empty, in_flight, sent: 0 }
    }

    pub(crate) fn page(text: Bytes, in_flight: Option<InFlight>) -> Self {
        Self { kind: Kind::Page(Some(text)), in_flight, sent: 0 }
    }

    pub(crate) fn upstream(incoming: Incoming, lease: Lease, in_flight: InFlight) -> Self {
        let ended = incoming.is_end_stream();
        Self { kind: Kind::Upstream { incoming, lease: Some(lease), ended }, in_flight: Some(in_flight), sent: 0 }
    }

    pub(crate) fn file(body: ServeFileSystemResponseBody, in_flight: InFlight) -> Self {
        Self { kind: Kind::File(body), in_flight: Some(in_flight), sent: 0 }
    }
}

impl hyper::body::Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let frame = match &mut this.kind {
            Kind::Empty => None,
            Kind::Page(text) => text.take().map(|t| Ok(Frame::data(t))),
            Kind::File(body) => match Pin::new(body).poll_frame(cx) {
                Poll::Ready(frame) => frame.map(|f| f.map_err(Into::into)),
                Poll::Pending => return Poll::Pending,
            },
            Kind::Upstream { incoming, lease, ended } => match Pin::new(incoming).poll_frame(cx) {
                Poll::Ready(Some(Err(e))) => {
                    *lease = None;
                    if let Some(in_flight) = &this.in_flight {
                        in_flight.counters().aborted();
                    }
                    Some(Err(e.into()))
                }
                Poll::Ready(frame) => {
                    *ended |= frame.is_none();
                    frame.map(|f| f.map_err(Into::into))
                }
                Poll::Pending => return Poll::Pending,
            },
        };
        if let Some(Ok(frame)) = &frame {
            this.sent += frame.data_ref().map_or(0, |d| d.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty | Kind::Page(None) => true,
            Kind::Page(Some(_)) => false,
            Kind::Upstream { incoming, .. } => incoming.is_end_stream(),
            Kind::File(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty | Kind::Page(None) => SizeHint::with_exact(0),
            Kind::Page(Some(text)) => SizeHint::with_exact(text.len() as u64),
            Kind::Upstream { incoming, .. } => incoming.size_hint(),
            Kind::File(body) => body.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Kind::Upstream { incoming, lease, ended } = &mut self.kind
            && (*ended || incoming.is_end_stream())
            && let Some(lease) = lease.take()
        {
            lease.free();
        }
        if let Some(in_flight) = &self.in_flight {
            in_flight.counters().sent(self.sent);
        }
    }
}
