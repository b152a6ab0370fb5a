//! One run: a world, its troubles, and what is found wrong with it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::queue::Priority;
use domain::schedule::{Cron, Missed};

use crate::chance::Chance;
use crate::clock::{schedule_time, time};
use crate::database::{Database, End, Environment, Rows, Schedule};
use crate::host::Host;
use crate::journal;
use crate::process::Process;
use crate::server;
use crate::verdict::Verdicts;

/// One way in which the engine is broken on purpose: a run that does not notice proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// The journal takes a record under any epoch.
    DropTheFence,
    /// A stage acts before the journal says that it began.
    ActBeforeTheJournal,
    /// A paused server is not ended before another acts in its place.
    LetThePausedLive,
    /// Two deployments of an environment may be at work.
    TwoInOneEnvironment,
    /// What a dead server was driving is not taken over.
    NoTakeOver,
    /// An app may have any number of deployments at work.
    NoLimit,
    /// Nobody asks whether a newer generation was there before: not the queue, not the claim, not the machine.
    LetTheOlderPass,
    /// Who leads is asked once, and what a leader writes is not asked for its epoch.
    TwoLeaders,
    /// That an app has had a turn is not kept.
    ForgetTurns,
    /// Turns of an app put its older deployments behind its newer ones.
    PutBackByOwn,
    /// A cancel ends what has ended already.
    EndAgain,
    /// A schedule moves on past runs that were missed, whatever its policy.
    ForgetTheMissed,
    /// Of runs that were missed each is made up for.
    MakeUpForEach,
    /// What an abandoned deployment has left stays there.
    LeaveTheAbandoned,
    /// What was ordered for later stays as old as it is when its time has come.
    LeaveTheLaterOld,
}

impl Mutation {
    pub(crate) const ALL: [Mutation; 15] = [
        Mutation::DropTheFence,
        Mutation::ActBeforeTheJournal,
        Mutation::LetThePausedLive,
        Mutation::TwoInOneEnvironment,
        Mutation::NoTakeOver,
        Mutation::NoLimit,
        Mutation::LetTheOlderPass,
        Mutation::TwoLeaders,
        Mutation::ForgetTurns,
        Mutation::PutBackByOwn,
        Mutation::EndAgain,
        Mutation::ForgetTheMissed,
        Mutation::MakeUpForEach,
        Mutation::LeaveTheAbandoned,
        Mutation::LeaveTheLaterOld,
    ];

    /// What is said of one that breaks a single promise: nobody else would notice it. Others are noticed in many ways.
    pub(crate) fn noticed_by(self) -> &'static str {
        match self {
            Mutation::ForgetTurns | Mutation::PutBackByOwn => "starts before",
            Mutation::EndAgain => "was told",
            Mutation::ForgetTheMissed => "nothing came of its plan",
            Mutation::MakeUpForEach => "makes up for",
            Mutation::LeaveTheLaterOld => "ordered for later",
            Mutation::DropTheFence
            | Mutation::ActBeforeTheJournal
            | Mutation::LetThePausedLive
            | Mutation::TwoInOneEnvironment
            | Mutation::NoTakeOver
            | Mutation::NoLimit
            | Mutation::LetTheOlderPass
            | Mutation::TwoLeaders
            | Mutation::LeaveTheAbandoned => "",
        }
    }
}

const HOSTS: u32 = 2;
const APPS: u32 = 3;
/// One app has three of them, more than may be at work at a time.
const ENVIRONMENTS: u32 = 7;
/// Of servers in the model, in place of the real ten seconds: more happens in a run.
pub(crate) const LEASE: Duration = Duration::from_secs(4);
/// The time of troubles.
const TROUBLES: Duration = Duration::from_secs(90);
/// After it, with everything well again, all must have come to rest.
const REST: Duration = Duration::from_secs(1200);
/// In which a plan is carried out that is due, whoever leads at first.
const PROMPT: Duration = Duration::from_secs(30);

