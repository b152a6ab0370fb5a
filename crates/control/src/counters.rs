//! What happened since the server started, in numbers: for the metrics, and to see whether the reconciler lives.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::deployment::Deployment;
use store::timing::{QUICK, SLOW, Timed, Timing};

pub(crate) struct Counters {
    born: Instant,
    /// By kind and outcome.
    ended: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    /// By phase.
    phases: Mutex<BTreeMap<&'static str, Timing>>,
    journal: Timing,
    restarts: AtomicU64,
    /// When the reconciler last came through, in milliseconds since `born`.
    passed: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            born: Instant::now(),
            ended: Mutex::default(),
            phases: Mutex::default(),
            journal: Timing::new(QUICK),
            restarts: AtomicU64::new(0),
            passed: AtomicU64::new(0),
        }
    }
}

impl Counters {
    /// A deployment has come to its end.
    pub(crate) fn ended(&self, deployment: &Deployment) {
        *lock(&self.ended).entry((deployment.kind.as_str(), deployment.phase.as_str())).or_default() += 1;
        let mut phases = lock(&self.phases);
        for times in &deployment.phases {
            let took = times.finished_at.and_then(|end| (end - times.started_at).to_std().ok());
            // An end lasts no time; a clock that went back tells nothing.
            if let Some(took) = took.filter(|_| !times.phase.is_end()) {
                phases.entry(times.phase.as_str()).or_insert_with(|| Timing::new(SLOW)).note(took);
            }
        }
    }

    /// An append to the journal of a deployment is durable.
    pub(crate) fn appended(&self, took: Duration) {
        self.journal.note(took);
    }

    /// The reconciler had to start an instance.
    pub(crate) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// The reconciler came through.
    pub(crate) fn passed(&self) {
        let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.passed.store(now, Ordering::Relaxed);
    }

    pub(crate) fn since_pass(&self) -> Duration {
        self.born.elapsed().saturating_sub(Duration::from_millis(self.passed.load(Ordering::Relaxed)))
    }

    pub(crate) fn deployments(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        lock(&self.ended).clone()
    }

    pub(crate) fn phases(&self) -> BTreeMap<&'static str, Timed> {
        lock(&self.phases).iter().map(|(phase, timing)| (*phase, timing.timed())).collect()
    }

    pub(crate) fn journal(&self) -> Timed {
        self.journal.timed()
    }

    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
