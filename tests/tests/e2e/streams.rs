//! Streams can be left and taken up again: no gap, nothing twice.

use std::time::Duration;

use domain::event::Event;
use futures::StreamExt;
use operations::client::Message;
use operations::events::{List, ListRequest};
use operations::{deployments, logs, stream};
use plimsoll_tests::{App, Server};

use crate::with_app;

const LIMIT: Duration = Duration::from_secs(60);

/// Up to `count` messages after `last`; the end of the stream ends it, too.
async fn read(server: &Server, path: &str, last: Option<&str>, count: usize) -> Vec<Message> {
    let messages = server.client().stream(path, last).await.unwrap();
    let some = messages.take(count).map(Result::unwrap).collect();
    tokio::time::timeout(LIMIT, some).await.expect("messages come in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_on_where_they_were_left_across_a_kill_of_the_server() {
    let (mut server, repo, _) = with_app("hello").await;
    // A `Last-Event-ID` counts for more than what the query says.
    let path = format!("{}?app=hello&after=0", stream::EVENTS);
    let mut seen: Vec<Event> = Vec::new();
    for round in 2..6 {
        repo.commit(App::new(&format!("v{round}")).files(), "next");
        let deployment = server.deploy("hello").await;
        // Leave in the middle of it, and come back.
        let last = seen.last().map(|event| event.cursor.to_string());
        let some = read(&server, &path, last.as_deref(), 5).await;
        seen.extend(some.iter().map(|message| {
            let event: Event = serde_json::from_str(&message.data).unwrap();
            assert_eq!(message.id.as_deref(), Some(&*event.cursor.to_string()));
            event
        }));
        if round == 4 {
            server.kill9();
            server.restart().await;
        }
        server.end(&deployment.id).await;
    }
    let request = ListRequest {
        app: Some("hello".parse().unwrap()),
        environment: None,
        deployment: None,
        after: None,
        limit: 500,
    };
    let all = server.client().call::<List>(&request).await.unwrap().items;
    let rest = all.len() - seen.len();
    let last = seen.last().map(|event| event.cursor.to_string());
    let some = read(&server, &path, last.as_deref(), rest).await;
    seen.extend(some.iter().map(|message| serde_json::from_str::<Event>(&message.data).unwrap()));
    assert_eq!(seen, all);
    assert!(all.windows(2).all(|pair| pair[0].cursor < pair[1].cursor));
    // After the newest there is silence, not history.
    let last = all.last().map(|event| event.cursor.to_string());
    let mut silent = server.client().stream(&path, last.as_deref()).await.unwrap();
    let next = tokio::time::timeout(Duration::from_millis(300), silent.next()).await;
    assert!(next.is_err(), "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn output_comes_as_it_is_printed_and_ends_with_the_deployment() {
    let (server, repo, _) = with_app("hello").await;
    let gate = server.shared().join("gate");
    let build = format!("echo line one; while [ ! -e {} ]; do sleep 0.05; done; echo line two", gate.display());
    repo.commit(App::new("v2").build(&build).files(), "v2");
    let deployment = server.deploy("hello").await;
    let path = stream::output_path(&deployment.id);
    let mut messages = server.client().stream(&path, None).await.unwrap();
    let mut lines: Vec<logs::LogLine> = Vec::new();
    let ended = tokio::time::timeout(LIMIT, async {
        while let Some(message) = messages.next().await {
            let message = message.unwrap();
            if message.event.as_deref() == Some(stream::END) {
                return true;
            }
            lines.push(serde_json::from_str(&message.data).unwrap());
            // It is printed before the build can end.
            if lines.last().is_some_and(|line| line.text == "line one") {
                std::fs::write(&gate, "").unwrap();
            }
        }
        false
    })
    .await
    .expect("it ends");
    assert!(ended, "the last message says that it is the last");
    assert!(server.deployment(&deployment.id).await.phase.is_end());
    assert!(lines.iter().any(|line| line.text == "line two"), "{lines:#?}");
    assert!(lines.windows(2).all(|pair| pair[0].seq < pair[1].seq), "{lines:#?}");
    let request = deployments::OutputRequest { deployment: deployment.id.clone(), after: None, limit: 500 };
    let page = server.client().call::<deployments::Output>(&request).await.unwrap();
    assert_eq!(page.lines, lines);

    // Taken up in the middle.
    let middle = &lines[0];
    let rest = read(&server, &path, Some(&middle.seq.to_string()), usize::MAX).await;
    let rest: Vec<logs::LogLine> = rest
        .iter()
        .filter(|message| message.event.as_deref() != Some(stream::END))
        .map(|message| serde_json::from_str(&message.data).unwrap())
        .collect();
    assert_eq!(rest, lines[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_show_what_the_app_prints() {
    let (server, _repo, _) = with_app("hello").await;
    let path = stream::logs_path(&"hello".parse().unwrap(), &"production".parse().unwrap());
    let lines = read(&server, &path, None, 1).await;
    assert!(lines[0].data.contains("version v1 listens"), "{lines:?}");
    let output = server.cli(&["logs", "--app", "hello"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("version v1 listens"));
}
