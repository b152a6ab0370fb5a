//! Errors as answers: problem documents (RFC 9457).

use std::any::Any;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use operations::{Error, ErrorKind};

pub(crate) const CONTENT: &str = "application/problem+json";

/// An [`Error`] on its way out.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // An error holds only text and numbers, so this can't fail; an empty body would still carry the status.
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"plimsoll\""));
        }
        response
    }
}

/// An invalid request for which HTTP has a status that says more than 400.
pub(crate) fn refused(status: StatusCode, detail: impl Into<String>) -> Error {
    Error { status: status.as_u16(), ..Error::invalid(detail) }
}

pub(crate) fn too_large(limit: usize) -> Error {
    let shown = if limit < 1 << 20 { format!("{} KiB", limit >> 10) } else { format!("{} MiB", limit >> 20) };
    Error::new(ErrorKind::TooLarge, format!("the body is larger than {shown}"))
        .hint("Send less at once; an archive goes up in pieces of any size, see /api/v1/uploads")
}

pub(crate) fn no_such_route(method: &http::Method, path: &str) -> Error {
    let path: String = path.chars().take(200).collect();
    Error::not_found(format!("there is nothing at {method} {path}"))
        .hint("All routes are in /openapi.json; they begin with /api/v1/ and have no slash at the end")
}

/// The answer when a handler panicked.
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let what = payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(panic = what, "a handler panicked");
    Problem(Error::internal()).into_response()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn every_kind_keeps_its_status_and_reads_back_as_itself() {
        for kind in ErrorKind::ALL {
            let error = Error::new(kind, "what").hint("do").at("plimsoll.toml", 3, 4);
            let response = Problem(error.clone()).into_response();
            assert_eq!(response.status().as_u16(), kind.status());
            assert_eq!(response.headers()[CONTENT_TYPE], CONTENT);
            assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), kind == ErrorKind::Unauthorized);
            let body = to_bytes(response.into_body(), 10_000).await.unwrap();
            assert_eq!(serde_json::from_slice::<Error>(&body).unwrap(), error);
        }
    }
}
