//! Ports for apps.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, bind, setsockopt, socket, sockopt,
};

/// The range that apps get their ports from. It should lie below the kernel's range for outgoing connections.
#[derive(Debug, Clone)]
pub struct Ports {
    range: RangeInclusive<u16>,
}

/// No port is free.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("every port from {} to {} is taken; stop something or widen the range", range.start(), range.end())]
pub struct NoFreePort {
    range: RangeInclusive<u16>,
}

impl Default for Ports {
    fn default() -> Self {
        Self::new(20_000..=29_999)
    }
}

impl Ports {
    pub fn new(range: RangeInclusive<u16>) -> Self {
        Self { range }
    }

    /// A port that isn't in `taken` and that an app could listen on right now, on any address. The
    /// search begins at a place made from `seed`, so that two searches at once rarely meet;
    /// who must be sure puts what it got into the next `taken`.
    pub fn free(&self, taken: &BTreeSet<u16>, seed: &str) -> Result<u16, NoFreePort> {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        let size = self.range.len();
        let begin = hasher.finish() as usize % size.max(1);
        let mut ports = self.range.clone().skip(begin).chain(self.range.clone().take(begin));
        let free = ports.find(|port| !taken.contains(port) && can_listen(*port));
        free.ok_or_else(|| NoFreePort { range: self.range.clone() })
    }
}

/// Apps bind any address, some the IPv6 ones. Nothing listens here: a bound socket accepts nobody.
fn can_listen(port: u16) -> bool {
    let v4 = can_bind(AddressFamily::Inet, &SockaddrIn::new(0, 0, 0, 0, port));
    let any = std::net::SocketAddrV6::new(std::net::Ipv6Addr::UNSPECIFIED, port, 0, 0);
    v4.unwrap_or(false) && can_bind(AddressFamily::Inet6, &SockaddrIn6::from(any)).unwrap_or(true)
}

/// `None` if there are no such addresses on this machine.
fn can_bind(family: AddressFamily, address: &impl SockaddrLike) -> Option<bool> {
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).ok()?;
    // As servers do: connections that are closing don't count, listeners do.
    setsockopt(&socket, sockopt::ReuseAddr, &true).ok()?;
    if family == AddressFamily::Inet6 {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true).ok()?;
    }
    match bind(std::os::fd::AsRawFd::as_raw_fd(&socket), address) {
        Err(nix::errno::Errno::EADDRNOTAVAIL) => None,
        bound => Some(bound.is_ok()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn skips_what_is_taken_or_listened_on() {
        let busy = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = busy.local_addr().unwrap().port();
        let only = Ports::new(port..=port);
        assert!(only.free(&BTreeSet::new(), "x").is_err());
        drop(busy);
        assert_eq!(only.free(&BTreeSet::new(), "x").unwrap(), port);
        assert!(only.free(&BTreeSet::from([port]), "x").is_err());
    }

    #[test]
    fn finds_the_last_one_wherever_it_begins() {
        let ports = Ports::new(21_000..=21_063);
        let seeds: Vec<String> = (0..8).map(|i| i.to_string()).collect();
        let found = ports.free(&BTreeSet::new(), &seeds[0]).unwrap();
        let taken: BTreeSet<u16> = (21_000..=21_063).filter(|port| *port != found).collect();
        for seed in &seeds {
            assert_eq!(ports.free(&taken, seed).unwrap(), found);
        }
        assert!(Ports::new(RangeInclusive::new(2, 1)).free(&BTreeSet::new(), "").is_err());
    }
}
