//! What may pass from one connection to the next, and what the ingress says about the client.

use std::borrow::Cow;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode, Uri};

use crate::verify::{DEPLOYMENT, RELEASE, VERIFY};

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
/// Others that apps take a client's word from, although only a proxy may give it.
static CLAIMS: [HeaderName; 4] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
];

/// The host that a request is for, in lower case, without port and final dot.
pub(crate) fn host<B>(request: &Request<B>) -> Result<Cow<'_, str>, StatusCode> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(StatusCode::BAD_REQUEST);
    }
    let text = match (request.uri().authority(), first) {
        // The request line's host counts, RFC 9112 section 3.2.2.
        (Some(authority), _) => authority.as_str(),
        (None, Some(host)) => host.to_str().map_err(|_| StatusCode::BAD_REQUEST)?,
        (None, None) => return Err(StatusCode::BAD_REQUEST),
    };
    let host = match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => text,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.is_empty() || host.bytes().any(|b| matches!(b, b' ' | b'/' | b'@' | b'\\' | b',')) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let has_upper = host.bytes().any(|b| b.is_ascii_uppercase());
    Ok(if has_upper { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) })
}

/// Removes what belongs to one connection only, RFC 9110 section 7.6.1, with all that `Connection` names.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    while let Some(value) = headers.remove(header::CONNECTION) {
        let names = value.to_str().unwrap_or_default().split(',').map(str::trim);
        for name in names.filter(|n| !n.is_empty() && !n.eq_ignore_ascii_case("host")) {
            headers.remove(name);
        }
    }
    for name in [&KEEP_ALIVE, &PROXY_CONNECTION, &header::TE, &header::UPGRADE, &header::PROXY_AUTHENTICATE] {
        headers.remove(name);
    }
    if headers.remove(header::TRANSFER_ENCODING).is_some() {
        // Of two lengths, the encoding was the one that counted.
        headers.remove(header::CONTENT_LENGTH);
    }
}

/// All values of `Connection`, as removing takes only the first line's names with it.
pub(crate) fn merge_connection(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(header::CONNECTION).iter();
    if lines.next().is_none() || lines.next().is_none() {
        return;
    }
    let all: Vec<&[u8]> = headers.get_all(header::CONNECTION).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(all) = HeaderValue::from_bytes(&all.join(&b", "[..])) {
        headers.insert(header::CONNECTION, all);
    }
}

/// The protocol to which the client wants to switch.
pub(crate) fn wanted_upgrade(method: &Method, headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = headers
        .get(header::CONNECTION)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.split(',').any(|n| n.trim().eq_ignore_ascii_case("upgrade")));
    if asks && method == Method::GET { headers.get(header::UPGRADE).cloned() } else { None }
}

/// What goes to the upstream: the client's headers less those of its connection, and the truth about the client.
pub(crate) fn prepare(headers: &mut HeaderMap, client: &HeaderValue, upgrade: Option<HeaderValue>) {
    merge_connection(headers);
    strip_hop_by_hop(headers);
    headers.remove(header::PROXY_AUTHORIZATION);
    // The ingress itself answers it, as soon as the body is wanted.
    headers.remove(header::EXPECT);
    CLAIMS.iter().for_each(|name| drop(headers.remove(name)));
    if headers.keys().any(|n| n.as_str().contains('_')) {
        strip_lookalikes(headers);
    }
    headers.insert(FORWARDED_FOR.clone(), client.clone());
    headers.insert(FORWARDED_PROTO.clone(), HeaderValue::from_static("http"));
    if let Some(host) = headers.get(header::HOST).cloned() {
        headers.insert(FORWARDED_HOST.clone(), host);
    }
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
}

/// What goes back to the client.
pub(crate) fn clean_response(headers: &mut HeaderMap) {
    merge_connection(headers);
    strip_hop_by_hop(headers);
    headers.remove(&RELEASE);
    headers.remove(&DEPLOYMENT);
}

/// Brings the request line into the form that servers expect, `Host` into agreement with it.
pub(crate) fn origin_form(uri: &mut Uri, headers: &mut HeaderMap) {
    let Some(authority) = uri.authority() else {
        return;
    };
    // Without user and password, which don't belong there.
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    if let Ok(host) = HeaderValue::from_str(host) {
        headers.insert(header::HOST, host);
    }
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    if let Ok(origin) = path.parse() {
        *uri = origin;
    }
}

/// CGI-like servers see `X_Forwarded_For` and `X-Forwarded-For` as one.
fn strip_lookalikes(headers: &mut HeaderMap) {
    let is_ours = |name: &str| {
        let dashed = name.replace('_', "-");
        dashed.starts_with("x-forwarded-") || dashed == VERIFY.as_str() || CLAIMS.iter().any(|c| c.as_str() == dashed)
    };
    let alike: Vec<HeaderName> =
        headers.keys().filter(|n| n.as_str().contains('_') && is_ours(n.as_str())).cloned().collect();
    alike.iter().for_each(|name| drop(headers.remove(name)));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::get("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn the_host_is_what_routes_are_made_of() {
        let of = |value: &str| host(&request(&[("host", value)])).map(Cow::into_owned);
        assert_eq!(of("App.Example.org:80").unwrap(), "app.example.org");
        assert_eq!(of("a.localhost.:8080").unwrap(), "a.localhost");
        for bad in ["", "a b", "a/b", "u@a", "a,b"] {
            assert!(of(bad).is_err(), "{bad}");
        }
        assert!(host(&request(&[])).is_err());
        assert!(host(&request(&[("host", "a"), ("host", "a")])).is_err());
    }

    #[test]
    fn only_end_to_end_headers_and_the_truth_pass() {
        let mut headers = request(&[
            ("host", "a.org"),
            ("connection", "keep-alive, X-Secret"),
            ("connection", "X-Other, host"),
            ("x-secret", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x_forwarded_for", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
            ("cookie", "a=b"),
        ])
        .headers()
        .clone();
        prepare(&mut headers, &HeaderValue::from_static("1.2.3.4"), None);
        let mut left: Vec<_> = headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        left.sort();
        assert_eq!(
            left,
            [
                "cookie: a=b",
                "host: a.org",
                "x-forwarded-for: 1.2.3.4",
                "x-forwarded-host: a.org",
                "x-forwarded-proto: http"
            ]
        );
    }
}
