//! One request's way: from the client's connection to the release that answers it, and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::body::{Lease, Progress, RequestBody, ResponseBody};
use crate::connection::Connection;
use crate::counters::Failure;
use crate::epoch::InFlight;
use crate::headers;
use crate::heads::Framing;
use crate::live::{LiveStandby, LiveTarget};
use crate::pages::{last_page, page};
use crate::static_files;
use crate::upstream::{Sender, Upstream};
use crate::verify::{DEPLOYMENT, RELEASE, VERIFY};

/// Answers one request. It never fails: what goes wrong becomes a page.
pub(crate) async fn answer(connection: Arc<Connection>, mut request: Request<Incoming>) -> Response<ResponseBody> {
    let arrived = Instant::now();
    let framing = connection.heads.framing(&request);
    if framing == Framing::Ambiguous || request.method() == Method::CONNECT {
        return last_page(StatusCode::BAD_REQUEST, None);
    }
    let shared = &connection.shared;
    let matched = match headers::host(&request) {
        Ok(host) => shared.enter(&host, request.uri().path(), arrived),
        Err(status) => return last_page(status, None),
    };
    let Some(mut matched) = matched else {
        return page(StatusCode::NOT_FOUND, None);
    };
    let verifies = request.headers_mut().remove(&VERIFY).is_some_and(|offered| shared.secret.is(offered.as_bytes()));
    let deployment = matched.in_flight.epoch.deployment_header.clone();
    let mut release = matched.in_flight.epoch.release_header.clone();
    let (target, in_flight) = matched.split();
    let answer = match target {
        LiveTarget::Static { root, prefix, single_page } => {
            Answer::File(static_files::serve(root, prefix, *single_page, &release, request).await)
        }
        LiveTarget::Upstreams { upstreams, standby, turn } => {
            let pool = Pool { upstreams, standby, turn };
            forward(&connection, &pool, in_flight, &mut release, request).await
        }
    };
    let mut response = respond(answer, matched.in_flight, &connection);
    if verifies {
        response.headers_mut().insert(RELEASE.clone(), release);
        response.headers_mut().insert(DEPLOYMENT.clone(), deployment);
    }
    if framing == Framing::Unknown {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// How a request came out.
enum Answer {
    Upstream(Response<Incoming>, Lease),
    /// The upstream agreed to switch protocols.
    Tunnel(Response<Incoming>, OnUpgrade),
    File(static_files::Served),
    Failed(Failure),
    /// The request itself broke off or stalled.
    Broken,
}

/// The upstreams of one route.
struct Pool<'a> {
    upstreams: &'a [Arc<Upstream>],
    standby: &'a [LiveStandby],
    turn: &'a AtomicUsize,
}

/// Counts the answer and makes a response of it.
fn respond(answer: Answer, mut in_flight: InFlight, connection: &Arc<Connection>) -> Response<ResponseBody> {
    match answer {
        Answer::Upstream(response, lease) => {
            let (mut parts, body) = response.into_parts();
            headers::clean_response(&mut parts.headers);
            parts.version = Version::HTTP_11;
            in_flight.answered(parts.status);
            Response::from_parts(parts, ResponseBody::upstream(body, lease, in_flight))
        }
        Answer::Tunnel(response, client) => tunnel(response, client, in_flight, connection),
        Answer::File(static_files::Served::File(response)) => {
            in_flight.answered(response.status());
            response.map(|body| ResponseBody::file(body, in_flight))
        }
        Answer::File(static_files::Served::Page(status)) => {
            in_flight.answered(status);
            page(status, Some(in_flight))
        }
        Answer::File(static_files::Served::Empty(response)) => {
            in_flight.answered(response.status());
            response.map(|()| ResponseBody::empty(Some(in_flight)))
        }
        Answer::Failed(failure) => {
            let status = match failure {
                Failure::BadGateway => StatusCode::BAD_GATEWAY,
                Failure::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                Failure::Timeout => StatusCode::GATEWAY_TIMEOUT,
            };
            in_flight.failed(failure);
            in_flight.answered(status);
            page(status, Some(in_flight))
        }
        Answer::Broken => {
            in_flight.answered(StatusCode::REQUEST_TIMEOUT);
            last_page(StatusCode::REQUEST_TIMEOUT, Some(in_flight))
        }
    }
}

/// Sends the request to the next upstream in turn that can be reached; if none can, to a standby.
async fn forward(
    connection: &Arc<Connection>,
    pool: &Pool<'_>,
    in_flight: &mut InFlight,
    release: &mut HeaderValue,
    request: Request<Incoming>,
) -> Answer {
    let limits = &connection.shared.limits;
    let (mut parts, body) = request.into_parts();
    let upgrade = headers::wanted_upgrade(&parts.method, &parts.headers);
    let client = upgrade.is_some().then(|| parts.extensions.remove::<OnUpgrade>()).flatten();
    headers::origin_form(&mut parts.uri, &mut parts.headers);
    headers::prepare(&mut parts.headers, &connection.peer.text, upgrade);
    parts.headers.insert("x-forwarded-proto", HeaderValue::from_static(connection.peer.scheme()));
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    let (body, progress) = RequestBody::new(body, limits, &connection.heads);
    let mut attempt = Attempt {
        repeatable: progress.is_none() && is_idempotent(&parts.method) && client.is_none(),
        progress,
        connect: limits.connect,
        response_head: limits.response_head,
    };
    let mut unsent = Request::from_parts(parts, body);
    let count = pool.upstreams.len();
    if count + pool.standby.len() == 0 {
        return Answer::Failed(Failure::Unavailable);
    }
    let first = if count > 1 { pool.turn.fetch_add(1, Ordering::Relaxed) % count } else { 0 };
    for n in 0..count {
        let upstream = &pool.upstreams[(first + n) % count];
        match attempt.send(upstream, unsent).await {
            Sent::Answered(response, lease) => return accept(response, lease, client),
            Sent::Failed(answer) => return answer,
            Sent::Not(request) => unsent = request,
        }
    }
    for standby in pool.standby {
        in_flight.lean_on(standby.epoch.as_ref());
        match attempt.send(&standby.upstream, unsent).await {
            Sent::Answered(response, lease) => {
                in_flight.fall_back(&standby.counters);
                *release = standby.release_header.clone();
                return accept(response, lease, client);
            }
            Sent::Failed(answer) => return answer,
            Sent::Not(request) => unsent = request,
        }
    }
    Answer::Failed(Failure::BadGateway)
}

fn accept(mut response: Response<Incoming>, lease: Lease, client: Option<OnUpgrade>) -> Answer {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Answer::Upstream(response, lease);
    }
    match (client, response.extensions_mut().get::<OnUpgrade>()) {
        (Some(client), Some(_)) => Answer::Tunnel(response, client),
        // Nobody asked for it.
        _ => Answer::Failed(Failure::BadGateway),
    }
}

