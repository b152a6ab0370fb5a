//! How often somebody may ask, and how many streams they may have open.
//!
//! Each may ask so many times at once, and then so many in a second: the generic cell rate algorithm, which keeps one moment for
//! each. Who is known counts as themselves, wherever they are; who is not, with their network. The token that the server makes for its own
//! machine is not counted: whoever can read it runs the server.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::network::counted;

/// How strict the limits are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimit {
    Off,
    /// So many times as much as usual.
    Times(u32),
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::Times(1)
    }
}

/// Requests of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// From a network, by who is not known.
    Stranger,
    /// From a network, to be let in.
    SignIn,
    /// Of one who is known.
    Known,
    /// Of one who is known, to change something.
    Write,
}

impl Kind {
    /// Between two for ever, and how many at once.
    const fn rate(self) -> (Duration, u32) {
        match self {
            Kind::Stranger => (Duration::from_millis(100), 60),
            Kind::SignIn => (Duration::from_secs(1), 10),
            Kind::Known => (Duration::from_millis(20), 300),
            Kind::Write => (Duration::from_millis(100), 100),
        }
    }
}

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    Network(IpAddr),
    Principal(String),
}

impl Who {
    pub(crate) fn at(address: IpAddr) -> Self {
        Who::Network(counted(address))
    }
}

/// Streams that one may have open, and that all may.
const STREAMS: u32 = 32;
const STREAMS_OF_ALL: u32 = 4096;
/// Of whom something is remembered.
const MOST: usize = 16_384;

/// What is remembered, in memory alone.
#[derive(Default)]
pub(crate) struct Limits {
    limit: RateLimit,
    /// When each would have its full allowance again.
    full: Mutex<HashMap<(Kind, Who), Instant>>,
    streams: Arc<Mutex<Streams>>,
}

#[derive(Default)]
struct Streams {
    open: HashMap<String, u32>,
    of_all: u32,
}

impl Limits {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Counts a request, or says how long to wait with it.
    pub(crate) fn ask(&self, kind: Kind, who: Who, now: Instant) -> Result<(), Duration> {
        let RateLimit::Times(times) = self.limit else { return Ok(()) };
        let (every, burst) = kind.rate();
        let (every, burst) = (every / times.max(1), burst.saturating_mul(times.max(1)));
        let mut full = lock(&self.full);
        let owed = full.get(&(kind, who.clone())).map_or(Duration::ZERO, |full| full.saturating_duration_since(now));
        if let Some(wait) = owed.checked_sub(every * (burst - 1)).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        make_room(&mut full, now);
        full.insert((kind, who), now + owed + every);
        Ok(())
    }

    /// A stream of this principal that opens; it counts until the permit is dropped. `None` when that is one too many.
    pub(crate) fn open_stream(&self, principal: &str) -> Option<Permit> {
        let RateLimit::Times(times) = self.limit else { return Some(Permit(None)) };
        let mut streams = lock(&self.streams);
        let open = streams.open.get(principal).copied().unwrap_or(0);
        if open >= STREAMS.saturating_mul(times) || streams.of_all >= STREAMS_OF_ALL {
            return None;
        }
        streams.open.insert(principal.to_owned(), open + 1);
        streams.of_all += 1;
        Some(Permit(Some((self.streams.clone(), principal.to_owned()))))
    }
}

/// Who has their full allowance need not be remembered.
fn make_room<K: Hash + Eq>(full: &mut HashMap<K, Instant>, now: Instant) {
    if full.len() >= MOST {
        full.retain(|_, full| *full > now);
        if full.len() >= MOST {
            // Forgetting everybody lets each ask some more, which costs less than memory without end.
            full.clear();
        }
    }
}

/// That a stream is open.
pub(crate) struct Permit(Option<(Arc<Mutex<Streams>>, String)>);

impl Drop for Permit {
    fn drop(&mut self) {
        let Some((streams, principal)) = self.0.take() else { return };
        let mut streams = lock(&streams);
        streams.of_all = streams.of_all.saturating_sub(1);
        match streams.open.get_mut(&principal) {
            Some(open) if *open > 1 => *open -= 1,
            _ => drop(streams.open.remove(&principal)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(text: &str) -> Who {
        Who::at(text.parse().unwrap())
    }

    #[test]
    fn so_many_at_once_and_then_one_at_a_time() {
        let (limits, start) = (Limits::default(), Instant::now());
        let zoe = || Who::Principal("usr_1".to_owned());
        let (every, burst) = Kind::Write.rate();
        for _ in 0..burst {
            assert_eq!(limits.ask(Kind::Write, zoe(), start), Ok(()));
        }
        assert_eq!(limits.ask(Kind::Write, zoe(), start), Err(every));
        assert_eq!(limits.ask(Kind::Known, zoe(), start), Ok(()), "she may look");
        assert_eq!(limits.ask(Kind::Write, Who::Principal("usr_2".to_owned()), start), Ok(()), "somebody else may");
        assert_eq!(limits.ask(Kind::Write, zoe(), start + every), Ok(()));
        assert_eq!(limits.ask(Kind::Write, zoe(), start + every), Err(every), "to be refused costs nothing");
        let later = start + every * (burst + 1);
        for _ in 0..burst {
            assert_eq!(limits.ask(Kind::Write, zoe(), later), Ok(()));
        }
        assert!(limits.ask(Kind::Write, zoe(), later).is_err(), "what was not used is not saved up");
    }

    #[test]
    fn a_network_is_one_and_factors_count() {
        let now = Instant::now();
        let twice = Limits::new(RateLimit::Times(2));
        for n in 0..20 {
            assert_eq!(twice.ask(Kind::SignIn, at(&format!("2001:db8::{n}")), now), Ok(()));
        }
        assert_eq!(twice.ask(Kind::SignIn, at("2001:db8::ffff:1"), now), Err(Duration::from_millis(500)));
        assert_eq!(twice.ask(Kind::SignIn, at("2001:db8:0:1::1"), now), Ok(()));
        assert_eq!(twice.ask(Kind::SignIn, at("192.0.2.1"), now), Ok(()));
        let off = Limits::new(RateLimit::Off);
        for _ in 0..1000 {
            assert_eq!(off.ask(Kind::SignIn, at("192.0.2.1"), now), Ok(()));
        }
    }

    #[test]
    fn streams_count_as_long_as_they_are_open() {
        let limits = Limits::default();
        let mut open: Vec<_> = (0..STREAMS).map(|_| limits.open_stream("usr_1").unwrap()).collect();
        assert!(limits.open_stream("usr_1").is_none());
        assert!(limits.open_stream("usr_2").is_some());
        open.pop();
        open.push(limits.open_stream("usr_1").unwrap());
        assert!(limits.open_stream("usr_1").is_none());
        drop(open);
        let streams = lock(&limits.streams);
        assert!(streams.open.is_empty() && streams.of_all == 0, "nothing is left of those that ended");
        drop(streams);
        let all: Vec<_> = (0..STREAMS_OF_ALL).map(|n| limits.open_stream(&n.to_string()).unwrap()).collect();
        assert!(limits.open_stream("usr_1").is_none(), "{} are open", all.len());
    }

    #[test]
    fn memory_is_bounded() {
        let (limits, now) = (Limits::default(), Instant::now());
        for n in 0..50_000_u32 {
            assert_eq!(limits.ask(Kind::Stranger, Who::at(IpAddr::V4(n.into())), now), Ok(()));
        }
        assert!(lock(&limits.full).len() <= MOST);
    }
}
