//! One environment's routes from a cutover to the next, and the requests that came in under them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use chrono::{DateTime, Utc};
use domain::{DeploymentId, EnvironmentId, Name, ReleaseId};
use http::{HeaderValue, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::counters::{Counted, Counters, Failure};
use crate::report::ReleaseStats;
use crate::route::EnvironmentRoutes;

/// Counters are kept for so many components of releases.
const KEPT: usize = 400;

#[derive(Debug)]
pub(crate) struct Epoch {
    pub(crate) deployment: DeploymentId,
    environment: EnvironmentId,
    release: ReleaseId,
    /// By route.
    counters: Vec<Arc<Counters>>,
    pub(crate) deployment_header: HeaderValue,
    pub(crate) release_header: HeaderValue,
    in_flight: AtomicU64,
    /// Of those, connections that switched protocols.
    tunnels: AtomicU64,
    /// Set after the table that replaces these routes is in effect.
    retired: AtomicBool,
    /// Fires when tunnels are to end: what they lead to is about to be stopped.
    pub(crate) closing: CancellationToken,
    /// Of which deployment the release was is not known: see [`Book::epoch_of`].
    anybodys: bool,
}

impl Epoch {
    fn new(routes: &EnvironmentRoutes, release: &ReleaseId, counters: Vec<Arc<Counters>>) -> Self {
        Self {
            deployment: routes.deployment.clone(),
            environment: routes.environment.clone(),
            release: release.clone(),
            counters,
            deployment_header: header(routes.deployment.as_str()),
            release_header: header(release.as_str()),
            in_flight: AtomicU64::new(0),
            tunnels: AtomicU64::new(0),
            retired: AtomicBool::new(false),
            closing: CancellationToken::new(),
            anybodys: false,
        }
    }

    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
    }

    /// Counts a request in, unless the routes are retired: then the caller must look at the table again.
    ///
    /// A request that saw the old table counts itself before it looks at `retired`, and a drain sets `retired`
    /// before it looks at the count; both in one total order. So either the drain sees the request or the request
    /// sees the new table, and no upstream is stopped under a request.
    pub(crate) fn enter(self: &Arc<Self>, route: usize, arrived: Instant) -> Option<InFlight> {
        let request = self.hold(route, arrived);
        if self.retired.load(Ordering::SeqCst) { None } else { Some(request) }
    }

    fn hold(self: &Arc<Self>, route: usize, arrived: Instant) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        self.counters[route].entered();
        InFlight { epoch: self.clone(), route, arrived, open: false, tunnel: false, served: None, behind: None }
    }
}

/// A request on its way; counted out when this is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) epoch: Arc<Epoch>,
    route: usize,
    arrived: Instant,
    /// Accepted, and not answered yet.
    open: bool,
    /// It became a tunnel.
    tunnel: bool,
    /// The standby's counters, if a standby answers.
    served: Option<Arc<Counters>>,
    /// The standby's own epoch, which a drain of its deployment waits for.
    behind: Option<Arc<Epoch>>,
}

impl InFlight {
    /// From now on the request is answered, or counted as abandoned.
    pub(crate) fn open(&mut self) {
        self.open = true;
    }

    /// Whether other routes are in effect by now.
    pub(crate) fn is_left(&self) -> bool {
        self.epoch.retired.load(Ordering::SeqCst)
    }

    /// It was neither sent nor answered, and is counted in elsewhere.
    pub(crate) fn moves_on(mut self) {
        self.open = false;
    }

