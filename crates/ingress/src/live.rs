//! The route table as requests use it: looked up without a lock, replaced whole.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use domain::{DeploymentId, EnvironmentId};
use tokio_util::task::TaskTracker;

use crate::counters::Counters;
use crate::epoch::{Book, Epoch, InFlight};
use crate::options::Limits;
use crate::policy::Policy;
use crate::report::Stats;
use crate::route::{EnvironmentRoutes, RouteLimits, Target};
use crate::table::RouteTable;
use crate::upstream::Upstream;
use crate::verify::Secret;
use crate::workers::Workers;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) secret: Secret,
    pub(crate) connections: AtomicU64,
    /// Connections and tunnels that a shutdown waits for.
    pub(crate) tasks: TaskTracker,
    pub(crate) workers: Workers,
    table: ArcSwap<Live>,
    book: Mutex<Book>,
    policy: ArcSwap<Policy>,
    unrouted: AtomicU64,
    refused: AtomicU64,
    log: LogLimit,
}

/// One table, ready for look-ups.
#[derive(Default)]
struct Live {
    hosts: HashMap<Box<str>, Vec<Place>>,
    environments: BTreeMap<EnvironmentId, Arc<LiveEnvironment>>,
}

/// One path of a host. The longest stands first.
struct Place {
    path: Box<str>,
    environment: Arc<LiveEnvironment>,
    route: usize,
}

pub(crate) struct LiveEnvironment {
    routes: EnvironmentRoutes,
    epoch: Arc<Epoch>,
    targets: Vec<LiveTarget>,
}

/// So that a flood of failures does not become a flood of the log: so many lines in a second.
#[derive(Default)]
struct LogLimit {
    second: AtomicU64,
    lines: AtomicU64,
}

const LOG_LINES: u64 = 10;

pub(crate) enum LiveTarget {
    Upstreams(Pool),
    Static { root: PathBuf, prefix: Box<str>, single_page: bool },
}

/// Who answers a route's requests.
pub(crate) struct Pool {
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    pub(crate) standby: Vec<LiveStandby>,
    /// Whose turn it is.
    pub(crate) turn: AtomicUsize,
}

pub(crate) struct LiveStandby {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) epoch: Arc<Epoch>,
}

/// Where a request goes, and its place in the counts.
pub(crate) struct Matched {
    pub(crate) in_flight: InFlight,
    environment: Arc<LiveEnvironment>,
    route: usize,
}

impl Matched {
    /// The target, borrowed apart from the count.
    pub(crate) fn split(&mut self) -> (&LiveTarget, &RouteLimits, &mut InFlight) {
        let (target, route) = (&self.environment.targets[self.route], &self.environment.routes.routes[self.route]);
        (target, &route.limits, &mut self.in_flight)
    }
}

impl Shared {
    pub(crate) fn new(limits: Limits, secret: Secret) -> Self {
        Self {
            limits,
            secret,
            connections: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            workers: Workers::start(),
            table: ArcSwap::default(),
            book: Mutex::default(),
            policy: ArcSwap::default(),
            unrouted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            log: LogLimit::default(),
        }
    }

    /// The route for a lower-case host without port, and a request counted in there.
    pub(crate) fn enter(&self, host: &str, path: &str, arrived: Instant) -> Option<Matched> {
        loop {
            let table = self.table.load();
            let place = table.hosts.get(host).and_then(|places| places.iter().find(|p| covers(&p.path, path)));
            let Some(place) = place else {
                self.unrouted.fetch_add(1, Ordering::Relaxed);
                return None;
            };
            // Retired means that another table is in effect by now, so this ends.
            if let Some(mut in_flight) = place.environment.epoch.enter(place.route, arrived) {
                in_flight.open();
                return Some(Matched { in_flight, environment: place.environment.clone(), route: place.route });
            }
        }
    }

    /// Puts `table` into effect. When it returns every new request is served by it.
    pub(crate) fn switch(&self, table: &RouteTable) {
        let before = self.table.load_full();
        let mut book = self.book();
        let compiled = |routes: &EnvironmentRoutes| match before.environments.get(&routes.environment) {
            Some(same) if &same.routes == routes => same.clone(),
            previous => Arc::new(compile(routes, previous.map(Arc::as_ref), &mut book)),
        };
        let environments: Vec<_> = table.environments.values().map(compiled).collect();
        let next = Live::new(environments);
        let is_left =
            |e: &&Arc<LiveEnvironment>| next.environments.get(&e.routes.environment).is_none_or(|n| !Arc::ptr_eq(n, e));
        let left: Vec<_> = before.environments.values().filter(is_left).cloned().collect();
        self.table.store(Arc::new(next));
        for environment in left {
            environment.epoch.retire();
        }
    }

    pub(crate) fn leaving(&self, deployment: &DeploymentId) -> u64 {
        self.book().leaving(deployment)
    }

