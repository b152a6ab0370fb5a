//! Who is at the other end of a request.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::Request;
use domain::forwarded::{Claims, Client};
use domain::network::Network;
use http::{HeaderMap, Uri};

use crate::listen::From;
use crate::{host, origin};

/// The client: who called, or who a trusted proxy says it was. Nothing where there is no connection.
pub(crate) fn of(request: &Request, trusted: &[Network]) -> Option<Client> {
    let From(peer) = *request.extensions().get::<From>()?;
    let headers = request.headers();
    let (addresses, schemes, forwarded) =
        (values(headers, "x-forwarded-for"), values(headers, "x-forwarded-proto"), values(headers, "forwarded"));
    let claims = Claims { addresses: &addresses, schemes: &schemes, forwarded: &forwarded };
    // We speak no TLS ourselves: a proxy in front of us does.
    Some(Client::of(peer, false, trusted, claims))
}

/// What can't be read is a claim all the same, of nobody.
fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("")).collect()
}

/// Whether nobody on the way can read along: it is encrypted, or never leaves the machine.
///
/// The name that the browser calls us by must say so, too: for a browser that came to this machine through a proxy that we are
/// not told of, the way to that proxy is open.
pub(crate) fn is_private(client: Option<&Client>, headers: &HeaderMap, uri: &Uri) -> bool {
    client.is_some_and(|client| client.secure) || is_local(client, headers, uri)
}

/// Whether the browser is on this machine, and speaks to it by a name that says so.
pub(crate) fn is_local(client: Option<&Client>, headers: &HeaderMap, uri: &Uri) -> bool {
    let here = client.is_some_and(|client| client.ip.is_loopback());
    here && origin::own(headers, uri).is_some_and(names_this_machine)
}

fn names_this_machine(authority: &str) -> bool {
    let name = host::name_of(authority).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Where there is no connection, as in tests.
pub(crate) fn address(client: Option<&Client>) -> IpAddr {
    client.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.ip)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(peer: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = http::Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(From(peer.parse().unwrap()));
        request
    }

    #[test]
    fn only_trusted_proxies_speak_for_others() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let claims = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https")];
        let client = of(&request("10.0.0.1", &claims), &trusted).unwrap();
        assert_eq!((client.ip.to_string().as_str(), client.secure), ("192.0.2.1", true));
        let client = of(&request("203.0.113.9", &claims), &trusted).unwrap();
        assert_eq!((client.ip.to_string().as_str(), client.secure), ("203.0.113.9", false));
        assert!(of(&http::Request::new(Body::empty()), &trusted).is_none());
    }

    #[test]
    fn this_machine_is_one_by_address_and_by_name() {
        for (peer, host, expected) in [
            ("127.0.0.1", "127.0.0.1:7878", true),
            ("127.0.0.1", "LocalHost:7878", true),
            ("127.0.0.2", "plimsoll.localhost", true),
            ("::1", "[::1]:7878", true),
            ("::ffff:127.0.0.1", "localhost", true),
            ("127.0.0.1", "deploy.example.org", false),
            ("127.0.0.1", "localhost.example.org", false),
            ("127.0.0.1", "10.0.0.1:7878", false),
            ("192.0.2.1", "localhost:7878", false),
        ] {
            let request = request(peer, &[("host", host)]);
            let client = of(&request, &[]);
            assert_eq!(is_private(client.as_ref(), request.headers(), request.uri()), expected, "{peer} at {host}");
        }
        let nobody = request("127.0.0.1", &[]);
        assert!(!is_local(of(&nobody, &[]).as_ref(), nobody.headers(), nobody.uri()));
    }
}
