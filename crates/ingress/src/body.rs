//! The body of a response on its way to the client: never gathered, each piece passed on as it comes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tower_http::services::fs::ServeFileSystemResponseBody;

use crate::epoch::InFlight;
use crate::exchange::Exchange;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The request counts as in flight until this is dropped.
pub(crate) struct ResponseBody {
    kind: Kind,
    in_flight: Option<InFlight>,
    sent: u64,
}

enum Kind {
    Empty,
    Page(Option<Bytes>),
    Upstream(Box<Exchange>),
    File(ServeFileSystemResponseBody),
}

impl ResponseBody {
    pub(crate) fn empty(in_flight: Option<InFlight>) -> Self {
        Self { kind: Kind::Empty, in_flight, sent: 0 }
    }

    pub(crate) fn page(text: Bytes, in_flight: Option<InFlight>) -> Self {
        Self { kind: Kind::Page(Some(text)), in_flight, sent: 0 }
    }

    pub(crate) fn upstream(exchange: Box<Exchange>, in_flight: InFlight) -> Self {
        Self { kind: Kind::Upstream(exchange), in_flight: Some(in_flight), sent: 0 }
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
            Kind::Upstream(exchange) => match exchange.poll_frame(cx) {
                Poll::Ready(Some(Err(e))) => {
                    if let Some(in_flight) = &this.in_flight {
                        in_flight.counters().aborted();
                    }
                    Some(Err(e.into()))
                }
                Poll::Ready(frame) => frame.map(|f| f.map_err(Into::into)),
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
            Kind::Upstream(exchange) => exchange.is_done(),
            Kind::File(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty | Kind::Page(None) => SizeHint::with_exact(0),
            Kind::Page(Some(text)) => SizeHint::with_exact(text.len() as u64),
            Kind::Upstream(exchange) => exchange.size_hint(),
            Kind::File(body) => body.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(in_flight) = &self.in_flight {
            in_flight.counters().sent(self.sent);
        }
    }
}
