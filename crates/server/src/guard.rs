//! Who may come in: no foreign web pages, and nobody without a token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use control::Caller;
use http::header::{AUTHORIZATION, HOST, ORIGIN, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use operations::{Error, ErrorKind};

use crate::listen::From;
use crate::problem::{Problem, refused};
use crate::throttle::Throttle;

/// Everything else needs a token, on loopback too: any program and any web page on the machine can reach it.
pub(crate) const PUBLIC: [&str; 3] = ["/healthz", "/readyz", "/openapi.json"];

/// Lets a request through with its [`Caller`], or answers it.
pub(crate) async fn guard<A, F>(authenticate: A, throttle: Arc<Throttle>, mut request: Request, next: Next) -> Response
where
    A: FnOnce(String) -> F,
    F: Future<Output = Result<Caller, Error>>,
{
    if let Err(error) = same_origin(request.headers(), request.uri()) {
        return Problem(error).into_response();
    }
    if needs_token(request.extensions().get::<MatchedPath>().map(MatchedPath::as_str), request.uri().path()) {
        let from = request.extensions().get::<From>().copied();
        let caller = match bearer(request.headers()) {
            Some(token) => {
                if let Some(wait) = from.and_then(|From(ip)| throttle.wait(ip, &token, Instant::now())) {
                    return too_often(wait);
                }
                let known = authenticate(token.clone()).await;
                match (&known, from) {
                    (Ok(_), _) => throttle.succeeded(&token, Instant::now()),
                    (Err(e), Some(From(ip))) if e.code == ErrorKind::Unauthorized => {
                        throttle.failed(ip, Instant::now())
                    }
                    (Err(_), _) => {}
                }
                known.map_err(wrong_token)
            }
            None => Err(no_token()),
        };
        match caller {
            Ok(caller) => _ = request.extensions_mut().insert(caller),
            Err(error) => return Problem(error).into_response(),
        }
    }
    next.run(request).await
}

/// What is routed is closed unless it is listed; what is not routed tells nothing about the API either.
fn needs_token(matched: Option<&str>, path: &str) -> bool {
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

fn too_often(wait: Duration) -> Response {
    let seconds = wait.as_secs() + 1;
    let error = Error::new(ErrorKind::RateLimited, "too many requests with wrong tokens came from this address")
        .hint(format!("Wait {seconds} seconds, and send a token that is valid"));
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

/// Browsers name the page that sends a request; only our own pages may.
///
/// No CORS header is ever sent, so foreign pages could not read an answer anyway. A
/// page that rebinds its DNS name to us agrees with its own `Host` and comes this far,
/// but no further: no browser attaches a bearer token by itself.
fn same_origin(headers: &HeaderMap, uri: &Uri) -> Result<(), Error> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let own = headers.get(HOST).and_then(|v| v.to_str().ok()).or_else(|| uri.authority().map(|a| a.as_str()));
    let origin = origin
        .to_str()
        .ok()
        .and_then(|text| text.split_once("://"))
        .filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
    match (origin, own) {
        (Some((_, authority)), Some(own)) if authority.eq_ignore_ascii_case(own) => Ok(()),
        _ => Err(refused(StatusCode::FORBIDDEN, "the request comes from a web page of another origin")
            .hint("Call the API from a program, or from a page that this server itself serves")),
    }
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
    fn pages_of_other_origins_are_refused() {
        let uri = Uri::from_static("/");
        for (origin, host, fine) in [
            ("http://127.0.0.1:7878", "127.0.0.1:7878", true),
            ("https://Deploy.Example.org", "deploy.example.org", true),
            ("http://evil.example", "127.0.0.1:7878", false),
            ("http://127.0.0.1:8080", "127.0.0.1:7878", false),
            ("http://127.0.0.1", "127.0.0.1:7878", false),
            ("null", "127.0.0.1:7878", false),
            ("file://127.0.0.1:7878", "127.0.0.1:7878", false),
        ] {
            let found = same_origin(&headers(&[(ORIGIN, origin), (HOST, host)]), &uri);
            assert_eq!(found.is_ok(), fine, "{origin} at {host}");
        }
        assert!(same_origin(&headers(&[(ORIGIN, "http://a")]), &uri).is_err());
        // HTTP/2 has no Host header but an authority.
        assert!(same_origin(&headers(&[(ORIGIN, "http://a:1")]), &Uri::from_static("http://a:1/x")).is_ok());
    }

    #[test]
    fn what_is_routed_is_closed_unless_listed() {
        assert!(needs_token(Some("/api/v1/apps"), "/api/v1/apps"));
        assert!(needs_token(Some("/somewhere/new"), "/somewhere/new"));
        assert!(needs_token(None, "/api/v9"));
        assert!(!needs_token(Some("/healthz"), "/healthz"));
        assert!(!needs_token(None, "/nope"));
    }
}
