//! The one place where passwords are hashed: as many at a time as processors can be spared, and no more memory than that.
//!
//! A hash costs 19 MiB and some ten milliseconds of a processor on purpose, so whoever can ask for one without limit can take the machine
//! down. Here half of the processors work at most, behind everything else (niceness +10, as builds), a bounded number waits, and the rest
//! is told so at once, before it costs anything. Threads and their memory are there only while there is work.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::libc;
use tokio::sync::oneshot;

use crate::password::memory::Memory;
use crate::password::{self, Failed, Password, Verified};

/// Beyond those that are worked on. With one processor they take about a second and a half.
const WAITING: usize = 64;
/// As builds.
const BACK: i32 = 10;
const LAST: i32 = 19;

/// Hashes and verifies passwords. Clones share their limits.
#[derive(Clone)]
pub struct Hasher {
    shared: Arc<Shared>,
}

/// So many are waiting that one more would wait too long. Nothing was looked at; try again in a few seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many people are signing in at this moment")]
pub struct Busy;

type Job = Box<dyn FnOnce(&mut Option<Memory>) + Send>;

struct Shared {
    permits: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    working: usize,
}

impl Hasher {
    /// With as many permits as half of these processors, and one at least.
    pub fn new(processors: NonZeroUsize) -> Self {
        let permits = (processors.get() / 2).max(1);
        Self { shared: Arc::new(Shared { permits, state: Mutex::default() }) }
    }

    /// A PHC string to keep.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn hash(&self, password: Password) -> Result<String, Busy> {
        self.run(move |memory| password::hash(&password, memory)).await
    }

    /// Whether `password` is the one of the PHC string `kept`. Takes as long where nothing is kept, and is then wrong.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn verify(&self, password: Password, kept: Option<String>) -> Result<Verified, Busy> {
        self.run(move |memory| password::verify(&password, kept.as_deref(), memory)).await
    }

    /// Whether another one may wait at this moment.
    pub fn has_room(&self) -> bool {
        self.shared.lock().waiting.len() < WAITING
    }

    /// Does `work` when its turn comes. Not at all if nobody waits for it then.
    async fn run<R, F>(&self, work: F) -> Result<R, Busy>
    where
        R: Send + 'static,
        F: FnOnce(&mut Option<Memory>) -> Result<R, Failed> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.submit(Box::new(move |memory| {
            if !reply.is_closed() {
                // Who has left meanwhile misses nothing.
                let _ = reply.send(work(memory));
            }
        }))?;
        // No answer at all is a worker that panicked, no answer of a hash a machine without memory.
        answer.await.ok().and_then(Result::ok).ok_or(Busy)
    }

    fn submit(&self, job: Job) -> Result<(), Busy> {
        let mut state = self.shared.lock();
        if state.waiting.len() >= WAITING {
            return Err(Busy);
        }
        state.waiting.push_back(job);
        if state.working < self.shared.permits {
            let shared = self.shared.clone();
            match thread::Builder::new().name("password".to_owned()).spawn(move || shared.work()) {
                Ok(_) => state.working += 1,
                // Those who work already come to it.
                Err(_) if state.working > 0 => {}
                Err(_) => {
                    state.waiting.pop_back();
                    return Err(Busy);
                }
            }
        }
        Ok(())
    }
}

impl Shared {
    /// Until nothing waits any more; then the memory goes.
    fn work(&self) {
        stand_back();
        let mut memory = None;
        while let Some(job) = self.next() {
            if catch_unwind(AssertUnwindSafe(|| job(&mut memory))).is_err() {
                memory = None;
            }
        }
    }

    /// `None` ends the worker, in the same moment in which it is seen that nothing waits: what comes later starts another one.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        let job = state.waiting.pop_front();
        if job.is_none() {
            state.working -= 1;
        }
        job
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts this thread behind all others. Anybody may, so nothing is lost if the kernel refuses.
fn stand_back() {
    // SAFETY: plain numbers; 0 is the calling thread, and a refusal changes nothing.
    unsafe {
        let nice = libc::getpriority(libc::PRIO_PROCESS, 0);
        libc::setpriority(libc::PRIO_PROCESS, 0, (nice + BACK).min(LAST));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;

    fn hasher(processors: usize) -> Hasher {
        Hasher::new(NonZeroUsize::new(processors).unwrap())
    }

    fn until(what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[tokio::test]
    async fn passwords_are_hashed_and_verified() {
        let hasher = hasher(1);
        let kept = hasher.hash(Password::new("gravel otter teapot")).await.unwrap();
        let verify = |password: &str, kept: Option<&String>| hasher.verify(Password::new(password), kept.cloned());
        assert_eq!(verify("gravel otter teapot", Some(&kept)).await, Ok(Verified::Right { outdated: false }));
        assert_eq!(verify("gravel otter", Some(&kept)).await, Ok(Verified::Wrong));
        assert_eq!(verify("gravel otter teapot", None).await, Ok(Verified::Wrong));
        until("workers end when nothing waits", || hasher.shared.lock().working == 0);
    }

    #[tokio::test]
    async fn few_work_at_once_and_few_wait() {
        let hasher = hasher(4);
        let (at_work, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (open, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let mut answers = Vec::new();
        for n in 0..2 + WAITING {
            let (at_work, most, gate) = (at_work.clone(), most.clone(), gate.clone());
            let (reply, answer) = oneshot::channel();
            let work = move |_: &mut Option<Memory>| {
                most.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                gate.lock().unwrap().recv().unwrap();
                at_work.fetch_sub(1, Ordering::SeqCst);
                reply.send(n).unwrap();
            };
            hasher.submit(Box::new(work)).unwrap();
            answers.push(answer);
            // The first two are taken off the queue before more come.
            until("taken", || n >= 2 || hasher.shared.lock().waiting.is_empty());
        }
        assert!(!hasher.has_room());
        assert_eq!(hasher.hash(Password::new("one too many")).await, Err(Busy));
        (0..2 + WAITING).for_each(|_| open.send(()).unwrap());
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.await.unwrap(), n);
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
        assert!(hasher.hash(Password::new("and now there is room")).await.is_ok());
    }

    #[tokio::test]
    async fn who_has_left_costs_nothing_and_a_panic_ends_nobody() {
        let hasher = hasher(1);
        let (open, gate) = mpsc::channel::<()>();
        hasher.submit(Box::new(move |_| gate.recv().unwrap())).unwrap();
        let done = Arc::new(AtomicUsize::new(0));
        let counted = done.clone();
        let left = hasher.run(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        // Asked once, so that it waits, and then dropped.
        assert!(tokio::time::timeout(Duration::from_millis(1), left).await.is_err());
        let panics = hasher.run(|_| -> Result<(), Failed> { panic!("on purpose") });
        let failing = hasher.run(|_| Err::<(), _>(Failed));
        open.send(()).unwrap();
        let (panicked, failed) = tokio::join!(panics, failing);
        assert_eq!((panicked, failed), (Err(Busy), Err(Busy)));
        assert_eq!(hasher.run(|_| Ok(7)).await, Ok(7));
        assert_eq!(done.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn workers_stand_back() {
        // SAFETY: plain numbers; 0 is the calling thread.
        let nice = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let ours = nice();
        assert_eq!(hasher(1).run(move |_| Ok(nice())).await, Ok((ours + BACK).min(LAST)));
        assert_eq!(nice(), ours);
    }
}
