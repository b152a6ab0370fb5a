//! A request's body on its way through: never gathered, each piece passed on as it comes, within limits.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming};
use tokio::time::Sleep;

use crate::headers;
use crate::heads::Heads;
use crate::options::Limits;
use crate::pace::Pace;

pub(crate) struct Upload {
    incoming: Incoming,
    /// The connection may record heads again once the body is through.
    heads: Arc<Heads>,
    /// Between two pieces.
    limit: Duration,
    /// Bytes that may still come.
    left: u64,
    chunked: bool,
    last: Instant,
    stall: Option<Pin<Box<Sleep>>>,
    pace: Pace,
}

/// Why a body did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The client sent no more in time, or too slowly.
    Stalled,
    /// Its connection ended, or what it sent is no body.
    Off,
    /// It is longer than the route takes.
    TooLong,
}

impl Upload {
    /// None if there is no body.
    pub(crate) fn new(incoming: Incoming, limits: &Limits, heads: &Arc<Heads>) -> Option<Box<Self>> {
        if incoming.is_end_stream() {
            return None;
        }
        let (heads, chunked, last) = (heads.clone(), incoming.size_hint().exact().is_none(), Instant::now());
        let (limit, pace) = (limits.body_idle, Pace::new(limits.body_rate, limits.body_patience));
        Some(Box::new(Self { incoming, heads, limit, left: u64::MAX, chunked, last, stall: None, pace }))
    }

    /// `most` bytes are taken from now on. To be said before anything was taken.
    pub(crate) fn admit(&mut self, most: Option<u64>) -> Result<(), Broken> {
        self.left = most.unwrap_or(u64::MAX);
        if self.length().is_some_and(|length| length > self.left) { Err(Broken::TooLong) } else { Ok(()) }
    }

    /// Its length is not known beforehand.
    pub(crate) fn is_chunked(&self) -> bool {
        self.chunked
    }

    /// In bytes, if it is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    pub(crate) fn is_through(&self) -> bool {
        self.incoming.is_end_stream()
    }

    /// When a piece came last.
    pub(crate) fn last(&self) -> Instant {
        self.last
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, Broken>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                self.stall = None;
                self.last = Instant::now();
                if !self.pace.receive(frame.data_ref().map_or(0, Bytes::len), self.last) {
                    return Poll::Ready(Err(Broken::Stalled));
                }
                if let Some(data) = frame.data_ref() {
                    self.left = self.left.checked_sub(data.len() as u64).ok_or(Broken::TooLong)?;
                }
                if let Some(trailers) = frame.trailers_mut() {
                    headers::clean_trailers(trailers);
                }
                if self.incoming.is_end_stream() {
                    self.heads.resume();
                }
                Poll::Ready(Ok(Some(frame)))
            }
            Poll::Ready(None) => {
                self.heads.resume();
                Poll::Ready(Ok(None))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Err(Broken::Off)),
            Poll::Pending => {
                let limit = self.limit;
                let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                match stall.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Err(Broken::Stalled)),
                    Poll::Pending => {
                        self.pace.wait(Instant::now());
                        Poll::Pending
                    }
                }
            }
        }
    }
}
