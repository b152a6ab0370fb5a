//! Requests and responses on their way through.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ingress::{Limits, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

#[tokio::test]
async fn own_pages_say_what_happened() {
    let ingress = Ingress::start().await;
    assert_eq!(ingress.get("/").await.status, 404, "nobody has the host");
    let mut only_api = routes(1, &[]);
    only_api.routes[0].path = "/api".parse().unwrap();
    ingress.client.cutover(only_api).await.unwrap();
    let not_found = ingress.get("/").await;
    assert_eq!((not_found.status, not_found.header("cache-control")), (404, Some("no-store")));
    assert!(not_found.text().contains("Nothing is served at this address"));
    assert_eq!(ingress.get("/apix").await.status, 404);
    assert_eq!(ingress.get("/api").await.status, 503);
    ingress.client.cutover(with_standby(2, &[nowhere().await], nowhere().await, 1)).await.unwrap();
    assert_eq!(ingress.get("/").await.status, 502);
    let stats = ingress.client.stats().await.unwrap();
    let errors: Vec<_> = stats.releases.iter().map(|r| (r.errors.unavailable, r.errors.bad_gateway)).collect();
    assert_eq!((errors, stats.unrouted), (vec![(1, 0), (0, 1)], 3));
}

#[tokio::test]
async fn a_late_answer_is_a_timeout() {
    let ingress = Ingress::with(Limits { response_head: Duration::from_millis(200), ..Limits::default() }).await;
    let silent = Origin::raw(|mut stream| async move {
        let mut sink = vec![0; 1024];
        while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {}
    })
    .await;
    ingress.route(1, &[silent.address]).await;
    assert_eq!(ingress.get("/").await.status, 504);
    let stats = ingress.client.stats().await.unwrap();
    assert_eq!(stats.releases[0].errors.timeout, 1);
}

/// An upload that takes longer than the upstream may take to answer is not late as long as it comes in.
#[tokio::test]
async fn a_slow_upload_is_no_timeout() {
    let ingress = Ingress::with(Limits { response_head: Duration::from_secs(1), ..Limits::default() }).await;
    let origin = Origin::echo().await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    client.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 8\r\n\r\n")).await;
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        client.send("x").await;
    }
    let answer = client.answer().await.unwrap();
    assert!(answer.status == 200 && answer.text().ends_with("xxxxxxxx"));
}

#[tokio::test]
async fn a_stalled_upload_is_the_clients_fault() {
    let ingress = Ingress::with(Limits { body_idle: Duration::from_millis(100), ..Limits::default() }).await;
    let origin = Origin::echo().await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    client.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 8\r\n\r\nxx")).await;
    assert_eq!(client.answer().await.unwrap().status, 408);
}

#[tokio::test]
async fn requests_arrive_as_they_were_sent() {
    let ingress = Ingress::start().await;
    let origin = Origin::echo().await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    client
        .send(format!(
            "PATCH /a%20b/../c?d=e%2F&f HTTP/1.1\r\nHost: {HOST}:{}\r\nX-Forwarded-For: 6.6.6.6\r\n\
             X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
             Keep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Authorization: Basic x\r\nCookie: a=b\r\nCookie: c=d\r\n\
             Content-Length: 2\r\n\r\nhi",
            ingress.address.port()
        ))
        .await;
    let answer = client.answer().await.unwrap().text();
    let (head, body) = answer.split_once("\n\n").unwrap();
    let mut lines: Vec<_> = head.lines().map(str::to_owned).collect();
    assert_eq!((lines.remove(0).as_str(), body), ("PATCH /a%20b/../c?d=e%2F&f", "hi"));
    lines.sort();
    let host = format!("{HOST}:{}", ingress.address.port());
    assert_eq!(
        lines,
        [
            "connection: te".to_owned(),
            "content-length: 2".to_owned(),
            "cookie: a=b; c=d".to_owned(),
            format!("host: {host}"),
            "te: trailers".to_owned(),
            "x-forwarded-for: 127.0.0.1".to_owned(),
            format!("x-forwarded-host: {host}"),
            "x-forwarded-proto: http".to_owned(),
        ]
    );
    // A proxy's form of the request line; its host is the one that counts.
    client.send(format!("GET http://{HOST}/abs?x HTTP/1.1\r\nHost: {HOST}:80\r\n\r\n")).await;
    let text = client.answer().await.unwrap().text();
    assert!(text.starts_with("GET /abs?x\n") && text.contains(&format!("host: {HOST}\n")), "{text}");
}

