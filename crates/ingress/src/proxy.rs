//! One request's way: from the client's connection to the release that answers it, and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use crate::attempt::{Attempt, Sent, Trouble};
use crate::body::ResponseBody;
use crate::connection::Connection;
use crate::counters::Failure;
use crate::epoch::InFlight;
use crate::exchange::Exchange;
use crate::headers::{self, Framing as Announced, Outgoing};
use crate::heads::Framing;
use crate::live::{LiveStandby, LiveTarget};
use crate::pages::Page;
use crate::reply::Reply;
use crate::route::RouteLimits;
use crate::static_files;
use crate::target::{self, Host};
use crate::tunnel::{self, Far};
use crate::upload::{Broken, Upload};
use crate::upstream::Upstream;
use crate::verify::{DEPLOYMENT, RELEASE, VERIFY};

/// Answers one request. It never fails: what goes wrong becomes a page.
pub(crate) async fn answer(connection: Arc<Connection>, mut request: Request<Incoming>) -> Response<ResponseBody> {
    let arrived = Instant::now();
    let shared = &connection.shared;
    let framing = connection.heads.framing(&request);
    let client = request.extensions_mut().remove::<OnUpgrade>();
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts, ());
    let host = match (framing, target::host(&request)) {
        (Framing::Clear | Framing::Unknown, Ok(host)) => host,
        (Framing::Ambiguous, _) => return refuse(&connection, StatusCode::BAD_REQUEST, request.headers()),
        (_, Err(status)) => return refuse(&connection, status, request.headers()),
    };
    let Some(mut matched) = shared.enter(&host.name, request.uri().path(), arrived) else {
        return Page::new(StatusCode::NOT_FOUND, request.headers()).response(None);
    };
    let verifies = request.headers().get(&VERIFY).is_some_and(|offered| shared.secret.is(offered.as_bytes()));
    let deployment = verifies.then(|| matched.in_flight.epoch.deployment_header.clone());
    let mut release = matched.in_flight.epoch.release_header.clone();
    let (target, limits, in_flight) = matched.split();
    let answer = match target {
        LiveTarget::Static { root, prefix, single_page } => {
            Answer::File(static_files::serve(root, prefix, *single_page, &release, &request).await)
        }
        LiveTarget::Upstreams { upstreams, standby, turn } => {
            let forward = Forward { connection: &connection, upstreams, standby, turn, limits };
            forward.run(in_flight, &mut release, &host, &request, body, client).await
        }
    };
    let mut response = respond(answer, matched.in_flight, &connection, &host, &request);
    if let Some(deployment) = deployment {
        response.headers_mut().insert(RELEASE.clone(), release);
        response.headers_mut().insert(DEPLOYMENT.clone(), deployment);
    }
    if framing == Framing::Unknown {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The connection is closed afterwards, as nobody knows what follows on it.
fn refuse(connection: &Connection, status: StatusCode, headers: &http::HeaderMap) -> Response<ResponseBody> {
    connection.shared.refused();
    Page::new(status, headers).last_response(None)
}

/// How a request came out.
enum Answer {
    Upstream(Reply, Box<Exchange>),
    /// The upstream agreed to switch protocols.
    Tunnel(Reply, Far, OnUpgrade),
    File(static_files::Served),
    Failed(Failure, Option<Trouble>),
    /// The request itself broke off or stalled.
    Broken(Broken),
}

/// Counts the answer and makes a response of it.
fn respond(
    answer: Answer,
    mut in_flight: InFlight,
    connection: &Arc<Connection>,
    host: &Host<'_>,
    request: &Request<()>,
) -> Response<ResponseBody> {
    match answer {
        Answer::Upstream(reply, exchange) => {
            in_flight.answered(reply.status);
            let mut response = Response::new(ResponseBody::upstream(exchange, in_flight));
            *response.status_mut() = reply.status;
            *response.headers_mut() = reply.headers;
            response
        }
        Answer::Tunnel(reply, far, client) => tunnel::open(reply, far, client, in_flight, connection),
        Answer::File(static_files::Served::File(response)) => {
            in_flight.answered(response.status());
            response.map(|body| ResponseBody::file(body, in_flight))
        }
        Answer::File(static_files::Served::Page(status)) => {
            in_flight.answered(status);
            Page::new(status, request.headers()).response(Some(in_flight))
        }
        Answer::File(static_files::Served::Empty(response)) => {
            in_flight.answered(response.status());
            response.map(|()| ResponseBody::empty(Some(in_flight)))
        }
        Answer::File(static_files::Served::Gone) => {
            fail(Failure::Unavailable, Some("its files are gone"), in_flight, connection, host, request)
        }
        Answer::Failed(failure, trouble) => {
            let reason = trouble.map(|t| t.to_string());
            fail(failure, reason.as_deref(), in_flight, connection, host, request)
        }
        Answer::Broken(broken) => {
            let status = match broken {
                Broken::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
                Broken::Stalled | Broken::Off => StatusCode::REQUEST_TIMEOUT,
            };
            in_flight.answered(status);
            Page::new(status, request.headers()).last_response(Some(in_flight))
        }
    }
}

/// A page in the release's place. What lies behind it is logged under the number that the page shows.
fn fail(
    failure: Failure,
    reason: Option<&str>,
    mut in_flight: InFlight,
    connection: &Connection,
    host: &Host<'_>,
    request: &Request<()>,
) -> Response<ResponseBody> {
    let status = failure.status();
    let page = Page::new(status, request.headers()).with_id();
    in_flight.failed(failure);
    in_flight.answered(status);
    if connection.shared.may_log() {
        let (component, release) = in_flight.who();
        let reason = reason.unwrap_or("no instance of it is running");
        // Not the query: it may hold what is nobody's business.
        let path = request.uri().path();
        tracing::warn!(request = page.id(), status = status.as_u16(), host = %host.name, path, %component, %release, reason, "no answer from the app");
    }
    page.response(Some(in_flight))
}

/// One request and the upstreams of its route.
struct Forward<'a> {
    connection: &'a Arc<Connection>,
    upstreams: &'a [Arc<Upstream>],
    standby: &'a [LiveStandby],
    turn: &'a AtomicUsize,
    limits: &'a RouteLimits,
}

