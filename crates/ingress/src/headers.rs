//! What may pass from one connection to the next, and what the ingress says about the client.

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};

use crate::peer::Peer;
use crate::verify::{DEPLOYMENT, RELEASE, VERIFY};

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";
const FORWARDED_HOST: &str = "x-forwarded-host";
const FORWARDED: &str = "forwarded";

/// A request as it goes to the upstream.
pub(crate) struct Outgoing<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    /// As the client named it, with its port.
    pub(crate) host: &'a [u8],
    pub(crate) peer: &'a Peer,
    /// What the peer says about the client is believed.
    pub(crate) trusted: bool,
    pub(crate) upgrade: Option<&'a HeaderValue>,
    pub(crate) body: Framing,
}

/// How the upstream is told where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// No body, and nothing is said about one.
    Silent,
    Length(u64),
    Chunked,
}

impl Outgoing<'_> {
    /// The head: the client's headers less those of its connection, and the truth about the client.
    pub(crate) fn head(&self) -> Bytes {
        let mut head = BytesMut::with_capacity(512);
        let path = self.uri.path_and_query().map_or("/", |p| p.as_str());
        for part in [self.method.as_str(), " ", path, " HTTP/1.1\r\nhost: "] {
            head.extend_from_slice(part.as_bytes());
        }
        head.extend_from_slice(self.host);
        head.extend_from_slice(b"\r\n");
        let named = named_by_connection(self.headers);
        let (mut cookies, mut offers_trailers) = (0, false);
        for (name, value) in self.headers {
            let text = name.as_str();
            if name == header::COOKIE {
                cookies += 1;
            } else if name == header::TE {
                offers_trailers |= tokens(value).any(|t| t.eq_ignore_ascii_case(b"trailers"));
            } else if self.passes(name) && !named.contains(&text) {
                line(&mut head, text, value.as_bytes());
            }
        }
        if cookies > 0 && !named.contains(&"cookie") {
            self.cookies(&mut head);
        }
        self.about_the_client(&mut head);
        match self.body {
            Framing::Silent => {}
            Framing::Length(length) => line(&mut head, "content-length", length.to_string().as_bytes()),
            Framing::Chunked => line(&mut head, "transfer-encoding", b"chunked"),
        }
        if let Some(protocol) = self.upgrade {
            line(&mut head, "connection", b"upgrade");
            line(&mut head, "upgrade", protocol.as_bytes());
        } else if offers_trailers {
            line(&mut head, "connection", b"te");
            line(&mut head, "te", b"trailers");
        }
        head.extend_from_slice(b"\r\n");
        head.freeze()
    }

    fn passes(&self, name: &HeaderName) -> bool {
        match name.as_str() {
            "host" | "content-length" | "expect" | "proxy-authorization" | "http2-settings" => false,
            FORWARDED_FOR | FORWARDED_PROTO | FORWARDED_HOST | FORWARDED => false,
            text if is_claim(text) => self.trusted,
            text if text.contains('_') => !is_lookalike(text),
            _ => !is_of_one_connection(name) && !is_ours(name),
        }
    }

    /// In one line: HTTP/2 lets clients split them, and servers of HTTP/1.1 expect one, RFC 9113 section 8.2.3. Without those
    /// of the server itself: cookies know no ports, so browsers send them to apps on its name.
    fn cookies(&self, head: &mut BytesMut) {
        let mut begin = b"cookie: ".as_slice();
        let mut add = |cookies: &[u8]| {
            head.extend_from_slice(std::mem::replace(&mut begin, b"; "));
            head.extend_from_slice(cookies);
        };
        let mut some = false;
        for value in self.headers.get_all(header::COOKIE) {
            if !value.as_bytes().windows(SERVER.len()).any(|part| part == SERVER) {
                some = true;
                add(value.as_bytes());
                continue;
            }
            for pair in value.as_bytes().split(|&b| b == b';').map(<[u8]>::trim_ascii) {
                if !pair.is_empty() && !is_of_the_server(pair) {
                    some = true;
                    add(pair);
                }
            }
        }
        if some {
            head.extend_from_slice(b"\r\n");
        }
    }

    /// Who it is. A trusted proxy's word comes first, ours is added.
    fn about_the_client(&self, head: &mut BytesMut) {
        let said = |name: &'static str| {
            let values = if self.trusted { Some(self.headers.get_all(name).iter()) } else { None };
            values.into_iter().flatten().map(HeaderValue::as_bytes).filter(|v| !v.is_empty())
        };
        head.extend_from_slice(b"x-forwarded-for: ");
        for before in said(FORWARDED_FOR) {
            head.extend_from_slice(before);
            head.extend_from_slice(b", ");
        }
        head.extend_from_slice(self.peer.text.as_bytes());
        head.extend_from_slice(b"\r\n");
        line(head, FORWARDED_PROTO, said(FORWARDED_PROTO).next().unwrap_or(self.peer.scheme().as_bytes()));
        line(head, FORWARDED_HOST, said(FORWARDED_HOST).next().unwrap_or(self.host));
        let mut forwarded = said(FORWARDED).peekable();
        if forwarded.peek().is_some() {
            let all: Vec<&[u8]> = forwarded.collect();
            let ours = match self.peer.ip.is_ipv6() {
                true => format!(", for=\"[{}]\";proto={}", self.peer.ip, self.peer.scheme()),
                false => format!(", for={};proto={}", self.peer.ip, self.peer.scheme()),
            };
            line(head, FORWARDED, &[&all.join(&b", "[..]), ours.as_bytes()].concat());
        }
    }
}

