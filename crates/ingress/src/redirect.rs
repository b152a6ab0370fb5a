//! From HTTP to HTTPS, for hosts that have a certificate.

use std::sync::Arc;

use http::header::{HOST, HeaderValue, LOCATION};
use http::{Request, Response, StatusCode};

use crate::body::ResponseBody;
use crate::pages::Page;
use crate::target;
use crate::tls::Keyring;
use crate::verify::{Secret, VERIFY};

/// Where authorities look for proof of who owns a name (RFC 8555 section 8.3); they ask without TLS.
const CHALLENGE: &str = "/.well-known/acme-challenge/";

pub(crate) struct Redirect {
    pub(crate) keyring: Arc<Keyring>,
    /// Of the socket for HTTPS.
    pub(crate) port: u16,
}

impl Redirect {
    /// The answer to a plain request, if it is to be sent again with TLS. Method and body stay (308).
    pub(crate) fn answer<B>(&self, request: &Request<B>, secret: &Secret) -> Option<Response<ResponseBody>> {
        let host = target::host(request).ok()?.name;
        let verifies = request.headers().get(&VERIFY).is_some_and(|offered| secret.is(offered.as_bytes()));
        if !self.keyring.covers(&host) || verifies || request.uri().path().starts_with(CHALLENGE) {
            return None;
        }
        let port = if self.port == 443 { String::new() } else { format!(":{}", self.port) };
        let rest = request.uri().path_and_query().map_or("/", |p| p.as_str());
        let location = HeaderValue::from_str(&format!("https://{host}{port}{rest}")).ok()?;
        let mut response = Page::new(StatusCode::PERMANENT_REDIRECT, request.headers()).response(None);
        response.headers_mut().insert(LOCATION, location);
        Some(response)
    }
}

/// What HTTP/2 says in its own way, as HTTP/1.1 says it, for the app: `Host`, and one `Cookie` (RFC 9113 section 8.2.3).
pub(crate) fn as_http1<B>(request: &mut Request<B>) {
    let authority = request.uri().authority().map(|a| a.as_str().to_owned());
    let headers = request.headers_mut();
    if let (Some(authority), false) = (authority, headers.contains_key(HOST))
        && let Ok(host) = HeaderValue::from_str(&authority)
    {
        headers.insert(HOST, host);
    }
    let crumbs: Vec<HeaderValue> = headers.get_all(http::header::COOKIE).iter().cloned().collect();
    if crumbs.len() > 1 {
        let joined: Vec<&[u8]> = crumbs.iter().map(HeaderValue::as_bytes).collect();
        if let Ok(cookie) = HeaderValue::from_bytes(&joined.join(&b"; "[..])) {
            headers.insert(http::header::COOKIE, cookie);
        }
    }
}
