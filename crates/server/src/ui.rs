//! The web interface: which of its files answers a path that is no route. The files come from the binary.
//!
//! Pages are public, as they hold nothing: what they show, they ask the API for. A path below the API's is never
//! answered with a page, so that a client that mistypes one gets a problem document.

use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::header::{CONTENT_SECURITY_POLICY, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// Finds a file by its path, without a slash at its beginning.
pub type Files = fn(&str) -> Option<Asset>;

/// One file of the web interface.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    pub kind: &'static str,
    /// Changes with the bytes; without quotes.
    pub etag: &'static str,
    pub bytes: &'static [u8],
    /// The same compressed with brotli.
    pub brotli: Option<&'static [u8]>,
}

/// The first parts of paths that are never a page.
const NO_PAGES: [&str; 7] = ["api", "mcp", "auth", "healthz", "readyz", "metrics", "openapi.json"];
/// Files below it have names that change with their bytes.
const HASHED: &str = "assets/";
const PAGE: &str = "index.html";

/// Nothing but our own files runs, is shown or is asked; nobody frames us; text never becomes script, but for the address of the
/// worker that follows streams for all pages (`web/src/realtime/topic.ts`).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
    connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types plimsoll-worker";

/// The answer of the web interface, unless the path or the request is none of its business.
pub(crate) fn answer(files: Files, method: &Method, path: &str, headers: &HeaderMap) -> Option<Response> {
    if *method != Method::GET && *method != Method::HEAD {
        return None;
    }
    let path = path.strip_prefix('/')?;
    let first = path.split('/').next().unwrap_or_default();
    if NO_PAGES.contains(&first) {
        return None;
    }
    match files(path) {
        Some(asset) => Some(send(&asset, path.starts_with(HASHED), headers)),
        None if path.starts_with(HASHED) || !wants_a_page(headers) => None,
        // Which page it is, and whether there is one, the interface decides.
        None => files(PAGE).map(|page| send(&page, false, headers)),
    }
}

fn send(asset: &Asset, for_ever: bool, headers: &HeaderMap) -> Response {
    let (bytes, encoding) = match asset.brotli {
        Some(small) if takes_brotli(headers) => (small, Some("br")),
        _ => (asset.bytes, None),
    };
    // Another representation has another tag.
    let tag = format!("\"{}{}\"", asset.etag, encoding.map_or("", |_| "-br"));
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).is_some_and(|known| {
        known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag || one.trim() == "*")
    });
    let mut response = Response::new(if known { Body::empty() } else { Body::from(bytes) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let mut set = |name: HeaderName, value: &'static str| {
        _ = response.headers_mut().insert(name, HeaderValue::from_static(value));
    };
    set(CONTENT_TYPE, asset.kind);
    set(VARY, "accept, accept-encoding");
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(CACHE_CONTROL, if for_ever { "public, max-age=31536000, immutable" } else { "no-cache" });
    if let Some(encoding) = encoding {
        set(CONTENT_ENCODING, encoding);
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// Browsers say so when somebody opens an address; programs that look for data don't.
fn wants_a_page(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

fn takes_brotli(headers: &HeaderMap) -> bool {
    let named = |one: &str| {
        let mut parts = one.split(';').map(str::trim);
        let refused = |weight: &str| weight.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("br")) && !parts.any(refused)
    };
    let mut values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.any(|value| value.split(',').any(named))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn files(path: &str) -> Option<Asset> {
        let asset = |kind, bytes, brotli| Some(Asset { kind, etag: "abc", bytes, brotli });
        match path {
            "index.html" => asset("text/html; charset=utf-8", b"<!doctype html>", None),
            "assets/a-1.js" => asset("text/javascript", b"let a = 1;", Some(b"small")),
            "favicon.svg" => asset("image/svg+xml", b"<svg/>", None),
            _ => None,
        }
    }

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn get(path: &str, with: &[(HeaderName, &'static str)]) -> Option<Response> {
        answer(files, &Method::GET, path, &headers(with))
    }

    fn header(response: &Response, name: HeaderName) -> &str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    const BROWSER: (HeaderName, &str) = (ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");

    #[tokio::test]
    async fn a_page_for_each_address_that_somebody_opens() {
        for path in ["/", "/apps/shop", "/deployments/dep_1", "/index.html", "/setup"] {
            let response = get(path, &[BROWSER]).unwrap();
            assert_eq!(header(&response, CONTENT_TYPE), "text/html; charset=utf-8", "{path}");
            assert_eq!(header(&response, CACHE_CONTROL), "no-cache", "{path}");
            assert!(header(&response, CONTENT_SECURITY_POLICY).contains("script-src 'self'"), "{path}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "<!doctype html>");
        }
    }

    #[test]
    fn what_is_of_the_api_is_never_a_page() {
        for path in ["/api/v1/app", "/api", "/mcp", "/auth/oidc/nothing", "/healthz/x", "/metrics", "/openapi.json"] {
            assert!(get(path, &[BROWSER]).is_none(), "{path}");
        }
        // A program that mistypes a path is told so, and so is a page that wants a file of another version.
        assert!(get("/apps/shop", &[(ACCEPT, "application/json")]).is_none());
        assert!(get("/apps/shop", &[]).is_none());
        assert!(get("/assets/gone-1.js", &[BROWSER]).is_none());
        assert!(answer(files, &Method::POST, "/", &headers(&[BROWSER])).is_none());
    }

    #[test]
    fn hashed_files_stay_for_ever_and_are_sent_small_to_who_takes_it() {
        let response = get("/assets/a-1.js", &[(ACCEPT_ENCODING, "gzip, deflate, br;q=0.9")]).unwrap();
        assert_eq!(header(&response, CACHE_CONTROL), "public, max-age=31536000, immutable");
        assert_eq!(header(&response, CONTENT_ENCODING), "br");
        assert_eq!(header(&response, ETAG), "\"abc-br\"");
        for refused in ["gzip", "br;q=0", "identity"] {
            let response = get("/assets/a-1.js", &[(ACCEPT_ENCODING, refused)]).unwrap();
            assert_eq!(header(&response, CONTENT_ENCODING), "", "{refused}");
            assert_eq!(header(&response, ETAG), "\"abc\"");
        }
        assert_eq!(header(&get("/favicon.svg", &[]).unwrap(), CACHE_CONTROL), "no-cache");
    }

    #[test]
    fn what_the_browser_has_is_not_sent_again() {
        for (known, status) in [("\"abc\"", 304), ("W/\"abc\"", 304), ("\"x\", \"abc\"", 304), ("\"x\"", 200)] {
            let response = get("/", &[BROWSER, (IF_NONE_MATCH, known)]).unwrap();
            assert_eq!(response.status().as_u16(), status, "{known}");
            assert_eq!(header(&response, ETAG), "\"abc\"");
        }
    }
}
