//! How often somebody may ask: by who they are, or else by where they are; and what is too large.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use operations::tokens::{Create, CreateRequest};
use plimsoll_tests::Server;
use plimsoll_tests::agent::Agent;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::sign_in::{Browser, EMAIL, owner};

/// As people start it.
async fn usual() -> Server {
    Server::start_with(&["--rate-limit", "1"], &[]).await
}

fn at(address: &str) -> Client {
    Client::builder().no_proxy().local_address(address.parse::<std::net::IpAddr>().unwrap()).build().unwrap()
}

async fn get(client: &Client, server: &Server, path: &str, token: Option<&str>) -> Response {
    let request = client.get(format!("http://{}{path}", server.api()));
    token.map_or(request.try_clone().unwrap(), |token| request.bearer_auth(token)).send().await.unwrap()
}

/// Asks until it is refused. Many at once: one by one, a slow machine asks no more often than it may.
async fn until_refused(client: &Client, server: &Server, path: &str, token: Option<&str>, expected: u16) -> u32 {
    let (began, mut allowed) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(120) {
        let asked = (0..16).map(|_| get(client, server, path, token));
        let mut refused = false;
        for response in futures::future::join_all(asked).await {
            match response.status().as_u16() {
                429 => {
                    let seconds: u64 = response.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
                    assert!((1..=10).contains(&seconds), "{seconds}");
                    assert_eq!(response.headers()["content-type"], "application/problem+json");
                    let problem: Value = response.json().await.unwrap();
                    assert_eq!(problem["code"], "rate_limited", "{problem}");
                    assert!(problem["hint"].is_string(), "{problem}");
                    refused = true;
                }
                status => {
                    assert_eq!(status, expected, "{path}");
                    allowed += 1;
                }
            }
        }
        if refused {
            return allowed;
        }
    }
    panic!("{path}: nobody is ever refused");
}