    /// The request is about to be sent to a standby, whose own deployment must not be drained meanwhile. `false` when it
    /// may be drained already, as these routes are left.
    ///
    /// As in [`Epoch::enter`]: the request counts itself before it looks whether its routes are left, and who drains the
    /// standby's deployment has retired them before.
    #[must_use]
    pub(crate) fn lean_on(&mut self, standby: &Arc<Epoch>) -> bool {
        standby.in_flight.fetch_add(1, Ordering::SeqCst);
        if let Some(before) = self.behind.replace(standby.clone()) {
            before.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
        !self.is_left()
    }

    /// A standby answers, and the request counts as its own.
    pub(crate) fn fall_back(&mut self, standby: &Arc<Counters>) {
        self.own().fell_back();
        self.served = Some(standby.clone());
    }

    /// Of the release whose request it is.
    pub(crate) fn release_header(&self) -> &HeaderValue {
        let standby = self.behind.as_ref().filter(|_| self.served.is_some());
        &standby.unwrap_or(&self.epoch).release_header
    }

    /// Whose request it is: component and release.
    pub(crate) fn who(&self) -> (&Name, &ReleaseId) {
        let of = &self.counters().of;
        (&of.component, &of.release)
    }

    /// It is sent again.
    pub(crate) fn retried(&self) {
        self.own().retried();
    }

    /// From now on it is a tunnel.
    pub(crate) fn tunnels(&mut self) {
        self.tunnel = true;
        self.counters().tunnel_opened();
        for epoch in std::iter::once(&self.epoch).chain(&self.behind) {
            epoch.tunnels.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Fires when a tunnel is to end. With a standby behind it, that one's end counts as well.
    pub(crate) fn closing(&self) -> (CancellationToken, Option<CancellationToken>) {
        (self.epoch.closing.clone(), self.behind.as_ref().map(|b| b.closing.clone()))
    }

    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.open = false;
        self.counters().answered(status, self.arrived.elapsed());
    }

    pub(crate) fn failed(&self, failure: Failure) {
        self.counters().failed(failure);
    }

    pub(crate) fn counters(&self) -> &Counters {
        self.served.as_deref().unwrap_or(self.own())
    }

    fn own(&self) -> &Counters {
        &self.epoch.counters[self.route]
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.open {
            self.counters().abandoned();
        }
        if self.tunnel {
            self.counters().tunnel_closed();
            for epoch in std::iter::once(&self.epoch).chain(&self.behind) {
                epoch.tunnels.fetch_sub(1, Ordering::SeqCst);
            }
        }
        if let Some(behind) = &self.behind {
            behind.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
        self.own().left();
        self.epoch.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// All epochs that still matter and the counters of the last releases.
#[derive(Debug, Default)]
pub(crate) struct Book {
    epochs: Vec<Arc<Epoch>>,
    counters: BTreeMap<Counted, Kept>,
    /// Grows with each cutover, to tell which release was routed last.
    clock: u64,
}

#[derive(Debug)]
struct Kept {
    counters: Arc<Counters>,
    routed: u64,
}

impl Book {
    pub(crate) fn begin(&mut self, routes: &EnvironmentRoutes) -> Arc<Epoch> {
        // Requests hold theirs, and so do routes with a standby that may get some.
        self.epochs.retain(|e| !e.retired.load(Ordering::SeqCst) || Arc::strong_count(e) > 1);
        let (environment, release) = (&routes.environment, &routes.release);
        let counters = routes.routes.iter().map(|r| self.counters(environment, release, &r.component)).collect();
        self.add(Epoch::new(routes, release, counters))
    }

    fn add(&mut self, epoch: Epoch) -> Arc<Epoch> {
        let epoch = Arc::new(epoch);
        self.epochs.push(epoch.clone());
        epoch
    }

    /// The counters of a component of a release, new if it was never routed or long ago.
    pub(crate) fn counters(
        &mut self,
        environment: &EnvironmentId,
        release: &ReleaseId,
        component: &Name,
    ) -> Arc<Counters> {
        let of = Counted { environment: environment.clone(), release: release.clone(), component: component.clone() };
        self.counted(of, Utc::now())
    }

    /// Counts what another process counted, or this one before it ended.
    pub(crate) fn absorb(&mut self, releases: &[ReleaseStats]) {
        for counted in releases {
            let of = Counted {
                environment: counted.environment.clone(),
                release: counted.release.clone(),
                component: counted.component.clone(),
            };
            self.counted(of, counted.since).add(counted);
        }
    }

    /// The newest epoch of a release that stands by for these routes. It may have been routed by the process before this one alone, so
    /// that its deployment isn't known here: then every drain waits for the few requests that lean on it.
    pub(crate) fn epoch_of(&mut self, routes: &EnvironmentRoutes, release: &ReleaseId) -> Arc<Epoch> {
        let of = |e: &&Arc<Epoch>| e.environment == routes.environment && &e.release == release;
        if let Some(known) = self.epochs.iter().rev().find(of) {
            return known.clone();
        }
        let epoch = Epoch { anybodys: true, ..Epoch::new(routes, release, Vec::new()) };
        epoch.retire();
        self.add(epoch)
    }

    /// Requests in flight under routes of `deployment` that are replaced or removed.
    pub(crate) fn leaving(&self, deployment: &DeploymentId) -> u64 {
        self.left(deployment).map(|e| e.in_flight.load(Ordering::SeqCst)).sum()
    }

    /// Asks the tunnels among them to end, and says how many there are.
    pub(crate) fn close_tunnels(&self, deployment: &DeploymentId) -> u64 {
        let close = |e: &Arc<Epoch>| {
            e.closing.cancel();
            e.tunnels.load(Ordering::SeqCst)
        };
        self.left(deployment).map(close).sum()
    }

    pub(crate) fn close_all_tunnels(&self) {
        self.epochs.iter().for_each(|e| e.closing.cancel());
    }

    pub(crate) fn stats(&self) -> Vec<ReleaseStats> {
        self.counters.values().map(|c| c.counters.snapshot()).collect()
    }

    fn left(&self, deployment: &DeploymentId) -> impl Iterator<Item = &Arc<Epoch>> {
        let is_left = |e: &Epoch| e.retired.load(Ordering::SeqCst);
        self.epochs.iter().filter(move |e| (e.anybodys || &e.deployment == deployment) && is_left(e))
    }

    fn counted(&mut self, of: Counted, since: DateTime<Utc>) -> Arc<Counters> {
        self.clock += 1;
        let routed = self.clock;
        let fresh = |of: &Counted| Kept { counters: Arc::new(Counters::new(of.clone(), since)), routed };
        let kept = match self.counters.entry(of) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let kept = fresh(free.key());
                free.insert(kept)
            }
        };
        kept.routed = routed;
        let counters = kept.counters.clone();
        self.forget();
        counters
    }

    /// Drops the counters that were routed longest ago; those that are in use are never the oldest alone.
    fn forget(&mut self) {
        while self.counters.len() > KEPT {
            let unused = self.counters.iter().filter(|(_, c)| Arc::strong_count(&c.counters) == 1);
            let Some(oldest) = unused.min_by_key(|(_, c)| c.routed).map(|(key, _)| key.clone()) else {
                return;
            };
            self.counters.remove(&oldest);
        }
    }
}

/// Ids consist of letters, digits and `_`, which every header value may have.
fn header(id: &str) -> HeaderValue {
    HeaderValue::from_str(id).unwrap_or_else(|_| HeaderValue::from_static("invalid"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::table::tests::routes;

    /// Threads enter while the routes are retired, as often as the scheduler can mix them. When the drain has seen
    /// no request, no request may be there, nor come.
    #[test]
    fn after_a_drain_no_request_is_in_flight() {
        let begun = Instant::now();
        for round in 0..3000 {
            // On a busy machine each round takes long, and mixes the threads all the better.
            if round > 100 && begun.elapsed().as_millis() > 800 {
                break;
            }
            let mut book = Book::default();
            let epoch = book.begin(&routes(1, round, 1, &[0]));
            let (running, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        running.fetch_add(1, Ordering::SeqCst);
                        while let Some(request) = epoch.enter(0, Instant::now()) {
                            for _ in 0..10 {
                                let is_stopped = stopped.load(Ordering::SeqCst);
                                assert!(!is_stopped, "the upstream is stopped under a request");
                            }
                            drop(request);
                        }
                    });
                }
                while running.load(Ordering::SeqCst) < 2 {
                    std::thread::yield_now();
                }
                epoch.retire();
                while book.leaving(&epoch.deployment) > 0 {
                    std::hint::spin_loop();
                }
                stopped.store(true, Ordering::SeqCst);
            });
            assert_eq!(epoch.counters[0].snapshot().in_flight, 0);
        }
    }

    /// The drain of a standby's deployment sees who leans on it, whatever else was switched meanwhile. Once the routes
    /// that name it are left, nobody does.
    #[test]
    fn nobody_leans_on_a_standby_that_may_be_drained() {
        let mut book = Book::default();
        let old = routes(1, 1, 1, &[0]);
        book.begin(&old).retire();
        let new = routes(1, 2, 2, &[0]);
        let standby = book.epoch_of(&new, &old.release);
        let epoch = book.begin(&new);
        drop(book.begin(&routes(2, 1, 3, &[1])));
        let mut request = epoch.enter(0, Instant::now()).unwrap();
        assert!(request.lean_on(&standby));
        assert_eq!(book.leaving(&old.deployment), 1);
        assert!(request.lean_on(&epoch));
        assert_eq!(book.leaving(&old.deployment), 0);
        epoch.retire();
        assert!(!request.lean_on(&standby));
        request.moves_on();
        assert_eq!((book.leaving(&old.deployment), book.leaving(&epoch.deployment)), (0, 0));
        assert_eq!(epoch.counters[0].snapshot().requests, 0, "it is counted where it goes");
    }

    /// The process that routed to it was replaced meanwhile. This one doesn't know whose drain it is that must wait.
    #[test]
    fn nobody_drains_a_standby_of_the_process_before_under_a_request() {
        let mut book = Book::default();
        let (old, new) = (routes(1, 1, 1, &[0]), routes(1, 2, 2, &[0]));
        let standby = book.epoch_of(&new, &old.release);
        let epoch = book.begin(&new);
        assert!(Arc::ptr_eq(&standby, &book.epoch_of(&new, &old.release)));
        assert_eq!(book.leaving(&old.deployment), 0);
        let mut request = epoch.enter(0, Instant::now()).unwrap();
        assert!(request.lean_on(&standby));
        // The routes without the standby.
        epoch.retire();
        drop(book.begin(&routes(1, 3, 2, &[0])));
        assert_eq!(book.leaving(&old.deployment), 1);
        drop(request);
        assert_eq!(book.leaving(&old.deployment), 0);
        drop(standby);
        drop(book.begin(&routes(2, 1, 3, &[1])));
        assert!(book.epochs.iter().all(|e| !e.anybodys), "it is forgotten with the routes that name it");
    }

    #[test]
    fn counters_of_the_last_releases_are_kept() {
        let mut book = Book::default();
        let first = book.begin(&routes(1, 1, 0, &[0]));
        for n in 1..=500 {
            drop(book.begin(&routes(1, 1, n, &[0])));
            book.epochs.iter().filter(|e| !Arc::ptr_eq(e, &first)).for_each(|e| e.retire());
        }
        let kept: Vec<_> = book.stats().into_iter().map(|s| s.release).collect();
        assert!((KEPT..=KEPT + 1).contains(&kept.len()), "{}", kept.len());
        assert!(kept.contains(&first.release), "those in use stay");
        assert!(kept.contains(&routes(1, 1, 500, &[]).release) && !kept.contains(&routes(1, 1, 2, &[]).release));
    }
}