/// What a server needs to know of the world.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) hosts: Vec<Arc<Mutex<Host>>>,
    pub(crate) chance: Chance,
    pub(crate) verdicts: Verdicts,
    pub(crate) mutation: Option<Mutation>,
    /// Deployments that a server has at work at the same time: few, so that apps wait for each other.
    pub(crate) slots: usize,
    /// The processes of the servers by id, dead ones too: what an operating system knows.
    pub(crate) processes: Arc<Mutex<BTreeMap<u32, (u32, Process)>>>,
    /// How far the wall clock of a server is off, in milliseconds, by server.
    pub(crate) skew: Arc<Mutex<BTreeMap<u32, i64>>>,
    pub(crate) healed: Arc<AtomicBool>,
    /// Clients without an answer.
    asking: Arc<AtomicUsize>,
    pub(crate) trace: bool,
}

impl World {
    /// The time of troubles is over.
    pub(crate) fn is_healed(&self) -> bool {
        self.healed.load(Ordering::Relaxed)
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>7} ms  {}", self.database.now(), what());
        }
    }

    fn alive(&self, of: Option<u32>) -> Vec<Process> {
        let processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = processes.values().filter(|(host, p)| p.is_alive() && of.is_none_or(|of| of == *host));
        alive.map(|(_, p)| p.clone()).collect()
    }

    fn boot(&self, host: u32) {
        let process = {
            let mut processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
            let process = Process::new(u32::try_from(processes.len()).unwrap_or(u32::MAX) + 1);
            processes.insert(process.id, (host, process.clone()));
            process
        };
        self.say(|| format!("server {} starts on host {host}", process.id));
        tokio::spawn(server::run(self.clone(), process, host));
    }
}

/// Everything that was found wrong in the run of `seed`.
pub(crate) fn run(seed: u64, mutation: Option<Mutation>, trace: bool) -> Vec<String> {
    live_through(seed, mutation, trace).0
}

/// A run in one text: any step that went differently changes it.
pub(crate) fn story(seed: u64) -> String {
    live_through(seed, None, false).1
}

fn live_through(seed: u64, mutation: Option<Mutation>, trace: bool) -> (Vec<String>, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    match runtime {
        Ok(runtime) => runtime.block_on(live(seed, mutation, trace)),
        Err(e) => (vec![format!("no runtime: {e}")], String::new()),
    }
}

