//! When waiting deployments will probably begin: the queue played forward with measured durations.
//!
//! It is played three times: with the median of how long deployments took, with their quick end (p10) and with their slow one
//! (p90). The first is the estimate, the other two its range. The rules are those of the dispatcher,
//! [`crate::queue::choose`]: apps take turns; one deployment at a time in an environment; not more of an app than its
//! limit; a free slot on the host; an open window; not before its time. The cost grows with n·log n, so a hundred
//! thousand entries are no problem.

mod durations;
mod play;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{AppId, DeploymentId, EnvironmentId};
use crate::queue::{Facts, Waiting};
use crate::window::Window;
pub use durations::{Basis, Durations, SAMPLES, Took};

/// A deployment that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub deployment: DeploymentId,
    pub app: AppId,
    pub environment: EnvironmentId,
    pub host: String,
    /// The lowest goes first.
    pub rank: i64,
    pub enqueued_at: DateTime<Utc>,
    pub not_before: Option<DateTime<Utc>>,
    /// Windows do not hold it.
    pub past_windows: bool,
    pub took: Took,
}

/// A deployment at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtWork {
    pub deployment: DeploymentId,
    pub app: AppId,
    pub environment: EnvironmentId,
    pub host: String,
    pub since: DateTime<Utc>,
    pub took: Took,
    /// It waits for an operator: it keeps its environment, and neither a slot nor a place of its app's.
    pub stuck: bool,
}

/// Everything that decides who begins when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct World {
    pub waiting: Vec<Entry>,
    pub at_work: Vec<AtWork>,
    /// Slots of the live servers of each host; a host that is not here has none.
    pub slots: BTreeMap<String, u32>,
    /// The limit of each app, and when it had its last turn. How many are at work is counted.
    pub apps: BTreeMap<AppId, Facts>,
    /// The rules of each environment that has some.
    pub windows: BTreeMap<EnvironmentId, Vec<Window>>,
}

/// What is foreseen for an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    pub deployment: DeploymentId,
    /// From 1, by rank.
    pub position: u32,
    /// `None` while nothing says when it can begin.
    pub start: Option<Start>,
    pub waits_for: Waiting,
}

/// When a deployment probably begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Start {
    pub at: DateTime<Utc>,
    /// When all before it are as quick as the quickest tenth.
    pub early: DateTime<Utc>,
    /// When all before it are as slow as the slowest tenth.
    pub late: DateTime<Utc>,
}

