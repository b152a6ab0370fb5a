//! A queue full of jobs that do nothing, against those of peers.

mod crew;
mod fill;
mod worker;

use std::time::Instant;

use plimsoll_tests::postgres::Postgres;
use store::{DatabaseUrl, Store};

use crate::Outcome;
use crate::figure::{Figure, Goal};
use crate::peer::Peer;
use crew::Crew;
pub(crate) use worker::work;

/// Of ours; peers get twice as many, as they end sooner.
const JOBS: usize = 20_000;
/// Jobs that all servers together have taken and not ended.
const IN_FLIGHT: usize = 500;
const SERVERS: [usize; 2] = [1, 3];

/// Deployments of a saga of one stage that does nothing, each in the queue of one of 1,000 environments: put in, then taken out
/// by one server, and by three: a process each with a store, a dispatcher and an engine. The time is from the word to begin
/// until nothing is left that has not ended. The same of graphile-worker and pg-boss: with their batches on; and job by job, as many
/// at once as they come with or as we have, whichever is faster.
pub(crate) async fn run() -> Outcome {
    let postgres = Postgres::start_durable();
    let mut figures = Vec::new();
    for servers in SERVERS {
        let ours = ours(&postgres, servers).await?;
        let s = if servers == 1 { "" } else { "s" };
        let name = |what: &str| format!("queue, {servers} server{s}: jobs {what}");
        for peer in [Peer::GraphileWorker, Peer::PgBoss] {
            let one_by_one = [Way::AsItComes, Way::AsManyAtOnce];
            for (how, ways) in [("batched", &[Way::Batched][..]), ("one by one", &one_by_one)] {
                let figure = Figure::new(name("ended"), ours.ended, "/s", Goal::RatioAtLeast(1.0));
                figures.push(match best(&postgres, peer, servers, ways).await {
                    Ok(theirs) => figure.against(format!("{}, {how}", peer.name()), theirs.ended),
                    Err(why) => {
                        eprintln!("  not compared: {why}");
                        Figure { goal: Goal::Shown, ..figure }
                    }
                });
            }
        }
        if servers == 1 {
            figures.push(Figure::new(name("put in, many clients"), ours.filled, "/s", Goal::Shown));
        }
    }
    Ok(figures)
}

/// Jobs a second.
struct Rates {
    filled: f64,
    ended: f64,
}

async fn ours(postgres: &Postgres, servers: usize) -> Result<Rates, String> {
    let address = postgres.create_database();
    let database = address.rsplit('/').next().unwrap_or_default().to_owned();
    let url: DatabaseUrl = address.parse().map_err(|e| format!("{e}"))?;
    let store = Store::open(&url).await.map_err(|e| e.to_string())?;
    let filled = fill::fill(&store, JOBS).await.map_err(|e| e.to_string())?;
    store.close().await;
    settle(postgres, &database);
    let slots = (IN_FLIGHT / servers).to_string();
    let mut crew = Crew::default();
    for _ in 0..servers {
        let mut command = std::process::Command::new(std::env::current_exe().map_err(|e| e.to_string())?);
        command.arg("queue-worker").env("DATABASE_URL", &address).env("SLOTS", &slots);
        crew.hire(command)?;
    }
    let began = crew.go();
    crew.wait_for(JOBS).await?;
    until_none(postgres, &database, "SELECT count(*) FROM sagas WHERE NOT finished").await?;
    let ended = JOBS as f64 / began.elapsed().as_secs_f64();
    let right = "SELECT (SELECT count(*) FROM queue) || ' ' || (SELECT count(*) FROM environments WHERE running IS NOT NULL) \
                 || ' ' || (SELECT count(*) FROM sagas WHERE fence <> 1)";
    match postgres.sql(&database, right).as_str() {
        "0 0 0" => Ok(Rates { filled, ended }),
        found => Err(format!("left in the queue, at work, and taken twice: {found}")),
    }
}

/// How a peer works on its queue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Fetches, and writes the ends of, as many at a time as may be in flight.
    Batched,
    /// Job by job, ten at once.
    AsItComes,
    /// Job by job, as many at once as may be in flight.
    AsManyAtOnce,
}

/// The fastest of these ways.
async fn best(postgres: &Postgres, peer: Peer, servers: usize, ways: &[Way]) -> Result<Rates, String> {
    let mut best: Option<Rates> = None;
    for &way in ways {
        let rates = theirs(postgres, peer, servers, way).await?;
        best = Some(match best {
            Some(before) if before.ended >= rates.ended => before,
            _ => rates,
        });
    }
    best.ok_or_else(|| "it was not measured".to_owned())
}

async fn theirs(postgres: &Postgres, peer: Peer, servers: usize, way: Way) -> Result<Rates, String> {
    let jobs = if way == Way::Batched { JOBS * 2 } else { JOBS / 5 };
    let address = postgres.create_database();
    let database = address.rsplit('/').next().unwrap_or_default().to_owned();
    let (count, in_flight) = (jobs.to_string(), (IN_FLIGHT / servers).to_string());
    let mut env = vec![("DATABASE_URL", address.as_str()), ("JOBS", &count), ("IN_FLIGHT", &in_flight)];
    match way {
        Way::Batched => env.push(("BATCHED", "1")),
        Way::AsItComes => env.push(("AT_ONCE", "10")),
        Way::AsManyAtOnce => env.push(("AT_ONCE", in_flight.as_str())),
    }
    let printed = peer.output(&["fill"], &env)?;
    let filled = printed.lines().find_map(|line| line.strip_prefix("filled ")?.parse().ok()).unwrap_or_default();
    settle(postgres, &database);
    let mut crew = Crew::default();
    for _ in 0..servers {
        let mut command = peer.command()?;
        command.arg("work").envs(env.iter().copied());
        crew.hire(command)?;
    }
    let began = crew.go();
    crew.wait_for(jobs).await?;
    let left = match peer {
        Peer::PgBoss => "SELECT count(*) FROM pgboss.job WHERE name = 'pass' AND state <> 'completed'",
        _ => "SELECT count(*) FROM graphile_worker._private_jobs",
    };
    until_none(postgres, &database, left).await?;
    Ok(Rates { filled, ended: jobs as f64 / began.elapsed().as_secs_f64() })
}

/// As it does by itself after a while, and what was written is on the disk.
fn settle(postgres: &Postgres, database: &str) {
    postgres.sql(database, "ANALYZE");
    postgres.sql(database, "CHECKPOINT");
}

/// What was counted when it was done may not be written yet.
async fn until_none(postgres: &Postgres, database: &str, count: &str) -> Result<(), String> {
    let began = Instant::now();
    while postgres.sql(database, count) != "0" {
        if began.elapsed().as_secs() > 30 {
            return Err(format!("`{count}` is not 0 after 30 seconds"));
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    Ok(())
}
