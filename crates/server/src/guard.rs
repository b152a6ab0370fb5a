//! Who may come in: no foreign web pages, and nobody without a token or a session.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use control::{Caller, Via};
use domain::forwarded::Client;
use futures::StreamExt;
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method};
use operations::client::AGENT;
use operations::{Error, ErrorKind, sign_in, stream};

use crate::auth::cookie;
use crate::limits::{Kind, Limits, Permit, Who};
use crate::observe::RequestId;
use crate::problem::Problem;
use crate::throttle::Throttle;
use crate::{Surroundings, auth, host, origin};

/// Everything else needs a token or a session, on loopback too: any program and any web page on the machine can reach it.
pub(crate) const PUBLIC: [&str; 11] = [
    "/healthz",
    "/readyz",
    "/openapi.json",
    sign_in::METHODS,
    sign_in::SIGN_IN,
    sign_in::SECOND_FACTOR,
    sign_in::ACCEPT,
    sign_in::DEVICE,
    sign_in::DEVICE_TOKEN,
    auth::oidc::START,
    auth::oidc::CALLBACK,
];

/// What stays open.
const STREAMS: [&str; 4] = [stream::EVENTS, stream::OUTPUT, stream::LOGS, stream::TOPICS];
/// Seconds after which one of them may have ended.
const BUSY: u32 = 5;

/// By what somebody wants to be known.
pub(crate) enum Shown {
    Token(String),
    /// The secret of a session's cookie.
    Session(String),
}

/// Lets a request through with its [`Caller`], or answers it.
pub(crate) async fn guard<A, F>(
    authenticate: A,
    around: &Surroundings,
    throttle: &Throttle,
    mut request: Request,
    next: Next,
) -> Response
where
    A: FnOnce(Shown) -> F,
    F: Future<Output = Result<Caller, Error>>,
{
    let asked = origin::same_origin(request.headers(), request.uri()).and_then(|()| {
        match auth::is_way_in(request.uri().path()) {
            true => host::check(request.headers(), request.uri(), &around.names),
            false => Ok(()),
        }
    });
    if let Err(error) = asked {
        return Problem(error).into_response();
    }
    let from = request.extensions().get::<Client>().map(|client| client.ip);
    if let Some(kind) = counted_as(&request)
        && let Some(ip) = from
        && let Err(wait) = around.limits.ask(kind, Who::at(ip), Instant::now())
    {
        return too_many(wait, "too many requests came from this address");
    }
    if !needs_caller(matched(&request), request.uri().path()) {
        return next.run(request).await;
    }
    let caller = match shown(&request) {
        Ok(Some(Shown::Token(token))) => {
            if let Some(wait) = from.and_then(|ip| throttle.wait(ip, &token, Instant::now())) {
                return too_many(wait, "too many requests with wrong tokens came from this address");
            }
            let known = authenticate(Shown::Token(token.clone())).await;
            match (&known, from) {
                (Ok(_), _) => throttle.succeeded(&token, Instant::now()),
                (Err(e), Some(ip)) if e.code == ErrorKind::Unauthorized => throttle.failed(ip, Instant::now()),
                (Err(_), _) => {}
            }
            known.map_err(wrong_token)
        }
        Ok(Some(session @ Shown::Session(_))) => authenticate(session).await,
        Ok(None) => Err(no_token()),
        Err(error) => Err(error),
    };
    let caller = match (caller, from) {
        (Ok(caller), _) => caller,
        (Err(error), Some(ip)) if error.code == ErrorKind::Unauthorized => {
            return match around.limits.ask(Kind::Stranger, Who::at(ip), Instant::now()) {
                Ok(()) => Problem(error).into_response(),
                Err(wait) => too_many(wait, "too many requests came from this address"),
            };
        }
        (Err(error), _) => return Problem(error).into_response(),
    };
    let permit = match share(&around.limits, &caller, &request) {
        Ok(permit) => permit,
        Err(refused) => return refused,
    };
    let request_id = request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone());
    // What `plimsoll mcp` asks for is decided, and recorded, as what is asked for at `/mcp`.
    let via = if request.headers().contains_key(AGENT) { Via::Mcp } else { caller.via };
    request.extensions_mut().insert(Caller { via, address: from, request_id, ..caller });
    let response = next.run(request).await;
    match permit {
        Some(permit) if response.status().is_success() => holding(response, permit),
        _ => response,
    }
}

/// What a request counts as before anybody is known.
fn counted_as(request: &Request) -> Option<Kind> {
    let path = request.uri().path();
    match matched(request) {
        // Asked for by machines, often and for ever.
        Some("/healthz" | "/readyz") => None,
        Some(route) if auth::is_attempt(route) => Some(Kind::SignIn),
        // Files that browsers keep.
        None if path.starts_with("/assets/") => None,
        route if !needs_caller(route, path) => Some(Kind::Stranger),
        _ => None,
    }
}

/// Counts a request of somebody who is known; a stream counts as long as it is open.
// An answer is large, and there is one at most.
#[allow(clippy::result_large_err)]
fn share(limits: &Limits, caller: &Caller, request: &Request) -> Result<Option<Permit>, Response> {
    let refused = |(error, seconds)| answered(error, seconds);
    ask(limits, caller, Kind::Known, "you send too many requests").map_err(refused)?;
    let route = matched(request);
    // What an agent's call does is not known yet: its door asks.
    if !matches!(*request.method(), Method::GET | Method::HEAD) && route != Some(mcp::http::PATH) {
        change(limits, caller).map_err(refused)?;
    }
    if caller.via == Via::Local || !route.is_some_and(|route| STREAMS.contains(&route)) {
        return Ok(None);
    }
    let too_many_streams = || {
        let error = Error::new(ErrorKind::RateLimited, "too many streams of yours are open")
            .hint("close some of them; one stream follows up to 16 things: /api/v1/stream?topics=…");
        answered(error, BUSY)
    };
    limits.open_stream(caller.principal.id()).map(Some).ok_or_else(too_many_streams)
}