/// How to get one request to an upstream.
struct Attempt {
    /// Sending it twice does no harm, and it has no body that would be gone.
    repeatable: bool,
    progress: Option<Arc<Progress>>,
    connect: Duration,
    response_head: Duration,
}

/// A box would cost an allocation for each request.
#[allow(clippy::large_enum_variant)]
enum Sent {
    Answered(Response<Incoming>, Lease),
    /// No connection; the request is as it was.
    Not(Request<RequestBody>),
    Failed(Answer),
}

#[allow(clippy::large_enum_variant)]
enum SendError {
    /// Nothing of it was written.
    Unsent(Request<RequestBody>),
    Broken,
    Timeout,
}

impl Attempt {
    /// First on a free connection. If the upstream closed that one meanwhile, on a new one: at once if nothing was
    /// written, and also otherwise if the request may be repeated. A POST that was written in part is not repeated.
    async fn send(&mut self, upstream: &Arc<Upstream>, mut request: Request<RequestBody>) -> Sent {
        if let Some(sender) = upstream.take(self.repeatable).await {
            let copy = self.repeatable.then(|| copy_of(&request));
            match self.send_on(upstream, sender, request).await {
                Ok(answered) => return answered,
                Err(SendError::Unsent(same)) => request = same,
                Err(SendError::Broken) => match copy {
                    Some(copy) => request = copy,
                    None => return self.broken(),
                },
                Err(SendError::Timeout) => return Sent::Failed(Answer::Failed(Failure::Timeout)),
            }
        }
        let sender = match upstream.connect(self.connect).await {
            Ok(sender) => sender,
            Err(e) => {
                tracing::debug!(upstream = %upstream.address, error = %e, "no connection");
                return Sent::Not(request);
            }
        };
        match self.send_on(upstream, sender, request).await {
            Ok(answered) => answered,
            Err(SendError::Unsent(request)) => Sent::Not(request),
            Err(SendError::Broken) => self.broken(),
            Err(SendError::Timeout) => Sent::Failed(Answer::Failed(Failure::Timeout)),
        }
    }

    async fn send_on(
        &self,
        upstream: &Arc<Upstream>,
        mut sender: Sender,
        request: Request<RequestBody>,
    ) -> Result<Sent, SendError> {
        let mut answer = std::pin::pin!(sender.try_send_request(request));
        let mut limit = self.response_head;
        let answer = loop {
            match timeout(limit, answer.as_mut()).await {
                Ok(answer) => break answer,
                // As long as the body comes in, the upstream isn't late.
                Err(_) => match self.progress.as_ref().map(|p| p.last().elapsed()) {
                    Some(since) if since < self.response_head => limit = self.response_head - since,
                    _ => return Err(SendError::Timeout),
                },
            }
        };
        match answer {
            Ok(response) => {
                let lease = Lease { upstream: upstream.clone(), sender, progress: self.progress.clone() };
                Ok(Sent::Answered(response, lease))
            }
            Err(mut e) => match e.take_message() {
                Some(request) => Err(SendError::Unsent(request)),
                None => {
                    tracing::debug!(upstream = %upstream.address, error = %e.error(), "broke off before its answer");
                    Err(SendError::Broken)
                }
            },
        }
    }

    fn broken(&self) -> Sent {
        match &self.progress {
            Some(progress) if progress.is_broken() => Sent::Failed(Answer::Broken),
            _ => Sent::Failed(Answer::Failed(Failure::BadGateway)),
        }
    }
}

fn copy_of(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// RFC 9110 section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}

/// Passes bytes both ways until either side ends. It counts as a request in flight.
fn tunnel(
    mut response: Response<Incoming>,
    client: OnUpgrade,
    mut in_flight: InFlight,
    connection: &Arc<Connection>,
) -> Response<ResponseBody> {
    let upstream = hyper::upgrade::on(&mut response);
    let (mut parts, _) = response.into_parts();
    let protocol = parts.headers.get(header::UPGRADE).cloned();
    headers::clean_response(&mut parts.headers);
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        parts.headers.insert(header::UPGRADE, protocol);
    }
    in_flight.answered(parts.status);
    let open = connection.clone();
    connection.shared.tasks.spawn(async move {
        if let (Ok(client), Ok(upstream)) = tokio::join!(client, upstream) {
            let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
            // Either side's failure ends both; there is nobody left to tell.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
        }
        drop((in_flight, open));
    });
    Response::from_parts(parts, ResponseBody::empty(None))
}
