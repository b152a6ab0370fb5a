//! Threads that serve client connections. Each has an event loop of its own, and a connection stays on its thread with
//! all that belongs to it, the connections to upstreams included: no request waits for a second thread to wake up.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const MOST: usize = 16;
/// Threads that look at files, for each worker.
const MOST_BLOCKING: usize = 32;
/// Nearer than the time limits of requests.
const NEAR: Duration = Duration::from_secs(5);

thread_local! {
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// How many there are: one for each core.
pub(crate) fn count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| std::thread::available_parallelism().map_or(2, usize::from).clamp(1, MOST))
}

/// The one that runs this, from 0; 0 elsewhere as well.
pub(crate) fn current() -> usize {
    CURRENT.get()
}

/// They end when this is dropped, and what they serve with them.
pub(crate) struct Workers {
    handles: Vec<Handle>,
    next: AtomicUsize,
    stop: CancellationToken,
}

impl Workers {
    /// As many as can be started; without any, connections are served where they are accepted.
    pub(crate) fn start() -> Self {
        let stop = CancellationToken::new();
        let started = (0..count()).map(|n| start(n, stop.clone()));
        let handles =
            started.filter_map(|w| w.inspect_err(|e| tracing::warn!(error = %e, "can't start a worker")).ok());
        Self { handles: handles.collect(), next: AtomicUsize::new(0), stop }
    }

    /// Gives a connection to the next worker in turn.
    pub(crate) fn spawn<F: Future<Output = ()> + Send + 'static>(
        &self,
        tasks: &TaskTracker,
        stream: TcpStream,
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) {
        if self.handles.is_empty() {
            drop(tasks.spawn(serve(stream)));
            return;
        }
        // From the event loop that accepted it to that of the worker.
        let Ok(stream) = stream.into_std() else { return };
        let worker = &self.handles[self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len()];
        let task = async move {
            match TcpStream::from_std(stream) {
                Ok(stream) => serve(stream).await,
                Err(e) => tracing::warn!(error = %e, "can't serve a connection"),
            }
        };
        drop(tasks.spawn_on(task, worker));
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A timer that is nearer than those of requests. Without any, the first one of each moment makes the event loop wake itself, which
/// is a system call.
async fn stay_near() {
    let mut near = tokio::time::interval(NEAR);
    loop {
        near.tick().await;
    }
}

fn start(n: usize, stop: CancellationToken) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MOST_BLOCKING)
        .thread_keep_alive(Duration::from_secs(5))
        .build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name(format!("worker-{n}")).spawn(move || {
        CURRENT.set(n);
        runtime.block_on(async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = stay_near() => {}
            }
        });
        runtime.shutdown_background();
    })?;
    Ok(handle)
}
