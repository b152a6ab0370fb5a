//! The queue played forward, event by event.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Entry, Took, World};
use crate::id::{AppId, DeploymentId, EnvironmentId};
use crate::queue::{CONCURRENCY, Closed, Waiting, turn};
use crate::window::{self, Verdict};

/// What came of it, by the places of the entries in `World::waiting`.
pub(super) struct Played {
    pub(super) starts: Vec<Option<DateTime<Utc>>>,
    /// What keeps each from beginning at the very start.
    pub(super) reasons: Vec<Waiting>,
}

/// The lowest number first; the id decides between equals.
type Key<'a> = (i64, &'a DeploymentId, usize);

#[derive(Default)]
struct Environment<'a> {
    /// Who is at work in it.
    busy: Option<&'a DeploymentId>,
    /// Those whose time has come, by rank.
    ready: BTreeSet<Key<'a>>,
    /// The one of them that stands for the others where slots are given out.
    candidate: Option<usize>,
}

#[derive(Default)]
struct App<'a> {
    at_work: u32,
    last_started: i64,
    /// On each host, the candidates of its environments, and the one of them that stands for the app there.
    on: BTreeMap<&'a str, Pool<'a>>,
}

#[derive(Default)]
struct Pool<'a> {
    /// By rank: among those of one app nothing else decides.
    candidates: BTreeSet<Key<'a>>,
    head: Option<Key<'a>>,
}

/// Free slots of a host, and who wants one: one of each app, by whose turn it is.
struct Slots<'a> {
    free: u32,
    wanting: BTreeSet<Key<'a>>,
}

struct Game<'a> {
    world: &'a World,
    environments: BTreeMap<&'a EnvironmentId, Environment<'a>>,
    apps: BTreeMap<&'a AppId, App<'a>>,
    hosts: BTreeMap<&'a str, Slots<'a>>,
    /// Apps whose heads have to be found anew.
    stale: BTreeSet<&'a AppId>,
    /// Ends of deployments, and entries whose time comes.
    events: BinaryHeap<Reverse<(DateTime<Utc>, Event)>>,
    starts: Vec<Option<DateTime<Utc>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// One that was at work before has ended.
    EndsAtWork(usize),
    /// One that waited, and began, has ended.
    Ends(usize),
    Ready(usize),
}

pub(super) fn play(world: &World, now: DateTime<Utc>, length: impl Fn(&Took) -> TimeDelta) -> Played {
    let mut game = Game {
        world,
        environments: BTreeMap::new(),
        apps: BTreeMap::new(),
        hosts: BTreeMap::new(),
        stale: BTreeSet::new(),
        events: BinaryHeap::new(),
        starts: vec![None; world.waiting.len()],
    };
    for (host, free) in &world.slots {
        game.hosts.insert(host, Slots { free: *free, wanting: BTreeSet::new() });
    }
    for (id, facts) in &world.apps {
        game.apps.entry(id).or_default().last_started = facts.last_started;
    }
    for (n, at_work) in world.at_work.iter().enumerate() {
        game.environments.entry(&at_work.environment).or_default().busy = Some(&at_work.deployment);
        if at_work.stuck {
            continue;
        }
        game.apps.entry(&at_work.app).or_default().at_work += 1;
        if let Some(slots) = game.hosts.get_mut(at_work.host.as_str()) {
            slots.free = slots.free.saturating_sub(1);
        }
        // One that takes longer than usual has no known end; a tenth of its time is as good a guess as any.
        let usual = length(&at_work.took);
        let left = (at_work.since + usual - now).max((usual / 10).max(TimeDelta::seconds(1)));
        game.events.push(Reverse((now + left, Event::EndsAtWork(n))));
    }
    let mut reasons = vec![Waiting::Turn; world.waiting.len()];
    for (n, reason) in reasons.iter_mut().enumerate() {
        match game.has_to_wait(n, now) {
            None => game.make_ready(n),
            Some((until, waiting)) => {
                *reason = waiting;
                game.ready_at(n, until);
            }
        }
    }
    let mut at = now;
    game.start_all(at, &length);
    game.explain(now, &mut reasons);
    while let Some(Reverse((next, event))) = game.events.pop() {
        at = at.max(next);
        game.happens(event, at);
        // Everything of one moment happens before anybody begins.
        while game.events.peek().is_some_and(|Reverse((when, _))| *when <= at) {
            if let Some(Reverse((_, event))) = game.events.pop() {
                game.happens(event, at);
            }
        }
        game.start_all(at, &length);
    }
    Played { starts: game.starts, reasons }
}

impl<'a> Game<'a> {
    /// Whether the entry has to wait for a time, and until when if that is known.
    fn has_to_wait(&self, n: usize, at: DateTime<Utc>) -> Option<(Option<DateTime<Utc>>, Waiting)> {
        let entry = &self.world.waiting[n];
        if let Some(time) = entry.not_before.filter(|time| *time > at) {
            return Some((Some(time), Waiting::NotBefore { at: time }));
        }
        if entry.past_windows {
            return None;
        }
        match window::verdict(self.world.windows.get(&entry.environment)?, at) {
            Verdict::Open { .. } => None,
            Verdict::Closed { until, why, .. } => Some((until, Waiting::Window(Closed { name: why, until }))),
        }
    }

    fn ready_at(&mut self, n: usize, until: Option<DateTime<Utc>>) {
        if let Some(until) = until {
            self.events.push(Reverse((until, Event::Ready(n))));
        }
    }

