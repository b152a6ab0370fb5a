//! Streams can be left and taken up again: no gap, nothing twice.

use std::time::Duration;

use domain::event::Event;
use futures::StreamExt;
use operations::client::Message;
use operations::deployments::OutputRequest;
use operations::events::{List, ListRequest};
use operations::stream::{LogsBatch, OutputBatch};
use operations::tokens::{Create, CreateRequest, Revoke, RevokeRequest};
use operations::{Client, deployments, logs, stream};
use plimsoll_tests::{App, Server};
use secrecy::ExposeSecret;

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
    let request = OutputRequest { limit: 500, ..OutputRequest::of(deployment.id.clone()) };
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

/// Headers and body.
async fn fetch(server: &Server, path: &str) -> (String, String) {
    let token = operations::local::read(&server.data()).unwrap().token;
    let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
    let request = client.get(format!("http://{}{path}", server.api())).bearer_auth(token.expose_secret());
    let response = request.send().await.unwrap();
    (format!("{:?}", response.headers()).replace('\\', ""), response.text().await.unwrap())
}

/// The lines of a batch, as numbers and texts.
fn lines_of(message: &Message) -> Vec<(u64, String)> {
    let batch: OutputBatch = serde_json::from_str(&message.data).unwrap();
    let count = batch.lines.len();
    assert_eq!((batch.at.len(), batch.src.iter().map(|run| run.count as usize).sum::<usize>()), (count, count));
    (batch.from..).zip(batch.lines).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_topics_come_over_one_line_and_go_on_after_a_kill_of_the_server() {
    let (mut server, repo, _) = with_app("hello").await;
    let gate = server.shared().join("gate");
    let build = format!(
        "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; done; while [ ! -e {} ]; do sleep 0.05; done; \
         echo the end",
        gate.display()
    );
    repo.commit(App::new("v2").build(&build).files(), "v2");
    let deployment = server.deploy("hello").await;
    let topics = format!("{}?topics=events@0,dep:{}:log,env:hello/production:log@0", stream::TOPICS, deployment.id);
    let (mut cursor, mut events, mut lines, mut logs) = (None::<String>, Vec::new(), Vec::new(), Vec::new());
    let mut rounds = 0;
    let all = async {
        loop {
            rounds += 1;
            let mut messages = server.client().stream(&topics, cursor.as_deref()).await.unwrap();
            let first = messages.next().await.unwrap().unwrap();
            assert_eq!(first.event.as_deref(), Some(stream::OPEN), "{first:?}");
            let mut taken = 0;
            while let Some(message) = messages.next().await {
                let Ok(message) = message else { break };
                assert_ne!(message.event.as_deref(), Some(stream::END), "two of the topics have no end: {message:?}");
                match message.event.as_deref() {
                    Some(stream::EVENT) => events.push(serde_json::from_str::<Event>(&message.data).unwrap()),
                    Some(stream::DEPLOYMENT) => lines.extend(lines_of(&message)),
                    Some(stream::ENVIRONMENT) => {
                        logs.extend(serde_json::from_str::<LogsBatch>(&message.data).unwrap().lines);
                    }
                    Some(stream::OVER) => return,
                    other => panic!("{other:?} is no topic"),
                }
                cursor = message.id.or(cursor);
                taken += 1;
                // Leave again and again; once, the server is killed meanwhile.
                if rounds < 6 && taken == 3 {
                    break;
                }
            }
            drop(messages);
            if rounds == 3 {
                server.kill9();
                server.restart().await;
                std::fs::write(&gate, "").unwrap();
            }
        }
    };
    tokio::time::timeout(LIMIT, all).await.expect("the deployment ends");
    let ended = server.deployment(&deployment.id).await;
    assert!(ended.phase.is_end(), "{ended:?}");

    let path = stream::output_path(&deployment.id);
    let single = read(&server, &path, None, usize::MAX).await;
    let single = single.iter().filter(|message| message.event.is_none());
    let single: Vec<(u64, String)> = single
        .map(|message| serde_json::from_str::<logs::LogLine>(&message.data).unwrap())
        .map(|line| (line.seq, line.text))
        .collect();
    assert!(single.iter().any(|(_, text)| text == "line 2000") && single.iter().any(|(_, text)| text == "the end"));
    assert_eq!(lines, single, "each line once, in its order");
    assert!(events.windows(2).all(|pair| pair[0].cursor < pair[1].cursor));
    assert!(events.iter().any(|event| event.deployment.as_ref() == Some(&deployment.id)));
    let listens = logs.iter().filter(|text| text.contains("version v1 listens")).count();
    assert_eq!(listens, 1, "{logs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_read_from_its_end_and_as_a_file() {
    let (server, repo, _) = with_app("hello").await;
    let build = "i=0; while [ $i -lt 1500 ]; do i=$((i+1)); echo line $i; done";
    repo.commit(App::new("v2").build(build).files(), "v2");
    let deployment = server.deploy_well("hello").await;
    let path = stream::output_path(&deployment.id);
    let messages = read(&server, &path, None, usize::MAX).await;
    let all: Vec<logs::LogLine> = messages
        .iter()
        .filter(|message| message.event.is_none())
        .map(|message| serde_json::from_str(&message.data).unwrap())
        .collect();
    assert!(all.len() > 1500);

    let of = || OutputRequest::of(deployment.id.clone());
    let page =
        async |request: OutputRequest| server.client().call::<deployments::Output>(&request).await.unwrap().lines;
    let mut back = page(OutputRequest { tail: true, limit: 400, ..of() }).await;
    while back[0].seq > all[0].seq {
        let mut older = page(OutputRequest { before: Some(back[0].seq), limit: 400, ..of() }).await;
        older.append(&mut back);
        back = older;
    }
    assert_eq!(back, all, "from the end to the beginning");
    let some = page(OutputRequest { after: Some(700), before: Some(703), ..of() }).await;
    assert_eq!(some.iter().map(|line| line.seq).collect::<Vec<_>>(), [701, 702]);
    let output = server.cli(&["deployments", "output", deployment.id.as_str(), "--tail", "2", "--json"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2, "{output:?}");

    let path = stream::output_file_path(&deployment.id);
    let (head, text) = fetch(&server, &path).await;
    assert!(head.contains("text/plain") && head.contains(&format!("filename=\"{}.log\"", deployment.id)), "{head}");
    let file: Vec<&str> = text.split_terminator('\n').collect();
    assert_eq!(file.len(), all.len());
    for (line, in_file) in all.iter().zip(file) {
        assert!(in_file.ends_with(&format!("Z {} | {}", line.source, line.text)), "{in_file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_token() {
    let server = Server::start().await;
    let request = CreateRequest { read_only: true, ..CreateRequest::named("dashboard".parse().unwrap()) };
    let token = server.client().call::<Create>(&request).await.unwrap();
    let reader = Client::new(&format!("http://{}", server.api()), &token.secret.unwrap().into()).unwrap();
    let mut messages = reader.stream(&format!("{}?topics=events", stream::TOPICS), None).await.unwrap();
    assert_eq!(messages.next().await.unwrap().unwrap().event.as_deref(), Some(stream::OPEN));
    server.client().call::<Revoke>(&RevokeRequest { token: token.token.id }).await.unwrap();
    let last = tokio::time::timeout(LIMIT, async {
        loop {
            let message = messages.next().await.expect("the end is said").unwrap();
            if message.event.as_deref() == Some(stream::END) {
                return message;
            }
        }
    });
    let last = last.await.expect("within fifteen seconds or so");
    assert!(last.data.contains("unauthorized"), "{last:?}");
}