fn line(head: &mut BytesMut, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// Belongs to one connection only, RFC 9110 section 7.6.1. (What `Connection` names belongs to it, too.)
pub(crate) fn is_of_one_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "upgrade"
            | "transfer-encoding"
            | "proxy-authenticate"
    )
}

/// Nobody but the ingress says these.
pub(crate) fn is_ours(name: &HeaderName) -> bool {
    *name == VERIFY || *name == RELEASE || *name == DEPLOYMENT
}

/// What `Connection` may not take away: where a message ends and whom it is for.
pub(crate) fn is_protected(name: &HeaderName) -> bool {
    matches!(*name, header::HOST | header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::TRAILER)
}

/// Is in the names of all cookies of the server.
const SERVER: &[u8] = b"plimsoll";

/// Whether a cookie is one by which somebody is known to the server.
fn is_of_the_server(pair: &[u8]) -> bool {
    let name = pair.split(|&b| b == b'=').next().unwrap_or_default().trim_ascii();
    const OURS: [&[u8]; 5] =
        [b"__Host-plimsoll", b"plimsoll_plain", b"plimsoll_place", b"__Host-plimsoll_asked", b"plimsoll_asked"];
    OURS.contains(&name)
}

/// Others that apps take a client's word from, although only a proxy may give it.
fn is_claim(name: &str) -> bool {
    name.starts_with("x-forwarded-") || name == "x-real-ip"
}

/// CGI-like servers see `X_Forwarded_For` and `X-Forwarded-For` as one.
fn is_lookalike(name: &str) -> bool {
    let dashed = name.replace('_', "-");
    is_claim(&dashed) || dashed == FORWARDED || dashed == VERIFY.as_str()
}

/// The elements of a list, without white space and empty ones.
pub(crate) fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|t| !t.is_empty())
}

/// The headers that `Connection` names, in lower case.
fn named_by_connection(headers: &HeaderMap) -> Vec<&str> {
    // Nearly always there is none, or one with `keep-alive` or `close`.
    let mut named = Vec::new();
    for token in headers.get_all(header::CONNECTION).iter().flat_map(tokens) {
        let is_option = [&b"keep-alive"[..], b"close", b"upgrade", b"te"].iter().any(|o| token.eq_ignore_ascii_case(o));
        if !is_option {
            let name = headers.keys().find(|k| k.as_str().as_bytes().eq_ignore_ascii_case(token));
            named.extend(name.filter(|n| !is_protected(n)).map(HeaderName::as_str));
        }
    }
    named
}

