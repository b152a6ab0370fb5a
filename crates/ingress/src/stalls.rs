//! HTTP/2 clients that ask for much and take nothing. TCP can't tell them from others: their connection is alive, only
//! the windows of their streams stay closed.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::Response;
use hyper::body::{Body, Frame, SizeHint};

/// The requests of one connection that are under way.
#[derive(Default)]
pub(crate) struct Stalls(Mutex<Vec<Weak<Mark>>>);

/// When a piece was handed over of which the next has not been asked for.
#[derive(Default)]
struct Mark(Mutex<Option<Instant>>);

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
        let mark = Arc::new(Mark::default());
        let mut marks = locked(&self.0);
        if marks.len() >= 256 {
            marks.retain(|mark| mark.strong_count() > 0);
        }
        marks.push(Arc::downgrade(&mark));
        Open(mark)
    }

    /// Requests that are open.
    pub(crate) fn open(&self) -> usize {
        locked(&self.0).iter().filter(|mark| mark.strong_count() > 0).count()
    }

    /// How long the client that takes least has taken nothing.
    pub(crate) fn longest(&self) -> Duration {
        let mut marks = locked(&self.0);
        marks.retain(|mark| mark.strong_count() > 0);
        let since = marks.iter().filter_map(|mark| *locked(&mark.upgrade()?.0)).min();
        since.map(|since| since.elapsed()).unwrap_or_default()
    }
}

impl Open {
    /// The answer to the request.
    pub(crate) fn answered<B>(self, response: Response<B>) -> Response<Watched<B>> {
        response.map(|body| Watched { body, mark: self.0 })
    }
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        // While the app is waited for, the client owes nothing.
        *locked(&this.mark.0) = matches!(polled, Poll::Ready(Some(Ok(_)))).then(Instant::now);
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
