//! What every request leaves behind: an id, a span, one line in the log, a few headers.
//!
//! Never a query string, a header or a body: there are secrets in them.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderValue};
use tracing::Instrument;

use crate::{Surroundings, client, headers};

pub(crate) const REQUEST_ID: &str = "x-request-id";

/// The id of a request, beside it.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

pub(crate) async fn observe(around: Arc<Surroundings>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(request.headers());
    request.extensions_mut().insert(RequestId(id.clone()));
    let client = client::of(&request, &around.trusted_proxies);
    if let Some(client) = client {
        request.extensions_mut().insert(client);
    }
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let watched = matches!(path.as_str(), "/healthz" | "/readyz" | "/metrics");
    let span = tracing::info_span!("request", %id, %method, path);
    let (route, sent) = (path.clone(), method.clone());
    async move {
        let mut response = next.run(request).await;
        around.requests.note(&sent, &route, response.status(), begun.elapsed());
        let (status, ms) = (response.status().as_u16(), begun.elapsed().as_millis() as u64);
        match status {
            500.. => tracing::warn!(status, ms, "answered"),
            // Asked for every few seconds, for ever.
            _ if watched => tracing::debug!(status, ms, "answered"),
            _ => tracing::info!(status, ms, "answered"),
        }
        let headers = response.headers_mut();
        headers::put(headers, client.is_some_and(|client| client.secure));
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert(REQUEST_ID, id);
        }
        response
    }
    .instrument(span)
    .await
}

/// The sender's id where it is harmless to log, otherwise a new one.
fn request_id(headers: &HeaderMap) -> String {
    let harmless = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(harmless);
    given.map_or_else(|| format!("req_{}", ulid::Ulid::generate().to_string().to_lowercase()), str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_harmless_id_is_kept() {
        let with = |id: &str| request_id(&HeaderMap::from_iter([(REQUEST_ID.parse().unwrap(), id.parse().unwrap())]));
        assert_eq!(with("a-1_b.C"), "a-1_b.C");
        for bad in ["", "a b", "a\"b", &"x".repeat(65)] {
            assert!(with(bad).starts_with("req_"), "{bad}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
