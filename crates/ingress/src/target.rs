//! Whom a request is for: the checks that a request line and its `Host` must pass before a route is looked up.

use std::borrow::Cow;

use http::header;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Method, Request, StatusCode, Version};

/// The host that a request is for, in two forms.
#[derive(Debug)]
pub(crate) struct Host<'a> {
    /// As the client wrote it, with its port.
    pub(crate) written: &'a str,
    /// In lower case, without port and final dot: what routes are made of.
    pub(crate) name: Cow<'a, str>,
}

/// The host, or the status that says why nobody is to answer this.
pub(crate) fn host<B>(request: &Request<B>) -> Result<Host<'_>, StatusCode> {
    let uri = request.uri();
    check_form(request)?;
    check_expectation(request.headers())?;
    let header = one_host(request)?;
    let written = match (uri.authority(), header) {
        // The request line's host counts, but a client must not contradict itself, RFC 9112 section 3.2.
        (Some(authority), Some(header)) if !agree(authority, header, uri.scheme())? => {
            return Err(StatusCode::BAD_REQUEST);
        }
        (Some(authority), _) => authority.as_str(),
        (None, Some(header)) => header,
        (None, None) => return Err(StatusCode::BAD_REQUEST),
    };
    Ok(Host { written, name: name(written)? })
}

/// Path, absolute URL, or the `*` of OPTIONS, RFC 9112 section 3.2. CONNECT is for proxies of another kind.
fn check_form<B>(request: &Request<B>) -> Result<(), StatusCode> {
    let uri = request.uri();
    let is_path = uri.path().starts_with('/') || (uri.path() == "*" && *request.method() == Method::OPTIONS);
    let is_http = uri.scheme().is_none_or(|s| *s == Scheme::HTTP || *s == Scheme::HTTPS);
    let is_authority = uri.scheme().is_none() && uri.authority().is_some();
    if *request.method() == Method::CONNECT || !is_path || !is_http || is_authority {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(())
}

/// Servers differ in what they make of an expectation that they don't know, RFC 9110 section 10.1.1.
fn check_expectation(headers: &HeaderMap) -> Result<(), StatusCode> {
    let mut expectations = headers.get_all(header::EXPECT).iter();
    match (expectations.next(), expectations.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(()),
        _ => Err(StatusCode::EXPECTATION_FAILED),
    }
}

fn one_host<B>(request: &Request<B>) -> Result<Option<&str>, StatusCode> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().map(Some).map_err(|_| StatusCode::BAD_REQUEST),
        // HTTP/2 has a field of its own for it, which became the URL's host.
        (None, _) if request.version() != Version::HTTP_11 => Ok(None),
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

fn agree(authority: &Authority, host: &str, scheme: Option<&Scheme>) -> Result<bool, StatusCode> {
    let default = if scheme == Some(&Scheme::HTTPS) { "443" } else { "80" };
    let port = |text: &'_ str| split_port(text).1.filter(|p| !p.is_empty()).unwrap_or(default).to_owned();
    Ok(name(authority.as_str())? == name(host)? && port(authority.as_str()) == port(host))
}

fn name(written: &str) -> Result<Cow<'_, str>, StatusCode> {
    let host = split_port(written).0;
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_strange = |b: u8| b.is_ascii_control() || br#" /@\,?#;<>"'"#.contains(&b);
    if host.is_empty() || host.bytes().any(is_strange) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let has_upper = host.bytes().any(|b| b.is_ascii_uppercase());
    Ok(if has_upper { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) })
}

fn split_port(written: &str) -> (&str, Option<&str>) {
    match written.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
        _ => (written, None),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(method: &str, target: &str, version: Version, hosts: &[&str]) -> Result<String, u16> {
        let mut request = Request::builder().method(method).uri(target).version(version);
        for host in hosts {
            request = request.header("host", *host);
        }
        let request = request.body(()).unwrap();
        host(&request).map(|h| h.name.into_owned()).map_err(|s| s.as_u16())
    }

    #[test]
    fn the_host_is_what_routes_are_made_of() {
        let of = |value: &str| check("GET", "/", Version::HTTP_11, &[value]);
        assert_eq!(of("App.Example.org:80").unwrap(), "app.example.org");
        assert_eq!(of("a.localhost.:8080").unwrap(), "a.localhost");
        for bad in ["", "a b", "a/b", "u@a", "a,b", "a?b", ":80", ".", "a\tb"] {
            assert_eq!(of(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn who_contradicts_himself_is_refused() {
        let ok = |target: &str, version, hosts: &[&str]| {
            assert_eq!(check("GET", target, version, hosts), Ok("a.org".to_owned()), "{target}")
        };
        ok("http://a.org/x", Version::HTTP_11, &["a.org"]);
        ok("http://A.org:80/x", Version::HTTP_11, &["a.org"]);
        ok("https://a.org/", Version::HTTP_2, &["a.org:443"]);
        ok("https://a.org/", Version::HTTP_2, &[]);
        ok("/", Version::HTTP_10, &["a.org"]);
        for (method, target, version, hosts) in [
            ("GET", "/", Version::HTTP_11, &[][..]),
            ("GET", "/", Version::HTTP_11, &["a.org", "a.org"]),
            ("GET", "http://a.org/", Version::HTTP_11, &[]),
            ("GET", "http://a.org/", Version::HTTP_11, &["b.org"]),
            ("GET", "http://a.org:81/", Version::HTTP_11, &["a.org"]),
            ("GET", "http://u@a.org/", Version::HTTP_11, &["a.org"]),
            ("GET", "ftp://a.org/", Version::HTTP_11, &["a.org"]),
            ("GET", "a.org:80", Version::HTTP_11, &["a.org"]),
            ("GET", "*", Version::HTTP_11, &["a.org"]),
            ("CONNECT", "a.org:80", Version::HTTP_11, &["a.org"]),
            ("GET", "https://a.org/", Version::HTTP_2, &["b.org"]),
            ("GET", "/", Version::HTTP_10, &[]),
        ] {
            assert_eq!(check(method, target, version, hosts), Err(400), "{method} {target} {hosts:?}");
        }
        assert!(check("OPTIONS", "*", Version::HTTP_11, &["a.org"]).is_ok());
        let odd = Request::get("/").header("host", "a").header("expect", "y 100-continue").body(()).unwrap();
        assert_eq!(host(&odd).unwrap_err(), StatusCode::EXPECTATION_FAILED);
    }
}