    /// Asks tunnels that `deployment` routed to what is routed no longer to end. Gives their number.
    pub(crate) fn close_tunnels(&self, deployment: &DeploymentId) -> u64 {
        self.book().close_tunnels(deployment)
    }

    /// Asks all tunnels to end, as the process does.
    pub(crate) fn close_all_tunnels(&self) {
        self.book().close_all_tunnels();
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            releases: self.book().stats(),
            unrouted: self.unrouted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Counts what another process counted.
    pub(crate) fn absorb(&self, stats: &Stats) {
        self.book().absorb(&stats.releases);
        self.unrouted.fetch_add(stats.unrouted, Ordering::Relaxed);
        self.refused.fetch_add(stats.refused, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, policy: Policy) {
        self.policy.store(Arc::new(policy));
    }

    /// What this peer says about clients is believed.
    pub(crate) fn trusts(&self, ip: IpAddr) -> bool {
        self.policy.load().trusted_proxies.iter().any(|n| n.contains(ip))
    }

    /// One more line about a request that failed.
    pub(crate) fn may_log(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        if self.log.second.swap(now, Ordering::Relaxed) != now {
            self.log.lines.store(0, Ordering::Relaxed);
        }
        self.log.lines.fetch_add(1, Ordering::Relaxed) < LOG_LINES
    }

    /// Routes to files that are not there, one sentence each.
    pub(crate) fn missing_files(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for environment in self.table.load().environments.values() {
            for (route, target) in environment.routes.routes.iter().zip(&environment.targets) {
                if let LiveTarget::Static { root, .. } = target
                    && !root.is_dir()
                {
                    let (app, place) = (&environment.routes.app, &environment.routes.environment_name);
                    missing.push(format!(
                        "the files of `{}` of {app}/{place} ({}{}) are gone",
                        route.component, route.host, route.path
                    ));
                }
            }
        }
        missing
    }

    /// Closes upstream connections that nobody used for a while.
    pub(crate) fn reap(&self) {
        for environment in self.table.load().environments.values() {
            for target in &environment.targets {
                if let LiveTarget::Upstreams(Pool { upstreams, standby, .. }) = target {
                    upstreams.iter().chain(standby.iter().map(|s| &s.upstream)).for_each(|u| u.reap());
                }
            }
        }
    }

    /// A panic elsewhere can't leave the book half-written: all its changes are single insertions.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn new(environments: Vec<Arc<LiveEnvironment>>) -> Self {
        let mut live = Live::default();
        for environment in environments {
            for (n, route) in environment.routes.routes.iter().enumerate() {
                let place = Place { path: route.path.as_str().into(), environment: environment.clone(), route: n };
                live.hosts.entry(route.host.as_str().into()).or_default().push(place);
            }
            live.environments.insert(environment.routes.environment.clone(), environment);
        }
        for places in live.hosts.values_mut() {
            places.sort_by_key(|p| std::cmp::Reverse(p.path.len()));
        }
        live
    }
}

/// The same as [`domain::route::PathPrefix::matches`], on the text.
fn covers(prefix: &str, path: &str) -> bool {
    prefix == "/" || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn compile(routes: &EnvironmentRoutes, previous: Option<&LiveEnvironment>, book: &mut Book) -> LiveEnvironment {
    // An upstream that stays keeps its open connections.
    let kept = |address| {
        let same_release = previous.filter(|p| p.routes.release == routes.release)?;
        same_release.targets.iter().find_map(|t| match t {
            LiveTarget::Upstreams(pool) => pool.upstreams.iter().find(|u| u.address == address).cloned(),
            LiveTarget::Static { .. } => None,
        })
    };
    let mut targets = Vec::with_capacity(routes.routes.len());
    for route in &routes.routes {
        targets.push(match &route.target {
            Target::Upstreams { upstreams, standby, .. } => LiveTarget::Upstreams(Pool {
                upstreams: upstreams.iter().map(|&a| kept(a).unwrap_or_else(|| Arc::new(Upstream::new(a)))).collect(),
                standby: standby
                    .iter()
                    .map(|s| LiveStandby {
                        upstream: Arc::new(Upstream::new(s.address)),
                        counters: book.counters(&routes.environment, &s.release, &route.component),
                        epoch: book.epoch_of(routes, &s.release),
                    })
                    .collect(),
                turn: AtomicUsize::new(0),
            }),
            Target::Static { root, single_page } => LiveTarget::Static {
                // Pinned, so that what is served changes with a cutover and not with a symlink.
                root: root.canonicalize().unwrap_or_else(|_| root.clone()),
                prefix: if route.path.as_str() == "/" { "".into() } else { route.path.as_str().into() },
                single_page: *single_page,
            },
        });
    }
    LiveEnvironment { routes: routes.clone(), epoch: book.begin(routes), targets }
}
