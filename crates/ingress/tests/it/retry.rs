//! Requests whose upstream dies: which are sent again, and which never.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

/// Reads a request, says `answer` and closes. Counts requests of the given beginning.
async fn mortal(answer: &'static str, seen: &Arc<AtomicUsize>) -> Origin {
    let seen = seen.clone();
    Origin::raw(move |mut stream| {
        let seen = seen.clone();
        async move {
            let mut sink = vec![0; 4096];
            if stream.read(&mut sink).await.is_ok_and(|n| n > 0) {
                seen.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    })
    .await
}

struct Case {
    request: &'static str,
    /// What the first upstream says before it dies.
    dying_words: &'static str,
    status: u16,
    /// Requests that reached the first and the second upstream.
    reached: (usize, usize),
    retries: u64,
}

#[tokio::test]
async fn what_is_sent_again_and_what_is_not() {
    const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    for Case { request, dying_words, status, reached, retries } in [
        Case { request: "GET", dying_words: "", status: 200, reached: (1, 1), retries: 1 },
        Case { request: "HEAD", dying_words: "", status: 200, reached: (1, 1), retries: 1 },
        Case { request: "DELETE", dying_words: "", status: 200, reached: (1, 1), retries: 1 },
        // It is not idempotent, and the dead one may have done it.
        Case { request: "POST", dying_words: "", status: 502, reached: (1, 0), retries: 0 },
        Case { request: "PATCH", dying_words: "", status: 502, reached: (1, 0), retries: 0 },
        // Its body is gone.
        Case { request: "PUT body", dying_words: "", status: 502, reached: (1, 0), retries: 0 },
        // It had begun to answer.
        Case { request: "GET", dying_words: "H", status: 502, reached: (1, 0), retries: 0 },
        Case { request: "GET", dying_words: "HTTP/1.1 200 OK\r\nContent-Le", status: 502, reached: (1, 0), retries: 0 },
        Case { request: "GET", dying_words: "HTTP/1.1 100 Continue\r\n\r\n", status: 502, reached: (1, 0), retries: 0 },
        // It answered, however badly.
        Case { request: "GET", dying_words: "nonsense\r\n\r\n", status: 502, reached: (1, 0), retries: 0 },
        Case {
            request: "GET",
            dying_words: "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
            status: 503,
            reached: (1, 0),
            retries: 0,
        },
    ] {
        let ingress = Ingress::start().await;
        let (dead, alive) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (first, second) = (mortal(dying_words, &dead).await, mortal(GOOD, &alive).await);
        ingress.route(1, &[first.address, second.address]).await;
        let mut client = ingress.raw().await;
        let (method, body) = request.split_once(' ').unwrap_or((request, ""));
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        client.send(format!("{method} / HTTP/1.1\r\nHost: {HOST}\r\n{length}\r\n{body}")).await;
        let answer = client.read(method == "HEAD").await.unwrap();
        let what = format!("{request} {dying_words:?}");
        assert_eq!(answer.status, status, "{what}");
        assert_eq!((dead.load(Ordering::SeqCst), alive.load(Ordering::SeqCst)), reached, "{what}");
        assert_eq!(ingress.client.stats().await.unwrap().releases[0].retries, retries, "{what}");
    }
}

/// Once, and not until somebody survives it.
#[tokio::test]
async fn a_deadly_request_kills_two_at_most() {
    let ingress = Ingress::start().await;
    let killed = Arc::new(AtomicUsize::new(0));
    let mut origins = vec![];
    for _ in 0..4 {
        origins.push(mortal("", &killed).await);
    }
    let addresses: Vec<_> = origins.iter().map(|o| o.address).collect();
    ingress.route(1, &addresses).await;
    let answer = ingress.get("/").await;
    assert_eq!((answer.status, killed.load(Ordering::SeqCst)), (502, 2));
    ingress.route(2, &addresses[..1]).await;
    assert_eq!(ingress.get("/").await.status, 502);
    assert_eq!(killed.load(Ordering::SeqCst), 4, "a single one is asked on a fresh connection once");
}

/// An upload of which nothing was sent goes to whoever takes it, whole.
#[tokio::test]
async fn what_was_not_sent_may_go_elsewhere() {
    let ingress = Ingress::start().await;
    let echo = Origin::echo().await;
    let gone = nowhere().await;
    let mut routes = routes(1, &[gone, echo.address]);
    let ingress::Target::Upstreams { gate, .. } = &mut routes.routes[0].target else { unreachable!() };
    *gate = ingress::Gate::None;
    ingress.client.cutover(routes).await.unwrap();
    for _ in 0..2 {
        let mut client = ingress.raw().await;
        client.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\n\r\nhello")).await;
        let answer = client.answer().await.unwrap();
        assert!(answer.status == 200 && answer.text().ends_with("\n\nhello"), "{}", answer.text());
    }
    assert_eq!(ingress.client.stats().await.unwrap().releases[0].retries, 1);
}
