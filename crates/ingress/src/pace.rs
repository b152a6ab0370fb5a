//! Whether a request's body comes in fast enough to be worth waiting for.

use std::time::{Duration, Instant};

/// What a client owes of a request's body. Only the time in which it is waited for counts.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Bytes per second.
    rate: u64,
    patience: Duration,
    bytes: u64,
    waited: Duration,
    waiting: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(rate: u64, patience: Duration) -> Self {
        Self { rate, patience, bytes: 0, waited: Duration::ZERO, waiting: None }
    }

    pub(crate) fn wait(&mut self, now: Instant) {
        self.waiting.get_or_insert(now);
    }

    /// A piece has come. `false` when the client is too slow altogether.
    pub(crate) fn receive(&mut self, bytes: usize, now: Instant) -> bool {
        self.bytes += bytes as u64;
        if let Some(since) = self.waiting.take() {
            self.waited += now.saturating_duration_since(since);
        }
        let owed = u128::from(self.rate) * self.waited.as_millis() / 1000;
        self.waited <= self.patience || u128::from(self.bytes) >= owed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drips_are_cut_off_and_an_app_that_reads_slowly_is_not_the_clients_fault() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let feed = |bytes: usize, wait: Duration| {
            let mut pace = Pace::new(100, 30 * second);
            (1..=100_u32).find(|n| {
                let at = start + 2 * wait * *n;
                pace.wait(at);
                !pace.receive(bytes, at + wait)
            })
        };
        assert_eq!(feed(1, second), Some(31), "one byte a second");
        assert_eq!(feed(101, second), None);
        assert_eq!(feed(99, second), Some(31));
        let mut pace = Pace::new(100, 30 * second);
        assert!((0..1000_u32).all(|n| pace.receive(1, start + second * n)), "never waited for");
    }
}
