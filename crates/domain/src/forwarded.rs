//! Who a client is when trusted proxies stand before us.
//!
//! Anybody can write `X-Forwarded-For` and `Forwarded`. They are believed only as far as trusted proxies wrote them: each adds who
//! it was called by, so they are read from the right, and the first that is not a trusted proxy is the client.

use std::net::{IpAddr, SocketAddr};

use crate::network::Network;

/// Longer chains are read as far as this: nobody has so many proxies of their own.
const MOST_HOPS: usize = 32;

/// The client of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// In its short form: never an address of version 4 in the clothes of version 6.
    pub ip: IpAddr,
    /// It came by TLS, to us or to the outermost trusted proxy that says so.
    pub secure: bool,
}

/// What a request says of the way it came; each header's values in the order in which they came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Claims<'a> {
    /// `X-Forwarded-For`.
    pub addresses: &'a [&'a str],
    /// `X-Forwarded-Proto`.
    pub schemes: &'a [&'a str],
    /// `Forwarded`, RFC 7239.
    pub forwarded: &'a [&'a str],
}

impl Client {
    /// The client of a connection from `peer`, which speaks TLS with us if `secure`.
    ///
    /// Claims of peers that are not in `trusted` are not looked at. Where a proxy keeps only one of the two headers, the client wrote the
    /// other one: if they name different clients neither is believed, and the proxy itself counts as the client.
    pub fn of(peer: IpAddr, secure: bool, trusted: &[Network], claims: Claims<'_>) -> Self {
        let peer = peer.to_canonical();
        let is_trusted = |ip: IpAddr| trusted.iter().any(|network| network.contains(ip));
        if !is_trusted(peer) {
            return Self { ip: peer, secure };
        }
        let listed = outermost(peer, is_trusted, listed(claims.addresses).map(address));
        let elements: Vec<_> = listed_elements(claims.forwarded);
        let standard = outermost(peer, is_trusted, elements.iter().map(|e| e.address));
        let ip = match (claims.addresses.is_empty(), claims.forwarded.is_empty()) {
            (true, true) => peer,
            (false, true) => listed,
            (true, false) => standard,
            (false, false) if listed == standard => listed,
            (false, false) => peer,
        };
        let scheme = match claims.schemes.is_empty() {
            // The nearest proxy's word, as the addresses were read from there, too.
            false => self::listed(claims.schemes).next(),
            true => elements.first().and_then(|e| e.scheme),
        };
        Self { ip, secure: scheme.map_or(secure, |scheme| scheme.eq_ignore_ascii_case("https")) }
    }
}

/// The first that is not trusted, or the last that could be read.
fn outermost(peer: IpAddr, is_trusted: impl Fn(IpAddr) -> bool, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
    let mut nearest = peer;
    for hop in hops.take(MOST_HOPS) {
        // What can't be read hides who is behind it: whoever wrote it is the last that is known.
        let Some(hop) = hop else { break };
        nearest = hop;
        if !is_trusted(hop) {
            break;
        }
    }
    nearest
}

/// Items of comma-separated lists, the last one first.
fn listed<'a>(values: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    values.iter().rev().flat_map(|value| value.rsplit(',')).map(str::trim)
}

/// An address as proxies write it: with a port or not, in brackets or not.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text).parse::<IpAddr>();
    let ip = bare().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    ip.ok().map(|ip| ip.to_canonical())
}

/// One proxy's part of `Forwarded`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Element<'a> {
    address: Option<IpAddr>,
    scheme: Option<&'a str>,
}

/// The last one first. A comma may stand in quotes, so a value is read from its beginning.
fn listed_elements<'a>(values: &[&'a str]) -> Vec<Element<'a>> {
    let mut elements: Vec<_> = values.iter().flat_map(|value| split(value, ',')).map(element).collect();
    elements.reverse();
    elements.truncate(MOST_HOPS);
    elements
}

fn element(text: &str) -> Element<'_> {
    let mut element = Element::default();
    for pair in split(text, ';') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        match name.trim().to_ascii_lowercase().as_str() {
            // `unknown` and names that begin with `_` hide the client on purpose.
            "for" => element.address = address(value),
            "proto" => element.scheme = Some(value),
            _ => {}
        }
    }
    element
}