/// Counts what somebody who is known changes, by whichever door.
///
/// # Errors
/// `RateLimited`, and the seconds to wait.
pub(crate) fn change(limits: &Limits, caller: &Caller) -> Result<(), (Error, u32)> {
    ask(limits, caller, Kind::Write, "you change too many things at once")
}

fn ask(limits: &Limits, caller: &Caller, kind: Kind, what: &'static str) -> Result<(), (Error, u32)> {
    if caller.via == Via::Local {
        return Ok(());
    }
    let who = Who::Principal(caller.principal.id().to_owned());
    limits.ask(kind, who, Instant::now()).map_err(|wait| too_often(wait, what))
}

/// The same answer, whose stream is counted until it has ended.
fn holding(response: Response, permit: Permit) -> Response {
    let (parts, body) = response.into_parts();
    let body = body.into_data_stream().map(move |piece| {
        let _open = &permit;
        piece
    });
    Response::from_parts(parts, Body::from_stream(body))
}

fn matched(request: &Request) -> Option<&str> {
    request.extensions().get::<MatchedPath>().map(MatchedPath::as_str)
}

/// A token, or else the cookie of a session. Who sends a token means it, whatever the browser attaches.
///
/// # Errors
/// `Forbidden` for what changes something with a cookie that a page of ours did not send.
fn shown(request: &Request) -> Result<Option<Shown>, Error> {
    let (headers, extensions) = (request.headers(), request.extensions());
    if headers.contains_key(AUTHORIZATION) {
        return Ok(bearer(headers).map(Shown::Token));
    }
    // Agents have tokens. No browser has any business there.
    if extensions.get::<MatchedPath>().is_some_and(|path| path.as_str() == mcp::http::PATH) {
        return Ok(None);
    }
    let encrypted = extensions.get::<Client>().is_some_and(|client| client.secure);
    let Some((_, secret)) = cookie::session(headers, encrypted) else { return Ok(None) };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        origin::from_own_page(headers)?;
    }
    Ok(Some(Shown::Session(secret.to_owned())))
}

/// What is routed is closed unless it is listed; what is not routed tells nothing about the API either.
fn needs_caller(matched: Option<&str>, path: &str) -> bool {
    match matched {
        Some(route) => !PUBLIC.contains(&route),
        None => path == "/api" || path.starts_with("/api/"),
    }
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let plausible = (1..=512).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && plausible).then(|| token.to_owned())
}

fn too_many(wait: Duration, what: &'static str) -> Response {
    let (error, seconds) = too_often(wait, what);
    answered(error, seconds)
}

/// What to say, and the seconds to wait.
fn too_often(wait: Duration, what: &'static str) -> (Error, u32) {
    let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    let error = Error::new(ErrorKind::RateLimited, what).hint(match seconds {
        1 => "wait a second, then go on more slowly".to_owned(),
        seconds => format!("wait {seconds} seconds, then go on more slowly"),
    });
    (error, seconds)
}

fn answered(error: Error, seconds: u32) -> Response {
    let mut response = Problem(error).into_response();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

fn no_token() -> Error {
    unauthorized("Send it as `Authorization: Bearer …`; on the server's own machine the CLI finds one by itself")
}

fn wrong_token(error: Error) -> Error {
    if error.code != ErrorKind::Unauthorized {
        return error;
    }
    unauthorized(
        "The token that was sent is not known (any more); the one of the first start works until it is withdrawn",
    )
}

fn unauthorized(hint: &str) -> Error {
    Error::new(ErrorKind::Unauthorized, "this needs a valid API token").hint(hint)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_one_plausible_bearer_token_is_taken() {
        for (value, expected) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("Bearer a b", None),
            ("Bearer é", None),
            (&format!("Bearer {}", "a".repeat(513)), None),
        ] {
            assert_eq!(bearer(&headers(&[(AUTHORIZATION, value)])).as_deref(), expected, "{value}");
        }
        let mut two = headers(&[(AUTHORIZATION, "Bearer a")]);
        two.append(AUTHORIZATION, "Bearer b".parse().unwrap());
        assert_eq!(bearer(&two), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn missing_and_wrong_tokens_differ_in_the_hint_alone() {
        let wrong = wrong_token(Error::new(ErrorKind::Unauthorized, "token tok_1 expired yesterday"));
        assert_eq!(Error { hint: None, ..no_token() }, Error { hint: None, ..wrong });
        assert_eq!(wrong_token(Error::unavailable("database away")).code, ErrorKind::Unavailable);
    }

    #[test]
    fn what_is_routed_is_closed_unless_listed() {
        assert!(needs_caller(Some("/api/v1/apps"), "/api/v1/apps"));
        assert!(needs_caller(Some("/somewhere/new"), "/somewhere/new"));
        assert!(needs_caller(None, "/api/v9"));
        assert!(needs_caller(Some(sign_in::SIGN_OUT), sign_in::SIGN_OUT));
        assert!(!needs_caller(Some("/healthz"), "/healthz"));
        assert!(!needs_caller(None, "/nope"));
    }
}
