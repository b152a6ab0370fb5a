//! The model of one server: heartbeats, judging peers, dispatch, runs, the leader's duties. What it decides, the real code
//! decides; what it writes are transactions of the model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::membership::{Beat, Observer};
use domain::queue::{Candidate, Facts, Priority, choose, turn};
use domain::schedule::{Due, due};
use domain::{AppId, DeploymentId, EnvironmentId, ServerId};
use saga::{Cancel, Engine, EngineError, Fence, JournalError, Remedy, SagaId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use crate::clock::{queue_time, schedule_time, time};
use crate::database::{End, Rows, Run, Server as Row};
use crate::deployment::{self, Deploy};
use crate::journal::ModelJournal;
use crate::order;
use crate::process::Process;
use crate::world::{LEASE, Mutation, World};

/// Between two looks at the others.
const LOOK: Duration = Duration::from_millis(400);
/// The safety net of whoever waits for a notification.
const TIMER: Duration = Duration::from_secs(1);
/// Between two looks at what is there and should not be.
const RECONCILE: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Server {
    world: World,
    process: Process,
    host: u32,
    /// What runs here, with its epoch.
    runs: Arc<Mutex<BTreeMap<u32, (u64, Cancel)>>>,
    /// Fires at a clean stop, before anything is handed over.
    stopping: CancellationToken,
}

/// Lives until its process is killed.
pub(crate) async fn run(world: World, process: Process, host: u32) {
    let (runs, stopping) = (Arc::default(), CancellationToken::new());
    let server = Server { world, process, host, runs, stopping };
    server.register().await;
    let tasks = [
        tokio::spawn(server.clone().while_alive(|s| async move { s.beat().await })),
        tokio::spawn(server.clone().while_alive(|s| async move { s.watch_peers().await })),
        tokio::spawn(server.clone().while_alive(|s| async move { s.dispatch().await })),
        tokio::spawn(server.clone().while_alive(|s| async move { s.lead().await })),
        tokio::spawn(server.clone().while_alive(|s| async move { s.reconcile().await })),
        tokio::spawn(server.clone().while_alive(|s| async move { s.stop_some_day().await })),
    ];
    for task in tasks {
        _ = task.await;
    }
}

impl Server {
    async fn while_alive<F: Future<Output = ()>>(self, work: impl FnOnce(Self) -> F) {
        let process = self.process.clone();
        process.run(work(self)).await;
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Rows) -> T + Send + 'static,
    ) -> Result<T, crate::database::Away> {
        let done = self.world.database.write(&self.process, work).await;
        self.world.verdicts.look();
        done
    }

    async fn register(&self) {
        let (id, host) = (self.process.id, self.host);
        while self.write(move |rows| rows.servers.insert(id, Row { host, heartbeat: 1 })).await.is_err() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Who finds its row gone was given up by the others, and ends.
    async fn beat(&self) {
        let id = self.process.id;
        loop {
            tokio::time::sleep(LEASE / 5).await;
            let beat = move |rows: &mut Rows| rows.servers.get_mut(&id).map(|row| row.heartbeat += 1).is_some();
            if let Ok(false) = self.write(beat).await {
                self.world.say(|| format!("server {id} finds that it was given up"));
                self.process.kill();
            }
        }
    }

    async fn watch_peers(&self) {
        let began = Instant::now();
        let mut observer = Observer::new(LEASE / 2);
        loop {
            tokio::time::sleep(LOOK).await;
            let Ok(rows) = self.write(|rows| rows.servers.clone()).await else {
                observer.interrupted();
                continue;
            };
            let beat = |(id, row): (&u32, &Row)| Beat { server: server(*id), heartbeat: row.heartbeat, lease: LEASE };
            observer.observe(began.elapsed(), &rows.iter().map(beat).collect::<Vec<_>>());
            let expired = observer.expired();
            for (id, row) in rows.into_iter().filter(|(id, _)| *id != self.process.id) {
                let stands_still = expired.contains(&server(id));
                if row.host == self.host {
                    self.see_to(id, stands_still).await;
                } else if stands_still {
                    self.give_up(id).await;
                }
            }
        }
    }

    /// A peer on this machine: nobody acts in its place before its process is gone.
    async fn see_to(&self, peer: u32, stands_still: bool) {
        let process = {
            let processes = self.world.processes.lock().unwrap_or_else(PoisonError::into_inner);
            processes.get(&peer).map(|(_, process)| process.clone())
        };
        let Some(process) = process.filter(|process| stands_still || !process.is_alive()) else { return };
        self.process.step().await;
        if process.is_alive() && self.world.mutation != Some(Mutation::LetThePausedLive) {
            self.world.say(|| format!("server {} ends server {peer}, which stands still", self.process.id));
            process.kill();
        }
        let me = self.process.id;
        let no_take_over = self.world.mutation == Some(Mutation::NoTakeOver);
        let take_over = move |rows: &mut Rows| {
            rows.servers.remove(&peer);
            rows.lock = rows.lock.filter(|holder| *holder != peer);
            for deployment in rows.deployments.values_mut().filter(|d| d.owner == Some(peer) && !no_take_over) {
                // A stuck one that it had just taken waits for the operator again.
                deployment.owner = Some(me).filter(|_| !deployment.stuck);
                deployment.epoch += 1;
            }
        };
        if self.write(take_over).await.is_ok() {
            self.world.say(|| format!("server {me} takes over from {peer}"));
        }
    }

    /// A peer on another machine: its deployments wait for a server there, but it leads no more.
    async fn give_up(&self, peer: u32) {
        let give_up = move |rows: &mut Rows| rows.lock = rows.lock.filter(|holder| *holder != peer);
        _ = self.write(give_up).await;
    }

    async fn dispatch(&self) {
        let changes = self.world.database.changes();
        loop {
            let seen = changes.seen();
            let (me, host, mutation) = (self.process.id, self.host, self.world.mutation);
            let (database, verdicts) = (self.world.database.clone(), self.world.verdicts.clone());
            let free = self.world.slots.saturating_sub(self.running().len());
            let take = move |rows: &mut Rows| {
                let now = database.now();
                let heads = order::heads(rows, host, now);
                take(rows, me, host, free, now, mutation);
                verdicts.started(&heads, rows, now);
                let mine = rows.deployments.iter().filter(|(_, d)| d.owner == Some(me));
                mine.map(|(id, d)| (*id, d.epoch, d.stuck, d.cancel_requested)).collect::<Vec<_>>()
            };
            // Also what was taken by a write whose answer got lost.
            if let Ok(mine) = self.write(take).await
                && !self.stopping.is_cancelled()
            {
                for (id, epoch, stuck, cancel) in mine {
                    self.ensure(id, epoch, stuck);
                    if cancel && let Some((_, handle)) = self.running().get(&id) {
                        handle.place("a client asked for it");
                    }
                }
            }
            tokio::select! {
                biased;
                () = changes.wait(seen) => {}
                () = tokio::time::sleep(TIMER) => {}
            }
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, (u64, Cancel)>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a deployment that is this server's, unless it does already. One that is stuck was taken to be tried again.
    fn ensure(&self, id: u32, epoch: u64, stuck: bool) {
        let cancel = Cancel::new();
        {
            let mut running = self.running();
            if running.contains_key(&id) {
                return;
            }
            running.insert(id, (epoch, cancel.clone()));
        }
        let server = self.clone();
        tokio::spawn(self.clone().while_alive(move |_| async move {
            let stopping = server.stopping.clone();
            stopping.run_until_cancelled(server.drive(id, epoch, stuck, &cancel)).await;
            server.running().remove(&id);
        }));
    }

    async fn drive(&self, id: u32, epoch: u64, stuck: bool, cancel: &Cancel) {
        let World { database, verdicts, chance, mutation, hosts, .. } = self.world.clone();
        let Some(host) = hosts.get(self.host as usize).cloned() else { return };
        let journal = ModelJournal {
            process: self.process.clone(),
            database: database.clone(),
            mutation,
            verdicts: verdicts.clone(),
            kept_back: Mutex::default(),
        };
        let acts_on = deployment::World {
            process: self.process.clone(),
            epoch,
            database,
            host,
            chance: chance.clone(),
            verdicts: verdicts.clone(),
            mutation,
        };
        let clock = self.clone();
        let engine = match Engine::<Deploy>::new(Arc::new(journal), Arc::new(acts_on), Vec::new()) {
            Ok(engine) => engine.chance(move || clock.now(), move || chance.below(u64::MAX)).max_interruptions(1000),
            Err(e) => return verdicts.wrong(format!("no engine: {e}")),
        };
        self.world.say(|| format!("server {} goes on with {id} under epoch {epoch}", self.process.id));
        let saga = SagaId::new(id.to_string());
        let resumed = match stuck {
            true => engine.unstick(&saga, Fence(epoch), Remedy::Retry, "an operator").await.map(drop),
            false => Ok(()),
        };
        if let Err(e) = resumed {
            self.world.say(|| format!("server {} can't try {id} again: {e}", self.process.id));
            return self.let_go(id, epoch).await;
        }
        loop {
            match engine.run(&saga, Fence(epoch), cancel).await {
                Ok(outcome) => {
                    self.world.say(|| format!("{id} ended: {}", outcome.name()));
                    return;
                }
                Err(EngineError::Journal { source, .. }) => match source {
                    JournalError::Fenced { current, .. } => {
                        self.world.say(|| format!("server {} lost {id} to epoch {current}", self.process.id));
                        return;
                    }
                    // Who wrote in between shows when it is read again.
                    JournalError::Unavailable(_) | JournalError::Conflict { .. } => {
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                    JournalError::Corrupt(why) => return verdicts.wrong(format!("the journal of {id}: {why}")),
                },
                Err(e) => return verdicts.wrong(format!("{id} can't go on: {e}")),
            }
        }
    }

    /// The operator may ask for it again, of whichever server.
    async fn let_go(&self, id: u32, epoch: u64) {
        let let_go = move |rows: &mut Rows| {
            if let Some(taken) = rows.deployments.get_mut(&id).filter(|d| d.stuck && d.epoch == epoch) {
                taken.owner = None;
            }
        };
        _ = self.write(let_go).await;
    }

    /// Has what is at rest on this machine answered by what is active, and removes what ended deployments have left: one that was
    /// abandoned has not taken it back.
    async fn reconcile(&self) {
        let Some(machine) = self.world.hosts.get(self.host as usize).cloned() else { return };
        if self.world.mutation == Some(Mutation::LeaveTheAbandoned) {
            return;
        }
        loop {
            tokio::time::sleep(RECONCILE).await;
            self.process.step().await;
            // Seen before the rows are read: what has begun since then decides under a higher generation.
            let routes = machine.lock().unwrap_or_else(PoisonError::into_inner).routes.clone();
            let host = self.host;
            let Ok(rest) = self.write(move |rows| Rest::of(rows, host)).await else { continue };
            tokio::time::sleep(self.world.chance.millis(0, 30)).await;
            self.process.step().await;
            {
                let mut machine = machine.lock().unwrap_or_else(PoisonError::into_inner);
                for (environment, active) in rest.idle {
                    if let Some(there) = routes.get(&environment).filter(|there| there.to != active) {
                        // Refused: a newer one has them.
                        _ = machine.route(environment, there.generation, active);
                    }
                }
                machine.clean(&rest.ended, &rest.active);
            }
            self.world.verdicts.look();
        }
    }

    /// The wall clock of this server, which may be off.
    fn now(&self) -> DateTime<Utc> {
        let skew = self.world.skew.lock().unwrap_or_else(PoisonError::into_inner).get(&self.process.id).copied();
        time(self.world.database.now()) + TimeDelta::milliseconds(skew.unwrap_or_default())
    }

    /// The leader makes the deployments of schedules.
    async fn lead(&self) {
        let me = self.process.id;
        loop {
            tokio::time::sleep(TIMER).await;
            let campaign = move |rows: &mut Rows| {
                // A session ends with its server: what arrives after that takes no lock.
                if rows.lock.is_none() && rows.servers.contains_key(&me) {
                    rows.lock = Some(me);
                    rows.leader_epoch += 1;
                }
                (rows.lock == Some(me)).then_some((rows.leader_epoch, rows.schedules.clone()))
            };
            let Ok(Some((epoch, schedules))) = self.write(campaign).await else { continue };
            let shown = self.now();
            let (now, at) = (u64::try_from((shown - time(0)).num_milliseconds()), schedule_time(shown));
            let (now, mutation) = (now.unwrap_or_default(), self.world.mutation);
            let unasked = mutation == Some(Mutation::TwoLeaders);
            for (n, schedule) in schedules.into_iter().enumerate() {
                let Some(planned) = schedule.next else { continue };
                let (runs, late, next) = match due(&schedule.cron, schedule.missed, planned, at) {
                    Due::NotYet => continue,
                    Due::Run { late, next, .. } => (true, late, next),
                    Due::Skip { next, .. } => (false, true, next),
                };
                let next = match mutation {
                    Some(Mutation::MakeUpForEach) => schedule.cron.next_after(planned),
                    _ => next,
                };
                let forgotten = late && mutation == Some(Mutation::ForgetTheMissed);
                tokio::time::sleep(self.world.chance.millis(0, 1000)).await;
                let carry_out = move |rows: &mut Rows| {
                    let Some(found) = rows.schedules.get_mut(n) else { return };
                    if (rows.leader_epoch != epoch || found.next != Some(planned)) && !unasked {
                        return;
                    }
                    found.next = next;
                    if forgotten {
                        return;
                    }
                    let deployment = runs.then(|| rows.accept(schedule.environment, Priority::Normal, now, None));
                    if let Some(found) = rows.schedules.get_mut(n) {
                        found.runs.push(Run { planned, at, deployment, next });
                    }
                };
                _ = self.write(carry_out).await;
            }
        }
    }

    /// Some are stopped as they should be: the runs are dropped, then handed over.
    async fn stop_some_day(&self) {
        if !self.world.chance.percent(25) {
            return std::future::pending().await;
        }
        tokio::time::sleep(self.world.chance.millis(5_000, 80_000)).await;
        let me = self.process.id;
        if self.world.is_healed() {
            return;
        }
        self.world.say(|| format!("server {me} is asked to stop"));
        self.stopping.cancel();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let hand_over = move |rows: &mut Rows| {
            rows.tell = true;
            rows.servers.remove(&me);
            rows.lock = rows.lock.filter(|holder| *holder != me);
            rows.deployments.values_mut().filter(|d| d.owner == Some(me)).for_each(|d| d.owner = None);
        };
        _ = self.write(hand_over).await;
        self.process.kill();
    }
}

/// What a host is to be like where nothing is at work.
struct Rest {
    /// Environments with what is active there.
    idle: Vec<(u32, Option<u32>)>,
    active: BTreeSet<u32>,
    ended: BTreeSet<u32>,
}

impl Rest {
    fn of(rows: &Rows, host: u32) -> Self {
        let here = || rows.environments.iter().filter(move |(_, environment)| environment.host == host);
        let idle = here().filter(|(_, environment)| environment.running.is_none() && environment.acting.is_none());
        Self {
            idle: idle.map(|(id, environment)| (*id, environment.active)).collect(),
            active: here().filter_map(|(_, environment)| environment.active).collect(),
            ended: rows.deployments.iter().filter(|(_, d)| d.end.is_some()).map(|(id, _)| *id).collect(),
        }
    }
}

/// Gives server `me` what may start on its host, and what nobody drives.
fn take(rows: &mut Rows, me: u32, host: u32, free: usize, now: u64, mutation: Option<Mutation>) {
    if !rows.servers.contains_key(&me) {
        return;
    }
    let alone = mutation != Some(Mutation::TwoInOneEnvironment);
    let mut heads: BTreeMap<u32, (i64, u32)> = BTreeMap::new();
    for (id, deployment) in rows.deployments.iter().filter(|(_, d)| d.queued && d.not_before.is_none_or(|at| at <= now))
    {
        let head = heads.entry(deployment.environment).or_insert((deployment.rank, *id));
        *head = (*head).min((deployment.rank, *id));
    }
    let mut facts: BTreeMap<AppId, Facts> = BTreeMap::new();
    let limit = match mutation {
        Some(Mutation::NoLimit) => u32::MAX,
        _ => u32::try_from(rows.limit).unwrap_or(1),
    };
    for environment in rows.environments.values() {
        let last_started = rows.last_started.get(&environment.app);
        let last_started = last_started.map_or(0, |at| queue_time(*at).timestamp_micros());
        let of_app = facts.entry(app(environment.app)).or_insert(Facts { running: 0, limit, last_started });
        of_app.running += u32::from(environment.running.is_some());
    }
    let mut candidates = Vec::new();
    let mut superseded = Vec::new();
    for (of, (rank, id)) in heads {
        let (Some(environment), Some(deployment)) = (rows.environments.get(&of), rows.deployments.get(&id)) else {
            continue;
        };
        if environment.host != host {
            continue;
        }
        // What was ordered for later is the newest when it starts.
        let is_meant = deployment.not_before.is_some() && mutation != Some(Mutation::LeaveTheLaterOld);
        let is_older = deployment.generation < environment.active_generation && !is_meant;
        if is_older && mutation != Some(Mutation::LetTheOlderPass) {
            superseded.push(id);
            continue;
        }
        let (of_app, enqueued_at) = (app(environment.app), queue_time(deployment.enqueued_at));
        let not_before = deployment.not_before.map(queue_time);
        let rank = match (mutation, facts.get(&of_app)) {
            (Some(Mutation::PutBackByOwn), Some(facts)) => turn(rank, enqueued_at, not_before, facts.last_started),
            _ => rank,
        };
        candidates.push(Candidate {
            deployment: DeploymentId::from_ulid(ulid(id)),
            app: of_app,
            environment: EnvironmentId::from_ulid(ulid(of)),
            priority: deployment.priority,
            rank,
            not_before,
            enqueued_at,
            running: environment.running.filter(|_| alone).map(|by| DeploymentId::from_ulid(ulid(by))),
        });
    }
    for id in superseded {
        rows.end(id, End::Superseded);
    }
    let known: Vec<u32> = rows.deployments.keys().copied().collect();
    let choice = choose(candidates, &facts, free, queue_time(now), |_| None);
    let chosen = known.into_iter().filter(|id| {
        let id = DeploymentId::from_ulid(ulid(*id));
        choice.start.iter().any(|start| start.deployment == id)
    });
    let on_host: BTreeMap<u32, bool> = rows.environments.iter().map(|(id, e)| (*id, e.host == host)).collect();
    let forgotten = mutation == Some(Mutation::NoTakeOver);
    let gone = |owner: &u32| !rows.servers.contains_key(owner) && !forgotten;
    let orphans = rows.deployments.iter().filter(|(_, d)| {
        !d.queued
            && d.end.is_none()
            && (!d.stuck || d.resume)
            && d.owner.as_ref().is_none_or(gone)
            && on_host.get(&d.environment).copied().unwrap_or_default()
    });
    let mine: Vec<u32> = chosen.chain(orphans.map(|(id, _)| *id)).collect();
    for id in mine {
        let is_later = rows.deployments.get(&id).is_some_and(|deployment| deployment.not_before.is_some());
        if is_later && mutation != Some(Mutation::LeaveTheLaterOld) {
            rows.renew(id);
        }
        let Some(deployment) = rows.deployments.get_mut(&id) else { continue };
        let starts = std::mem::replace(&mut deployment.queued, false);
        deployment.owner = Some(me);
        deployment.resume = false;
        deployment.epoch += 1;
        if let Some(environment) = rows.environments.get_mut(&deployment.environment) {
            environment.running = Some(id);
            if starts && mutation != Some(Mutation::ForgetTurns) {
                rows.last_started.insert(environment.app, now);
            }
        }
    }
}

/// The real code knows its ids by 128 bits.
fn ulid(n: u32) -> Ulid {
    Ulid::from_parts(u64::from(n), u128::from(n))
}

fn server(n: u32) -> ServerId {
    ServerId::from_ulid(ulid(n))
}

fn app(n: u32) -> AppId {
    AppId::from_ulid(ulid(n))
}
