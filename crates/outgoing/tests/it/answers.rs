//! Receivers that answer well, badly, too much, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use outgoing::{Limits, Lookup, MAX_BODY, OutgoingError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Receiver, get, impatient, ok, outgoing, read_head};

const LOOPBACK: &[&str] = &["127.0.0.0/8"];

#[tokio::test]
async fn what_is_sent_arrives_and_what_is_answered_comes_back() {
    let receiver = Receiver::with("127.0.0.1", |mut stream| async move {
        let head = read_head(&mut stream).await.to_lowercase();
        let mut body = [0; 5];
        stream.read_exact(&mut body).await.unwrap();
        assert!(head.starts_with("post /hook?a=b http/1.1\r\n"), "{head}");
        assert!(head.contains("webhook-id: msg_1\r\n") && head.contains("user-agent: plimsoll/"), "{head}");
        let answer = format!(
            "HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 5\r\n\r\n{}",
            String::from_utf8_lossy(&body)
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let address = format!("http://{}/hook?a=b", receiver.address).parse().unwrap();
    let headers = HeaderMap::from_iter([("webhook-id".parse().unwrap(), HeaderValue::from_static("msg_1"))]);
    let outgoing = outgoing(LOOPBACK);
    let answer = outgoing.send(Method::POST, &address, headers, Bytes::from_static(b"hello")).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.as_ref(), answer.whole), (503, &b"hello"[..], true));
    assert_eq!(answer.headers["retry-after"], "7");
}

#[tokio::test]
async fn an_endless_answer_is_read_for_a_moment_only() {
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    let (ended, end) = tokio::sync::oneshot::channel();
    let ended = std::sync::Mutex::new(Some(ended));
    let receiver = Receiver::with("127.0.0.1", move |mut stream| {
        let (counter, ended) = (Arc::clone(&counter), ended.lock().unwrap().take());
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await;
            // Until the other side has gone.
            while let Ok(n) = stream.write(&[b'x'; 8192]).await {
                counter.fetch_add(n, Ordering::SeqCst);
            }
            ended.map(|ended| ended.send(()));
        }
    })
    .await;
    let answer = get(&outgoing(LOOPBACK), &format!("http://{}/", receiver.address)).await.unwrap();
    assert_eq!((answer.body.len(), answer.whole), (MAX_BODY, false));
    tokio::time::timeout(Duration::from_secs(10), end).await.unwrap().unwrap();
    // What the kernel had room for, and no more.
    assert!(written.load(Ordering::SeqCst) < 100_000_000);
}

#[tokio::test]
async fn a_body_of_just_the_limit_is_whole() {
    let receiver = Receiver::answering("127.0.0.1", ok(&"x".repeat(MAX_BODY))).await;
    let answer = get(&outgoing(LOOPBACK), &format!("http://{}/", receiver.address)).await.unwrap();
    assert_eq!((answer.body.len(), answer.whole), (MAX_BODY, true));
}

#[tokio::test]
async fn who_never_answers_is_left() {
    let receiver = Receiver::with("127.0.0.1", |mut stream| async move {
        read_head(&mut stream).await;
        // Until the caller has gone.
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let outgoing = outgoing(LOOPBACK).with_limits(impatient());
    let error = get(&outgoing, &format!("http://{}/secret", receiver.address)).await.unwrap_err();
    assert_eq!(error.to_string(), "127.0.0.1 took longer than 300ms to answer");
}

#[tokio::test]
async fn who_answers_drop_by_drop_is_left_too() {
    let receiver = Receiver::with("127.0.0.1", |mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let outgoing = outgoing(LOOPBACK).with_limits(impatient());
    let error = get(&outgoing, &format!("http://{}/", receiver.address)).await.unwrap_err();
    assert!(matches!(error, OutgoingError::Slow { .. }), "{error}");
}

#[tokio::test]
async fn a_name_that_is_never_resolved_is_given_up() {
    let silent: Lookup = Arc::new(|_, _| Box::pin(std::future::pending()));
    let limits = Limits { resolve: Duration::from_millis(50), ..Limits::default() };
    let outgoing = outgoing(&[]).with_lookup(silent).with_limits(limits);
    let error = get(&outgoing, "https://silent.example.org/").await.unwrap_err();
    assert_eq!(error.to_string(), "silent.example.org took longer than 50ms to be resolved");
}

#[tokio::test]
async fn errors_tell_the_host_and_not_the_secret_in_the_address() {
    let closing = Receiver::with("127.0.0.1", |mut stream| async move {
        read_head(&mut stream).await;
    })
    .await;
    let rubbish = Receiver::answering("127.0.0.1", "SSH-2.0-x\r\n\r\n".to_owned()).await;
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let outgoing = outgoing(LOOPBACK);
    for (address, unreachable) in [(closing.address, false), (rubbish.address, false), (gone, true)] {
        let error = get(&outgoing, &format!("http://{address}/services/secret?key=secret")).await.unwrap_err();
        assert_eq!(matches!(error, OutgoingError::Unreachable { .. }), unreachable, "{error:?}");
        assert!(
            error.to_string().contains("127.0.0.1") && !format!("{error} {error:?}").contains("secret"),
            "{error:?}"
        );
    }
}
