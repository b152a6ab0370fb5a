//! From the moment at which a deployment may start until its first step is in the journal.

mod seen;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::source::Source;
use domain::{DeploymentId, Name};
use futures::{TryStreamExt, stream};
use operations::client::CallError;
use operations::deployments::{Deploy, DeployRequest};
use operations::windows::{NewFreeze, NewRule};
use operations::{apps, environments, queue, windows};
use plimsoll_tests::Server;
use plimsoll_tests::postgres::Postgres;

use crate::Outcome;
use crate::figure::{Figure, Goal, quantile};
use seen::Seen;

/// Of each way to come to a start.
const TIMES: usize = 30;
/// Apps in whose environments nothing else happens, used in turn by those that are ordered for a time.
const TIMED: usize = 4;
const BETWEEN: TimeDelta = TimeDelta::milliseconds(250);
/// What waits meanwhile: so many apps, and in each so many deployments that a freeze holds.
const HELD: (usize, usize) = (200, 5);
const PAGES: usize = 60;
const READS: Duration = Duration::from_millis(50);
const GOAL: Goal = Goal::Below(100.0);

/// The real server through its API, with SQLite and with PostgreSQL, with an empty queue and with 1,000 that wait. Deployments of
/// an empty folder, which end after two stages: each asked for where nothing is at work, 30 that follow one another in one
/// environment, 30 that are ordered for a time. The end is when the event of the first stage, which is written with the journal,
/// comes from the server's stream; the begin is the request, the event of the end of the one before, or the time.
pub(crate) async fn run() -> Outcome {
    let postgres = Postgres::start_durable();
    let url = postgres.create_database();
    let mut figures = Vec::new();
    for (name, env) in [("SQLite", vec![]), ("PostgreSQL", vec![("PLIMSOLL_DATABASE_URL", url.as_str())])] {
        let server = Server::start_with(&[], &env).await;
        let world = World::new(&server).await.map_err(|e| e.to_string())?;
        figures.extend(world.measure(&format!("start, {name}")).await.map_err(|e| e.to_string())?);
        world.hold().await.map_err(|e| e.to_string())?;
        figures.extend(world.measure(&format!("start, {name}, 1,000 queued")).await.map_err(|e| e.to_string())?);
        figures.extend(world.pages(&format!("queue page, {name}, 1,000 queued")).await.map_err(|e| e.to_string())?);
    }
    Ok(figures)
}

struct World<'a> {
    server: &'a Server,
    source: Source,
    _dir: tempfile::TempDir,
}

impl<'a> World<'a> {
    async fn new(server: &'a Server) -> Result<Self, CallError> {
        let dir = tempfile::tempdir().unwrap();
        let source = Source::Directory { path: dir.path().to_owned() };
        let world = Self { server, source, _dir: dir };
        for n in 0..=TIMED {
            world.app(&timed(n)).await?;
        }
        Ok(world)
    }

    async fn app(&self, name: &str) -> Result<(), CallError> {
        let request = apps::CreateRequest { name: named(name), source: Some(self.source.clone()) };
        self.server.client().call::<apps::Create>(&request).await.map(drop)
    }

    async fn deploy(
        &self,
        app: &str,
        environment: &str,
        not_before: Option<chrono::DateTime<Utc>>,
    ) -> Result<DeploymentId, CallError> {
        let request = DeployRequest {
            app: named(app),
            environment: named(environment),
            source: None,
            reference: None,
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            priority: Default::default(),
            not_before,
            bypass_window: None,
            plan: None,
        };
        Ok(self.server.client().call::<Deploy>(&request).await?.id)
    }

    /// 1,000 that wait until a freeze ends, which it never does.
    async fn hold(&self) -> Result<(), CallError> {
        let freeze = NewFreeze { from: None, until: None, reason: "to measure beside it".to_owned() };
        let request =
            windows::CreateRequest { app: None, environment: Some(named("held")), rule: NewRule::Freeze(freeze) };
        self.server.client().call::<windows::Create>(&request).await?;
        stream::iter((0..HELD.0).map(Ok))
            .try_for_each_concurrent(8, |n| async move {
                let name = format!("held-{n}");
                self.app(&name).await?;
                let request = environments::CreateRequest { app: named(&name), environment: named("held"), host: None };
                self.server.client().call::<environments::Create>(&request).await?;
                for _ in 0..HELD.1 {
                    self.deploy(&name, "held", None).await?;
                }
                Ok(())
            })
            .await
    }