    fn happens(&mut self, event: Event, at: DateTime<Utc>) {
        let world = self.world;
        match event {
            Event::EndsAtWork(n) => {
                let ended = &world.at_work[n];
                self.ends(&ended.app, &ended.environment, &ended.host);
            }
            Event::Ends(n) => {
                let ended = &world.waiting[n];
                self.ends(&ended.app, &ended.environment, &ended.host);
            }
            Event::Ready(n) => match self.has_to_wait(n, at) {
                None => self.make_ready(n),
                Some((until, _)) => self.ready_at(n, until.filter(|until| *until > at)),
            },
        }
    }

    fn make_ready(&mut self, n: usize) {
        let entry = &self.world.waiting[n];
        let environment = self.environments.entry(&entry.environment).or_default();
        environment.ready.insert((entry.rank, &entry.deployment, n));
        self.choose(&entry.environment);
    }

    /// Puts the first of a free environment forward, in the place of another one.
    fn choose(&mut self, of: &'a EnvironmentId) {
        let environment = self.environments.entry(of).or_default();
        let wanted = environment.ready.first().map(|key| key.2).filter(|_| environment.busy.is_none());
        let before = std::mem::replace(&mut environment.candidate, wanted);
        if before == wanted {
            return;
        }
        for (n, is_there) in before.map(|n| (n, false)).into_iter().chain(wanted.map(|n| (n, true))) {
            let entry = &self.world.waiting[n];
            let pool = self.apps.entry(&entry.app).or_default().on.entry(&entry.host).or_default();
            let key = (entry.rank, &entry.deployment, n);
            let _ = if is_there { pool.candidates.insert(key) } else { pool.candidates.remove(&key) };
            self.stale.insert(&entry.app);
        }
    }

    fn ends(&mut self, app: &'a AppId, environment: &'a EnvironmentId, host: &str) {
        if let Some(slots) = self.hosts.get_mut(host) {
            slots.free += 1;
        }
        let ended = self.apps.entry(app).or_default();
        ended.at_work = ended.at_work.saturating_sub(1);
        self.stale.insert(app);
        self.environments.entry(environment).or_default().busy = None;
        self.choose(environment);
    }

    fn limit(&self, app: &AppId) -> u32 {
        self.world.apps.get(app).map_or(CONCURRENCY, |facts| facts.limit)
    }

    /// Finds who stands for each changed app: nobody while it has as many at work as it may.
    fn find_heads(&mut self) {
        for id in std::mem::take(&mut self.stale) {
            let full = self.is_full(id);
            let app = self.apps.entry(id).or_default();
            for (host, pool) in &mut app.on {
                // A host without a live server gives no slots.
                let Some(slots) = self.hosts.get_mut(host) else { continue };
                if let Some(head) = pool.head.take() {
                    slots.wanting.remove(&head);
                }
                if full {
                    continue;
                }
                pool.head = pool.candidates.first().map(|(rank, deployment, n)| {
                    let Entry { enqueued_at, not_before, .. } = &self.world.waiting[*n];
                    (turn(*rank, *enqueued_at, *not_before, app.last_started), *deployment, *n)
                });
                slots.wanting.extend(pool.head);
            }
        }
    }

    /// Gives out what slots there are.
    fn start_all(&mut self, at: DateTime<Utc>, length: &impl Fn(&Took) -> TimeDelta) {
        loop {
            self.find_heads();
            let first = |slots: &Slots<'a>| slots.wanting.first().copied().filter(|_| slots.free > 0);
            let Some((_, _, n)) = self.hosts.values().filter_map(first).min() else { return };
            let entry = &self.world.waiting[n];
            let environment = self.environments.entry(&entry.environment).or_default();
            environment.ready.remove(&(entry.rank, &entry.deployment, n));
            // The window may have closed while it waited for its turn.
            if let Some((until, _)) = self.has_to_wait(n, at) {
                self.choose(&entry.environment);
                self.ready_at(n, until.filter(|until| *until > at));
                continue;
            }
            let environment = self.environments.entry(&entry.environment).or_default();
            environment.busy = Some(&entry.deployment);
            self.choose(&entry.environment);
            let app = self.apps.entry(&entry.app).or_default();
            app.at_work += 1;
            app.last_started = app.last_started.max(at.timestamp_micros());
            self.stale.insert(&entry.app);
            if let Some(slots) = self.hosts.get_mut(entry.host.as_str()) {
                slots.free -= 1;
            }
            self.starts[n] = Some(at);
            self.events.push(Reverse((at + length(&entry.took).max(TimeDelta::seconds(1)), Event::Ends(n))));
        }
    }

    /// Says of each that has not begun what it waits for, unless it is a time.
    fn explain(&self, now: DateTime<Utc>, reasons: &mut [Waiting]) {
        for (n, entry) in self.world.waiting.iter().enumerate() {
            if self.starts[n] == Some(now) || reasons[n] != Waiting::Turn {
                continue;
            }
            let environment = self.environments.get(&entry.environment);
            let ahead = environment.and_then(|environment| {
                let candidate = environment.candidate.filter(|candidate| *candidate != n);
                environment.busy.or(candidate.map(|candidate| &self.world.waiting[candidate].deployment))
            });
            let alive = self.world.slots.get(&entry.host).is_some_and(|slots| *slots > 0);
            reasons[n] = match ahead {
                _ if !alive => Waiting::NoServer { host: entry.host.clone() },
                Some(by) => Waiting::BehindInEnvironment { by: by.clone() },
                None if self.is_full(&entry.app) => Waiting::ProjectLimit { limit: self.limit(&entry.app) },
                None => Waiting::NoSlot,
            };
        }
    }

    fn is_full(&self, app: &AppId) -> bool {
        self.apps.get(app).is_some_and(|found| found.at_work >= self.limit(app))
    }
}
