//! One request's way: from the client's connection to the release that answers it, and back.

use std::sync::Arc;
use std::time::Instant;

use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use crate::body::ResponseBody;
use crate::connection::Connection;
use crate::counters::Failure;
use crate::epoch::InFlight;
use crate::errand::{Answer, Errand};
use crate::heads::Framing;
use crate::live::LiveTarget;
use crate::pages::Page;
use crate::static_files;
use crate::target::{self, Host};
use crate::tunnel;
use crate::upload::Broken;
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
    let answer = match matched.split() {
        (LiveTarget::Static { root, prefix, single_page }, _, in_flight) => {
            let release = in_flight.release_header();
            Answer::File(static_files::serve(root, prefix, *single_page, release, &request).await)
        }
        (LiveTarget::Upstreams(_), ..) => {
            Errand::new(&connection, &host, &request, arrived, body, client).deliver(&mut matched).await
        }
    };
    let verifies = request.headers().get(&VERIFY).is_some_and(|offered| shared.secret.is(offered.as_bytes()));
    let served_by = verifies.then(|| {
        let in_flight = &matched.in_flight;
        (in_flight.release_header().clone(), in_flight.epoch.deployment_header.clone())
    });
    let mut response = respond(answer, matched.in_flight, &connection, &host, &request);
    if let Some((release, deployment)) = served_by {
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
        Answer::Unrouted => {
            in_flight.moves_on();
            Page::new(StatusCode::NOT_FOUND, request.headers()).response(None)
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