/// What a limit lets through from `began` until now: so many at once, and so many a second.
fn at_most(at_once: u32, each_second: u32, began: Instant) -> u32 {
    at_once + each_second * (u32::try_from(began.elapsed().as_secs()).unwrap() + 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_has_their_share_and_nobody_elses() {
    let server = usual().await;
    let token = |name: &str| CreateRequest { read_only: true, ..CreateRequest::named(name.parse().unwrap()) };
    let one = server.client().call::<Create>(&token("one")).await.unwrap().secret.unwrap();
    let two = server.client().call::<Create>(&token("two")).await.unwrap().secret.unwrap();
    let here = at("127.0.0.2");
    let began = Instant::now();
    let allowed = until_refused(&here, &server, "/api/v1/me", Some(&one), 200).await;
    let most = at_most(300, 50, began);
    assert!(
        (300..=most).contains(&allowed),
        "300 at once, and what came back while they were asked: {allowed}, {most}"
    );
    // Another principal from there, and the same from elsewhere.
    assert_eq!(get(&here, &server, "/api/v1/me", Some(&two)).await.status().as_u16(), 200);
    // What came back meanwhile is gone much sooner than 300 are.
    let elsewhere = until_refused(&at("127.0.0.3"), &server, "/api/v1/me", Some(&one), 200).await;
    assert!(elsewhere < 300, "an address is no way around it: {elsewhere}");
    // Strangers count by where they are; a wrong cookie makes nobody known.
    let began = Instant::now();
    let allowed = until_refused(&at("127.0.0.4"), &server, "/openapi.json", None, 200).await;
    let most = at_most(60, 10, began);
    assert!((60..=most).contains(&allowed), "{allowed}, {most}");
    assert_eq!(get(&at("127.0.0.5"), &server, "/openapi.json", None).await.status().as_u16(), 200);
    until_refused(&at("127.0.0.6"), &server, "/api/v1/me", None, 401).await;
    for _ in 0..200 {
        assert_eq!(get(&at("127.0.0.4"), &server, "/healthz", None).await.status().as_u16(), 200);
    }
    // The machine's own token is what commands and measurements come with.
    let local = operations::local::read(&server.data()).unwrap().token;
    for _ in 0..600 {
        assert_eq!(get(&here, &server, "/api/v1/me", Some(local.expose_secret())).await.status().as_u16(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_streams_and_sign_ins_have_limits_of_their_own() {
    let server = usual().await;
    let mut ann = owner(&server, "127.0.0.1").await;
    let mut refused = None;
    for n in 0..1000 {
        let answer = ann.send(reqwest::Method::PUT, "/api/v1/me/preferences", Some(json!({ "preferences": {} }))).await;
        match answer.status {
            200 => {}
            429 => {
                refused = Some(n);
                break;
            }
            status => panic!("{status}: {}", answer.body),
        }
    }
    assert!(refused.is_some_and(|n| n >= 100), "{refused:?}");
    assert_eq!(ann.me().await.status, 200, "looking goes on");

    // 32 streams at once, and another one when one of them has ended.
    let token = CreateRequest { read_only: true, ..CreateRequest::named("streams".parse().unwrap()) };
    let token = server.client().call::<Create>(&token).await.unwrap().secret.unwrap();
    let client = at("127.0.0.2");
    let mut open = Vec::new();
    for _ in 0..32 {
        let stream = get(&client, &server, "/api/v1/events/stream", Some(&token)).await;
        assert_eq!(stream.status().as_u16(), 200);
        open.push(stream);
    }
    let more = get(&client, &server, "/api/v1/events/stream", Some(&token)).await;
    assert_eq!(more.status().as_u16(), 429);
    assert!(more.headers().contains_key(RETRY_AFTER));
    assert_eq!(get(&client, &server, "/api/v1/me", Some(&token)).await.status().as_u16(), 200);
    open.pop();
    let deadline = Instant::now() + Duration::from_secs(30);
    while get(&client, &server, "/api/v1/events/stream", Some(&token)).await.status().as_u16() != 200 {
        assert!(Instant::now() < deadline, "the end of a stream is never noticed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // Ten at once for the door, whoever is meant: with an invitation nothing is hashed, so that they come at once.
    let mut guesser = Browser::at(&server, "127.0.0.3");
    let link =
        json!({ "invitation": format!("inv_{}", "A".repeat(43)), "name": "Eve", "email": EMAIL, "password": "x" });
    let mut answers = Vec::new();
    for _ in 0..30 {
        let answer = guesser.post("/api/v1/auth/accept", link.clone()).await;
        if answer.status == 429 {
            assert!(answer.headers.contains_key(RETRY_AFTER) && answer.body["code"] == "rate_limited");
        }
        answers.push(answer.status);
    }
    assert_eq!(answers[..10], [404; 10], "{answers:?}");
    assert!(answers.contains(&429), "{answers:?}");
    let elsewhere = Browser::at(&server, "127.0.0.4").post("/api/v1/auth/accept", link).await;
    assert_eq!(elsewhere.status, 404);
}

/// What an agent changes is counted as what anybody changes; looking goes on.
#[tokio::test(flavor = "multi_thread")]
async fn agents_have_the_limits_of_everybody() {
    let server = usual().await;
    let token = CreateRequest::named("agent".parse().unwrap());
    let token = server.client().call::<Create>(&token).await.unwrap().secret.unwrap();
    let agent = Agent::with_token(&server, &token);
    let nowhere = json!({ "deployment": "dep_01jd0000000000000000000000" });
    let mut allowed = 0;
    // Many at once: one by one, a slow machine asks no more often than it may.
    let refusal = loop {
        let asked = (0..16).map(|_| agent.refused("deployments_cancel", nowhere.clone()));
        let answers = futures::future::join_all(asked).await;
        allowed += answers.iter().filter(|answer| answer["code"] == "not_found").count();
        // Of those that were asked together any may be the first that is refused.
        if let Some(refusal) = answers.into_iter().find(|answer| answer["code"] != "not_found") {
            break refusal;
        }
        assert!(allowed < 5000, "nobody is ever refused");
    };
    assert!(allowed >= 100, "{allowed}: {refusal}");
    assert_eq!(refusal["code"], "rate_limited", "{refusal}");
    assert!(refusal["hint"].as_str().unwrap().contains("wait a second"), "{refusal}");
    assert_eq!(refusal["retry"], json!({ "possible": true, "after_seconds": 1 }), "{refusal}");
    agent.call("apps_list", json!({})).await;
}

/// Sends this and reads until the server has said enough or closes.
fn raw(server: &Server, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.api()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may close before it has all of it.
    let _ = stream.write_all(sent);
    let mut said = [0; 4096];
    let n = stream.read(&mut said).unwrap_or(0);
    String::from_utf8_lossy(&said[..n]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_not_read() {
    let server = usual().await;
    let line = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n", server.api());
    let head = format!("{line}x-long: {}\r\n\r\n", "a".repeat(100 * 1024));
    let said = raw(&server, head.as_bytes());
    assert!(said.starts_with("HTTP/1.1 431"), "{said}");
    let many = format!("{line}{}\r\n", (0..200).map(|n| format!("x-{n}: a\r\n")).collect::<String>());
    let said = raw(&server, many.as_bytes());
    assert!(said.starts_with("HTTP/1.1 431"), "{said}");
    let fine = format!("{line}x-long: {}\r\nConnection: close\r\n\r\n", "a".repeat(16 * 1024));
    assert!(raw(&server, fine.as_bytes()).starts_with("HTTP/1.1 200"));

    let large = Browser::at(&server, "127.0.0.2").sign_in(EMAIL, &"a".repeat(70 * 1024)).await;
    assert_eq!((large.status, &large.body["code"]), (413, &json!("too_large")), "{}", large.body);
    assert!(large.body["detail"].as_str().unwrap().contains("64 KiB"), "{}", large.body);
}