#[tokio::test]
async fn responses_lose_only_what_belongs_to_the_connection() {
    let ingress = Ingress::start().await;
    let origin = Origin::raw(|mut stream| async move {
        let mut sink = vec![0; 4096];
        while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {
            let answer =
                b"HTTP/1.1 201 Created\r\nConnection: keep-alive, x-hop\r\nKeep-Alive: timeout=9\r\nX-Hop: 1\r\n\
                X-End: 2\r\nSet-Cookie: a=b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    for _ in 0..3 {
        let answer = client.get("/").await;
        assert_eq!((answer.status, answer.text().as_str()), (201, "abcde"));
        assert_eq!((answer.header("x-end"), answer.header("set-cookie")), (Some("2"), Some("a=b")));
        for hop in ["x-hop", "keep-alive", "connection"] {
            assert_eq!(answer.header(hop), None, "{hop}");
        }
    }
}

#[tokio::test]
async fn old_clients_get_what_they_understand() {
    let ingress = Ingress::start().await;
    let origin = Origin::raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    client.send(format!("GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n")).await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.text().as_str(), answer.header("transfer-encoding")), ("abc", None));
    let mut client = ingress.raw().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.answer().await.unwrap().status, 400);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let ingress = Ingress::start().await;
    let origin = Origin::echo().await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    let one = |n: usize| match n % 2 {
        0 => format!("GET /{n} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
        _ => format!("POST /{n} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 3\r\n\r\nabc"),
    };
    client.send((0..10).map(one).collect::<String>()).await;
    for n in 0..10 {
        let text = client.answer().await.unwrap().text();
        assert!(text.contains(&format!(" /{n}\n")) && text.ends_with(if n % 2 == 0 { "" } else { "abc" }), "{text}");
    }
}

