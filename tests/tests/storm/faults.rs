//! What goes wrong, one after the other, sometimes the next before the last is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::chance::Chance;
use nix::sys::signal::Signal;
use plimsoll_tests::postgres::Shutdown;
use tokio::task::JoinSet;

use crate::fleet::{Node, Process};
use crate::settings::LEASE;
use crate::world::World;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// One server ends at once, and is started again.
    Kill,
    /// All of them.
    KillAll,
    /// One is stopped and started in good order.
    Restart,
    /// One stands still for longer than its lease.
    Pause,
    /// One stands still for a moment that its lease bears.
    Hiccup,
    /// PostgreSQL is stopped as for an upgrade, and started.
    PostgresFast,
    /// PostgreSQL crashes, and recovers.
    PostgresImmediate,
    /// One stands still, and meanwhile PostgreSQL crashes.
    PauseAndPostgres,
    /// Two stand still at the same time.
    PauseTwo,
}

const ALL: [Fault; 9] = [
    Fault::Kill,
    Fault::Hiccup,
    Fault::PostgresImmediate,
    Fault::Pause,
    Fault::Restart,
    Fault::PostgresFast,
    Fault::KillAll,
    Fault::PauseAndPostgres,
    Fault::PauseTwo,
];

/// Each fault comes once before any comes again. Returns when all are over and all servers are back.
pub(crate) async fn rage(world: &Arc<World>) {
    let chance = world.chance(1);
    let until = Instant::now() + world.settings.length;
    let mut at_work = JoinSet::new();
    let mut deck: Vec<Fault> = Vec::new();
    let mut all_came = false;
    // First of all there has to be something to blow over.
    tokio::time::sleep(Duration::from_secs(3)).await;
    while Instant::now() < until || (world.settings.minutes.is_none() && !all_came) {
        let fault = match deck.pop() {
            Some(fault) => fault,
            None => {
                deck = shuffled(&chance);
                deck.pop().unwrap()
            }
        };
        all_came |= deck.is_empty();
        world.story.count(&format!("fault {fault:?}"));
        world.story.count("faults");
        let (own, world_) = (Chance::of(chance.below(u64::MAX)), Arc::clone(world));
        at_work.spawn(async move { happen(&world_, fault, &own).await });
        tokio::time::sleep(chance.millis(world.settings.gap.0, world.settings.gap.1)).await;
    }
    while let Some(done) = at_work.join_next().await {
        done.unwrap();
    }
}

fn shuffled(chance: &Chance) -> Vec<Fault> {
    let mut left = ALL.to_vec();
    let mut deck = Vec::new();
    while !left.is_empty() {
        deck.push(left.remove(usize::try_from(chance.below(left.len() as u64)).unwrap()));
    }
    deck
}

async fn happen(world: &World, fault: Fault, chance: &Chance) {
    let nodes = &world.fleet.nodes;
    let first = usize::try_from(chance.below(nodes.len() as u64)).unwrap();
    let (one, other) = (&nodes[first], &nodes[(first + 1) % nodes.len()]);
    match fault {
        Fault::Kill => kill(world, one, chance.millis(0, 4_000)).await,
        Fault::KillAll => {
            let away = chance.millis(0, 3_000);
            futures::future::join_all(nodes.iter().map(|node| kill(world, node, away))).await;
        }
        Fault::Restart => {
            let mut process = one.process.lock().await;
            let began = Instant::now();
            if !world.fleet.stop(&mut process).await {
                world.story.wrong(format!("{} was told to stop and did not end well", one.name()));
                process.kill9().await;
            }
            world.story.tell(&format!("{} stopped in {} ms", one.name(), began.elapsed().as_millis()));
            tokio::time::sleep(chance.millis(0, 2_000)).await;
            world.fleet.start(one, &mut process, Some(&world.story)).await;
        }
        Fault::Pause => pause(world, one, long(chance)).await,
        Fault::PauseTwo => {
            tokio::join!(pause(world, one, long(chance)), pause(world, other, long(chance)));
        }
        Fault::Hiccup => pause(world, one, chance.millis(100, LEASE * 1_000 / 3)).await,
        Fault::PostgresFast => restart_postgres(world, Shutdown::Fast, chance.millis(0, 2_500)).await,
        Fault::PostgresImmediate => restart_postgres(world, Shutdown::Immediate, chance.millis(0, 2_500)).await,
        Fault::PauseAndPostgres => {
            let crash = async {
                tokio::time::sleep(chance.millis(0, 2_000)).await;
                restart_postgres(world, Shutdown::Immediate, chance.millis(0, 1_500)).await;
            };
            tokio::join!(pause(world, one, long(chance)), crash);
        }
    }
}

/// Longer than the lease.
fn long(chance: &Chance) -> Duration {
    chance.millis(LEASE * 1_300, LEASE * 2_500)
}

async fn kill(world: &World, node: &Node, away: Duration) {
    let mut process = node.process.lock().await;
    world.story.tell(&format!("kill -9 of {}, pid {}", node.name(), process.pid()));
    process.kill9().await;
    tokio::time::sleep(away).await;
    world.fleet.start(node, &mut process, Some(&world.story)).await;
}

/// It goes on afterwards, if nobody has ended it meanwhile.
async fn pause(world: &World, node: &Node, span: Duration) {
    let mut process = node.process.lock().await;
    world.story.tell(&format!("{} stands still for {} ms, pid {}", node.name(), span.as_millis(), process.pid()));
    process.signal(Signal::SIGSTOP);
    tokio::time::sleep(span).await;
    process.signal(Signal::SIGCONT);
    go_on(world, node, &mut process).await;
}

async fn go_on(world: &World, node: &Node, process: &mut Process) {
    let Some(status) = process.until_ended(Duration::from_millis(20)).await else {
        world.story.tell(&format!("{} goes on", node.name()));
        return;
    };
    world.story.count("paused servers ended by a peer");
    world.story.tell(&format!("{} was ended meanwhile ({status})", node.name()));
    world.fleet.start(node, process, Some(&world.story)).await;
}

async fn restart_postgres(world: &World, how: Shutdown, away: Duration) {
    let _turn = world.weather.lock().await;
    world.story.tell(&format!("PostgreSQL stops ({how:?})"));
    let began = Instant::now();
    tokio::task::block_in_place(|| world.postgres.stop(how));
    tokio::time::sleep(away).await;
    tokio::task::block_in_place(|| world.postgres.resume());
    world.story.tell(&format!("PostgreSQL is back; it was away for {} ms", began.elapsed().as_millis()));
}
