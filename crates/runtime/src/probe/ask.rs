//! One request and the answer to it, for smoke tests.

use std::net::SocketAddr;

use domain::smoke::{Answer, HttpCheck, MAX_BODY};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Sends the request of `check` to `addr` for `host`, on a connection of its own, and reads the answer: headers up to
/// 64 KiB, and the beginning of the body, if it says what is wanted of it. The caller limits the time.
///
/// # Errors
/// What went wrong with the request or the connection, in one line.
pub async fn ask(addr: SocketAddr, host: &str, check: &HttpCheck) -> Result<Answer, String> {
    let mut request = Request::builder().method(check.method.as_str()).uri(&check.path);
    for (name, value) in &check.headers {
        request = request.header(name, value);
    }
    let told_agent = check.headers.keys().any(|name| name.eq_ignore_ascii_case("user-agent"));
    if !told_agent {
        request = request.header(USER_AGENT, "plimsoll-smoke-test");
    }
    let request = request
        .header(HOST, host)
        .header(CONNECTION, "close")
        .body(Full::new(Bytes::from(check.body.clone().unwrap_or_default())))
        .map_err(|e| format!("the request can't be sent: {e}"))?;
    let stream = TcpStream::connect(addr).await.map_err(|e| format!("cannot connect to {addr}: {e}"))?;
    let no_answer = |e: hyper::Error| format!("no valid HTTP answer from {addr}: {e}");
    let handshake = http1::Builder::new().max_buf_size(64 * 1024).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(no_answer)?;
    // The connection has to be driven while the body is read, and ends with this future.
    let exchange = async {
        let response = sender.send_request(request).await.map_err(no_answer)?;
        let (head, mut body) = response.into_parts();
        let headers = head.headers.iter();
        let headers = headers.map(|(k, v)| (k.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned()));
        let mut answer =
            Answer { status: head.status.as_u16(), headers: headers.collect(), body: Vec::new(), cut: false };
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|e| format!("the body of the answer broke off: {e}"))?.into_data() else {
                continue;
            };
            let room = MAX_BODY - answer.body.len();
            answer.body.extend_from_slice(&data[..data.len().min(room)]);
            answer.cut = data.len() > room;
            if answer.cut {
                break;
            }
        }
        Ok::<_, String>(answer)
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection may end in the same step in which the last of the answer has come.
        _ = connection => exchange.await,
    }
}
