//! Clients that mean no good.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ingress::Limits;

use crate::support::*;

/// Requests whose end two servers could see at different places. None may reach the app; the connection is closed.
#[tokio::test]
async fn ambiguous_requests_are_refused() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let origin = Origin::http(move |request| {
        log.lock().unwrap().push(request.uri().to_string());
        async move { http::Response::new(bytes::Bytes::from("ok").into()) }
    })
    .await;
    let ingress = Ingress::start().await;
    ingress.route(1, &[origin.address]).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: app.localhost\r\n\r\n";
    let chunked = "0\r\n\r\n";
    for (what, head, body) in [
        ("length, encoding", "Content-Length: 6\r\nTransfer-Encoding: chunked", chunked),
        ("encoding, length", "Transfer-Encoding: chunked\r\nContent-Length: 6", chunked),
        ("zero length, encoding", "content-length: 0\r\nTRANSFER-ENCODING: chunked", chunked),
        ("two lengths", "Content-Length: 3\r\nContent-Length: 4", "abcd"),
        ("list of lengths", "Content-Length: 3, 4", "abcd"),
        ("signed length", "Content-Length: +3", "abc"),
        ("hexadecimal length", "Content-Length: 0x3", "abc"),
        ("negative length", "Content-Length: -1", ""),
        ("unknown encoding", "Transfer-Encoding: xchunked", chunked),
        ("chunked not last", "Transfer-Encoding: chunked, identity", chunked),
        ("identity", "Transfer-Encoding: identity", "abc"),
        ("space before the colon", "Transfer-Encoding : chunked", chunked),
        ("folded line", "Transfer-Encoding:\r\n chunked", chunked),
        ("two hosts", "Host: other.localhost", ""),
        ("control character", "X: a\x0bb\x00", ""),
        ("bare carriage return", "X: a\rTransfer-Encoding: chunked", chunked),
    ] {
        let mut client = ingress.raw().await;
        client.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\n{head}\r\n\r\n{body}{smuggled}")).await;
        match client.answer().await {
            Ok(answer) => assert_eq!(answer.status, 400, "{what}"),
            Err(closed) => assert!(closed.contains("reset") || closed.contains("closed"), "{what}: {closed}"),
        }
        assert!(client.is_closed().await, "{what}: the connection stays open");
    }
    for (what, request) in [
        (
            "HTTP/1.0 with encoding",
            format!("POST / HTTP/1.0\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
        ("no host", "GET / HTTP/1.1\r\n\r\n".to_owned()),
        ("tunnel", format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}\r\n\r\n")),
        ("no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_owned()),
        ("broken chunk", format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n")),
    ] {
        let mut client = ingress.raw().await;
        client.send(request).await;
        let answer = client.answer().await;
        assert!(!answer.as_ref().is_ok_and(|a| a.status < 400), "{what}: {answer:?}");
        assert!(client.is_closed().await, "{what}: the connection stays open");
    }
    let seen = seen.lock().unwrap().clone();
    assert!(seen.iter().all(|uri| uri == "/"), "{seen:?}");
    // `/` is the broken chunk: its head was in order, and its body broke off at the app as well.
    assert!(seen.len() <= 1, "{seen:?}");
}

#[tokio::test]
async fn an_encoding_that_was_pipelined_is_still_judged() {
    let ingress = Ingress::start().await;
    let origin = Origin::echo().await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    let bad = format!(
        "POST /bad HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    client
        .send(format!("GET /good HTTP/1.1\r\nHost: {HOST}\r\n\r\n{bad}GET /smuggled HTTP/1.1\r\nHost: {HOST}\r\n\r\n"))
        .await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    // hyper took the encoding and dropped the length; then the connection ends, so that nothing can follow.
    let answer = client.answer().await.unwrap();
    assert!(answer.status == 400 || !answer.text().contains("content-length"), "{}", answer.text());
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn slow_and_large_heads_are_cut_off() {
    let limits = Limits { head_time: Duration::from_millis(300), ..Limits::default() };
    let ingress = Ingress::with(limits).await;
    let origin = Origin::named("v1").await;
    ingress.route(1, &[origin.address]).await;

    let begun = Instant::now();
    let mut slow = ingress.raw().await;
    let dripping = async {
        slow.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n")).await;
        for n in 0.. {
            use tokio::io::AsyncWriteExt;
            if slow.stream.write_all(format!("X-{n}: 1\r\n").as_bytes()).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), dripping).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(250), "not before its time");
    let mut silent = ingress.raw().await;
    assert!(silent.is_closed().await);

    for head in [format!("X: {}\r\n", "a".repeat(40 << 10)), "X: 1\r\n".repeat(120)] {
        let mut client = ingress.raw().await;
        client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{head}\r\n")).await;
        assert_eq!(client.answer().await.unwrap().status, 431);
    }
    assert_eq!(ingress.get("/").await.status, 200, "others are served meanwhile");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let ingress = Ingress::with(Limits { connections: 2, ..Limits::default() }).await;
    let origin = Origin::named("v1").await;
    ingress.route(1, &[origin.address]).await;
    let (mut first, mut second, mut third) = (ingress.raw().await, ingress.raw().await, ingress.raw().await);
    assert_eq!((first.get("/").await.status, second.get("/").await.status), (200, 200));
    third.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let waiting = tokio::time::timeout(Duration::from_millis(200), third.answer()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    drop(first);
    assert_eq!(third.answer().await.unwrap().status, 200);
}

/// A client that sends its body a byte at a time, often enough not to be idle.
#[tokio::test]
async fn a_body_that_drips_is_cut_off_and_a_steady_one_is_not() {
    let limits = Limits { body_rate: 1000, body_patience: Duration::from_millis(500), ..Limits::default() };
    let ingress = Ingress::with(limits).await;
    let origin = Origin::echo().await;
    ingress.route(1, &[origin.address]).await;
    let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 40000\r\n\r\n");
    let send = async |piece: usize| {
        use tokio::io::AsyncWriteExt;
        let mut client = ingress.raw().await;
        client.send(&head).await;
        for _ in 0..40_000 / piece {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if client.stream.write_all(&vec![b'a'; piece]).await.is_err() {
                break;
            }
        }
        client.answer().await
    };
    let begun = Instant::now();
    let dripping = tokio::time::timeout(Duration::from_secs(60), send(1)).await.unwrap();
    assert!(dripping.as_ref().map_or(true, |a| a.status == 408), "{dripping:?}");
    assert!(begun.elapsed() >= Duration::from_millis(500), "not before its time");
    // So much faster than it must be that it may be held up.
    let steady = send(500).await.unwrap();
    assert!(steady.status == 200 && steady.text().ends_with(&"a".repeat(40_000)), "{steady:?}");
}

#[tokio::test]
async fn one_client_can_not_take_all_connections() {
    let mut options = ingress::Options::new("", std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    options.settings.max_connections_per_client = Some(3);
    let ingress = Ingress::start_as(options).await;
    let origin = Origin::named("v1").await;
    ingress.route(1, &[origin.address]).await;
    let mut kept = vec![];
    for _ in 0..3 {
        let mut client = ingress.raw().await;
        assert_eq!(client.get("/").await.status, 200);
        kept.push(client);
    }
    assert!(ingress.raw().await.is_closed().await, "the fourth");
    assert_eq!(ingress.client.status().await.unwrap().refused_connections, 1);
    drop(kept.pop());
    until(|| async { (ingress.client.status().await.unwrap().connections == 2).then_some(()) }).await;
    assert_eq!(ingress.get("/").await.status, 200, "a place is free again");
}

#[tokio::test]
async fn a_tunnel_has_no_time_for_a_head_and_a_kept_connection_has_its_own() {
    let limits = Limits { head_time: Duration::from_millis(200), idle: Duration::from_secs(4), ..Limits::default() };
    let ingress = Ingress::with(limits).await;
    let origin = Origin::upgrading().await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")).await;
    assert_eq!(client.answer().await.unwrap().status, 101);
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for _ in 0..3 {
        client.stream.write_all(b"x").await.unwrap();
        assert_eq!(client.stream.read_u8().await.unwrap(), b'x');
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    let plain = Origin::named("v2").await;
    ingress.route(2, &[plain.address]).await;
    let mut kept = ingress.raw().await;
    assert_eq!(kept.get("/").await.status, 200);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(kept.get("/").await.status, 200, "longer than a head may take, shorter than a connection may be idle");
    let idle = Instant::now();
    assert!(kept.is_closed().await);
    assert!(idle.elapsed() >= Duration::from_millis(3500));
}
