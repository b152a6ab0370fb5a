//! Connections that switch protocols: WebSockets and others.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// A WebSocket server that says its name and echoes; what came after its name is kept.
async fn socket(name: &'static str) -> (Origin, Arc<Mutex<Vec<u8>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = heard.clone();
    let origin = Origin::raw(move |mut stream| {
        let log = log.clone();
        async move {
            let mut seen = vec![0; 4096];
            let n = stream.read(&mut seen).await.unwrap();
            if n == 0 {
                return;
            }
            // The first frame comes with the agreement, in one piece.
            stream.write_all(&[SWITCH.as_bytes(), &frame(name.as_bytes())].concat()).await.unwrap();
            while let Ok(n @ 1..) = stream.read(&mut seen).await {
                log.lock().unwrap().extend_from_slice(&seen[..n]);
                if stream.write_all(&seen[..n]).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (origin, heard)
}

fn frame(payload: &[u8]) -> Vec<u8> {
    [&[0x81, u8::try_from(payload.len()).unwrap()], payload].concat()
}

fn masked(payload: &[u8]) -> Vec<u8> {
    [&[0x81, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0], payload].concat()
}

async fn open(ingress: &Ingress) -> Raw {
    let mut client = ingress.raw().await;
    let head = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    client.send(format!("GET /socket HTTP/1.1\r\nHost: {HOST}\r\n{head}\r\n\r\n")).await;
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("upgrade")), (101, Some("websocket")));
    client
}

async fn expect(client: &mut Raw, bytes: &[u8]) {
    assert_eq!(client.exactly(bytes.len()).await.unwrap(), bytes);
}

/// An open socket stays with the release that it was opened with until the drain's limit, and then gets a goodbye.
#[tokio::test]
async fn a_websocket_through_a_cutover() {
    let ingress = Ingress::start().await;
    let ((old, heard_old), (new, _)) = (socket("old").await, socket("new").await);
    ingress.route(1, &[old.address]).await;
    let mut first = open(&ingress).await;
    expect(&mut first, &frame(b"old")).await;
    ingress.route(2, &[new.address]).await;
    let mut second = open(&ingress).await;
    expect(&mut second, &frame(b"new")).await;
    for _ in 0..3 {
        first.send(masked(b"still here")).await;
        expect(&mut first, &masked(b"still here")).await;
    }
    let stats = ingress.client.stats().await.unwrap();
    assert_eq!(stats.releases.iter().map(|r| (r.tunnels, r.in_flight)).collect::<Vec<_>>(), [(1, 1), (1, 1)]);

    let begun = Instant::now();
    let drained = ingress.client.drain(&deployment(1), Duration::from_millis(300)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300), "not before its time");
    expect(&mut first, &[0x88, 2, 0x03, 0xe9]).await;
    assert!(first.is_closed().await);
    let drained = match drained.in_flight {
        // The last count may be a moment younger than the end of the conversation.
        1 => ingress.client.drain(&deployment(1), Duration::from_secs(5)).await.unwrap(),
        _ => drained,
    };
    assert_eq!(drained.in_flight, 0);
    assert!(heard_old.lock().unwrap().ends_with(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]), "the app is told as well");
    second.send(masked(b"me too")).await;
    expect(&mut second, &masked(b"me too")).await;
}

/// In the middle of a frame there is no place for a goodbye: the frame ends first.
#[tokio::test]
async fn a_goodbye_waits_for_the_end_of_a_frame() {
    let ingress = Ingress::start().await;
    let origin = Origin::raw(|mut stream| async move {
        if stream.read(&mut [0; 4096]).await.is_ok_and(|n| n == 0) {
            return;
        }
        stream.write_all(SWITCH.as_bytes()).await.unwrap();
        stream.write_all(&[0x82, 10, 1, 2, 3]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
        // The rest of the frame, and the beginning of another that is never finished.
        stream.write_all(&[4, 5, 6, 7, 8, 9, 10, 0x82, 10, 1]).await.unwrap();
        let _ = stream.read_to_end(&mut vec![]).await;
    })
    .await;
    ingress.route(1, &[origin.address]).await;
    let mut client = open(&ingress).await;
    ingress.client.remove(&environment(), 2).await.unwrap();
    ingress.client.drain(&deployment(1), Duration::from_millis(50)).await.unwrap();
    expect(&mut client, &[0x82, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x88, 2, 0x03, 0xe9]).await;
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn one_side_may_end_before_the_other() {
    let ingress = Ingress::start().await;
    let origin = Origin::raw(|mut stream| async move {
        if stream.read(&mut [0; 4096]).await.is_ok_and(|n| n == 0) {
            return;
        }
        let head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: Foo/2\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut all = vec![];
        stream.read_to_end(&mut all).await.unwrap();
        all.reverse();
        stream.write_all(&all).await.unwrap();
    })
    .await;
    ingress.route(1, &[origin.address]).await;
    let mut client = ingress.raw().await;
    client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: upgrade\r\nUpgrade: bar, foo/2\r\n\r\n")).await;
    assert_eq!(client.answer().await.unwrap().status, 101);
    client.send("abc").await;
    client.send("def").await;
    client.stream.shutdown().await.unwrap();
    expect(&mut client, b"fedcba").await;
    assert!(client.is_closed().await);
    until(|| async { (ingress.client.stats().await.unwrap().releases[0].in_flight == 0).then_some(()) }).await;
}

#[tokio::test]
async fn a_switch_needs_both_sides() {
    let ingress = Ingress::start().await;
    // Switches to whatever the path says, asked or not.
    let origin = Origin::raw(|mut stream| async move {
        let mut seen = vec![0; 4096];
        let n = stream.read(&mut seen).await.unwrap();
        let text = String::from_utf8_lossy(&seen[..n]).into_owned();
        if let Some(protocol) = text.split(['/', ' ']).nth(2) {
            let head = format!(
                "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: {protocol}\r\n\r\nHTTP/1.1 200 OK\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let _ = stream.read_to_end(&mut vec![]).await;
        }
    })
    .await;
    ingress.route(1, &[origin.address]).await;
    for (path, lines) in [
        ("websocket", "X: 1"),
        ("websocket", "Upgrade: websocket"),
        ("foo", "Connection: upgrade\r\nUpgrade: websocket"),
        ("h2c", "Connection: upgrade\r\nUpgrade: h2c"),
    ] {
        let mut client = ingress.raw().await;
        client.send(format!("GET /{path} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n\r\n")).await;
        let answer = client.answer().await.unwrap();
        assert_eq!(answer.status, 502, "{path}, {lines}");
        assert!(!answer.text().contains("HTTP/1.1"), "{path}, {lines}");
    }
    // An app that declines answers as to any request, and the connection goes on.
    let plain = Origin::echo().await;
    ingress.route(2, &[plain.address]).await;
    let mut client = ingress.raw().await;
    client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(client.get("/").await.status, 200);
}
