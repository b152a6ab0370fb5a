//! Several topics over one line: what a page needs, with one connection.

use std::future::ready;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use control::{Caller, Heard, Told};
use domain::topics::{CURSOR_PATTERN, InvalidTopics, TOPICS_PATTERN, Topic, Topics};
use futures::{StreamExt, TryStreamExt, stream as futures_stream};
use operations::Error;
use operations::stream::{EVENT, NOTICE, OPEN, OVER, Open, Over};
use schemars::JsonSchema;
use serde::Deserialize;

use super::written::{logs_batch, named, output_batch};
use super::{access, decode_stream};
use crate::Plane;
use crate::problem::Problem;
use crate::sse::{self, Message};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicsRequest {
    /// What to follow, with commas between: `events`, `notices`, `dep:<deployment>:log`, `env:<app>/<environment>:log`, each perhaps with
    /// `@` and the place to go on from, which is the number of an event, the number of a line, or a cursor of logs. Without
    /// one: what comes from now on, all lines, the newest lines. At most 16, none twice.
    #[schemars(length(max = 8192), extend("pattern" = TOPICS_PATTERN))]
    topics: String,
    /// The `id` of a message of this stream: goes on after it in the topics that it names. `Last-Event-ID` counts for more.
    #[serde(default)]
    #[schemars(length(max = 8192), extend("pattern" = CURSOR_PATTERN))]
    from: Option<String>,
}

pub(crate) async fn topics(
    State(plane): State<Plane>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let (TopicsRequest { topics, from }, last) = decode_stream(request).await?;
    let mut topics = parse(&topics)?;
    match (last, from) {
        (Some(id), _) => go_to(&mut topics, &id, "the header Last-Event-ID")?,
        (None, Some(id)) => go_to(&mut topics, &id, "query: `from`")?,
        (None, None) => {}
    }
    let heard = plane.control.follow_topics(&caller, &mut topics).await?;
    let opening = written(named(OPEN, &Open { topics: topics.all().iter().map(Topic::name).collect() }), &topics);
    let mut writer = Writer { topics };
    let messages = heard.map_ok(move |heard| writer.message(&heard));
    let messages = futures_stream::once(ready(Ok(opening))).chain(messages);
    Ok(sse::response(messages, plane.closing.clone(), access(&plane, &caller)))
}

fn parse(text: &str) -> Result<Topics, Error> {
    text.parse().map_err(|e: InvalidTopics| {
        Error::invalid(format!("query: `topics`: {e}"))
            .hint("Name what to follow, with commas between: `events,dep:dep_…:log,env:shop/production:log`")
    })
}

fn go_to(topics: &mut Topics, id: &str, place: &str) -> Result<(), Error> {
    topics.go_to(id).map_err(|e| {
        Error::invalid(format!("{place}: {e}")).hint("Send the `id` of the last message of this stream, or nothing")
    })
}

/// Writes what is heard, with where one is then in all topics.
struct Writer {
    topics: Topics,
}

impl Writer {
    fn message(&mut self, heard: &Heard) -> Message {
        heard.note(&mut self.topics);
        let Some(topic) = self.topics.all().get(heard.topic) else { return Message::default() };
        let shared = match (&heard.told, topic) {
            (Told::Event(event), _) => named(EVENT, event),
            (Told::Notice(notice), _) => named(NOTICE, notice),
            (Told::Output(frame), Topic::Output { deployment, .. }) => output_batch(deployment, frame),
            (Told::Logs(frame), Topic::Logs { app, environment, .. }) => logs_batch(app, environment, frame),
            (Told::Over, topic) => named(OVER, &Over { topic: topic.name() }),
            // What is told of a topic is of its kind.
            (Told::Output(_) | Told::Logs(_), _) => return Message::default(),
        };
        written(shared, &self.topics)
    }
}

/// With the id behind the data: whatever is cut off, a message that has arrived has its id.
fn written(shared: Bytes, topics: &Topics) -> Message {
    let cursor = topics.cursor();
    // Without a place there is nothing to come back to yet.
    let mut own = if cursor.is_empty() { Vec::new() } else { sse::id_line(&cursor) };
    own.push(b'\n');
    Message { shared, own: own.into() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use domain::event::{Event, EventKind};

    use super::*;

    fn text(message: &Message) -> String {
        String::from_utf8([&message.shared[..], &message.own[..]].concat()).unwrap()
    }

    #[test]
    fn each_message_says_where_one_is_in_all_topics() {
        let id = "dep_01hf7yat00000000000000002a";
        let topics = parse(&format!("events@4,dep:{id}:log@9")).unwrap();
        let mut writer = Writer { topics };
        let event = Event {
            cursor: 5,
            at: chrono_like(),
            app: None,
            environment: None,
            deployment: None,
            kind: EventKind::AppCreated,
        };
        let message = text(&writer.message(&Heard { topic: 0, told: Told::Event(event) }));
        assert!(message.starts_with("event: events\ndata: {\"cursor\":5,"), "{message}");
        assert!(message.ends_with(&format!("\nid: e=5;{id}=9\n\n")), "{message}");
        let message = text(&writer.message(&Heard { topic: 1, told: Told::Over }));
        assert_eq!(message, format!("event: over\ndata: {{\"topic\":\"dep:{id}:log\"}}\nid: e=5;{id}=9\n\n"));
        // Of what one has not begun with there is nothing to come back to.
        let fresh = parse(&format!("dep:{id}:log")).unwrap();
        assert_eq!(
            text(&written(named(OPEN, &Open { topics: vec![] }), &fresh)),
            "event: open\ndata: {\"topics\":[]}\n\n"
        );
    }

    fn chrono_like<T: serde::de::DeserializeOwned>() -> T {
        serde_json::from_str("\"2026-11-21T10:00:00Z\"").unwrap()
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let error = parse("events,news").unwrap_err();
        assert_eq!(error.status, 400);
        assert!(error.detail.starts_with("query: `topics`: `news` is not a topic"), "{}", error.detail);
        let error = go_to(&mut parse("events").unwrap(), "17", "the header Last-Event-ID").unwrap_err();
        assert!(error.detail.contains("Last-Event-ID") && error.hint.is_some(), "{}", error.detail);
    }
}
