//! The route table as requests use it: looked up without a lock, replaced whole.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use domain::{DeploymentId, EnvironmentId};
use http::HeaderValue;
use tokio_util::task::TaskTracker;

use crate::counters::Counters;
use crate::epoch::{Book, Epoch, InFlight};
use crate::options::Limits;
use crate::report::Stats;
use crate::route::{EnvironmentRoutes, Target};
use crate::table::RouteTable;
use crate::upstream::Upstream;
use crate::verify::Secret;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) secret: Secret,
    pub(crate) connections: AtomicU64,
    /// Connections and tunnels that a shutdown waits for.
    pub(crate) tasks: TaskTracker,
    table: ArcSwap<Live>,
    book: Mutex<Book>,
    unrouted: AtomicU64,
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

pub(crate) enum LiveTarget {
    Upstreams { upstreams: Vec<Arc<Upstream>>, standby: Vec<LiveStandby>, turn: AtomicUsize },
    Static { root: PathBuf, prefix: Box<str>, single_page: bool },
}

pub(crate) struct LiveStandby {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) epoch: Option<Arc<Epoch>>,
    pub(crate) release_header: HeaderValue,
}

/// Where a request goes, and its place in the counts.
pub(crate) struct Matched {
    pub(crate) in_flight: InFlight,
    environment: Arc<LiveEnvironment>,
    route: usize,
}

impl Matched {
    /// The target, borrowed apart from the count.
    pub(crate) fn split(&mut self) -> (&LiveTarget, &mut InFlight) {
        (&self.environment.targets[self.route], &mut self.in_flight)
    }
}

impl Shared {
    pub(crate) fn new(limits: Limits, secret: Secret) -> Self {
        Self {
            limits,
            secret,
            connections: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            table: ArcSwap::default(),
            book: Mutex::default(),
            unrouted: AtomicU64::new(0),
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
            if let Some(mut in_flight) = place.environment.epoch.enter(arrived) {
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

    pub(crate) fn stats(&self) -> Stats {
        Stats { releases: self.book().stats(), unrouted: self.unrouted.load(Ordering::Relaxed) }
    }

    /// Closes upstream connections that nobody used for a while.
    pub(crate) fn reap(&self) {
        for environment in self.table.load().environments.values() {
            for target in &environment.targets {
                if let LiveTarget::Upstreams { upstreams, standby, .. } = target {
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
            LiveTarget::Upstreams { upstreams, .. } => upstreams.iter().find(|u| u.address == address).cloned(),
            LiveTarget::Static { .. } => None,
        })
    };
    let mut targets = Vec::with_capacity(routes.routes.len());
    for route in &routes.routes {
        targets.push(match &route.target {
            Target::Upstreams { upstreams, standby, .. } => LiveTarget::Upstreams {
                upstreams: upstreams.iter().map(|&a| kept(a).unwrap_or_else(|| Arc::new(Upstream::new(a)))).collect(),
                standby: standby
                    .iter()
                    .map(|s| LiveStandby {
                        upstream: Arc::new(Upstream::new(s.address)),
                        counters: book.counters(&routes.environment, &s.release),
                        epoch: book.epoch_of(&routes.environment, &s.release),
                        release_header: HeaderValue::from_str(s.release.as_str())
                            .unwrap_or_else(|_| HeaderValue::from_static("invalid")),
                    })
                    .collect(),
                turn: AtomicUsize::new(0),
            },
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
