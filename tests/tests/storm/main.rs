//! A storm over the real thing: three servers on one machine and one PostgreSQL, real apps from real repositories, many deployments in
//! flight, while servers are killed, stopped and continued, and the database is restarted. Nothing may be lost, and nothing
//! done twice.
//!
//! What happens is drawn from a seed: which faults, in which order and how far apart; which orders. When it meets what is not, as
//! processes are real. So a seed that failed repeats the weather, and most often the failure.
//!
//!     cargo nextest run -p plimsoll-tests --test storm      a short one, as part of all tests
//!     make storm                                            four minutes with 200 deployments in flight
//!     make storm minutes=10 seed=42                         the weather of that seed
//!
//! All that was said is kept below `target/tmp`: what was done to whom, the servers' logs, PostgreSQL's.
#![allow(clippy::unwrap_used)]
// A storm tells how it went on the standard output.
#![allow(clippy::print_stdout)]

mod chance;
mod clients;
mod faults;
mod fleet;
mod follow;
mod journal;
mod ledger;
mod orders;
mod places;
mod settings;
mod story;
mod verdict;
mod visitors;
mod world;

use std::time::Duration;

use settings::Settings;
use world::World;

/// As long as some deployment ends within this time the others may take theirs.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_and_nothing_is_done_twice() {
    let world = World::start(Settings::from_environment()).await;
    let visitors = visitors::Visitors::come(&world).await;
    let follower = follow::Follower::start(&world);
    let clients = clients::start(&world);
    let keeper = fleet::keep(&world);

    faults::rage(&world).await;
    world.stop_ordering();
    for client in clients {
        client.await.unwrap();
    }
    world.story.tell(&format!("calm: {} deployments are in flight", world.ledger.in_flight()));
    verdict::drain(&world, PATIENCE).await;
    keeper.abort();
    follower.stop().await;
    let seen = visitors.leave().await;
    verdict::judge(&world, &seen).await;
    world.end(&seen).await;
}