async fn live(seed: u64, mutation: Option<Mutation>, trace: bool) -> (Vec<String>, String) {
    let chance = Chance::of(seed);
    let hosts: Vec<_> = (0..HOSTS).map(|_| Arc::new(Mutex::new(Host::new(mutation)))).collect();
    let mut rows = Rows { limit: 2, ..Rows::default() };
    for id in 0..ENVIRONMENTS {
        rows.environments.insert(id, Environment { app: id % APPS, host: id % HOSTS, ..Environment::default() });
    }
    for (environment, missed) in [(0, Missed::RunOnce), (1, Missed::Skip)] {
        let cron: Cron = match "* * * * * UTC".parse() {
            Ok(cron) => cron,
            Err(e) => return (vec![format!("no schedule: {e}")], String::new()),
        };
        let next = cron.next_after(time(0));
        rows.schedules.push(Schedule { environment, cron, missed, next, runs: Vec::new() });
    }
    let slots = usize::try_from(chance.below(3)).unwrap_or_default() + 1;
    let database = Database::new(rows, chance.clone());
    let verdicts = Verdicts::new(database.clone(), hosts.clone());
    let world = World {
        database,
        hosts,
        chance,
        verdicts,
        mutation,
        slots,
        processes: Arc::default(),
        skew: Arc::default(),
        healed: Arc::default(),
        asking: Arc::default(),
        trace,
    };
    for n in 0..world.chance.below(3) + 2 {
        world.boot(n as u32 % HOSTS);
    }
    tokio::spawn(operate(world.clone()));
    let accepted = Arc::new(Mutex::new(Vec::new()));
    let troubles = tokio::time::timeout(TROUBLES, trouble(&world, &accepted));
    _ = troubles.await;
    heal(&world).await;
    let rest = tokio::time::timeout(REST, async {
        while !at_rest(&world) && world.verdicts.found().is_empty() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    _ = rest.await;
    // Whoever is behind may still be on his way.
    tokio::time::sleep(Duration::from_secs(30)).await;
    world.verdicts.at_the_end(&accepted.lock().unwrap_or_else(PoisonError::into_inner));
    let story = {
        let rows = world.database.rows();
        let ends: Vec<_> = rows.deployments.values().map(|d| (d.epoch, d.end, d.records.len())).collect();
        format!("{} ms, {ends:?}, {:?}", world.database.now(), rows.environments)
    };
    (world.verdicts.found(), story)
}

fn at_rest(world: &World) -> bool {
    world.asking.load(Ordering::Relaxed) == 0
        && world.database.rows().deployments.values().all(|deployment| deployment.end.is_some())
}

/// Everything that can go wrong, one after the other, while clients go on asking.
async fn trouble(world: &World, accepted: &Arc<Mutex<Vec<u32>>>) {
    let chance = world.chance.clone();
    let mut keys = 0;
    loop {
        tokio::time::sleep(chance.millis(50, 2500)).await;
        let alive = world.alive(None);
        let one = chance.pick(&alive).cloned();
        match chance.below(21) {
            0..=8 => {
                keys += 1;
                ask(world, accepted, keys);
            }
            9..=10 => cancel(world, accepted),
            11..=12 => {
                if let Some(process) = one {
                    world.say(|| format!("server {} is killed", process.id));
                    process.kill();
                }
            }
            13..=14 => {
                if let Some(process) = one {
                    let pause = chance.millis(100, 15_000);
                    world.say(|| format!("server {} is stopped for {pause:?}", process.id));
                    process.pause();
                    tokio::spawn(async move {
                        tokio::time::sleep(pause).await;
                        process.carry_on();
                    });
                }
            }
            15 => {
                let time = chance.millis(100, 8000);
                world.say(|| format!("the database is away for {time:?}"));
                let database = world.database.clone();
                database.go_away(true);
                tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    database.go_away(false);
                });
            }
            16 => {
                if let Some(process) = one {
                    let time = chance.millis(100, 12_000);
                    world.say(|| format!("server {} is cut off for {time:?}", process.id));
                    process.cut_off(true);
                    tokio::spawn(async move {
                        tokio::time::sleep(time).await;
                        process.cut_off(false);
                    });
                }
            }
            17 => {
                if let Some(process) = one {
                    let jump = chance.below(7_200_000) as i64 - 3_600_000;
                    world.say(|| format!("the clock of server {} jumps by {jump} ms", process.id));
                    *world.skew.lock().unwrap_or_else(PoisonError::into_inner).entry(process.id).or_default() += jump;
                }
            }
            18 => {
                world.say(|| "the session of the leader breaks".to_owned());
                world.database.rows().lock = None;
            }
            19 => hasten(world),
            _ => world.boot(chance.below(u64::from(HOSTS)) as u32),
        }
    }
}

