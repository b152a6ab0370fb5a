//! What a connection is there for at this moment: requests in flight, or since when there is none.
//!
//! The library has a limit for the next head of HTTP/1 alone: who never says which version it speaks, or answers the pings of
//! HTTP/2 and asks nothing, would be there for ever.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

/// Of one connection.
#[derive(Clone)]
pub(crate) struct InFlight(Arc<Mutex<State>>);

struct State {
    requests: usize,
    /// Since when there is none; of no meaning while there are some.
    idle_since: Instant,
}

/// A request from its head to the last of its answer, or to its end before that.
pub(crate) struct Request(InFlight);

impl InFlight {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { requests: 0, idle_since: Instant::now() })))
    }

    pub(crate) fn begin(&self) -> Request {
        self.state().requests += 1;
        Request(self.clone())
    }

    /// Ready once nothing was in flight for so long.
    pub(crate) async fn idle(&self, long: Duration) {
        loop {
            let until = {
                let state = self.state();
                // While one is in flight: as if it ended now.
                let since = if state.requests == 0 { state.idle_since } else { Instant::now() };
                since + long
            };
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests -= 1;
        state.idle_since = Instant::now();
    }
}

impl Request {
    /// Lasts as long as the answer is read.
    pub(crate) fn until_read(self, response: Response<Body>) -> Response<Body> {
        response.map(|body| Body::new(Answer { body, _request: self }))
    }
}

struct Answer {
    body: Body,
    _request: Request,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn idle_is_who_asks_nothing_and_reads_nothing() {
        let long = Duration::from_millis(50);
        let (flight, start) = (InFlight::new(), Instant::now());
        flight.idle(long).await;
        assert!(start.elapsed() >= long);

        let request = flight.begin();
        let response = request.until_read(Response::new(Body::from("text")));
        assert_eq!(hyper::body::Body::size_hint(response.body()).exact(), Some(4), "its length is still told");
        assert!(tokio::time::timeout(long * 4, flight.idle(long)).await.is_err(), "its answer is not read yet");
        let other = flight.begin();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "text");
        assert!(tokio::time::timeout(long * 4, flight.idle(long)).await.is_err(), "another one is in flight");
        drop(other);
        let start = Instant::now();
        flight.idle(long).await;
        assert!(start.elapsed() >= long);
    }
}
