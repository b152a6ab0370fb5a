//! Whether an address is a public one. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Public,
    /// What kind of address it is, for people: `a private address`.
    Special(&'static str),
}

/// Addresses of version 6 that carry one of version 4 are judged by that: IPv4-mapped and -compatible, NAT64, 6to4.
pub fn judge(ip: IpAddr) -> Verdict {
    match unpack(ip) {
        IpAddr::V4(ip) => judge_v4(ip),
        IpAddr::V6(ip) => judge_v6(ip),
    }
}

/// The address of version 4 inside one of version 6, however it is dressed.
pub(crate) fn unpack(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let segments = v6.segments();
    let bits = v6.to_bits();
    let inside = match segments {
        // `::ffff:a.b.c.d`; `::ffff:0:a.b.c.d` of translators; `::a.b.c.d`, but for `::` and `::1`.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Some(low(bits)),
        [0, 0, 0, 0, 0, 0, ..] if bits > 1 => Some(low(bits)),
        // NAT64 (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(low(bits)),
        // 6to4: behind the first 16 bits.
        [0x2002, high, low, ..] => Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    };
    inside.map_or(ip, IpAddr::V4)
}

fn low(bits: u128) -> Ipv4Addr {
    // The last 32 bits.
    Ipv4Addr::from_bits((bits & u128::from(u32::MAX)) as u32)
}

/// By IANA's registry of special-purpose addresses.
fn judge_v4(ip: Ipv4Addr) -> Verdict {
    let special = match ip.octets() {
        [0, ..] => "an address of no host",
        [10, ..] | [192, 168, ..] => "a private address",
        [172, 16..=31, ..] => "a private address",
        [127, ..] => "an address of this machine",
        [169, 254, ..] => "a link-local address, where clouds keep their metadata",
        [100, 64..=127, ..] => "an address inside a provider's network",
        [192, 0, 0, _] => "an address for protocols",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "an address for documentation",
        [192, 88, 99, _] => "an address of relays",
        [198, 18..=19, ..] => "an address for benchmarks",
        [224..=239, ..] => "a multicast address",
        [240..=255, ..] => "a reserved address",
        _ => return Verdict::Public,
    };
    Verdict::Special(special)
}

/// Global unicast is `2000::/3`; whatever is outside of it, or special inside, is no public host.
fn judge_v6(ip: Ipv6Addr) -> Verdict {
    let special = match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "an address of no host",
        [0, 0, 0, 0, 0, 0, 0, 1] => "an address of this machine",
        [0xfe80..=0xfebf, ..] => "a link-local address",
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => "a private address",
        [0xff00..=0xffff, ..] => "a multicast address",
        // NAT64 with a prefix of one's own: where the address of version 4 begins is not known.
        [0x64, 0xff9b, ..] => "an address of a translator",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => "an address for documentation",
        // Teredo, benchmarks, identifiers.
        [0x2001, 0..=0x1ff, ..] => "an address for protocols",
        [0x2000..=0x3fff, ..] => return Verdict::Public,
        _ => "a reserved address",
    };
    Verdict::Special(special)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn is_public(ip: &str) -> bool {
        judge(ip.parse().unwrap()) == Verdict::Public
    }

    #[test]
    fn public_addresses_are_public() {
        for ip in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:200::1",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
        ] {
            assert!(is_public(ip), "{ip}");
        }
    }

    #[test]
    fn all_others_are_not() {
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:7f00:1",
            "::ffff:0:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1.1.1.1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "2002:a9fe:a9fe::",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(ip), "{ip}");
        }
    }
}
