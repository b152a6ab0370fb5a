//! Which of those that wait may start now.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use chrono::{DateTime, Utc};

use super::{Closed, Priority, Waiting};
use crate::id::{AppId, DeploymentId, EnvironmentId};

/// The first of an environment's queue whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub deployment: DeploymentId,
    pub app: AppId,
    pub environment: EnvironmentId,
    pub priority: Priority,
    pub rank: i64,
    pub not_before: Option<DateTime<Utc>>,
    pub enqueued_at: DateTime<Utc>,
    /// The deployment at work in its environment.
    pub running: Option<DeploymentId>,
}

/// What there is to know of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Of its deployments, at work on any server.
    pub running: u32,
    /// The most of them.
    pub limit: u32,
    /// When one of them started last, in microseconds; 0 for never.
    pub last_started: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    pub deployment: DeploymentId,
    pub app: AppId,
    pub environment: EnvironmentId,
}

/// What is to be started, in this order, and why the others are not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    pub start: Vec<Start>,
    pub wait: Vec<(DeploymentId, Waiting)>,
}

/// In which order apps go, each by the one of its own that has the lowest rank; lower first.
///
/// It is that rank, but an app that has had a turn since this one of it could first have started stands as if it came at the time of
/// the turn. So apps that both wait take turns, however many one of them has queued, and a priority keeps its worth. Among those
/// of one app the rank alone decides: its own turns put none of them behind another.
pub fn turn(rank: i64, enqueued_at: DateTime<Utc>, not_before: Option<DateTime<Utc>>, last_started: i64) -> i64 {
    let came = not_before.map_or(enqueued_at, |at| at.max(enqueued_at));
    rank.saturating_add(last_started.saturating_sub(came.timestamp_micros()).max(0))
}

