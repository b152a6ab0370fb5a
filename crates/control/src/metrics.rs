//! What the metrics tell, as plain numbers; how they are written is the server's business.
//!
//! Everything that has labels is bounded: releases by what the ingress keeps (200), environments by what exists,
//! phases and states by their enums.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use domain::instance::InstanceState;
use domain::{EnvironmentId, ReleaseId};
use ingress::{ReleaseStats, Stats, Status};
use operations::Error;
use store::environments::Environment;
pub use store::timing::Timed;

use crate::Control;
use crate::error::store_error;

/// The numbers of one moment. Counters begin at 0 with the start of the process that counts.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub started_at: DateTime<Utc>,
    pub database: &'static str,
    /// Deployments that have not ended, by phase: `queued` is the queue, `active` serves and cleans up behind itself.
    pub open: BTreeMap<&'static str, u64>,
    pub stuck: u64,
    /// Of those that have not ended, those that have come to a stand.
    pub stalled: u64,
    /// Deployments that ended, by kind and outcome.
    pub ended: BTreeMap<(&'static str, &'static str), u64>,
    /// Seconds that deployments spent in a phase, by phase.
    pub phases: BTreeMap<&'static str, Timed>,
    /// Appends to journals, in seconds.
    pub journal: Timed,
    /// Waits for the turn to write, in seconds.
    pub turns: Timed,
    /// Writes with their commits, in seconds.
    pub writes: Timed,
    /// Instances that should run, by app, environment and state.
    pub instances: BTreeMap<(String, String, &'static str), u64>,
    /// Times that their supervisors have started them again, by app and environment.
    pub restarts: BTreeMap<(String, String), u64>,
    /// Times that the reconciler had to.
    pub revived: u64,
    pub since_pass: f64,
    pub ingress: Option<Ingress>,
    /// By role: `server`, `ingress`.
    pub processes: BTreeMap<&'static str, Usage>,
    /// Bytes that are free for us where the data folder is.
    pub free: Option<u64>,
}

/// What the ingress has counted.
#[derive(Debug, Clone)]
pub struct Ingress {
    pub status: Status,
    pub unrouted: u64,
    pub refused: u64,
    pub releases: Vec<Traffic>,
}

/// Of one component of a release in one environment.
#[derive(Debug, Clone)]
pub struct Traffic {
    pub app: String,
    pub environment: String,
    /// `v12`, or the id of a release that is known no longer.
    pub release: String,
    pub stats: ReleaseStats,
}

/// What a process takes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Bytes in memory.
    pub resident: u64,
    pub open_files: u64,
    /// Seconds of processor time.
    pub cpu: f64,
}

impl Control {
    /// Gathers the numbers of this moment. What can't be reached is absent.
    pub async fn metrics(&self) -> Result<Metrics, Error> {
        let (store, world) = (self.store(), self.world());
        let environments = store::environments::list_all(store).await.map_err(store_error)?;
        let mut open = BTreeMap::from([("queued", 0)]);
        let mut stuck = 0;
        for (phase, all, waiting) in store::deployments::count_open(store).await.map_err(store_error)? {
            open.insert(phase.as_str(), all);
            stuck += waiting;
        }
        let (status, stats) = tokio::join!(world.ingress.status(), world.ingress.stats());
        let ingress = match (status, stats) {
            (Ok(status), Ok(stats)) => Some(self.ingress_metrics(status, stats, &environments).await),
            _ => None,
        };
        let mut processes = BTreeMap::from([("server", usage(std::process::id()))]);
        processes.extend(ingress.as_ref().map(|ingress| ("ingress", usage(ingress.status.pid))));
        let mut metrics = Metrics {
            started_at: self.inner.started_at,
            database: match store.kind() {
                store::Kind::Sqlite => "sqlite",
                store::Kind::Postgres => "postgres",
            },
            open,
            stuck,
            stalled: store::beats::count_stalled(store).await.map_err(store_error)?,
            ended: world.counters.deployments(),
            phases: world.counters.phases(),
            journal: world.counters.journal(),
            turns: store.waits(),
            writes: store.writes(),
            instances: BTreeMap::new(),
            restarts: BTreeMap::new(),
            revived: world.counters.restarts(),
            since_pass: world.counters.since_pass().as_secs_f64(),
            ingress,
            processes,
            free: free(world.layout.data()),
        };
        self.count_instances(&mut metrics, &environments).await?;
        Ok(metrics)
    }

    async fn count_instances(&self, metrics: &mut Metrics, environments: &[Environment]) -> Result<(), Error> {
        let of: BTreeMap<&EnvironmentId, &Environment> = environments.iter().map(|e| (&e.id, e)).collect();
        for row in store::instances::list_all(self.store()).await.map_err(store_error)? {
            let Some(environment) = of.get(&row.key.environment).filter(|_| !row.retired) else { continue };
            let place = (environment.app.to_string(), environment.name.to_string());
            let status = self.world().runtime.status(&row.key.name());
            let state = status.as_ref().map_or("lost", |status| state(&status.state));
            *metrics.instances.entry((place.0.clone(), place.1.clone(), state)).or_default() += 1;
            *metrics.restarts.entry(place).or_default() += status.map_or(0, |status| u64::from(status.restarts));
        }
        Ok(())
    }

    async fn ingress_metrics(&self, status: Status, stats: Stats, environments: &[Environment]) -> Ingress {
        let of: BTreeMap<&EnvironmentId, &Environment> = environments.iter().map(|e| (&e.id, e)).collect();
        let Stats { unrouted, refused, .. } = stats;
        let mut releases = Vec::new();
        for stats in stats.releases {
            // Of an environment that was deleted nobody asks any more.
            let Some(environment) = of.get(&stats.environment) else { continue };
            releases.push(Traffic {
                app: environment.app.to_string(),
                environment: environment.name.to_string(),
                release: self.release_label(&stats.release).await,
                stats,
            });
        }
        Ingress { status, unrouted, refused, releases }
    }

    async fn release_label(&self, id: &ReleaseId) -> String {
        match store::releases::get(self.store(), id).await {
            Ok(release) => format!("v{}", release.number),
            Err(_) => id.to_string(),
        }
    }
}

fn state(state: &InstanceState) -> &'static str {
    match state {
        InstanceState::Starting => "starting",
        InstanceState::Running { .. } => "running",
        InstanceState::Backoff { .. } => "backoff",
        InstanceState::CrashLoop { .. } => "crash_loop",
        InstanceState::Stopped { .. } => "stopped",
        InstanceState::Lost => "lost",
    }
}

/// From `/proc`; zeros for a process that is gone or somebody else's.
fn usage(pid: u32) -> Usage {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096);
    let pages: u64 = read("statm").split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    // User and system time are fields 14 and 15; the name before them may hold anything.
    let stat = read("stat");
    let times = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11).take(2));
    let spent: u64 = times.into_iter().flatten().filter_map(|n| n.parse::<u64>().ok()).sum();
    Usage {
        resident: pages * page.unsigned_abs(),
        open_files: std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count() as u64),
        cpu: spent as f64 / ticks.unsigned_abs() as f64,
    }
}

fn free(folder: &Path) -> Option<u64> {
    let found = nix::sys::statvfs::statvfs(folder).ok()?;
    Some(found.blocks_available() as u64 * found.fragment_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something_and_a_dead_one_nothing() {
        let own = usage(std::process::id());
        assert!(own.resident > 100_000 && own.open_files > 2, "{own:?}");
        assert_eq!(usage(u32::MAX), Usage::default());
        assert!(free(Path::new("/")).is_some());
    }
}
