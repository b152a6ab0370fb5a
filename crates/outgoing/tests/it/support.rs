//! Receivers, and resolvers that say what a test wants.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use outgoing::{Answer, Limits, Lookup, Outgoing, OutgoingError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// May call these networks besides public ones.
pub(crate) fn outgoing(allowed: &[&str]) -> Outgoing {
    let allowed = allowed.iter().map(|network| network.parse().unwrap()).collect();
    Outgoing::new(allowed).unwrap().with_lookup(nobody())
}

pub(crate) fn impatient() -> Limits {
    let short = Duration::from_millis(300);
    Limits { resolve: short, connect: short, whole: short }
}

/// A test asks no real resolver.
fn nobody() -> Lookup {
    Arc::new(|host, _| Box::pin(async move { panic!("{host} was looked up") }))
}

/// Resolves any name to `answers`, one after the other, the last one for ever; and how often it was asked.
pub(crate) fn resolver(answers: Vec<Vec<&'static str>>) -> (Lookup, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |_, port| {
        let n = counter.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let found = answers[n].iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect();
        Box::pin(async move { Ok(found) })
    });
    (lookup, asked)
}

pub(crate) async fn get(outgoing: &Outgoing, url: &str) -> Result<Answer, OutgoingError> {
    outgoing.send(Method::GET, &url.parse()?, HeaderMap::new(), Bytes::new()).await
}

/// Answers every connection with the same bytes.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Receiver {
    pub(crate) async fn answering(ip: &str, answer: String) -> Self {
        Self::with(ip, move |mut stream| {
            let answer = answer.clone();
            async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        })
        .await
    }

    pub(crate) async fn with<F, W>(ip: &str, serve: F) -> Self
    where
        F: Fn(TcpStream) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Self { address, connections }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

/// Head of a request, as text.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.is_ok_and(|n| n == 1) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}