/// Foresees the start of every waiting deployment, in the order of their ranks.
pub fn forecast(world: &World, now: DateTime<Utc>) -> Vec<Forecast> {
    let median = play::play(world, now, |took| took.p50);
    let quick = play::play(world, now, |took| took.p10);
    let slow = play::play(world, now, |took| took.p90);
    let mut order: Vec<usize> = (0..world.waiting.len()).collect();
    order.sort_by_key(|&n| (world.waiting[n].rank, &world.waiting[n].deployment));
    let mut all = Vec::with_capacity(order.len());
    for (&n, position) in order.iter().zip(1..) {
        // Quicker deployments can let another one by, so that the quick end is not always the earlier one.
        let start = median.starts[n].map(|at| {
            let (a, b) = (quick.starts[n].unwrap_or(at), slow.starts[n].unwrap_or(at));
            Start { at, early: at.min(a).min(b), late: at.max(a).max(b) }
        });
        let waits_for = median.reasons[n].clone();
        all.push(Forecast { deployment: world.waiting[n].deployment.clone(), position, start, waits_for });
    }
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::id::WindowId;
    use crate::queue::{Closed, before_all};
    use crate::window::{Freeze, Rule};

    fn ulid(n: u64) -> ulid::Ulid {
        ulid::Ulid::from_parts(1, n.into())
    }

    fn now() -> DateTime<Utc> {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn took(seconds: i64) -> Took {
        let s = TimeDelta::seconds;
        Took { p10: s(seconds / 2), p50: s(seconds), p90: s(seconds * 2), basis: Basis::Environment, samples: 9 }
    }

    fn came(n: u64) -> DateTime<Utc> {
        now() - TimeDelta::hours(1) + TimeDelta::microseconds(n as i64)
    }

    fn entry(n: u64, app: u64, environment: u64) -> Entry {
        Entry {
            deployment: DeploymentId::from_ulid(ulid(n)),
            app: AppId::from_ulid(ulid(app)),
            environment: EnvironmentId::from_ulid(ulid(environment)),
            host: "h".into(),
            rank: came(n).timestamp_micros(),
            enqueued_at: came(n),
            not_before: None,
            past_windows: false,
            took: took(60),
        }
    }

    fn world(waiting: Vec<Entry>, slots: u32) -> World {
        World { waiting, slots: [("h".to_owned(), slots)].into(), ..World::default() }
    }

    fn seconds(world: &World) -> Vec<Option<i64>> {
        forecast(world, now()).iter().map(|f| f.start.map(|s| (s.at - now()).num_seconds())).collect()
    }

    #[test]
    fn an_environment_takes_one_after_another_and_says_whom_it_waits_for() {
        let world = world(vec![entry(2, 1, 1), entry(1, 1, 1), entry(3, 2, 2)], 10);
        assert_eq!(seconds(&world), [Some(0), Some(60), Some(0)]);
        let all = forecast(&world, now());
        assert_eq!(all[0].waits_for, Waiting::Turn);
        assert_eq!(all[1].waits_for, Waiting::BehindInEnvironment { by: all[0].deployment.clone() });
        let start = all[1].start.unwrap();
        assert_eq!((start.early, start.late), (now() + TimeDelta::seconds(30), now() + TimeDelta::seconds(120)));
        assert_eq!(all.iter().map(|f| f.position).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn limits_and_slots_hold_and_are_told() {
        let mut three = world(vec![entry(1, 1, 1), entry(2, 1, 2), entry(3, 1, 3), entry(4, 2, 4)], 3);
        assert_eq!(seconds(&three), [Some(0), Some(0), Some(60), Some(0)]);
        assert_eq!(forecast(&three, now())[2].waits_for, Waiting::ProjectLimit { limit: 2 });
        three.apps.insert(AppId::from_ulid(ulid(1)), Facts { running: 0, limit: 1, last_started: 0 });
        assert_eq!(seconds(&three), [Some(0), Some(60), Some(120), Some(0)]);
        let one = world(vec![entry(1, 1, 1), entry(2, 2, 2), entry(3, 3, 3)], 1);
        assert_eq!(seconds(&one), [Some(0), Some(60), Some(120)]);
        assert_eq!(forecast(&one, now())[1].waits_for, Waiting::NoSlot);
    }

    #[test]
    fn a_dead_host_has_no_estimate() {
        let world = world(vec![Entry { host: "gone".into(), ..entry(1, 1, 1) }, entry(2, 2, 2)], 1);
        assert_eq!(seconds(&world), [None, Some(0)]);
        assert_eq!(forecast(&world, now())[0].waits_for, Waiting::NoServer { host: "gone".into() });
    }

    #[test]
    fn one_that_waits_for_its_time_lets_others_of_its_environment_by() {
        let later = now() + TimeDelta::seconds(100);
        let world = world(vec![Entry { not_before: Some(later), ..entry(1, 1, 1) }, entry(2, 1, 1)], 1);
        assert_eq!(seconds(&world), [Some(100), Some(0)]);
        assert_eq!(forecast(&world, now())[0].waits_for, Waiting::NotBefore { at: later });
    }

    #[test]
    fn windows_hold_all_but_those_that_bypass_them() {
        let until = now() + TimeDelta::seconds(500);
        let freeze = Freeze { from: now(), until: Some(until), reason: "sale".into() };
        let window = Window { id: WindowId::from_ulid(ulid(1)), rule: Rule::Freeze(freeze) };
        let mut world = world(vec![entry(1, 1, 1), Entry { past_windows: true, ..entry(2, 1, 1) }], 1);
        world.windows.insert(EnvironmentId::from_ulid(ulid(1)), vec![window]);
        assert_eq!(seconds(&world), [Some(500), Some(0)]);
        let Waiting::Window(Closed { name, until: told }) = &forecast(&world, now())[0].waits_for else { panic!() };
        assert!(name.contains("sale") && *told == Some(until), "{name}");
    }

    #[test]
    fn what_is_at_work_takes_what_is_left_of_its_time() {
        let mut world = world(vec![entry(1, 1, 1)], 2);
        world.at_work.push(AtWork {
            deployment: DeploymentId::from_ulid(ulid(9)),
            app: AppId::from_ulid(ulid(1)),
            environment: EnvironmentId::from_ulid(ulid(1)),
            host: "h".into(),
            since: now() - TimeDelta::seconds(45),
            took: took(60),
            stuck: false,
        });
        assert_eq!(seconds(&world), [Some(15)]);
        // It takes longer than usual already: its end is near, but not now.
        world.at_work[0].since = now() - TimeDelta::seconds(4500);
        let left = seconds(&world)[0].unwrap();
        assert!((1..=60).contains(&left), "{left}");
        world.at_work[0].stuck = true;
        assert_eq!(seconds(&world), [None]);
    }

    #[test]
    fn apps_take_turns_however_many_one_of_them_has_queued() {
        let mut waiting: Vec<Entry> = (0..50).map(|n| entry(n, 1, n)).collect();
        waiting.push(entry(100, 2, 100));
        let last = seconds(&world(waiting.clone(), 1))[50].unwrap();
        assert_eq!(last, 60, "the second to begin");
        let facts = |last_started| Facts { running: 0, limit: 2, last_started };
        let mut behind = world(waiting, 1);
        behind.apps.insert(AppId::from_ulid(ulid(1)), facts(now().timestamp_micros() - 1));
        behind.apps.insert(AppId::from_ulid(ulid(2)), facts(0));
        let found = seconds(&behind);
        assert_eq!((found[50], found[0]), (Some(0), Some(60)), "it had a turn a moment ago");
        let mut moved = behind.waiting.remove(7);
        moved.rank = before_all(behind.waiting[0].rank).unwrap();
        behind.waiting.insert(0, moved);
        let found = seconds(&behind);
        assert_eq!((found[0], found[50]), (Some(0), Some(60)), "it was moved to the first place");
    }

    #[test]
    fn a_hundred_thousand_entries_are_no_problem() {
        let world = world((0..100_000).map(|n| entry(n, n % 50, n % 500)).collect(), 20);
        let began = std::time::Instant::now();
        let all = forecast(&world, now());
        assert!(all.iter().all(|f| f.start.is_some()));
        // Without optimisation.
        assert!(began.elapsed() < std::time::Duration::from_secs(120), "{:?}", began.elapsed());
    }

    proptest! {
        /// Everybody with a live host begins some time, in range, and no rule is broken on the way.
        #[test]
        fn the_rules_hold_in_what_is_foreseen(
            drawn in proptest::collection::vec((0u64..4, 0u64..3, 0i64..400, 1i64..200), 1..40), slots in 1u32..5,
        ) {
            let entries: Vec<Entry> = drawn.iter().zip(1..).map(|((app, environment, after, long), n)| Entry {
                not_before: (after % 3 == 0).then(|| now() + TimeDelta::seconds(*after)),
                took: took(*long),
                ..entry(n, *app, app * 10 + environment)
            }).collect();
            let world = world(entries.clone(), slots);
            let mut runs = vec![];
            for found in forecast(&world, now()) {
                let entry = entries.iter().find(|e| e.deployment == found.deployment).unwrap();
                let start = found.start.unwrap();
                prop_assert!(start.early <= start.at && start.at <= start.late && start.at >= now());
                prop_assert!(entry.not_before.is_none_or(|t| t <= start.at));
                prop_assert_eq!(found.waits_for == Waiting::Turn, start.at == now());
                runs.push((start.at, start.at + entry.took.p50, entry));
            }
            for (at, _, _) in &runs {
                let busy = || runs.iter().filter(|(from, to, _)| from <= at && at < to);
                prop_assert!(busy().count() <= slots as usize);
                for app in 0..4 {
                    let app = AppId::from_ulid(ulid(app));
                    prop_assert!(busy().filter(|(_, _, e)| e.app == app).count() <= 2);
                }
                let mut environments: Vec<_> = busy().map(|(_, _, e)| &e.environment).collect();
                environments.sort();
                let count = environments.len();
                environments.dedup();
                prop_assert_eq!(count, environments.len());
            }
        }
    }
}
