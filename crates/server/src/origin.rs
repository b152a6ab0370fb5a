//! Which page a request comes from, as far as browsers tell.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, StatusCode, Uri};
use operations::Error;

use crate::problem::refused;

const FETCH_SITE: &str = "sec-fetch-site";

/// The name, and port, by which the server was called.
pub(crate) fn own<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    headers.get(HOST).and_then(|v| v.to_str().ok()).or_else(|| uri.authority().map(|a| a.as_str()))
}

/// Browsers name the page that sends a request; only our own pages may.
///
/// No CORS header is ever sent, so foreign pages could not read an answer anyway. A
/// page that rebinds its DNS name to us agrees with its own `Host` and comes this far,
/// but no further: no browser attaches a bearer token by itself, and a cookie belongs to a name.
pub(crate) fn same_origin(headers: &HeaderMap, uri: &Uri) -> Result<(), Error> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let origin = origin
        .to_str()
        .ok()
        .and_then(|text| text.split_once("://"))
        .filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
    match (origin, own(headers, uri)) {
        (Some((_, authority)), Some(own)) if authority.eq_ignore_ascii_case(own) => Ok(()),
        _ => Err(foreign()),
    }
}

/// What a browser attaches a cookie to must come from a page of ours: another page can't have it done in somebody's name.
///
/// Apps may be on sibling names or other ports, so that "the same site" is not enough. To be asked after [`same_origin`],
/// which has found that an `Origin` that is there is ours.
pub(crate) fn from_own_page(headers: &HeaderMap) -> Result<(), Error> {
    match fetch_site(headers) {
        Some(site) if site == b"same-origin" => Ok(()),
        None if headers.contains_key(ORIGIN) => Ok(()),
        Some(_) => Err(foreign()),
        None => Err(refused(StatusCode::FORBIDDEN, "nothing says which page this request comes from").hint(
            "A program uses a token: send it as `Authorization: Bearer …`; a browser must send `Sec-Fetch-Site` or `Origin`",
        )),
    }
}

/// The same for what needs no cookie: programs may do it, foreign pages may not.
pub(crate) fn from_no_foreign_page(headers: &HeaderMap) -> Result<(), Error> {
    match fetch_site(headers) {
        None => Ok(()),
        Some(site) if site == b"same-origin" => Ok(()),
        Some(_) => Err(foreign()),
    }
}

/// Several are none that one can rely on.
fn fetch_site(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(FETCH_SITE).iter();
    let first = values.next()?.as_bytes();
    Some(if values.next().is_some() { b"" } else { first })
}

fn foreign() -> Error {
    refused(StatusCode::FORBIDDEN, "the request comes from a web page of another origin")
        .hint("Call the API from a program, or from a page that this server itself serves")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
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
            let found = same_origin(&headers(&[("origin", origin), ("host", host)]), &uri);
            assert_eq!(found.is_ok(), fine, "{origin} at {host}");
        }
        assert!(same_origin(&headers(&[("origin", "http://a")]), &uri).is_err());
        // HTTP/2 has no Host header but an authority.
        assert!(same_origin(&headers(&[("origin", "http://a:1")]), &Uri::from_static("http://a:1/x")).is_ok());
    }

    #[test]
    fn a_cookie_counts_from_our_own_pages_alone() {
        for (pairs, with_cookie, without) in [
            (&[("sec-fetch-site", "same-origin")][..], true, true),
            (&[("sec-fetch-site", "same-site")], false, false),
            (&[("sec-fetch-site", "cross-site")], false, false),
            (&[("sec-fetch-site", "none")], false, false),
            (&[("sec-fetch-site", "")], false, false),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false, false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "http://a")], false, false),
            (&[("origin", "http://a")], true, true),
            (&[], false, true),
        ] {
            let headers = headers(pairs);
            assert_eq!(from_own_page(&headers).is_ok(), with_cookie, "{pairs:?}");
            assert_eq!(from_no_foreign_page(&headers).is_ok(), without, "{pairs:?}");
        }
    }
}