/// The protocol to which the client wants to switch. HTTP itself and TLS are none that may: within them requests would
/// pass that nobody has looked at.
pub(crate) fn wanted_upgrade<'a>(method: &Method, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    let asks = headers.get_all(header::CONNECTION).iter().flat_map(tokens).any(|t| t.eq_ignore_ascii_case(b"upgrade"));
    if !asks || *method != Method::GET {
        return None;
    }
    let mut offers = headers.get_all(header::UPGRADE).iter();
    let offer = offers.next().filter(|_| offers.next().is_none())?;
    let is_http = |token: &[u8]| {
        let name = token.split(|&b| b == b'/').next().unwrap_or_default();
        [&b"h2c"[..], b"h2", b"http", b"tls"].iter().any(|n| name.eq_ignore_ascii_case(n))
    };
    if tokens(offer).next().is_none() || tokens(offer).any(is_http) { None } else { Some(offer) }
}

/// The upstream switched to something that the client had offered.
pub(crate) fn is_offered(offer: &HeaderValue, chosen: &HeaderValue) -> bool {
    let mut chosen = tokens(chosen);
    let first = chosen.next();
    chosen.next().is_none() && first.is_some_and(|c| tokens(offer).any(|o| o.eq_ignore_ascii_case(c)))
}

/// Trailers come after what was checked in the head, so they must not say what is said there.
pub(crate) fn clean_trailers(trailers: &mut HeaderMap) {
    let denied: Vec<HeaderName> = trailers.keys().filter(|n| !may_trail(n)).cloned().collect();
    denied.iter().for_each(|name| drop(trailers.remove(name)));
}

