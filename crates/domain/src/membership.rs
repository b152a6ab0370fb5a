//! Who of the servers lives, by their heartbeats.
//!
//! A server adds one to a number in the database as long as it works. Others watch the number and judge by their own
//! monotonic clock: no clock of another machine is ever compared with one's own. A number that has not changed for a
//! whole lease, while it could be read all the time, is that of a server that stands still.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::ServerId;

/// A server as its row says at one reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    pub server: ServerId,
    /// Grows as long as it works.
    pub heartbeat: u64,
    pub lease: Duration,
}

/// What an observer knows of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its heartbeat changed `age` ago, or was first seen then.
    Live { age: Duration },
    /// It has stood still for its whole lease.
    Expired { age: Duration },
    /// It has no row: it has left, or others have seen to its end.
    Gone,
}

#[derive(Debug, Clone)]
struct Seen {
    heartbeat: u64,
    lease: Duration,
    /// By the observer's clock.
    since: Duration,
}

/// One server's memory of the heartbeats of all.
#[derive(Debug, Clone)]
pub struct Observer {
    /// Longest time between two readings in which nothing can have been missed.
    gap: Duration,
    last: Option<Duration>,
    seen: BTreeMap<ServerId, Seen>,
}

impl Observer {
    /// Who did not look for longer than `gap` begins anew: a server that was paused itself, or that could not read,
    /// must not take its own absence for that of others.
    pub fn new(gap: Duration) -> Self {
        Self { gap, last: None, seen: BTreeMap::new() }
    }

    /// What was read at `now`, a time of the observer's monotonic clock.
    pub fn observe(&mut self, now: Duration, beats: &[Beat]) {
        let anew = self.last.is_none_or(|last| now.saturating_sub(last) > self.gap);
        self.last = Some(now);
        let before = std::mem::take(&mut self.seen);
        for beat in beats {
            let unchanged = before.get(&beat.server).filter(|seen| seen.heartbeat == beat.heartbeat && !anew);
            let since = unchanged.map_or(now, |seen| seen.since);
            let seen = Seen { heartbeat: beat.heartbeat, lease: beat.lease, since };
            self.seen.insert(beat.server.clone(), seen);
        }
    }

    /// A reading failed: what was seen before proves nothing any more.
    pub fn interrupted(&mut self) {
        self.last = None;
    }

    /// By the last reading.
    pub fn standing(&self, server: &ServerId) -> Standing {
        match (self.seen.get(server), self.last) {
            (Some(seen), Some(now)) => {
                let age = now.saturating_sub(seen.since);
                if age >= seen.lease { Standing::Expired { age } } else { Standing::Live { age } }
            }
            // After a failed reading nothing is held against anybody.
            (Some(_), None) => Standing::Live { age: Duration::ZERO },
            (None, _) => Standing::Gone,
        }
    }

    /// All that have expired.
    pub fn expired(&self) -> Vec<ServerId> {
        let stands = |id: &&ServerId| matches!(self.standing(id), Standing::Expired { .. });
        self.seen.keys().filter(stands).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEASE: Duration = Duration::from_secs(10);
    const STEP: Duration = Duration::from_secs(2);

    fn server(n: u64) -> ServerId {
        ServerId::from_ulid(ulid::Ulid::from_parts(n, n.into()))
    }

    fn beat(n: u64, heartbeat: u64) -> Beat {
        Beat { server: server(n), heartbeat, lease: LEASE }
    }

    fn observer() -> Observer {
        Observer::new(STEP * 2)
    }

    #[test]
    fn one_that_stands_still_for_a_lease_has_expired() {
        let mut observer = observer();
        for n in 0..5 {
            observer.observe(STEP * n, &[beat(1, 7), beat(2, n.into())]);
            assert_eq!(observer.standing(&server(1)), Standing::Live { age: STEP * n });
        }
        observer.observe(LEASE, &[beat(1, 7), beat(2, 5)]);
        assert_eq!(observer.standing(&server(1)), Standing::Expired { age: LEASE });
        assert_eq!(observer.standing(&server(2)), Standing::Live { age: Duration::ZERO });
        assert_eq!(observer.expired(), [server(1)]);
        observer.observe(LEASE + STEP, &[beat(1, 8)]);
        assert_eq!(observer.standing(&server(1)), Standing::Live { age: Duration::ZERO }, "it has come back");
        assert_eq!(observer.standing(&server(2)), Standing::Gone);
    }

    #[test]
    fn an_outage_of_the_database_expires_nobody() {
        let mut observer = observer();
        observer.observe(Duration::ZERO, &[beat(1, 7)]);
        observer.interrupted();
        assert!(observer.expired().is_empty());
        observer.observe(LEASE * 3, &[beat(1, 7)]);
        assert_eq!(observer.standing(&server(1)), Standing::Live { age: Duration::ZERO });
    }

    #[test]
    fn who_was_paused_itself_judges_nobody_by_it() {
        let mut observer = observer();
        observer.observe(Duration::ZERO, &[beat(1, 7)]);
        observer.observe(LEASE * 3, &[beat(1, 7)]);
        assert!(observer.expired().is_empty());
    }

    proptest! {
        /// A server is only ever expired after readings that show the same number for a lease, none of them far apart.
        #[test]
        fn nobody_expires_without_a_lease_of_readings(steps in proptest::collection::vec((0u64..7, 0u64..2, any::<bool>()), 1..60)) {
            let mut observer = observer();
            let (mut now, mut heartbeat) = (0, 0);
            let mut proof: Vec<(u64, u64)> = Vec::new();
            for (pause, beats, fails) in steps {
                now += pause;
                heartbeat += beats;
                if fails {
                    observer.interrupted();
                    proof.clear();
                    continue;
                }
                if proof.last().is_some_and(|(at, seen)| *seen != heartbeat || now - at > 4) {
                    proof.clear();
                }
                proof.push((now, heartbeat));
                observer.observe(Duration::from_secs(now), &[beat(1, heartbeat)]);
                let proven = proof.first().is_some_and(|(at, _)| now - at >= 10);
                prop_assert_eq!(!observer.expired().is_empty(), proven);
            }
        }
    }
}
