//! Messages, and what receivers have in common.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::event::{Event, EventKind};
use domain::failure::{Cause, Failure};
use domain::notice::notice;
use domain::phase::Phase;
use notify::Message;
use outgoing::{Limits, Outgoing};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What a receiver of a test does with what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Takes,
    /// Not now, by its protocol's own word.
    Busy,
    /// Refuses for good, by its protocol's own word.
    Gone,
    /// Closes without a word.
    Closes,
    /// Says nothing, and keeps the connection.
    Hangs,
    /// Says more than anybody wants to hear.
    Floods,
    /// Answers in another protocol.
    Babbles,
}

/// What has arrived.
#[derive(Clone, Default)]
pub(crate) struct Inbox(Arc<Mutex<Vec<String>>>);

impl Inbox {
    pub(crate) fn put(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// May call loopback, and soon loses patience.
pub(crate) fn outgoing() -> Outgoing {
    let short = Duration::from_secs(3);
    let limits = Limits { resolve: short, connect: short, whole: short };
    Outgoing::new(vec!["127.0.0.0/8".parse().unwrap()]).unwrap().with_limits(limits)
}

pub(crate) fn failed(cursor: i64, message: &str) -> Event {
    let failure = Failure {
        phase: Phase::Building,
        cause: Cause::Build,
        message: message.to_owned(),
        output: Vec::new(),
        hint: "Run it on your machine".to_owned(),
        smoke_tests: Vec::new(),
    };
    Event {
        cursor,
        at: DateTime::UNIX_EPOCH,
        app: Some("shop".parse().unwrap()),
        environment: Some("production".parse().unwrap()),
        deployment: Some(domain::DeploymentId::from_ulid(ulid::Ulid::from_parts(1, 2))),
        kind: EventKind::DeploymentFinished { phase: Phase::Failed, failure: Some(failure) },
    }
}

pub(crate) fn message(events: impl IntoIterator<Item = Event>) -> Message {
    Message {
        id: "dlv_01k8000000000000000000000a".to_owned(),
        at: Utc::now(),
        attempt: 1,
        digest: events.into_iter().filter_map(|event| notice(&event)).collect(),
        ui: Some("https://deploy.example.org/".to_owned()),
    }
}

/// Up to and with `end`; what came if the other side went before.
pub(crate) async fn read_to(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(end.as_bytes()) && stream.read(&mut byte).await.is_ok_and(|n| n == 1) {
        read.push(byte[0]);
    }
    String::from_utf8(read).unwrap()
}
