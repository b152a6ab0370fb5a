//! Who is at the other end of a client's connection, and which proxies are believed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderValue;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The other end of a client's connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) ip: IpAddr,
    /// Its address as apps are told it.
    pub(crate) text: HeaderValue,
    /// It speaks TLS with us.
    pub(crate) secure: bool,
}

impl Peer {
    pub(crate) fn new(ip: IpAddr, secure: bool) -> Self {
        let ip = ip.to_canonical();
        let text = HeaderValue::from_str(&ip.to_string()).unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        Self { ip, text, secure }
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

/// Addresses that begin with the same bits: `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

/// The text names no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address or network: {reason}")]
pub struct InvalidNetwork {
    text: String,
    reason: String,
}

impl Network {
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.first, ip.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => {
                same_bits(first.to_bits().into(), ip.to_bits().into(), self.bits, 32)
            }
            (IpAddr::V6(first), IpAddr::V6(ip)) => same_bits(first.to_bits(), ip.to_bits(), self.bits, 128),
            _ => false,
        }
    }
}

fn same_bits(a: u128, b: u128, bits: u8, of: u32) -> bool {
    (a ^ b).checked_shr(of.saturating_sub(bits.into())).unwrap_or(0) == 0
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let invalid = |reason: &str| InvalidNetwork {
            text: text.chars().filter(|c| !c.is_control()).take(60).collect(),
            reason: reason.to_owned(),
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr =
            address.parse().map_err(|_| invalid("expected one like 10.0.0.0/8, fd00::/8 or 192.0.2.7"))?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|b| *b <= most)
                .ok_or_else(|| invalid(&format!("after the `/` comes a number from 0 to {most}")))?,
        };
        Ok(Self { first, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_what_begins_alike() {
        let holds = |network: &str, ip: &str| network.parse::<Network>().unwrap().contains(ip.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.255.1.2") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.6"));
        assert!(holds("0.0.0.0/0", "203.0.113.9") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("fd00::/8", "fd12::1") && !holds("fd00::/8", "fe80::1"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(holds("127.0.0.0/8", "::ffff:127.0.0.1"), "an address of version 4 in the clothes of version 6");
        for bad in ["", "10.0.0.0/33", "fd00::/129", "10.0.0/8", "localhost", "10.0.0.0/-1", "10.0.0.0/"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
