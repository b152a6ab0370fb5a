//! One request on its way to a release, for as long as nobody has taken it.
//!
//! Nothing of it was sent, so it may go to anybody, and it goes by the table of the moment: if that has changed by the time
//! that nobody could be reached, the request is looked up again, as where it was to go first may be stopped. So whoever
//! is counted in, in this process or in one that was replaced, comes to what serves, in whatever order releases are
//! switched and stopped. An upstream that refuses is not waited for. One whose queue is full is: the kernel drops what comes
//! then, and there may be room in a moment.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use crate::attempt::{Attempt, Sent, Trouble};
use crate::connection::Connection;
use crate::counters::Failure;
use crate::epoch::InFlight;
use crate::exchange::Exchange;
use crate::headers::{self, Framing as Announced, Outgoing};
use crate::live::{LiveTarget, Matched, Pool};
use crate::reply::Reply;
use crate::static_files;
use crate::target::Host;
use crate::tunnel::Far;
use crate::upload::{Broken, Upload};

/// How a request came out.
pub(crate) enum Answer {
    Upstream(Reply, Box<Exchange>),
    /// The upstream agreed to switch protocols.
    Tunnel(Reply, Far, OnUpgrade),
    File(static_files::Served),
    Failed(Failure, Option<Trouble>),
    /// The request itself broke off or stalled.
    Broken(Broken),
    /// Its route was removed before anybody took it.
    Unrouted,
}

pub(crate) struct Errand<'a> {
    connection: &'a Arc<Connection>,
    host: &'a Host<'a>,
    request: &'a Request<()>,
    arrived: Instant,
    attempt: Attempt,
    /// What it offers to switch to, and the client's side of that.
    upgrade: Option<(&'a HeaderValue, OnUpgrade)>,
}

impl<'a> Errand<'a> {
    pub(crate) fn new(
        connection: &'a Arc<Connection>,
        host: &'a Host<'a>,
        request: &'a Request<()>,
        arrived: Instant,
        body: Incoming,
        client: Option<OnUpgrade>,
    ) -> Self {
        let limits = &connection.shared.limits;
        let upload = Upload::new(body, limits, &connection.heads);
        // A body and a switch of protocols together leave open where one ends and the other begins.
        let upgrade = client.and_then(|client| {
            let offer = headers::wanted_upgrade(request.method(), request.headers()).filter(|_| upload.is_none())?;
            Some((offer, client))
        });
        let head = head(connection, host, request, upload.as_deref(), upgrade.as_ref().map(|(offer, _)| *offer));
        let attempt = Attempt::new(request.method(), head, upload, limits.connect);
        Self { connection, host, request, arrived, attempt, upgrade }
    }

    /// Until somebody took it, or nobody can be waited for. After that `matched` says whose it was.
    pub(crate) async fn deliver(mut self, matched: &mut Matched) -> Answer {
        let limits = &self.connection.shared.limits;
        loop {
            let (target, of_route, in_flight) = matched.split();
            let pool = match target {
                LiveTarget::Upstreams(pool) => pool,
                LiveTarget::Static { root, prefix, single_page } => {
                    let release = in_flight.release_header();
                    return Answer::File(static_files::serve(root, prefix, *single_page, release, self.request).await);
                }
            };
            if let Err(broken) = self.attempt.admit(of_route.max_body) {
                return Answer::Broken(broken);
            }
            let response_head = of_route.response_head.unwrap_or(limits.response_head);
            self.attempt.answer_within(response_head);
            let trouble = match self.round(pool, in_flight).await {
                Ok(answer) => return answer,
                Err(trouble) => trouble,
            };
            if in_flight.is_left() {
                let shared = &self.connection.shared;
                let Some(next) = shared.enter(&self.host.name, self.request.uri().path(), self.arrived) else {
                    return Answer::Unrouted;
                };
                std::mem::replace(matched, next).in_flight.moves_on();
                continue;
            }
            let may_pass = trouble.as_ref().is_some_and(Trouble::may_pass);
            if !may_pass || self.arrived.elapsed() >= limits.reach.min(response_head) {
                return Answer::Failed(Failure::BadGateway, trouble);
            }
        }
    }

