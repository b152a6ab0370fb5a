//! Requests whose end two servers could see at different places, byte for byte, and what of them reached the app.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: app.localhost\r\n\r\n";

/// An app that takes every byte at its word and keeps what it got.
struct Recorder {
    origin: Origin,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let origin = Origin::raw(move |stream| converse(stream, log.clone())).await;
        Self { origin, seen }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// Requests one after the other, each with its body, until the end.
async fn converse(mut stream: TcpStream, log: Arc<Mutex<Vec<String>>>) {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(n) = read.windows(4).position(|w| w == b"\r\n\r\n") {
                break n + 4;
            }
            if !stream.read_buf(&mut read).await.is_ok_and(|n| n > 0) {
                return;
            }
        };
        let head = String::from_utf8_lossy(&read.drain(..end).collect::<Vec<_>>()).into_owned();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).map(|l| l.parse().unwrap());
        let place = {
            let mut log = log.lock().unwrap();
            log.push(head.clone());
            log.len() - 1
        };
        loop {
            let is_whole = match length {
                Some(length) => read.len() >= length,
                None if head.contains("transfer-encoding: chunked") => is_over(&read),
                None => true,
            };
            if is_whole || !stream.read_buf(&mut read).await.is_ok_and(|n| n > 0) {
                break;
            }
        }
        let body =
            String::from_utf8_lossy(&read.drain(..length.unwrap_or(read.len())).collect::<Vec<_>>()).into_owned();
        if let Some(entry) = log.lock().unwrap().get_mut(place) {
            entry.push_str(&body);
        }
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.is_err() {
            return;
        }
    }
}

/// The last chunk came, and what may come after it.
fn is_over(chunks: &[u8]) -> bool {
    let last = chunks.starts_with(b"0\r\n") || chunks.windows(5).any(|w| w == b"\r\n0\r\n");
    last && chunks.ends_with(b"\r\n\r\n")
}

enum Expected {
    /// This status (or no word at all), the connection closed, and nothing at the app.
    Refused(u16),
    /// The head was in order and the body was not: the app may see its beginning and nothing after it.
    BrokenOff,
    /// The app gets one request that contains the first and not the second; then the next one on the connection.
    Passed(&'static [&'static str], &'static [&'static str]),
}
use Expected::*;

async fn check(ingress: &Ingress, app: &Recorder, what: &str, request: &[u8], expected: Expected) {
    let mut client = ingress.raw().await;
    client.send([request, SMUGGLED.as_bytes()].concat()).await;
    let answer = client.answer().await;
    match expected {
        Refused(status) => {
            if let Ok(answer) = &answer {
                assert_eq!(answer.status, status, "{what}: {answer:?}");
            }
            assert!(client.is_closed().await, "{what}: the connection stays open");
            assert_eq!(app.take(), [] as [String; 0], "{what}");
        }
        BrokenOff => {
            assert!(!answer.as_ref().is_ok_and(|a| a.status < 400), "{what}: {answer:?}");
            assert!(client.is_closed().await, "{what}: the connection stays open");
            // The beginning may come late, so all is kept and looked at each time.
            let seen = app.seen.lock().unwrap().concat();
            assert!(!seen.contains("/smuggled"), "{what}: {seen:?}");
        }
        Passed(with, without) => {
            assert_eq!(answer.map(|a| a.status), Ok(200), "{what}");
            assert_eq!(client.answer().await.unwrap().status, 200, "{what}: the request behind it");
            let seen = app.take();
            assert_eq!(seen.len(), 2, "{what}: {seen:?}");
            assert!(seen[1].starts_with("GET /smuggled "), "{what}: {seen:?}");
            let first = seen[0].to_ascii_lowercase();
            with.iter().for_each(|part| assert!(first.contains(part), "{what}: `{part}` is not in {first}"));
            without.iter().for_each(|part| assert!(!first.contains(part), "{what}: `{part}` is in {first}"));
        }
    }
}

