//! Following a stream over dropped connections and server restarts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use operations::client::{CallError, Message};
use operations::stream::END;
use tokio::sync::mpsc;

use crate::connection::{Connection, PATIENCE};

/// What comes out of a stream.
#[derive(Debug)]
pub(crate) enum Heard {
    Message(Message),
    /// The connection is gone; we try to get it back.
    Away,
    /// We have it back, and go on where we were.
    Back,
    /// The server said that nothing follows.
    End,
    /// The server refused, or did not come back in time.
    Lost(CallError),
}

/// Reads the stream at `path` from after the message `last` on, and comes back to it
/// with `Last-Event-ID` whenever the connection breaks. Ends with `End` or `Lost`,
/// or when the receiver is dropped.
pub(crate) fn listen(connection: Arc<Connection>, path: String, last: Option<String>) -> mpsc::Receiver<Heard> {
    let (sender, receiver) = mpsc::channel(256);
    tokio::spawn(async move {
        let end = tokio::select! {
            end = read(&connection, &path, last, &sender) => end,
            () = sender.closed() => return,
        };
        // A receiver that has gone wants nothing.
        let _ = sender.send(end).await;
    });
    receiver
}

async fn read(connection: &Connection, path: &str, mut last: Option<String>, sender: &mpsc::Sender<Heard>) -> Heard {
    let mut away: Option<Instant> = None;
    let mut wait = Duration::from_millis(100);
    loop {
        let broken = match connection.client().stream(path, last.as_deref()).await {
            Ok(mut messages) => {
                if away.take().is_some() {
                    let _ = sender.send(Heard::Back).await;
                }
                let mut broken = None;
                while let Some(message) = messages.next().await {
                    match message {
                        Ok(message) if message.event.as_deref() == Some(END) => return Heard::End,
                        Ok(message) => {
                            last = message.id.clone().or(last);
                            wait = Duration::from_millis(100);
                            let _ = sender.send(Heard::Message(message)).await;
                        }
                        Err(error) => {
                            broken = Some(error);
                            break;
                        }
                    }
                }
                broken.unwrap_or_else(|| cut_off(connection))
            }
            Err(error) if connection.may_pass(&error) => error,
            Err(error) => return Heard::Lost(error),
        };
        match away {
            None => {
                away = Some(Instant::now());
                let _ = sender.send(Heard::Away).await;
            }
            Some(since) if since.elapsed() > PATIENCE => return Heard::Lost(broken),
            Some(_) => {}
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(2));
        connection.refresh();
    }
}

fn cut_off(connection: &Connection) -> CallError {
    CallError::Unreachable { url: connection.client().base().to_owned(), reason: "the stream was cut off".to_owned() }
}