/// Chooses what starts now. `closed` says whether something keeps a candidate from starting at `now`, such as a freeze.
///
/// Of each environment at most one candidate is looked at: the first in `candidates` that is there.
pub fn choose(
    candidates: Vec<Candidate>,
    apps: &BTreeMap<AppId, Facts>,
    slots: usize,
    now: DateTime<Utc>,
    closed: impl Fn(&Candidate) -> Option<Closed>,
) -> Choice {
    let mut apps: BTreeMap<AppId, Facts> = apps.clone();
    let mut choice = Choice::default();
    let mut environments: BTreeMap<EnvironmentId, DeploymentId> = BTreeMap::new();
    let mut may: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        let behind = candidate.running.clone().or_else(|| environments.get(&candidate.environment).cloned());
        let waits = match candidate.not_before.filter(|at| *at > now) {
            Some(at) => Some(Waiting::NotBefore { at }),
            None => {
                closed(&candidate).map(Waiting::Window).or_else(|| behind.map(|by| Waiting::BehindInEnvironment { by }))
            }
        };
        match waits {
            Some(waiting) => choice.wait.push((candidate.deployment, waiting)),
            None => {
                environments.insert(candidate.environment.clone(), candidate.deployment.clone());
                may.push(candidate);
            }
        }
    }
    // One start at a time, as each moves its app behind the others.
    let mut queues: BTreeMap<&AppId, BTreeSet<(i64, &DeploymentId, usize)>> = BTreeMap::new();
    for (index, candidate) in may.iter().enumerate() {
        queues.entry(&candidate.app).or_default().insert((candidate.rank, &candidate.deployment, index));
    }
    let place = |index: usize, last_started: i64| {
        let Candidate { deployment, app, rank, not_before, enqueued_at, .. } = &may[index];
        Reverse((turn(*rank, *enqueued_at, *not_before, last_started), deployment, app))
    };
    let last_started = |app: &AppId| apps.get(app).map_or(0, |facts| facts.last_started);
    let first = |queue: &BTreeSet<(i64, &DeploymentId, usize)>| queue.first().map(|(.., index)| *index);
    let mut order: BinaryHeap<_> =
        queues.iter().filter_map(|(app, queue)| Some(place(first(queue)?, last_started(app)))).collect();
    while let Some(Reverse((.., app))) = order.pop() {
        let (Some(queue), facts) = (queues.get_mut(app), apps.get_mut(app)) else { continue };
        let full = facts.as_ref().filter(|facts| facts.running >= facts.limit);
        let waits = match full {
            Some(facts) => Some(Waiting::ProjectLimit { limit: facts.limit }),
            None => (choice.start.len() >= slots).then_some(Waiting::NoSlot),
        };
        if let Some(waits) = waits {
            choice.wait.extend(queue.iter().map(|(_, deployment, _)| ((*deployment).clone(), waits.clone())));
            continue;
        }
        let Some((.., index)) = queue.pop_first() else { continue };
        let Candidate { deployment, app, environment, .. } = may[index].clone();
        choice.start.push(Start { deployment, app, environment });
        let started = facts.map_or(0, |facts| {
            facts.running += 1;
            facts.last_started = facts.last_started.max(now.timestamp_micros());
            facts.last_started
        });
        order.extend(first(queue).map(|next| place(next, started)));
    }
    choice
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};

    use super::*;
    use crate::queue::{before_all, between, rank};
    use proptest::prelude::*;

    fn at(micros: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(1_800_000_000_000_000 + micros).unwrap()
    }

    fn deployment(n: u64) -> DeploymentId {
        DeploymentId::from_ulid(ulid::Ulid::from_parts(n, n.into()))
    }

    fn app(n: u64) -> AppId {
        AppId::from_ulid(ulid::Ulid::from_parts(n, n.into()))
    }

    fn environment(n: u64) -> EnvironmentId {
        EnvironmentId::from_ulid(ulid::Ulid::from_parts(n, n.into()))
    }

    fn candidate(n: u64, of: u64, place: u64, priority: Priority, when: i64) -> Candidate {
        Candidate {
            deployment: deployment(n),
            app: app(of),
            environment: environment(place),
            priority,
            rank: rank(at(when), None, priority),
            not_before: None,
            enqueued_at: at(when),
            running: None,
        }
    }

    fn facts(of: impl IntoIterator<Item = u64>, limit: u32) -> BTreeMap<AppId, Facts> {
        of.into_iter().map(|n| (app(n), Facts { running: 0, limit, last_started: 0 })).collect()
    }

    fn open(_: &Candidate) -> Option<Closed> {
        None
    }

    #[test]
    fn each_reason_is_told() {
        let mut later = candidate(1, 1, 1, Priority::Normal, 0);
        later.not_before = Some(at(10));
        let mut behind = candidate(2, 1, 2, Priority::Normal, 0);
        behind.running = Some(deployment(99));
        let frozen = candidate(3, 1, 3, Priority::Normal, 0);
        let (first, over, full) = (
            candidate(4, 1, 4, Priority::Normal, 1),
            candidate(5, 1, 5, Priority::Normal, 2),
            candidate(6, 2, 6, Priority::Normal, 3),
        );
        let same = candidate(7, 1, 4, Priority::Normal, 4);
        let all = vec![later, behind, frozen.clone(), first, over, full, same];
        let freeze = Closed { name: "the freeze `december`".into(), until: None };
        let closed = |c: &Candidate| (c.deployment == frozen.deployment).then(|| freeze.clone());
        let choice = choose(all, &facts([1, 2], 1), 1, at(5), closed);
        assert_eq!(choice.start.iter().map(|s| &s.deployment).collect::<Vec<_>>(), [&deployment(4)]);
        let waits: BTreeMap<_, _> = choice.wait.into_iter().collect();
        assert_eq!(waits[&deployment(1)], Waiting::NotBefore { at: at(10) });
        assert_eq!(waits[&deployment(2)], Waiting::BehindInEnvironment { by: deployment(99) });
        assert_eq!(waits[&deployment(3)], Waiting::Window(freeze));
        assert_eq!(waits[&deployment(5)], Waiting::ProjectLimit { limit: 1 });
        assert_eq!(waits[&deployment(6)], Waiting::NoSlot);
        assert_eq!(waits[&deployment(7)], Waiting::BehindInEnvironment { by: deployment(4) });
    }

    #[test]
    fn a_time_that_has_come_is_no_reason() {
        let mut due = candidate(1, 1, 1, Priority::Normal, 0);
        due.not_before = Some(at(10));
        assert_eq!(choose(vec![due], &facts([1], 2), 1, at(10), open).start.len(), 1);
    }

    /// Runs a queue with one slot to its end; each start takes a second. Returns apps in the order of their starts.
    fn drain(mut queues: BTreeMap<u64, VecDeque<Candidate>>, slots: usize, rounds: usize) -> Vec<AppId> {
        let mut apps = facts(queues.keys().copied(), 2);
        let mut order = Vec::new();
        for round in 0..rounds {
            let now = at(1_000_000_000 + i64::try_from(round).unwrap() * 1_000_000);
            let heads = queues.values().filter_map(|queue| queue.front().cloned()).collect();
            let choice = choose(heads, &apps, slots, now, open);
            for start in choice.start {
                apps.get_mut(&start.app).unwrap().last_started = now.timestamp_micros();
                queues.values_mut().for_each(|queue| queue.retain(|c| c.deployment != start.deployment));
                order.push(start.app);
            }
        }
        order
    }

    #[test]
    fn one_of_another_app_is_started_in_the_first_round_after_it_came() {
        // 100,000 of one app came first. Only heads are looked at, so the rest is for the store's own test.
        let many: VecDeque<_> = (0..1000).map(|n| candidate(n, 1, 1, Priority::Normal, n as i64)).collect();
        let one = VecDeque::from([candidate(100_001, 2, 2, Priority::Normal, 100_000)]);
        for slots in [1, 2] {
            let order = drain(BTreeMap::from([(1, many.clone()), (2, one.clone())]), slots, 3);
            assert!(order[..2].contains(&app(2)), "{slots} slots: {order:?}");
        }
        // Also against the highest priority, once its advance is used up; and at once where there is a slot.
        let high: VecDeque<_> = (0..10).map(|n| candidate(n, 1, 1, Priority::Critical, n as i64)).collect();
        let order = drain(BTreeMap::from([(1, high), (2, one)]), 2, 1);
        assert_eq!(order, [app(1), app(2)]);
    }

    /// The app's own urgent ones take every slot, in other environments, and each is a turn of the app.
    #[test]
    fn an_old_one_passes_newer_ones_of_its_own_app() {
        let hour = 3_600_000_000;
        let mut apps = facts([1, 2], 1);
        for (low, advance) in [(Priority::Normal, 1), (Priority::Low, 2)] {
            let old = candidate(1, 1, 1, low, 0);
            let mut minutes = 0..;
            let waited = minutes.find(|minute| {
                let now = minute * hour / 60;
                apps.get_mut(&app(1)).unwrap().last_started = at(now - hour / 60).timestamp_micros();
                let fresh = candidate(minute.unsigned_abs() + 2, 1, 2 + minute.unsigned_abs() % 2, Priority::High, now);
                let choice = choose(vec![fresh, old.clone()], &apps, 1, at(now), open);
                choice.start[0].deployment == old.deployment
            });
            assert!(waited.unwrap() <= advance * 60 + 1, "{low:?} waited {waited:?} minutes");
        }
    }

    #[test]
    fn what_was_moved_before_all_starts_next_whatever_turns_its_app_had() {
        let hour = 3_600_000_000;
        let mut apps = facts([1, 2], 2);
        apps.get_mut(&app(1)).unwrap().last_started = at(9 * hour).timestamp_micros();
        let (mut moved, other) = (candidate(1, 1, 1, Priority::Low, 0), candidate(2, 2, 2, Priority::Critical, hour));
        let first = |moved: &Candidate| {
            let choice = choose(vec![other.clone(), moved.clone()], &apps, 1, at(9 * hour), open);
            choice.start[0].deployment.clone()
        };
        moved.rank = between(None, Some(other.rank)).unwrap();
        assert_eq!(first(&moved), other.deployment, "apps take turns");
        moved.rank = before_all(other.rank).unwrap();
        assert_eq!(first(&moved), moved.deployment);
    }

    #[test]
    fn one_for_later_is_not_put_back_for_having_been_ordered_early() {
        let day = 86_400_000_000;
        let due = at(3 * day);
        let mut early = candidate(1, 1, 1, Priority::Normal, 0);
        (early.not_before, early.rank) = (Some(due), rank(at(0), Some(due), Priority::Normal));
        // Of another app, and it came a minute after the early one's time.
        let other = candidate(2, 2, 2, Priority::Normal, 3 * day + 60_000_000);
        let mut apps = facts([1, 2], 1);
        apps.get_mut(&app(1)).unwrap().last_started = at(3 * day - 60_000_000).timestamp_micros();
        let choice = choose(vec![other, early], &apps, 1, at(3 * day + 60_000_000), open);
        assert_eq!(choice.start[0].deployment, deployment(1));
    }

    prop_compose! {
        fn entries()(raw in proptest::collection::vec((0u64..4, 0u64..3, 0usize..4, 0i64..7_200_000_000), 1..40)) -> Vec<Candidate> {
            let mut all: Vec<_> = raw.into_iter().enumerate().map(|(n, (of, place, priority, when))| {
                candidate(n as u64 + 1, of, of * 10 + place, Priority::ALL[priority], when)
            }).collect();
            all.sort_by_key(|c| (c.rank, c.deployment.clone()));
            all
        }
    }

    proptest! {
        #[test]
        fn limits_are_never_exceeded(all in entries(), slots in 0usize..6, limit in 1u32..4, busy in 0u32..3) {
            let mut apps = facts(0..4, limit);
            apps.values_mut().for_each(|facts| facts.running = busy);
            let count = all.len();
            let choice = choose(all, &apps, slots, at(8_000_000_000), open);
            prop_assert!(choice.start.len() <= slots);
            prop_assert_eq!(choice.start.len() + choice.wait.len(), count, "each is told of once");
            let places: BTreeSet<_> = choice.start.iter().map(|s| &s.environment).collect();
            prop_assert_eq!(places.len(), choice.start.len(), "one at a time in an environment");
            for (id, facts) in &apps {
                let started = choice.start.iter().filter(|s| &s.app == id).count() as u32;
                prop_assert!(started == 0 || started + facts.running <= facts.limit);
            }
        }

        #[test]
        fn nothing_that_may_start_is_left_while_a_slot_is_free(all in entries(), slots in 1usize..6) {
            let choice = choose(all, &facts(0..4, 2), slots, at(8_000_000_000), open);
            if choice.start.len() < slots {
                let slotless = choice.wait.iter().any(|(_, why)| *why == Waiting::NoSlot);
                prop_assert!(!slotless);
            }
        }

        /// What is started is what a look at all of them before each start would choose.
        #[test]
        fn each_start_is_the_first_of_those_that_may(all in entries(), slots in 0usize..9, limit in 1u32..4) {
            let apps = facts(0..4, limit);
            let now = at(8_000_000_000);
            let choice = choose(all.clone(), &apps, slots, now, open);
            let mut left: Vec<Candidate> = Vec::new();
            for candidate in all {
                if left.iter().all(|other| other.environment != candidate.environment) {
                    left.push(candidate);
                }
            }
            let mut apps = apps;
            let mut expected = Vec::new();
            while expected.len() < slots {
                left.retain(|c| apps[&c.app].running < apps[&c.app].limit);
                let place = |c: &Candidate| {
                    (turn(c.rank, c.enqueued_at, c.not_before, apps[&c.app].last_started), c.deployment.clone())
                };
                let stands = |c: &Candidate| {
                    let own = left.iter().filter(|other| other.app == c.app);
                    own.map(|other| (other.rank, &other.deployment)).min() == Some((c.rank, &c.deployment))
                };
                let firsts = (0..left.len()).filter(|index| stands(&left[*index]));
                let Some(index) = firsts.min_by_key(|index| place(&left[*index])) else { break };
                let first = left.remove(index);
                let facts = apps.get_mut(&first.app).unwrap();
                facts.running += 1;
                facts.last_started = facts.last_started.max(now.timestamp_micros());
                expected.push(first.deployment);
            }
            prop_assert_eq!(choice.start.into_iter().map(|s| s.deployment).collect::<Vec<_>>(), expected);
        }

        /// However much comes of higher priority, a low one starts once the time that it lets others go before has passed.
        #[test]
        fn nothing_starves(others in proptest::collection::vec((0usize..4, 0i64..20), 200)) {
            let second = 1_000_000;
            let low = candidate(1, 1, 1, Priority::Low, 0);
            let mut apps = facts([1, 2], 2);
            let mut rival: VecDeque<Candidate> = VecDeque::new();
            let mut time = 0;
            for (n, (priority, pause)) in others.into_iter().enumerate() {
                time += pause * 30 * second;
                rival.push_back(candidate(n as u64 + 2, 2, 2, Priority::ALL[priority], time));
                rival.make_contiguous().sort_by_key(|c| c.rank);
                let heads = rival.front().cloned().into_iter().chain([low.clone()]).collect();
                let choice = choose(heads, &apps, 1, at(time), open);
                let start = &choice.start[0];
                if start.deployment == low.deployment {
                    return Ok(());
                }
                apps.get_mut(&start.app).unwrap().last_started = at(time).timestamp_micros();
                rival.pop_front();
                // The most that a critical one gains on it, and the hour that it gives.
                prop_assert!(time <= 25 * 3600 * second, "it waits since {time}");
            }
        }
    }
}