#[tokio::test]
async fn heads_that_servers_read_differently_are_refused() {
    let (ingress, app) = (Ingress::start().await, Recorder::start().await);
    ingress.route(1, &[app.origin.address]).await;
    let chunked = "0\r\n\r\n";
    for (what, lines, body) in [
        ("length and encoding", "Content-Length: 6\r\nTransfer-Encoding: chunked", chunked),
        ("encoding and length", "Transfer-Encoding: chunked\r\nContent-Length: 6", chunked),
        ("length in an unusual case", "cOnTeNt-LeNgTh: 6\r\nTransfer-Encoding: chunked", chunked),
        ("two lengths", "Content-Length: 3\r\nContent-Length: 4", "abcd"),
        ("list of lengths", "Content-Length: 3, 3", "abc"),
        ("signed length", "Content-Length: +3", "abc"),
        ("negative length", "Content-Length: -1", ""),
        ("hexadecimal length", "Content-Length: 0x3", "abc"),
        ("length with a letter", "Content-Length: 3a", "abc"),
        ("empty length", "Content-Length:", "abc"),
        ("length beyond 64 bits", "Content-Length: 99999999999999999999", "abc"),
        ("chunked twice", "Transfer-Encoding: chunked, chunked", chunked),
        ("two encodings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", chunked),
        ("identity, then chunked", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", chunked),
        ("gzip, chunked", "Transfer-Encoding: gzip, chunked", chunked),
        ("chunked, gzip", "Transfer-Encoding: chunked, gzip", chunked),
        ("chunked with a parameter", "Transfer-Encoding: chunked;q=1", chunked),
        ("chunked in quotes", "Transfer-Encoding: \"chunked\"", chunked),
        ("unknown encoding", "Transfer-Encoding: xchunked", chunked),
        ("identity", "Transfer-Encoding: identity", "abc"),
        ("empty encoding", "Transfer-Encoding:", chunked),
        ("comma before chunked", "Transfer-Encoding: ,chunked", chunked),
        ("vertical tab before chunked", "Transfer-Encoding: \x0bchunked", chunked),
        ("space before the colon", "Transfer-Encoding : chunked", chunked),
        ("tab before the colon", "Content-Length\t: 3", "abc"),
        ("folded line", "X: a\r\n Transfer-Encoding: chunked", chunked),
        ("folded encoding", "Transfer-Encoding:\r\n chunked", chunked),
        ("bare line feed", "X: a\nTransfer-Encoding: chunked", chunked),
        ("bare carriage return", "X: a\rTransfer-Encoding: chunked", chunked),
        ("line feed, carriage return", "X: a\n\rContent-Length: 3", "abc"),
        ("NUL in a value", "X: a\0b", ""),
        ("NUL in a name", "X\0: a", ""),
        ("no name", ": a", ""),
        ("no colon", "X", ""),
        ("line that begins with a space", " X: a", ""),
        ("two hosts", "Host: app.localhost", ""),
        ("strange expectation", "Expect: y 100-continue", ""),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n\r\n{body}");
        let status = if what == "strange expectation" { 417 } else { 400 };
        check(&ingress, &app, what, request.as_bytes(), Refused(status)).await;
    }
    for (what, request) in [
        ("no host", "GET / HTTP/1.1\r\n\r\n".to_owned()),
        ("no host, but in the URL", format!("GET http://{HOST}/ HTTP/1.1\r\n\r\n")),
        ("another host in the URL", format!("GET http://other.localhost/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n")),
        ("another port in the URL", format!("GET http://{HOST}:81/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n")),
        ("a user in the URL", format!("GET http://u@{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n")),
        ("another scheme", format!("GET gopher://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n")),
        ("a host alone", format!("GET {HOST}:80 HTTP/1.1\r\nHost: {HOST}\r\n\r\n")),
        ("a path without a slash", format!("GET index.html HTTP/1.1\r\nHost: {HOST}\r\n\r\n")),
        ("an asterisk", format!("GET * HTTP/1.1\r\nHost: {HOST}\r\n\r\n")),
        ("a host with a path", format!("GET / HTTP/1.1\r\nHost: {HOST}/x\r\n\r\n")),
        ("a list of hosts", format!("GET / HTTP/1.1\r\nHost: {HOST}, {HOST}\r\n\r\n")),
        ("tunnel", format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}\r\n\r\n")),
        ("line feeds alone", format!("GET / HTTP/1.1\nHost: {HOST}\n\n")),
        ("line feed after the request line", format!("GET / HTTP/1.1\nHost: {HOST}\r\n\r\n")),
        ("line feed at the end", format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\n")),
        ("two spaces", format!("GET  / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")),
        ("tab", format!("GET\t/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n")),
        (
            "HTTP/1.0 with an encoding",
            format!("POST / HTTP/1.0\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
        ),
        ("HTTP/1.2", format!("GET / HTTP/1.2\r\nHost: {HOST}\r\n\r\n")),
        ("HTTP/0.9", "GET /\r\n".to_owned()),
        ("no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_owned()),
    ] {
        check(&ingress, &app, what, request.as_bytes(), Refused(400)).await;
    }
    let stats = ingress.client.stats().await.unwrap();
    assert!(stats.refused > 10, "{stats:?}");
}

#[tokio::test]
async fn bodies_that_break_the_rules_break_off() {
    let (ingress, app) = (Ingress::start().await, Recorder::start().await);
    ingress.route(1, &[app.origin.address]).await;
    let oversized = format!("1\r\na\r\n0\r\nX: {}\r\n\r\n", "a".repeat(40 << 10));
    let extension = format!("1;{}\r\na\r\n0\r\n\r\n", "a".repeat(20 << 10));
    for (what, body) in [
        ("letters for a size", "zz\r\n\r\n"),
        ("no size", "\r\nabc\r\n0\r\n\r\n"),
        ("size with 0x", "0x3\r\nabc\r\n0\r\n\r\n"),
        ("signed size", "+3\r\nabc\r\n0\r\n\r\n"),
        ("negative size", "-3\r\nabc\r\n0\r\n\r\n"),
        ("space before the size", " 3\r\nabc\r\n0\r\n\r\n"),
        ("size beyond 64 bits", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
        ("line feed after the size", "3\nabc\r\n0\r\n\r\n"),
        ("line feed in an extension", "3;a\nb\r\nabc\r\n0\r\n\r\n"),
        ("carriage return after the size", "3\rabc\r\n0\r\n\r\n"),
        ("chunk longer than its size", "3\r\nabcd\r\n0\r\n\r\n"),
        ("chunk shorter than its size", "5\r\nabc\r\n0\r\n\r\n"),
        ("line feed after a chunk", "3\r\nabc\n0\r\n\r\n"),
        ("bad trailer", "3\r\nabc\r\n0\r\nX : 1\r\n\r\n"),
        ("oversized trailers", &oversized),
        ("oversized extension", &extension),
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n");
        check(&ingress, &app, what, [head.as_bytes(), body.as_bytes()].concat().as_slice(), BrokenOff).await;
    }
}

#[tokio::test]
async fn what_passes_is_told_the_app_in_one_way_only() {
    let (ingress, app) = (Ingress::start().await, Recorder::start().await);
    ingress.route(1, &[app.origin.address]).await;
    for (what, method, lines, body, expected) in [
        (
            "the same length twice",
            "POST",
            "Content-Length: 3\r\nContent-Length: 3",
            "abc",
            Passed(&["content-length: 3\r\n", "\r\n\r\nabc"], &["3, 3"]),
        ),
        (
            "chunks",
            "POST",
            "Transfer-Encoding: CHUNKED",
            "1;a=\"b\"\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
            Passed(&["transfer-encoding: chunked\r\n"], &["content-length", "a=\"b\""]),
        ),
        (
            "length named by Connection",
            "POST",
            "Connection: content-length\r\nContent-Length: 3",
            "abc",
            Passed(&["content-length: 3\r\n", "\r\n\r\nabc"], &["connection"]),
        ),
        (
            "host named by Connection",
            "POST",
            "Connection: close, host, x-forwarded-for\r\nContent-Length: 0",
            "",
            Refused(200),
        ),
        (
            "truth named by Connection",
            "GET",
            "Connection: x-forwarded-for, host\r\nX-Forwarded-For: 6.6.6.6",
            "",
            Passed(&["host: app.localhost\r\n", "x-forwarded-for: 127.0.0.1\r\n"], &["6.6.6.6", "connection"]),
        ),
        (
            "HTTP/2 without TLS",
            "GET",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            "",
            Passed(&["get / http/1.1"], &["upgrade", "http2-settings", "h2c"]),
        ),
        (
            "switch with a body",
            "GET",
            "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3",
            "abc",
            Passed(&["content-length: 3\r\n", "\r\n\r\nabc"], &["upgrade"]),
        ),
        (
            "switch with POST",
            "POST",
            "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0",
            "",
            Passed(&["content-length: 0\r\n"], &["upgrade"]),
        ),
        (
            "trailers",
            "POST",
            "Trailer: X-Sum, Content-Length, Host, X-Forwarded-For\r\nTransfer-Encoding: chunked",
            "1\r\na\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\nHost: evil\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
            Passed(&["x-sum: 7\r\n"], &["content-length: 9", "evil", "6.6.6.6"]),
        ),
        ("a header twice", "GET", "X-Own: 1\r\nX-Own: 2", "", Passed(&["x-own: 1\r\nx-own: 2\r\n"], &[])),
        ("body of a GET", "GET", "Content-Length: 3", "abc", Passed(&["content-length: 3\r\n", "\r\n\r\nabc"], &[])),
    ] {
        let request = format!("{method} / HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n\r\n{body}");
        match expected {
            // `close` is kept: the request behind it is not looked at.
            Refused(_) => {
                let mut client = ingress.raw().await;
                client.send([request.as_bytes(), SMUGGLED.as_bytes()].concat()).await;
                assert_eq!(client.answer().await.unwrap().status, 200, "{what}");
                assert!(client.is_closed().await, "{what}");
                let seen = app.take();
                assert!(seen.len() == 1 && seen[0].contains("host: app.localhost"), "{what}: {seen:?}");
            }
            expected => check(&ingress, &app, what, request.as_bytes(), expected).await,
        }
    }
    let empty_lines = format!("\r\n\r\nGET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    check(&ingress, &app, "empty lines first", empty_lines.as_bytes(), Passed(&["get / http/1.1"], &[])).await;
    let nobody =
        format!("POST / HTTP/1.1\r\nHost: nobody.localhost\r\nContent-Length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len());
    let mut client = ingress.raw().await;
    client.send(format!("{nobody}GET /next HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    assert_eq!(client.answer().await.unwrap().status, 404);
    // Its body is no request, whether the connection goes on or not.
    let _ = client.answer().await;
    assert!(app.take().iter().all(|r| r.starts_with("GET /next ")));
}

/// Heads that come one byte at a time, or several in one piece, are judged like others.
#[tokio::test]
async fn heads_are_judged_wherever_they_are_cut() {
    let (ingress, app) = (Ingress::start().await, Recorder::start().await);
    ingress.route(1, &[app.origin.address]).await;
    let good = format!(
        "POST /a HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    );
    let bad = format!("GET /c HTTP/1.1\nHost: {HOST}\r\n\r\n");
    for pieces in [vec![format!("{good}{bad}")], format!("{good}{bad}").chars().map(String::from).collect()] {
        let mut client = ingress.raw().await;
        for piece in pieces {
            // The last bytes may find the connection closed.
            let _ = client.stream.write_all(piece.as_bytes()).await;
            tokio::task::yield_now().await;
        }
        let statuses = [client.answer().await, client.answer().await, client.answer().await];
        let statuses = statuses.map(|a| a.map_or(0, |a| a.status));
        assert!(statuses[..2] == [200, 200] && [400, 0].contains(&statuses[2]), "{statuses:?}");
        assert!(client.is_closed().await);
        let seen = app.take();
        assert_eq!(seen.iter().map(|r| r.split(' ').nth(1).unwrap()).collect::<Vec<_>>(), ["/a", "/b"]);
    }
}

/// An upstream that says more than it was asked must not answer the next client.
#[tokio::test]
async fn an_answer_too_many_reaches_nobody() {
    let ingress = Ingress::start().await;
    let origin = Origin::raw(|mut stream| async move {
        let mut sink = vec![0; 4096];
        while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {
            let two = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
            if stream.write_all(two).await.is_err() {
                return;
            }
        }
    })
    .await;
    ingress.route(1, &[origin.address]).await;
    let (mut one, mut other) = (ingress.raw().await, ingress.raw().await);
    for _ in 0..10 {
        assert_eq!((one.get("/").await.text(), other.get("/").await.text()), ("ok".to_owned(), "ok".to_owned()));
    }
}