#[tokio::test]
async fn bodiless_responses_keep_their_headers() {
    let ingress = Ingress::start().await;
    let origin = Origin::raw(|mut stream| async move {
        let mut seen = vec![0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut seen).await {
            let answer: &[u8] = match &seen[..n] {
                s if s.starts_with(b"HEAD") => b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: \"x\"\r\n\r\n",
                s if s.starts_with(b"DELETE") => b"HTTP/1.1 204 No Content\r\nX-Gone: 1\r\n\r\n",
                _ => b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 7\r\n\r\n",
            };
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    for _ in 0..2 {
        client.send(format!("HEAD / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        let head = client.read(true).await.unwrap();
        assert_eq!(
            (head.status, head.header("content-length"), head.header("etag")),
            (200, Some("12345"), Some("\"x\""))
        );
        assert_eq!((client.get("/").await.status), 304);
        client.send(format!("DELETE / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        assert_eq!(client.answer().await.unwrap().header("x-gone"), Some("1"));
    }
}

#[tokio::test]
async fn chunked_uploads_and_expectations_work() {
    let ingress = Ingress::start().await;
    let origin = Origin::echo().await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    for _ in 0..2 {
        client.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n")).await;
        client.send("3\r\nabc\r\n").await;
        client.send("2;ext=1\r\nde\r\n0\r\n\r\n").await;
        let answer = client.answer().await.unwrap();
        assert!(answer.status == 200 && answer.text().ends_with("\n\nabcde"), "{}", answer.text());
        assert_eq!(answer.header("connection"), None, "the connection stays open");
    }
    client.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")).await;
    assert_eq!(client.answer().await.unwrap().status, 100);
    client.send("xyz").await;
    let text = client.answer().await.unwrap().text();
    assert!(text.ends_with("\n\nxyz") && !text.contains("expect"), "{text}");
}

#[tokio::test]
async fn an_early_answer_reaches_the_client_before_its_upload_ends() {
    let ingress = Ingress::start().await;
    let origin = Origin::raw(|mut stream| async move {
        let mut seen = vec![0; 1024];
        assert!(stream.read(&mut seen).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig").await.unwrap();
        while stream.read(&mut seen).await.is_ok_and(|n| n > 0) {}
    })
    .await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    client.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000000\r\n\r\nbegin")).await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (413, "big"));
    // The connection to the upstream is not used again: the rest of the upload would be the next request there.
    assert_eq!(ingress.get("/").await.status, 413);
}

#[tokio::test]
async fn a_kept_upstream_connection_that_was_closed_harms_no_request() {
    let ingress = Ingress::start().await;
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    // One answer for each connection, closed a moment later without a word; as servers with a short keep-alive do.
    let origin = Origin::raw(move |mut stream| {
        let count = count.clone();
        async move {
            let mut seen = vec![0; 4096];
            if stream.read(&mut seen).await.is_ok_and(|n| n > 0) {
                count.fetch_add(1, Ordering::SeqCst);
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            }
        }
    })
    .await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    for n in 0..200 {
        let answer = client.get("/").await;
        assert_eq!(answer.status, 200, "request {n}");
    }
    assert_eq!(served.load(Ordering::SeqCst), 200);
}

/// The worst case of it: the upstream reads the second request on a connection and closes without an answer.
#[tokio::test]
async fn a_repeatable_request_is_sent_once_more_and_a_post_is_not() {
    let ingress = Ingress::start().await;
    let posts = Arc::new(AtomicUsize::new(0));
    let count = posts.clone();
    let origin = Origin::raw(move |mut stream| {
        let count = count.clone();
        async move {
            let mut seen = vec![0; 4096];
            for n in 0..2 {
                let Ok(length @ 1..) = stream.read(&mut seen).await else {
                    return;
                };
                count.fetch_add(usize::from(seen[..length].starts_with(b"POST")), Ordering::SeqCst);
                if n == 0 {
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
                }
            }
        }
    })
    .await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert_eq!(client.get("/").await.status, 200);
    client.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1\r\n\r\nx")).await;
    let first = client.answer().await.unwrap().status;
    let seen = posts.load(Ordering::SeqCst);
    assert_eq!(seen, 1, "a POST reached the app {seen} times and was answered with {first}");
}

#[tokio::test]
async fn upstream_connections_are_kept_and_taken_in_turn() {
    let ingress = Ingress::start().await;
    let opened = Arc::new(AtomicUsize::new(0));
    let mut origins = vec![];
    for name in ["a", "b"] {
        let opened = opened.clone();
        origins.push(
            Origin::raw(move |mut stream| {
                opened.fetch_add(1, Ordering::SeqCst);
                async move {
                    let mut seen = vec![0; 4096];
                    while stream.read(&mut seen).await.is_ok_and(|n| n > 0) {
                        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}");
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            })
            .await,
        );
    }
    let before = opened.load(Ordering::SeqCst);
    let upstreams: Vec<_> = origins.iter().map(|o| o.address).collect();
    ingress.route(1, &upstreams).await;
    let gates = 2;
    let mut client = ingress.raw().await;
    let mut answers = String::new();
    for _ in 0..20 {
        answers += &client.get("/").await.text();
    }
    assert_eq!(answers, "ab".repeat(10));
    assert_eq!(opened.load(Ordering::SeqCst) - before - gates, 2);
}

#[tokio::test]
async fn a_response_that_breaks_off_breaks_off_for_the_client() {
    let ingress = Ingress::start().await;
    let origin = Origin::raw(|mut stream| async move {
        let mut seen = vec![0; 4096];
        let n = stream.read(&mut seen).await.unwrap();
        let head =
            if seen[..n].starts_with(b"GET /chunked") { "Transfer-Encoding: chunked" } else { "Content-Length: 100" };
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n4\r\nabcd\r\n").as_bytes()).await.unwrap();
    })
    .await;
    ingress.route(1, &[origin.address]).await;
    for path in ["/chunked", "/length"] {
        let mut client = ingress.raw().await;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        let broken = client.answer().await.unwrap_err();
        assert!(broken.contains("closed in the") || broken.contains("reset"), "{broken}");
    }
    let stats = until(|| async {
        let stats = ingress.client.stats().await.unwrap();
        (stats.releases[0].in_flight == 0).then_some(stats)
    })
    .await;
    assert_eq!(stats.releases[0].errors.aborted, 2);
    let dead = Origin::raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
    })
    .await;
    ingress.route(2, &[dead.address]).await;
    assert_eq!(ingress.get("/").await.status, 502);
}

#[tokio::test]
async fn upgraded_connections_pass_bytes_both_ways() {
    let ingress = Ingress::start().await;
    let origin = Origin::raw(|mut stream| async move {
        let mut seen = vec![0; 4096];
        let n = stream.read(&mut seen).await.unwrap();
        let text = String::from_utf8_lossy(&seen[..n]).to_ascii_lowercase();
        assert!(text.contains("upgrade: echo\r\n") && text.contains("connection: upgrade\r\n"), "{text}");
        let head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")).await;
    assert_eq!(client.answer().await.unwrap().status, 101);
    for text in ["hello", "again"] {
        client.send(text).await;
        let mut echoed = [0; 5];
        client.stream.read_exact(&mut echoed).await.unwrap();
        assert_eq!(echoed, text.as_bytes());
    }
    assert_eq!(ingress.client.stats().await.unwrap().releases[0].in_flight, 1, "a tunnel is a request in flight");
    drop(client);
    until(|| async { (ingress.client.stats().await.unwrap().releases[0].in_flight == 0).then_some(()) }).await;
}

#[tokio::test]
async fn stats_tell_requests_by_release() {
    let ingress = Ingress::start().await;
    let origin = Origin::http(|request| async move {
        let status: u16 = request.uri().path()[1..].parse().unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        http::Response::builder().status(status).body(bytes::Bytes::from("12345").into()).unwrap()
    })
    .await;
    ingress.route(1, &[origin.address]).await;
    for path in ["/200", "/201", "/301", "/404", "/500", "/503"] {
        ingress.get(path).await;
    }
    ingress.route(2, &[origin.address]).await;
    ingress.get("/200").await;
    let stats = until(|| async {
        let stats = ingress.client.stats().await.unwrap();
        stats.releases.iter().all(|r| r.in_flight == 0).then_some(stats)
    })
    .await;
    let [first, second] = &stats.releases[..] else { panic!("{stats:?}") };
    assert_eq!((&first.release, first.requests, first.statuses), (&release(1), 6, [0, 2, 1, 1, 2]));
    assert_eq!((first.errors, first.bytes_sent, first.latency.count()), (ingress::Errors::default(), 30, 6));
    assert!(
        (15.0..2000.0).contains(&first.latency.percentile(50.0))
            && first.latency.percentile(99.0) >= first.latency.percentile(50.0),
        "{:?}",
        first.latency
    );
    assert_eq!((&second.environment, second.requests), (&environment(), 1));
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_as_such() {
    let ingress = Ingress::start().await;
    let origin = Origin::raw(|mut stream| async move {
        let mut sink = vec![0; 1024];
        while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {}
    })
    .await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    until(|| async { (ingress.client.stats().await.unwrap().releases[0].in_flight == 1).then_some(()) }).await;
    drop(client);
    let stats = until(|| async {
        let stats = ingress.client.stats().await.unwrap();
        (stats.releases[0].in_flight == 0).then_some(stats)
    })
    .await;
    assert_eq!((stats.releases[0].abandoned, stats.releases[0].requests), (1, 1));
}

#[tokio::test]
async fn a_stop_lets_requests_finish_and_takes_no_more() {
    let ingress = Ingress::start().await;
    let origin = Origin::named("v1").await;
    ingress.route(1, &[origin.address]).await;
    let (mut busy, mut idle) = (ingress.raw().await, ingress.raw().await);
    idle.get("/").await;
    busy.send(format!("GET /slow HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    until(|| async { (ingress.client.stats().await.unwrap().releases[0].in_flight == 1).then_some(()) }).await;
    ingress.begin_stop();
    assert!(idle.is_closed().await);
    let answer = busy.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    let address = ingress.address;
    ingress.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// 64 MiB up and 64 MiB down through a process of its own, whose memory must not grow with them.
#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_stream_through() {
    const SIZE: usize = 64 << 20;
    let temp = tempfile::tempdir().unwrap();
    let _reaper = Reaper(temp.path().to_owned());
    let client = ensure(temp.path(), &binary(), SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let status = client.status().await.unwrap();
    let origin = Origin::raw(|mut stream| async move {
        let mut piece = vec![7_u8; 1 << 16];
        let n = stream.read(&mut piece).await.unwrap();
        let head = String::from_utf8_lossy(&piece[..n]).into_owned();
        let mut got = n - head.find("\r\n\r\n").map_or(n, |at| at + 4);
        while head.starts_with("POST") && got < SIZE {
            got += stream.read(&mut piece).await.unwrap();
        }
        stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes()).await.unwrap();
        for _ in 0..SIZE / piece.len() {
            stream.write_all(&piece).await.unwrap();
        }
    })
    .await;
    client.cutover(routes(1, &[origin.address])).await.unwrap();
    let memory = || {
        let text = std::fs::read_to_string(format!("/proc/{}/status", status.pid)).unwrap();
        let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    };
    assert_eq!(Raw::connect(status.listen).await.get("/small").await.body.len(), SIZE);
    let before = memory();
    let begun = Instant::now();
    let mut raw = Raw::connect(status.listen).await;
    raw.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {SIZE}\r\n\r\n")).await;
    let piece = vec![7_u8; 1 << 16];
    for _ in 0..SIZE / piece.len() {
        raw.send(&piece).await;
    }
    assert_eq!(raw.answer().await.unwrap().body.len(), SIZE);
    let grown = memory().saturating_sub(before);
    assert!(grown < 8 << 20, "the ingress grew by {grown} bytes in {:?}", begun.elapsed());
    assert!(before < 64 << 20, "{before} bytes");
}
