//! One `GET`, whose status is all that matters.

use std::net::SocketAddr;

use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Passes with a status from 200 to 399. The body is never read: the connection is closed on it.
pub(super) async fn get(addr: SocketAddr, host: &str, path: &str) -> Result<(), String> {
    let request = Request::get(path)
        .header(HOST, host)
        .header(USER_AGENT, "plimsoll-health")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| format!("`{path}` is no path that can be asked for: {e}"))?;
    let stream = TcpStream::connect(addr).await.map_err(|e| format!("cannot connect to {addr}: {e}"))?;
    let no_answer = |e: hyper::Error| format!("no valid HTTP answer from {addr}: {e}");
    // Headers are bounded: what a broken app sends must not cost us memory.
    let handshake = http1::Builder::new().max_buf_size(64 * 1024).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(no_answer)?;
    let mut answer = std::pin::pin!(sender.send_request(request));
    let answer = tokio::select! {
        answer = &mut answer => answer,
        // The connection may end in the same step in which the answer has come.
        _ = connection => answer.await,
    };
    let status = answer.map_err(no_answer)?.status();
    if (200..400).contains(&status.as_u16()) { Ok(()) } else { Err(format!("GET {path} answered {status}")) }
}
