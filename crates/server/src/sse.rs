//! Server-sent events: messages as text, and a body that is pulled message by message.
//!
//! Nothing is queued here for a client: the next message is asked for only when the
//! connection can take it, so a slow reader slows its own stream and nothing else.

use std::future::ready;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use operations::stream::END;
use operations::{Error, ErrorKind};
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A comment is sent after this long without a message, so that proxies and clients know the line is open.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Between two looks whether the client may still read: nothing tells the stream that a token was withdrawn.
const ASK_AGAIN: Duration = Duration::from_secs(15);

/// First bytes of a stream, sent at once: the client knows that it is connected, and comes back after a second.
const OPENING: &str = "retry: 1000\n\n";
const COMMENT: &str = ": still here\n\n";
/// The connection ends without `event: end`: the client is meant to come back.
const INTERRUPTED: &str = ": interrupted, come back\n\n";

/// A message on its way, in two parts: it is sent whole or not at all.
#[derive(Debug, Default)]
pub(crate) struct Message {
    /// The same bytes for all who get it.
    pub shared: Bytes,
    /// What is of this stream alone.
    pub own: Bytes,
}

impl From<Bytes> for Message {
    fn from(shared: Bytes) -> Self {
        Self { shared, own: Bytes::new() }
    }
}

impl Message {
    fn fixed(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

/// A message with its id.
pub(crate) fn message(id: &str, data: &impl Serialize) -> Bytes {
    let mut text = Vec::new();
    write(&mut text, id, data);
    text.into()
}

/// Adds a message with its id.
pub(crate) fn write(text: &mut Vec<u8>, id: &str, data: &impl Serialize) {
    text.extend_from_slice(&id_line(id));
    data_line(text, data);
    text.push(b'\n');
}

/// `id: …`; a message may have it before its data or behind.
pub(crate) fn id_line(id: &str) -> Vec<u8> {
    // Ids are ours; an id with a line end would still not be allowed to forge a message.
    let id = id.bytes().filter(|b| !matches!(b, b'\r' | b'\n' | b'\0'));
    b"id: ".iter().copied().chain(id).chain(*b"\n").collect()
}

/// `data: …`
pub(crate) fn data_line(text: &mut Vec<u8>, data: &impl Serialize) {
    text.extend_from_slice(b"data: ");
    // The types that travel here hold only text, numbers and times: writing them can't fail. JSON has no line ends.
    _ = serde_json::to_writer(&mut *text, data);
    text.push(b'\n');
}

/// The last message: nothing follows, don't come back.
fn end(error: Option<&Error>) -> Bytes {
    let data = match error {
        None => json!({ "reason": "complete" }),
        Some(error) => json!({ "reason": "failed", "problem": error }),
    };
    format!("event: {END}\ndata: {data}\n\n").into()
}

/// Whether the one who reads may go on; asked as long as the stream is open.
pub(crate) struct Access(Box<dyn Fn() -> BoxFuture<'static, Result<(), Error>> + Send>);

impl Access {
    pub(crate) fn new<F>(ask: impl Fn() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        Self(Box::new(move || Box::pin(ask())))
    }

    /// Lets pieces through as long as the one who reads may go on; what comes after that is an error.
    pub(crate) fn while_given<T: Send + 'static>(
        self,
        pieces: impl Stream<Item = Result<T, Error>> + Send + 'static,
    ) -> impl Stream<Item = Result<T, Error>> + Send + 'static {
        pieces.and_then(move |piece| {
            let asked = (self.0)();
            async move { asked.await.map(|()| piece) }
        })
    }
}

/// Streams `messages` until they end, the client leaves or may not read them any more, or the server is `closing`.
pub(crate) fn response(
    messages: impl Stream<Item = Result<Message, Error>> + Send + Unpin + 'static,
    closing: CancellationToken,
    access: Access,
) -> Response {
    let messages = body(messages, closing, access, Times::default());
    let parts = messages.flat_map(|Message { shared, own }| stream::iter([shared, own]));
    // An empty part would look like the end.
    let parts = parts.filter(|part| ready(!part.is_empty()));
    let mut response = Response::new(Body::from_stream(parts.map(Ok::<_, std::convert::Infallible>)));
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

struct Times {
    keep_alive: Duration,
    ask_again: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { keep_alive: KEEP_ALIVE, ask_again: ASK_AGAIN }
    }
}

fn body(
    messages: impl Stream<Item = Result<Message, Error>> + Send + Unpin + 'static,
    closing: CancellationToken,
    access: Access,
    times: Times,
) -> impl Stream<Item = Message> + Send {
    let asked = Instant::now();
    stream::unfold((messages, closing, access, asked, Stage::Opening), move |state| async move {
        let (mut messages, closing, access, mut asked, stage) = state;
        let (message, stage) = match stage {
            Stage::Opening => (Message::fixed(OPENING), Stage::Open),
            Stage::Open => loop {
                tokio::select! {
                    biased;
                    () = closing.cancelled() => break (Message::fixed(INTERRUPTED), Stage::Ended),
                    // Before what waits to be sent: a stream that is never silent is asked about, too.
                    () = tokio::time::sleep_until(asked + times.ask_again) => match (access.0)().await {
                        Ok(()) => asked = Instant::now(),
                        Err(error) => break (broken(&error), Stage::Ended),
                    },
                    message = messages.next() => break match message {
                        Some(Ok(message)) => (message, Stage::Open),
                        Some(Err(error)) => (broken(&error), Stage::Ended),
                        None => (end(None).into(), Stage::Ended),
                    },
                    () = tokio::time::sleep(times.keep_alive) => break (Message::fixed(COMMENT), Stage::Open),
                }
            },
            Stage::Ended => return None,
        };
        Some((message, (messages, closing, access, asked, stage)))
    })
}

/// What passes by itself is worth coming back for; the rest would fail again.
fn broken(error: &Error) -> Message {
    tracing::warn!(code = error.code.code(), "a stream broke off: {error}");
    match error.code {
        ErrorKind::Unavailable => Message::fixed(INTERRUPTED),
        _ => end(Some(error)).into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn number(n: u32) -> Message {
        message(&n.to_string(), &n).into()
    }

    fn welcome() -> Access {
        Access::new(|| async { Ok(()) })
    }

    async fn text(messages: impl Stream<Item = Message>) -> String {
        let parts: Vec<Message> = messages.collect().await;
        let bytes: Vec<u8> = parts.iter().flat_map(|m| m.shared.iter().chain(&m.own)).copied().collect();
        String::from_utf8(bytes).unwrap()
    }

    async fn all(messages: Vec<Result<u32, Error>>) -> String {
        let messages = stream::iter(messages).map(|n| n.map(number));
        text(body(messages, CancellationToken::new(), welcome(), Times::default())).await
    }

    #[tokio::test]
    async fn a_file_ends_where_its_reader_may_not_go_on() {
        let asked = std::sync::atomic::AtomicU32::new(0);
        let twice = Access::new(move || {
            let before = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            ready(if before < 2 { Ok(()) } else { Err(Error::unavailable("what you may see has changed")) })
        });
        let pieces: Vec<_> = twice.while_given(stream::iter([Ok(1), Ok(2), Ok(3)])).collect().await;
        assert!(matches!(pieces.as_slice(), [Ok(1), Ok(2), Err(_)]), "{pieces:?}");
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
        let times = Times { keep_alive: silence, ..Times::default() };
        let mut body = Box::pin(body(stream::pending(), closing.clone(), welcome(), times));
        assert_eq!(body.next().now_or_never().unwrap().unwrap().shared, OPENING);
        let begun = std::time::Instant::now();
        assert_eq!(body.next().await.unwrap().shared, COMMENT);
        assert!(begun.elapsed() >= silence);
        closing.cancel();
        assert_eq!(body.next().await.unwrap().shared, INTERRUPTED);
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn who_may_not_read_any_more_is_told_so_be_it_silent_or_not() {
        let endless = stream::iter(0..).then(|n| async move {
            tokio::task::yield_now().await;
            Ok(number(n))
        });
        for messages in [stream::pending().boxed(), endless.boxed()] {
            let asked = std::sync::atomic::AtomicU32::new(0);
            let access = Access::new(move || {
                let asked = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                async move {
                    match asked {
                        0 | 1 => Ok(()),
                        _ => Err(Error::new(ErrorKind::Unauthorized, "the token was withdrawn")),
                    }
                }
            });
            let times = Times { ask_again: Duration::from_millis(5), ..Times::default() };
            let ended = text(body(messages, CancellationToken::new(), access, times));
            let text = tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
            let (_, last) = text.split_once("event: end\n").unwrap();
            assert!(last.contains("withdrawn") && last.contains("unauthorized"), "{last}");
        }
    }

    #[tokio::test]
    async fn messages_are_pulled_one_at_a_time() {
        let pulled = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let source = {
            let pulled = pulled.clone();
            stream::iter(0..).map(move |n| {
                pulled.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                Ok(number(n))
            })
        };
        let mut body = Box::pin(body(source, CancellationToken::new(), welcome(), Times::default()));
        for _ in 0..4 {
            body.next().await.unwrap();
        }
        assert_eq!(pulled.load(std::sync::atomic::Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_message_of_two_parts_stays_whole() {
        let two = Message { shared: Bytes::from_static(b"data: 1\n"), own: Bytes::from_static(b"id: a\n\n") };
        let response = response(stream::iter([Ok(two)]), CancellationToken::new(), welcome());
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.starts_with("retry: 1000\n\ndata: 1\nid: a\n\nevent: end\n"), "{text}");
    }

    #[test]
    fn proxies_are_told_to_keep_their_hands_off() {
        let response = response(stream::empty(), CancellationToken::new(), welcome());
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!(header("cache-control"), "no-store, no-transform");
        assert_eq!(header("x-accel-buffering"), "no");
    }
}