/// Splits at `separator` outside of quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| match c {
        _ if escaped => {
            escaped = false;
            false
        }
        '\\' if quoted => {
            escaped = true;
            false
        }
        '"' => {
            quoted = !quoted;
            false
        }
        c => c == separator && !quoted,
    })
    .map(str::trim)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn trusted() -> Vec<Network> {
        ["10.0.0.0/8", "fd00::/8"].iter().map(|n| n.parse().unwrap()).collect()
    }

    fn client(peer: &str, addresses: &[&str], schemes: &[&str], forwarded: &[&str]) -> (String, bool) {
        let found = Client::of(ip(peer), false, &trusted(), Claims { addresses, schemes, forwarded });
        (found.ip.to_string(), found.secure)
    }

    #[test]
    fn strangers_are_not_believed() {
        let claims =
            Claims { addresses: &["192.0.2.1"], schemes: &["https"], forwarded: &["for=192.0.2.1;proto=https"] };
        let found = Client::of(ip("203.0.113.9"), false, &trusted(), claims);
        assert_eq!(found, Client { ip: ip("203.0.113.9"), secure: false });
        let found = Client::of(ip("::ffff:203.0.113.9"), true, &[], claims);
        assert_eq!(found, Client { ip: ip("203.0.113.9"), secure: true });
    }

    #[test]
    fn the_client_is_the_last_that_is_not_a_proxy_of_ours() {
        for (addresses, expected) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["198.51.100.1, 192.0.2.1"], "192.0.2.1"),
            (&["198.51.100.1, 192.0.2.1, 10.0.0.9"], "192.0.2.1"),
            (&["198.51.100.1", "192.0.2.1,10.1.1.1", "10.0.0.9"], "192.0.2.1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            // All are ours, or what is behind is hidden.
            (&["10.0.0.7, 10.0.0.9"], "10.0.0.7"),
            (&["192.0.2.1, unknown, 10.0.0.9"], "10.0.0.9"),
            (&["192.0.2.1, "], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&["evil.example"], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", addresses, &[], &[]).0, expected, "{addresses:?}");
        }
    }

    #[test]
    fn the_standard_header_is_read_as_well() {
        for (forwarded, expected) in [
            (&["for=192.0.2.1;proto=https"][..], ("192.0.2.1", true)),
            (&["For=\"[2001:db8:cafe::17]:4711\"; Proto=HTTPS; by=10.0.0.1"], ("2001:db8:cafe::17", true)),
            (&["for=198.51.100.1;proto=https, for=192.0.2.1;proto=http"], ("192.0.2.1", false)),
            (&["for=198.51.100.1", "for=192.0.2.1, for=10.0.0.4"], ("192.0.2.1", false)),
            (&["for=\"a, b\", for=192.0.2.1"], ("192.0.2.1", false)),
            (&["for=192.0.2.1, for=_hidden"], ("10.0.0.1", false)),
            (&["for=unknown"], ("10.0.0.1", false)),
            (&["proto=https"], ("10.0.0.1", true)),
            (&["for=\"192.0.2.1"], ("10.0.0.1", false)),
        ] {
            let (found, secure) = client("10.0.0.1", &[], &[], forwarded);
            assert_eq!((found.as_str(), secure), expected, "{forwarded:?}");
        }
    }

    #[test]
    fn headers_that_contradict_each_other_name_nobody() {
        assert_eq!(client("10.0.0.1", &["192.0.2.1"], &[], &["for=192.0.2.1"]).0, "192.0.2.1");
        // One of them was written by the client, as the proxy only keeps the other.
        assert_eq!(client("10.0.0.1", &["192.0.2.1"], &[], &["for=198.51.100.1"]).0, "10.0.0.1");
    }

    #[test]
    fn the_nearest_proxy_says_how_the_client_came() {
        assert!(client("10.0.0.1", &[], &["https"], &[]).1);
        assert!(client("10.0.0.1", &[], &["http, HTTPS"], &[]).1);
        assert!(!client("10.0.0.1", &[], &["https", "http"], &["proto=https"]).1);
        assert!(!client("10.0.0.1", &[], &[], &[]).1);
        let by_tls = Client::of(ip("10.0.0.1"), true, &trusted(), Claims::default());
        assert!(by_tls.secure, "a proxy that says nothing speaks for itself");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_client_of_somebody_that_a_proxy_did_not_name(text in "[ -~]{0,60}", last in 1_u8..255) {
            let named = format!("192.0.2.{last}");
            let value = format!("{text}, {named}");
            prop_assert_eq!(client("10.0.0.1", &[&value], &[], &[]).0, named.clone());
            // An open quote swallows what follows: then nobody is named, but never somebody else.
            let (found, _) = client("10.0.0.1", &[], &[], &[&text, &format!("for={named}")]);
            prop_assert_eq!(found, named);
        }
    }
}