fn may_trail(name: &HeaderName) -> bool {
    let is_head = matches!(
        *name,
        header::AUTHORIZATION
            | header::COOKIE
            | header::EXPECT
            | header::CONTENT_ENCODING
            | header::CONTENT_TYPE
            | header::CONTENT_RANGE
            | header::PROXY_AUTHORIZATION
    );
    let text = name.as_str();
    let claims = is_claim(text) || text == FORWARDED || (text.contains('_') && is_lookalike(text));
    !is_head && !claims && !is_protected(name) && !is_of_one_connection(name) && !is_ours(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        headers
    }

    /// The lines after the first, in order of the alphabet.
    fn head(lines: &[(&str, &str)], trusted: bool, upgrade: bool) -> Vec<String> {
        let headers = headers(lines);
        let peer = Peer::new("1.2.3.4".parse().unwrap(), true);
        let (method, uri) = (Method::GET, "http://a.org/x?y".parse().unwrap());
        let upgrade = if upgrade { wanted_upgrade(&method, &headers) } else { None };
        let outgoing = Outgoing {
            method: &method,
            uri: &uri,
            headers: &headers,
            host: b"a.org",
            peer: &peer,
            trusted,
            upgrade,
            body: Framing::Silent,
        };
        let text = String::from_utf8(outgoing.head().to_vec()).unwrap();
        let mut lines: Vec<_> = text.strip_suffix("\r\n\r\n").unwrap().split("\r\n").map(str::to_owned).collect();
        assert_eq!(lines.remove(0), "GET /x?y HTTP/1.1");
        lines.sort();
        lines
    }

    const OURS: [&str; 4] =
        ["host: a.org", "x-forwarded-for: 1.2.3.4", "x-forwarded-host: a.org", "x-forwarded-proto: https"];

    #[test]
    fn only_end_to_end_headers_and_the_truth_pass() {
        let lines = head(
            &[
                ("host", "evil.org"),
                ("connection", "keep-alive, X-Secret, content-length"),
                ("connection", "X-Other, host"),
                ("x-secret", "1"),
                ("x-other", "1"),
                ("keep-alive", "timeout=5"),
                ("transfer-encoding", "chunked"),
                ("expect", "100-continue"),
                ("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA"),
                ("x-forwarded-for", "6.6.6.6"),
                ("x-forwarded-anything", "6.6.6.6"),
                ("x_forwarded_for", "6.6.6.6"),
                ("plimsoll_verify", "x"),
                ("plimsoll-verify", "x"),
                ("plimsoll-release", "x"),
                ("forwarded", "for=6.6.6.6"),
                ("x-real-ip", "6.6.6.6"),
                ("cookie", "a=b"),
                ("cookie", "c=d"),
                ("x_own", "1"),
                ("upgrade", "websocket"),
            ],
            false,
            true,
        );
        let mut expected: Vec<&str> = OURS.to_vec();
        expected.extend(["cookie: a=b; c=d", "x_own: 1"]);
        expected.sort_unstable();
        assert_eq!(lines, expected);
        assert!(head(&[("te", "gzip, trailers")], false, false).contains(&"te: trailers".to_owned()));
    }

    #[test]
    fn apps_never_see_by_what_somebody_is_known_to_the_server() {
        let seen = |lines: &[(&str, &str)]| -> Vec<String> {
            let lines = head(lines, false, false);
            lines.into_iter().filter(|line| line.starts_with("cookie")).collect()
        };
        assert_eq!(
            seen(&[("cookie", "a=b; __Host-plimsoll=s;plimsoll_plain=p;  c=d"), ("cookie", "plimsoll_place=x")]),
            ["cookie: a=b; c=d"]
        );
        assert_eq!(seen(&[("cookie", "__Host-plimsoll=s"), ("cookie", "e=f")]), ["cookie: e=f"]);
        assert!(seen(&[("cookie", "plimsoll_plain = p")]).is_empty());
        // What only looks like it is the app's own.
        let own = "my_plimsoll=1; x=plimsoll_plain; __Host-plimsoll2=3";
        assert_eq!(seen(&[("cookie", own)]), [format!("cookie: {own}")]);
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_added() {
        let lines = head(
            &[
                ("x-forwarded-for", "6.6.6.6, 10.0.0.9"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "b.org"),
                ("x-forwarded-port", "81"),
                ("forwarded", "for=6.6.6.6"),
            ],
            true,
            false,
        );
        assert_eq!(
            lines,
            [
                "forwarded: for=6.6.6.6, for=1.2.3.4;proto=https",
                "host: a.org",
                "x-forwarded-for: 6.6.6.6, 10.0.0.9, 1.2.3.4",
                "x-forwarded-host: b.org",
                "x-forwarded-port: 81",
                "x-forwarded-proto: http",
            ]
        );
        assert_eq!(head(&[], true, false), OURS);
    }

    #[test]
    fn only_what_is_no_http_is_switched_to() {
        let wanted = |connection: &str, upgrade: &str| {
            wanted_upgrade(&Method::GET, &headers(&[("connection", connection), ("upgrade", upgrade)])).is_some()
        };
        assert!(wanted("Upgrade", "websocket") && wanted("keep-alive, upgrade", "foo/2, bar"));
        for (connection, upgrade) in [
            ("keep-alive", "websocket"),
            ("upgrade", "h2c"),
            ("upgrade", "websocket, H2C"),
            ("upgrade", "HTTP/2.0"),
            ("upgrade", "TLS/1.0"),
            ("upgrade", ","),
        ] {
            assert!(!wanted(connection, upgrade), "{connection}: {upgrade}");
        }
        let offered = |a: &str, b: &str| is_offered(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(offered("foo, WebSocket", "websocket") && !offered("foo", "websocket") && !offered("a, b", "a, b"));
    }

    #[test]
    fn trailers_say_nothing_that_the_head_decides() {
        let mut trailers = headers(&[
            ("x-sum", "1"),
            ("content-length", "5"),
            ("host", "evil"),
            ("authorization", "x"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x_real_ip", "6.6.6.6"),
            ("transfer-encoding", "chunked"),
        ]);
        clean_trailers(&mut trailers);
        assert_eq!(trailers, headers(&[("x-sum", "1")]));
    }
}