    /// To the next upstream in turn that can be reached; if none can, to a standby. An error means that nobody took it, so
    /// that it may go elsewhere.
    async fn round(&mut self, pool: &Pool, in_flight: &mut InFlight) -> Result<Answer, Option<Trouble>> {
        let Pool { upstreams, standby, turn } = pool;
        let count = upstreams.len();
        if count + standby.len() == 0 {
            return Ok(Answer::Failed(Failure::Unavailable, None));
        }
        let first = if count > 1 { turn.fetch_add(1, Ordering::Relaxed) % count } else { 0 };
        let mut trouble = None;
        // The first one once more at the end, if it broke off there and there was nobody else.
        for n in 0..count + usize::from(count == 1 && standby.is_empty()) {
            if n == count && !matches!(trouble, Some(Trouble::Silent(_))) {
                break;
            }
            match self.attempt.send(&upstreams[(first + n) % count], in_flight).await {
                Sent::Answered(reply, exchange) => return Ok(self.accept(reply, exchange)),
                Sent::Failed(trouble) => return Ok(failed(trouble)),
                Sent::Broken(broken) => return Ok(Answer::Broken(broken)),
                Sent::Not(why) => note(&mut trouble, why),
            }
        }
        for standby in standby {
            // A standby is stopped when its own deployment is drained, which happens once these routes are replaced.
            if !in_flight.lean_on(&standby.epoch) {
                break;
            }
            match self.attempt.send(&standby.upstream, in_flight).await {
                Sent::Answered(reply, exchange) => {
                    in_flight.fall_back(&standby.counters);
                    return Ok(self.accept(reply, exchange));
                }
                Sent::Failed(trouble) => return Ok(failed(trouble)),
                Sent::Broken(broken) => return Ok(Answer::Broken(broken)),
                Sent::Not(why) => note(&mut trouble, why),
            }
        }
        Err(trouble)
    }

    fn accept(&mut self, reply: Reply, exchange: Box<Exchange>) -> Answer {
        if reply.status != StatusCode::SWITCHING_PROTOCOLS {
            return Answer::Upstream(reply, exchange);
        }
        let chosen = reply.upgrade.as_ref();
        match (self.upgrade.take(), chosen, exchange.into_tunnel()) {
            (Some((offer, client)), Some(chosen), Some((stream, said))) if headers::is_offered(offer, chosen) => {
                Answer::Tunnel(reply, Far { stream, said }, client)
            }
            _ => Answer::Failed(Failure::BadGateway, Some(Trouble::Unasked)),
        }
    }
}

/// The last one tells most, unless one before it may be over in a moment.
fn note(trouble: &mut Option<Trouble>, why: Trouble) {
    if !trouble.as_ref().is_some_and(Trouble::may_pass) {
        *trouble = Some(why);
    }
}

fn failed(trouble: Trouble) -> Answer {
    let failure = if matches!(trouble, Trouble::Late(_)) { Failure::Timeout } else { Failure::BadGateway };
    Answer::Failed(failure, Some(trouble))
}

fn head(
    connection: &Connection,
    host: &Host<'_>,
    request: &Request<()>,
    upload: Option<&Upload>,
    upgrade: Option<&HeaderValue>,
) -> Bytes {
    let expects_body = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    let body = match upload {
        Some(upload) => upload.length().map_or(Announced::Chunked, Announced::Length),
        None if expects_body => Announced::Length(0),
        None => Announced::Silent,
    };
    let peer = &connection.peer;
    let outgoing = Outgoing {
        method: request.method(),
        uri: request.uri(),
        headers: request.headers(),
        host: host.written.as_bytes(),
        peer,
        trusted: connection.shared.trusts(peer.ip),
        upgrade,
        body,
    };
    outgoing.head()
}