/// A client asks for a deployment until it has an answer, of whichever server.
fn ask(world: &World, accepted: &Arc<Mutex<Vec<u32>>>, key: u64) {
    let (world, accepted) = (world.clone(), accepted.clone());
    world.asking.fetch_add(1, Ordering::Relaxed);
    tokio::spawn(async move {
        let environment = world.chance.below(u64::from(ENVIRONMENTS)) as u32;
        let priority = *world.chance.pick(&Priority::ALL).unwrap_or(&Priority::Normal);
        let wait = if world.chance.percent(10) { Some(world.chance.below(20_000)) } else { None };
        loop {
            let alive = world.alive(None);
            if let Some(server) = world.chance.pick(&alive).cloned() {
                let now = world.database.now();
                let write = world.database.write(&server, move |rows| {
                    let known = rows.answers.get(&key).copied();
                    let id =
                        known.unwrap_or_else(|| rows.accept(environment, priority, now, wait.map(|wait| now + wait)));
                    rows.answers.insert(key, id);
                    id
                });
                if let Ok(Ok(id)) = tokio::time::timeout(Duration::from_secs(2), write).await {
                    world.say(|| format!("deployment {id} of environment {environment} is accepted, {priority:?}"));
                    accepted.lock().unwrap_or_else(PoisonError::into_inner).push(id);
                    world.asking.fetch_sub(1, Ordering::Relaxed);
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
}

fn cancel(world: &World, accepted: &Arc<Mutex<Vec<u32>>>) {
    let known = accepted.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let alive = world.alive(None);
    let (Some(id), Some(server)) = (world.chance.pick(&known).copied(), world.chance.pick(&alive).cloned()) else {
        return;
    };
    let (database, again) = (world.database.clone(), world.mutation == Some(Mutation::EndAgain));
    world.say(|| format!("cancel of {id}"));
    tokio::spawn(async move {
        let cancel = database.write(&server, move |rows| {
            let Some(deployment) = rows.deployments.get_mut(&id) else { return };
            deployment.cancel_requested = true;
            if deployment.queued || (again && deployment.end.is_some()) {
                rows.end(id, End::Cancelled);
            }
        });
        _ = tokio::time::timeout(Duration::from_secs(5), cancel).await;
    });
}

/// Somebody wants now what was ordered for later.
fn hasten(world: &World) {
    let later: Vec<u32> = {
        let rows = world.database.rows();
        rows.deployments.iter().filter(|(_, d)| d.queued && d.not_before.is_some()).map(|(id, _)| *id).collect()
    };
    let alive = world.alive(None);
    let (Some(id), Some(server)) = (world.chance.pick(&later).copied(), world.chance.pick(&alive).cloned()) else {
        return;
    };
    let (database, stays_old) = (world.database.clone(), world.mutation == Some(Mutation::LeaveTheLaterOld));
    world.say(|| format!("{id} is wanted now"));
    tokio::spawn(async move {
        let now = database.now();
        let hasten = database.write(&server, move |rows| {
            if rows.hasten(id, now) && !stays_old {
                rows.renew(id);
            }
        });
        _ = tokio::time::timeout(Duration::from_secs(5), hasten).await;
    });
}

/// Somebody who sees to what is stuck: has it tried again, or ends it as it is.
async fn operate(world: World) {
    loop {
        tokio::time::sleep(world.chance.millis(1000, 8000)).await;
        let stuck: Vec<u32> = {
            let rows = world.database.rows();
            rows.deployments.iter().filter(|(_, deployment)| deployment.stuck).map(|(id, _)| *id).collect()
        };
        let alive = world.alive(None);
        let (Some(id), Some(server)) = (world.chance.pick(&stuck).copied(), world.chance.pick(&alive).cloned()) else {
            continue;
        };
        let (abandons, now, verdicts) = (world.chance.percent(50), time(world.database.now()), world.verdicts.clone());
        world.say(|| format!("{id} is stuck, and to be {}", if abandons { "abandoned" } else { "tried again" }));
        let write = world.database.write(&server, move |rows| {
            if abandons {
                journal::abandon(rows, id, now, &verdicts);
            } else if let Some(deployment) = rows.deployments.get_mut(&id).filter(|deployment| deployment.stuck) {
                deployment.resume = true;
                rows.tell = true;
            }
        });
        _ = tokio::time::timeout(Duration::from_secs(5), write).await;
        world.verdicts.look();
    }
}

/// Everybody well again: what is open now has every chance to come to its end.
async fn heal(world: &World) {
    world.say(|| "the troubles are over".to_owned());
    world.healed.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(15)).await;
    world.database.go_away(false);
    for process in world.alive(None) {
        process.cut_off(false);
        process.carry_on();
    }
    world.skew.lock().unwrap_or_else(PoisonError::into_inner).clear();
    for host in 0..HOSTS {
        world.boot(host);
    }
    let well = schedule_time(time(world.database.now()));
    tokio::time::sleep(PROMPT).await;
    world.verdicts.schedules(well);
    // Nothing new from now on.
    world.database.rows().schedules.iter_mut().for_each(|schedule| schedule.next = None);
}