    async fn measure(&self, name: &str) -> Result<[Figure; 2], CallError> {
        let mut seen = Seen::follow(self.server.client()).await?;
        let asked_for = self.asked_for(&mut seen).await?;
        let one_after_the_other = self.one_after_the_other(&mut seen).await?;
        let ordered = self.ordered(&mut seen).await?;
        // One of 90 is the p99: which one it was says where to look.
        for (way, took) in
            [("asked for", &asked_for), ("one after the other", &one_after_the_other), ("ordered", &ordered)]
        {
            let slowest = took.iter().copied().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
            if let Some((nth, slowest)) = slowest {
                eprintln!("  {name}, {way}: slowest {slowest:.0} ms, no. {} of {}", nth + 1, took.len());
            }
        }
        let took = [asked_for, one_after_the_other, ordered].concat();
        Ok([
            Figure::new(format!("{name}: p50"), quantile(&took, 0.5), "ms", GOAL),
            Figure::new(format!("{name}: p99"), quantile(&took, 0.99), "ms", GOAL),
        ])
    }

    /// Pages of the queue as people and agents ask for them, with what each waits for and when it probably starts.
    async fn pages(&self, name: &str) -> Result<[Figure; 2], CallError> {
        let mut took = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES {
            let request = queue::ListRequest { app: None, environment: None, cursor, limit: 50 };
            let asked = tokio::time::Instant::now();
            let page = self.server.client().call::<queue::List>(&request).await?;
            took.push(ms(asked.elapsed()));
            cursor = page.next;
            // As somebody reads it: what is foreseen is kept for a while only.
            tokio::time::sleep(READS).await;
        }
        Ok([
            Figure::new(format!("{name}: p50"), quantile(&took, 0.5), "ms", Goal::Shown),
            Figure::new(format!("{name}: p99"), quantile(&took, 0.99), "ms", Goal::Below(50.0)),
        ])
    }

    async fn asked_for(&self, seen: &mut Seen) -> Result<Vec<f64>, CallError> {
        let mut took = Vec::new();
        for _ in 0..TIMES {
            let asked = tokio::time::Instant::now();
            let id = self.deploy(&timed(TIMED), "production", None).await?;
            let times = seen.ended(&id).await;
            took.push(ms(times.began - asked));
        }
        Ok(took)
    }

    async fn one_after_the_other(&self, seen: &mut Seen) -> Result<Vec<f64>, CallError> {
        // All but the first are there before the first has ended, or don't count.
        let sent = (0..=TIMES).map(|_| async {
            let id = self.deploy(&timed(TIMED), "production", None).await;
            (id, tokio::time::Instant::now())
        });
        let mut all = Vec::new();
        for (id, accepted) in futures::future::join_all(sent).await {
            all.push((seen.ended(&id?).await, accepted));
        }
        all.sort_by_key(|(times, _)| times.began);
        let pairs = all.windows(2).filter(|pair| pair[1].1 < pair[0].0.ended);
        Ok(pairs.map(|pair| ms(pair[1].0.began - pair[0].0.ended)).collect())
    }

    async fn ordered(&self, seen: &mut Seen) -> Result<Vec<f64>, CallError> {
        // Sending them takes its time, too.
        let first = Utc::now() + TimeDelta::seconds(2);
        let zero = tokio::time::Instant::now() + (first - Utc::now()).to_std().unwrap_or_default();
        let mut sent = Vec::new();
        for n in 0..TIMES {
            let after = BETWEEN * i32::try_from(n).unwrap_or(0);
            let id = self.deploy(&timed(n % TIMED), "production", Some(first + after)).await?;
            sent.push((id, zero + after.to_std().unwrap_or_default()));
        }
        let mut took = Vec::new();
        for (id, due) in sent {
            took.push(ms(seen.ended(&id).await.began.saturating_duration_since(due)));
        }
        Ok(took)
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn timed(n: usize) -> String {
    format!("timed-{n}")
}

fn named(text: &str) -> Name {
    text.parse().unwrap()
}
