//! How long and how hard it blows.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    /// Of the faults; then everything has to come to rest.
    pub(crate) length: Duration,
    pub(crate) apps: usize,
    /// Deployments that wait or are at work, as long as it blows.
    pub(crate) level: usize,
    /// Milliseconds from one fault to the next.
    pub(crate) gap: (u64, u64),
    /// Whether it goes by the clock; else each fault comes once.
    pub(crate) minutes: Option<u64>,
}

/// Of the servers, in seconds.
pub(crate) const LEASE: u64 = 3;
pub(crate) const SERVERS: usize = 3;
/// Each app has these.
pub(crate) const ENVIRONMENTS: [&str; 2] = ["production", "staging"];

impl Settings {
    /// The short form, unless `STORM_MINUTES` asks for the long one. `STORM_SEED` chooses the weather.
    pub(crate) fn from_environment() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        match number("STORM_MINUTES") {
            Some(minutes) => Self {
                seed: number("STORM_SEED").unwrap_or(now),
                length: Duration::from_secs(60 * minutes),
                apps: 20,
                level: 200,
                gap: (1_000, 6_000),
                minutes: Some(minutes),
            },
            None => Self {
                seed: number("STORM_SEED").unwrap_or(1),
                length: Duration::from_secs(22),
                apps: 4,
                level: 16,
                gap: (1_500, 3_000),
                minutes: None,
            },
        }
    }

    /// The command that repeats this weather.
    pub(crate) fn replay(&self) -> String {
        match self.minutes {
            Some(minutes) => format!("make storm minutes={minutes} seed={}", self.seed),
            None => format!("STORM_SEED={} cargo nextest run --workspace -E 'binary(storm)'", self.seed),
        }
    }
}