impl Forward<'_> {
    /// Sends the request to the next upstream in turn that can be reached; if none can, to a standby.
    async fn run(
        &self,
        in_flight: &mut InFlight,
        release: &mut HeaderValue,
        host: &Host<'_>,
        request: &Request<()>,
        body: Incoming,
        client: Option<OnUpgrade>,
    ) -> Answer {
        let limits = &self.connection.shared.limits;
        let upload = match Upload::new(body, limits, self.limits.max_body, &self.connection.heads) {
            Ok(upload) => upload,
            Err(broken) => return Answer::Broken(broken),
        };
        // A body and a switch of protocols together leave open where one ends and the other begins.
        let upgrade = client.and_then(|client| {
            let offer = headers::wanted_upgrade(request.method(), request.headers()).filter(|_| upload.is_none())?;
            Some((offer, client))
        });
        let head = self.head(host, request, upload.as_deref(), upgrade.as_ref().map(|(offer, _)| *offer));
        let response_head = self.limits.response_head.unwrap_or(limits.response_head);
        let mut attempt = Attempt::new(request.method(), head, upload, limits.connect, response_head);
        let count = self.upstreams.len();
        if count + self.standby.len() == 0 {
            return Answer::Failed(Failure::Unavailable, None);
        }
        let first = if count > 1 { self.turn.fetch_add(1, Ordering::Relaxed) % count } else { 0 };
        let mut trouble = None;
        // The first one once more at the end, if it broke off there and there was nobody else.
        for n in 0..count + usize::from(count == 1 && self.standby.is_empty()) {
            if n == count && !matches!(trouble, Some(Trouble::Silent(_))) {
                break;
            }
            match attempt.send(&self.upstreams[(first + n) % count], in_flight).await {
                Sent::Answered(reply, exchange) => return accept(reply, exchange, upgrade),
                Sent::Failed(trouble) => return failed(trouble),
                Sent::Broken(broken) => return Answer::Broken(broken),
                Sent::Not(why) => trouble = Some(why),
            }
        }
        for standby in self.standby {
            in_flight.lean_on(standby.epoch.as_ref());
            match attempt.send(&standby.upstream, in_flight).await {
                Sent::Answered(reply, exchange) => {
                    in_flight.fall_back(&standby.counters);
                    *release = standby.release_header.clone();
                    return accept(reply, exchange, upgrade);
                }
                Sent::Failed(trouble) => return failed(trouble),
                Sent::Broken(broken) => return Answer::Broken(broken),
                Sent::Not(why) => trouble = Some(why),
            }
        }
        Answer::Failed(Failure::BadGateway, trouble)
    }

    fn head(
        &self,
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
        let peer = &self.connection.peer;
        let outgoing = Outgoing {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            host: host.written.as_bytes(),
            peer,
            trusted: self.connection.shared.trusts(peer.ip),
            upgrade,
            body,
        };
        outgoing.head()
    }
}

fn failed(trouble: Trouble) -> Answer {
    let failure = if matches!(trouble, Trouble::Late(_)) { Failure::Timeout } else { Failure::BadGateway };
    Answer::Failed(failure, Some(trouble))
}

fn accept(reply: Reply, exchange: Box<Exchange>, upgrade: Option<(&HeaderValue, OnUpgrade)>) -> Answer {
    if reply.status != StatusCode::SWITCHING_PROTOCOLS {
        return Answer::Upstream(reply, exchange);
    }
    let chosen = reply.upgrade.as_ref();
    match (upgrade, chosen, exchange.into_tunnel()) {
        (Some((offer, client)), Some(chosen), Some((stream, said))) if headers::is_offered(offer, chosen) => {
            Answer::Tunnel(reply, Far { stream, said }, client)
        }
        _ => Answer::Failed(Failure::BadGateway, Some(Trouble::Unasked)),
    }
}
