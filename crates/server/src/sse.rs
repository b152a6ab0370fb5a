//! Server-sent events: messages as text, and a body that is pulled message by message.
//!
//! Nothing is queued here for a client: the next message is asked for only when the
//! connection can take it, so a slow reader slows its own stream and nothing else.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use operations::stream::END;
use operations::{Error, ErrorKind};
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// A comment is sent after this long without a message, so that proxies and clients know the line is open.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// First bytes of a stream, sent at once: the client knows that it is connected, and comes back after a second.
const OPENING: &str = "retry: 1000\n\n";
const COMMENT: &str = ": still here\n\n";
/// The connection ends without `event: end`: the client is meant to come back.
const INTERRUPTED: &str = ": interrupted, come back\n\n";

/// A message with its id.
pub(crate) fn message(id: &str, data: &impl Serialize) -> Bytes {
    // The types that travel here hold only text, numbers and times: writing them can't fail.
    let data = serde_json::to_string(data).unwrap_or_default();
    // Ids are ours; an id with a line end would still not be allowed to forge a message.
    let id: String = id.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).collect();
    format!("id: {id}\ndata: {data}\n\n").into()
}

/// The last message: nothing follows, don't come back.
fn end(error: Option<&Error>) -> Bytes {
    let data = match error {
        None => json!({ "reason": "complete" }),
        Some(error) => json!({ "reason": "failed", "problem": error }),
    };
    format!("event: {END}\ndata: {data}\n\n").into()
}

/// Streams `messages` until they end, the client leaves, or the server is `closing`.
pub(crate) fn response<T: 'static>(
    messages: impl Stream<Item = Result<T, Error>> + Send + Unpin + 'static,
    closing: CancellationToken,
    write: fn(&T) -> Bytes,
) -> Response {
    let mut response = Response::new(Body::from_stream(
        body(messages, closing, write, KEEP_ALIVE).map(Ok::<_, std::convert::Infallible>),
    ));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    // nginx would hold messages back otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

enum Stage {
    Opening,
    Open,
    Ended,
}

fn body<T: 'static>(
    messages: impl Stream<Item = Result<T, Error>> + Send + Unpin + 'static,
    closing: CancellationToken,
    write: fn(&T) -> Bytes,
    keep_alive: Duration,
) -> impl Stream<Item = Bytes> + Send {
    stream::unfold((messages, closing, Stage::Opening), move |(mut messages, closing, stage)| async move {
        let (bytes, stage) = match stage {
            Stage::Opening => (Bytes::from_static(OPENING.as_bytes()), Stage::Open),
            Stage::Open => tokio::select! {
                biased;
                () = closing.cancelled() => (Bytes::from_static(INTERRUPTED.as_bytes()), Stage::Ended),
                message = messages.next() => match message {
                    Some(Ok(message)) => (write(&message), Stage::Open),
                    Some(Err(error)) => (broken(&error), Stage::Ended),
                    None => (end(None), Stage::Ended),
                },
                () = tokio::time::sleep(keep_alive) => (Bytes::from_static(COMMENT.as_bytes()), Stage::Open),
            },
            Stage::Ended => return None,
        };
        Some((bytes, (messages, closing, stage)))
    })
}

/// What passes by itself is worth coming back for; the rest would fail again.
fn broken(error: &Error) -> Bytes {
    tracing::warn!(code = error.code.code(), "a stream broke off: {error}");
    match error.code {
        ErrorKind::Unavailable => Bytes::from_static(INTERRUPTED.as_bytes()),
        _ => end(Some(error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn number(n: &u32) -> Bytes {
        message(&n.to_string(), n)
    }

    async fn all(messages: Vec<Result<u32, Error>>) -> String {
        let parts: Vec<Bytes> =
            body(stream::iter(messages), CancellationToken::new(), number, KEEP_ALIVE).collect().await;
        String::from_utf8(parts.concat()).unwrap()
    }

    #[tokio::test]
    async fn messages_then_the_end() {
        let text = all(vec![Ok(7), Ok(8)]).await;
        assert_eq!(
            text,
            "retry: 1000\n\nid: 7\ndata: 7\n\nid: 8\ndata: 8\n\nevent: end\ndata: {\"reason\":\"complete\"}\n\n"
        );
    }

    #[tokio::test]
    async fn a_failure_is_the_last_message_unless_it_will_pass() {
        let text = all(vec![Ok(7), Err(Error::invalid("the cursor is too old")), Ok(8)]).await;
        assert!(text.contains("event: end\ndata: {") && text.contains("the cursor is too old"), "{text}");
        assert!(!text.contains("data: 8"));
        let text = all(vec![Err(Error::unavailable("database away")), Ok(8)]).await;
        assert_eq!(text, format!("{OPENING}{INTERRUPTED}"));
    }

    #[test]
    fn no_text_can_forge_a_message() {
        let text = "a\n\nevent: end\r\ndata: x\u{2028}";
        let bytes = message("1\nevent: end", &text);
        let written = std::str::from_utf8(&bytes).unwrap();
        let lines: Vec<&str> = written.trim_end_matches('\n').split('\n').collect();
        assert_eq!(lines.len(), 2, "{written}");
        assert_eq!(lines[0], "id: 1event: end");
        assert_eq!(serde_json::from_str::<String>(lines[1].strip_prefix("data: ").unwrap()).unwrap(), text);
    }

    #[tokio::test]
    async fn silence_is_filled_and_a_stopping_server_ends_it() {
        let closing = CancellationToken::new();
        let silence = Duration::from_millis(20);
        let mut body = Box::pin(body(stream::pending(), closing.clone(), number, silence));
        assert_eq!(body.next().now_or_never().unwrap().unwrap(), OPENING);
        let begun = std::time::Instant::now();
        assert_eq!(body.next().await.unwrap(), COMMENT);
        assert!(begun.elapsed() >= silence);
        closing.cancel();
        assert_eq!(body.next().await.unwrap(), INTERRUPTED);
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn messages_are_pulled_one_at_a_time() {
        let pulled = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let source = {
            let pulled = pulled.clone();
            stream::iter(0..).map(move |n| {
                pulled.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                Ok(n)
            })
        };
        let mut body = Box::pin(body(source, CancellationToken::new(), number, KEEP_ALIVE));
        for _ in 0..4 {
            body.next().await.unwrap();
        }
        assert_eq!(pulled.load(std::sync::atomic::Ordering::SeqCst), 3);
    }

    #[test]
    fn proxies_are_told_to_keep_their_hands_off() {
        let response = response(stream::empty(), CancellationToken::new(), number);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!(header("cache-control"), "no-store, no-transform");
        assert_eq!(header("x-accel-buffering"), "no");
    }
}
