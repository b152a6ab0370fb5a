//! Getting one request to one upstream, and once more if that does no harm. To which ones and in which order says `errand`.
//!
//! A request goes to another upstream, or out on a fresh connection, if nothing of it was written. If something was,
//! and the connection broke before a byte of an answer, it is sent again once, if its method is idempotent and its body
//! is empty or was not begun. An answer that came, however bad, is never asked for again.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::time::timeout;

use crate::epoch::InFlight;
use crate::exchange::{Exchange, Lost};
use crate::reply::{Malformed, Reply};
use crate::upload::{Broken, Upload};
use crate::upstream::{Link, Upstream};

/// One request and what is known of its way so far.
pub(crate) struct Attempt {
    head: Bytes,
    upload: Option<Box<Upload>>,
    to_head: bool,
    idempotent: bool,
    /// It was sent again after a connection had broken.
    repeated: bool,
    /// It was tried before, so that what follows counts as a retry.
    tried: bool,
    connect: Duration,
    response_head: Duration,
}

/// What came of the attempts on one upstream.
pub(crate) enum Sent {
    Answered(Reply, Box<Exchange>),
    /// It may be sent to another.
    Not(Trouble),
    Failed(Trouble),
    /// The client's body did not come to its end.
    Broken(Broken),
}

/// Why an upstream gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("no connection: {0}")]
    Unreachable(io::Error),
    #[error("it closed the connection before it answered ({0})")]
    Silent(io::Error),
    #[error("it closed the connection within the head of its answer ({0})")]
    Midway(io::Error),
    #[error("{0}")]
    Malformed(Malformed),
    #[error("it did not begin to answer within {} ms", .0.as_millis())]
    Late(Duration),
    #[error("it switched to a protocol that nobody asked for")]
    Unasked,
}

impl Trouble {
    /// Nobody refused: there may be room in a moment.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(e) if e.kind() == io::ErrorKind::TimedOut)
    }
}

enum Outcome {
    Answered(Reply, Box<Exchange>),
    /// Nothing was written, or the request may be written again.
    Again(Trouble),
    Failed(Trouble),
    Broken(Broken),
}

impl Attempt {
    pub(crate) fn new(method: &Method, head: Bytes, upload: Option<Box<Upload>>, connect: Duration) -> Self {
        let (to_head, idempotent) = (*method == Method::HEAD, is_idempotent(method));
        let response_head = Duration::MAX;
        Self { head, upload, to_head, idempotent, repeated: false, tried: false, connect, response_head }
    }

    /// As the route of the moment wants it: so long for the head of an answer.
    pub(crate) fn answer_within(&mut self, limit: Duration) {
        self.response_head = limit;
    }

    /// As the route of the moment wants it: so many bytes of a body.
    pub(crate) fn admit(&mut self, most: Option<u64>) -> Result<(), Broken> {
        self.upload.as_mut().map_or(Ok(()), |upload| upload.admit(most))
    }

    /// First on a free connection. If the upstream closed that one meanwhile, on a new one.
    pub(crate) async fn send(&mut self, upstream: &Arc<Upstream>, in_flight: &InFlight) -> Sent {
        let repeatable = self.idempotent && self.upload.is_none();
        if let Some(link) = upstream.take(repeatable) {
            match self.send_on(upstream, link, in_flight).await {
                Outcome::Answered(reply, exchange) => return Sent::Answered(reply, exchange),
                Outcome::Again(_) => {}
                Outcome::Failed(trouble) => return Sent::Failed(trouble),
                Outcome::Broken(broken) => return Sent::Broken(broken),
            }
        }
        match upstream.connect(self.connect).await {
            Ok(link) => match self.send_on(upstream, link, in_flight).await {
                Outcome::Answered(reply, exchange) => Sent::Answered(reply, exchange),
                Outcome::Again(trouble) => Sent::Not(trouble),
                Outcome::Failed(trouble) => Sent::Failed(trouble),
                Outcome::Broken(broken) => Sent::Broken(broken),
            },
            Err(e) => {
                self.count(in_flight);
                Sent::Not(Trouble::Unreachable(e))
            }
        }
    }

    async fn send_on(&mut self, upstream: &Arc<Upstream>, link: Link, in_flight: &InFlight) -> Outcome {
        self.count(in_flight);
        let upload = self.upload.take();
        let mut exchange = Exchange::new(upstream.clone(), link, self.head.clone(), upload, self.to_head);
        let mut limit = self.response_head;
        let reply = loop {
            match timeout(limit, poll_fn(|cx| exchange.poll_reply(cx))).await {
                Ok(reply) => break reply,
                // As long as the body comes in, the upstream isn't late.
                Err(_) => match exchange.upload_moved().map(|last| last.elapsed()) {
                    Some(since) if since < self.response_head => limit = self.response_head - since,
                    _ => return Outcome::Failed(Trouble::Late(self.response_head)),
                },
            }
        };
        match reply {
            Ok(reply) => Outcome::Answered(reply, exchange),
            Err(Lost::Upload(broken)) => Outcome::Broken(broken),
            Err(Lost::Malformed(malformed)) => Outcome::Failed(Trouble::Malformed(malformed)),
            Err(Lost::Midway(e)) => Outcome::Failed(Trouble::Midway(e)),
            Err(Lost::Silent(e)) => self.after_silence(exchange, Trouble::Silent(e)),
        }
    }

    fn after_silence(&mut self, exchange: Box<Exchange>, trouble: Trouble) -> Outcome {
        let unsent = exchange.is_unsent();
        match exchange.give_back() {
            Ok(upload) if unsent || (self.idempotent && !self.repeated) => {
                self.upload = upload;
                self.repeated |= !unsent;
                Outcome::Again(trouble)
            }
            _ => Outcome::Failed(trouble),
        }
    }

    fn count(&mut self, in_flight: &InFlight) {
        if std::mem::replace(&mut self.tried, true) {
            in_flight.retried();
        }
    }
}

/// RFC 9110 section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}
