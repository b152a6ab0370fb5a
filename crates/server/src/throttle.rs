//! Who sends wrong tokens again and again is refused without a look at the database.
//!
//! A token has 256 random bits, so nobody guesses one: this keeps the noise off the database and the log. An address is
//! often shared (a proxy, a company), so a token that was good a while ago is looked at all the same: only unknown
//! ones wait.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// Failures that an address may have at once.
const BURST: u32 = 20;
/// After this time it may fail once more.
const REFILL: Duration = Duration::from_secs(3);
/// Addresses that are remembered.
const ADDRESSES: usize = 4096;
/// Tokens whose success is remembered, and for how long.
const TOKENS: usize = 1024;
const TRUSTED: Duration = Duration::from_secs(3600);

type Hash = [u8; 32];

/// What is remembered of failures and successes, in memory alone.
#[derive(Default)]
pub(crate) struct Throttle {
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Until when an address would have to wait for a full allowance.
    debts: HashMap<IpAddr, Instant>,
    good: HashMap<Hash, Instant>,
}

impl Throttle {
    /// How long the sender of this token must wait before it is looked at; `None` for not at all.
    pub(crate) fn wait(&self, from: IpAddr, token: &str, now: Instant) -> Option<Duration> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let over = memory.debts.get(&network(from)).copied()?.checked_duration_since(now)?;
        let wait = over.checked_sub(REFILL * (BURST - 1)).filter(|wait| !wait.is_zero())?;
        let trusted = memory.good.get(&hash(token)).is_some_and(|since| now.duration_since(*since) < TRUSTED);
        (!trusted).then_some(wait)
    }

    pub(crate) fn failed(&self, from: IpAddr, now: Instant) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.debts.len() >= ADDRESSES {
            memory.debts.retain(|_, until| *until > now);
            if memory.debts.len() >= ADDRESSES {
                // Forgetting everybody lets each fail some more, which costs less than memory without end.
                memory.debts.clear();
            }
        }
        let debt = memory.debts.entry(network(from)).or_insert(now);
        *debt = (*debt).max(now) + REFILL;
    }

    pub(crate) fn succeeded(&self, token: &str, now: Instant) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.good.len() >= TOKENS {
            memory.good.retain(|_, since| now.duration_since(*since) < TRUSTED);
        }
        if memory.good.len() < TOKENS {
            memory.good.insert(hash(token), now);
        }
    }
}

/// One customer of IPv6 has 2^64 addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

fn hash(token: &str) -> Hash {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_fails_so_often_and_then_waits() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let from = ip("192.0.2.1");
        for _ in 0..BURST {
            assert_eq!(throttle.wait(from, "wrong", start), None);
            throttle.failed(from, start);
        }
        let wait = throttle.wait(from, "wrong", start).unwrap();
        assert_eq!(wait, REFILL);
        assert_eq!(throttle.wait(ip("192.0.2.2"), "wrong", start), None, "another address");
        assert_eq!(throttle.wait(from, "wrong", start + wait), None);
        throttle.failed(from, start + wait);
        assert!(throttle.wait(from, "wrong", start + wait).is_some(), "one for each refill");
        assert_eq!(throttle.wait(from, "wrong", start + Duration::from_secs(3600)), None);
    }

    #[test]
    fn a_token_that_was_good_is_looked_at_all_the_same() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let from = ip("2001:db8::1");
        throttle.succeeded("good", start);
        (0..50).for_each(|_| throttle.failed(from, start));
        assert!(throttle.wait(ip("2001:db8::ffff:2"), "wrong", start).is_some(), "the same network");
        assert_eq!(throttle.wait(from, "good", start), None);
        assert_eq!(throttle.wait(ip("2001:db8:0:1::1"), "wrong", start), None);
        let later = start + TRUSTED;
        (0..50).for_each(|_| throttle.failed(from, later));
        assert!(throttle.wait(from, "good", later).is_some(), "too long ago");
        assert!(throttle.wait(ip("::ffff:192.0.2.1"), "x", start).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..20_000_u32 {
            throttle.failed(IpAddr::V4(n.into()), now);
            throttle.succeeded(&n.to_string(), now);
        }
        let memory = throttle.memory.lock().unwrap();
        assert!(memory.debts.len() <= ADDRESSES && memory.good.len() <= TOKENS);
    }
}
