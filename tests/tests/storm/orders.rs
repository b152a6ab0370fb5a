//! What clients ask for.

use std::time::Duration;

use crate::chance::Chance;
use domain::queue::Priority;

/// What becomes of a commit when it is deployed and nobody interferes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Serves,
    /// There is no such commit.
    Missing,
    BuildFails,
    ReleaseFails,
    Unhealthy,
    Exits,
    /// Healthy, and breaks in the hands of the first who asks for a page.
    Breaks,
}

#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// Number of the environment.
    pub(crate) place: usize,
    pub(crate) what: What,
    pub(crate) priority: Priority,
    /// Somebody takes it back so long after it was accepted.
    pub(crate) cancel_after: Option<Duration>,
    /// Two requests with one key go to two servers at the same time.
    pub(crate) twin: bool,
    /// It is ordered for so much later.
    pub(crate) later: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Deploy(Fate),
    Rollback,
}

impl Order {
    /// The next one; in rough places a version may break while visitors look.
    pub(crate) fn draw(chance: &Chance, places: usize, rough: impl Fn(usize) -> bool) -> Self {
        let place = usize::try_from(chance.below(places as u64)).unwrap();
        let what = match chance.below(100) {
            0..=9 => What::Rollback,
            10..=15 => What::Deploy(Fate::BuildFails),
            16..=18 => What::Deploy(Fate::ReleaseFails),
            19..=22 => What::Deploy(Fate::Unhealthy),
            23..=25 => What::Deploy(Fate::Exits),
            26..=27 => What::Deploy(Fate::Missing),
            28..=33 if rough(place) => What::Deploy(Fate::Breaks),
            _ => What::Deploy(Fate::Serves),
        };
        // Each one that passes others makes some of them needless.
        let priority = match chance.below(40) {
            0 => Priority::Critical,
            1..=3 => Priority::High,
            4..=5 => Priority::Low,
            _ => Priority::Normal,
        };
        let cancel_after = chance.percent(10).then(|| chance.millis(0, 15_000));
        let later = (what != What::Rollback && chance.percent(4)).then(|| chance.millis(500, 8_000));
        Self { place, what, priority, cancel_after, twin: chance.percent(12), later }
    }
}
