//! HTTP/2 clients that ask for much and take nothing. TCP can't tell them from others: their connection is alive, only
//! the windows of their streams stay closed, or they take each request back: it costs the app as much as one that is answered,
//! and the client nothing, not even a place among its streams.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::Response;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

/// So many requests a client may take back, if they are more than half of all. Somebody who types on in a field that searches
/// does so now and then, beside pages that are answered.
const TAKEN_BACK: u64 = 500;

/// The requests of one connection that are under way.
#[derive(Default)]
pub(crate) struct Stalls {
    marks: Mutex<Vec<Weak<Mark>>>,
    taken_back: Arc<TakenBack>,
}

/// One of them.
struct Mark {
    /// When a piece was handed over of which the next has not been asked for.
    handed_over: Mutex<Option<Instant>>,
    answered: AtomicBool,
    taken_back: Arc<TakenBack>,
}

/// What a client has taken back before it was answered.
#[derive(Default)]
struct TakenBack {
    counts: Mutex<Counts>,
    too_much: Notify,
}

#[derive(Default)]
struct Counts {
    requests: u64,
    taken_back: u64,
}

/// A request from its arrival to its answer.
pub(crate) struct Open(Arc<Mark>);

/// A response's body that is watched.
pub(crate) struct Watched<B> {
    body: B,
    mark: Arc<Mark>,
}

impl Stalls {
    /// A request has come; until what this gives is dropped, it is open.
    pub(crate) fn begin(&self) -> Open {
        locked(&self.taken_back.counts).requests += 1;
        let mark = Arc::new(Mark {
            handed_over: Mutex::default(),
            answered: AtomicBool::default(),
            taken_back: self.taken_back.clone(),
        });
        let mut marks = locked(&self.marks);
        if marks.len() >= 256 {
            marks.retain(|mark| mark.strong_count() > 0);
        }
        marks.push(Arc::downgrade(&mark));
        Open(mark)
    }

    /// Requests that are open.
    pub(crate) fn open(&self) -> usize {
        locked(&self.marks).iter().filter(|mark| mark.strong_count() > 0).count()
    }

    /// How long the client that takes least has taken nothing.
    pub(crate) fn longest(&self) -> Duration {
        let mut marks = locked(&self.marks);
        marks.retain(|mark| mark.strong_count() > 0);
        let since = marks.iter().filter_map(|mark| *locked(&mark.upgrade()?.handed_over)).min();
        since.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// The client takes back most of what it asks for. Waits for that, and for as much again the next time.
    pub(crate) async fn too_much_taken_back(&self) {
        self.taken_back.too_much.notified().await;
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if *self.answered.get_mut() {
            return;
        }
        let mut counts = locked(&self.taken_back.counts);
        counts.taken_back += 1;
        if counts.taken_back >= TAKEN_BACK && counts.taken_back * 2 > counts.requests {
            *counts = Counts::default();
            self.taken_back.too_much.notify_one();
        }
    }
}

impl Open {
    /// The answer to the request. Whether anybody waits for it shows when its body is asked for, if it has one.
    pub(crate) fn answered<B: Body>(self, response: Response<B>) -> Response<Watched<B>> {
        self.0.answered.store(response.body().is_end_stream(), Ordering::Relaxed);
        response.map(|body| Watched { body, mark: self.0 })
    }
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        this.mark.answered.store(true, Ordering::Relaxed);
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        // While the app is waited for, the client owes nothing.
        *locked(&this.mark.handed_over) = matches!(polled, Poll::Ready(Some(Ok(_)))).then(Instant::now);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A panic elsewhere can't leave these half-written.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
