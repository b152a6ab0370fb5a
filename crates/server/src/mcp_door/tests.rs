//! The door by real requests, behind the same shell as every route. In the place of `control` stands a contract that
//! answers with the request it was given.
#![allow(clippy::unwrap_used)]

use axum::Router;
use axum::body::to_bytes;
use control::{Credential, Principal};
use domain::TokenId;
use domain::access::{Grants, Role};
use operations::ErrorKind;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;
use crate::guard::Shown;
use crate::routes::shell;

const TOKEN: &str = "plimsoll-token-for-tests";

struct Echo;

impl Contract for Echo {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Value, Error>> {
        let caller = call.from.get::<Caller>().map(|caller| caller.name.clone());
        let answer = json!({ "operation": call.operation, "caller": caller, "request": call.request, "key": call.key });
        std::future::ready(Ok(answer)).boxed()
    }
}

/// Answers with pages of large lines, as many as `limit` says, or whatever it says.
struct Pages {
    obeys: bool,
}

impl Contract for Pages {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Value, Error>> {
        let limit = call.request.get("limit").and_then(Value::as_u64).filter(|_| self.obeys).unwrap_or(500);
        let lines: Vec<Value> = (0..limit).map(|n| json!({ "seq": n, "text": "x".repeat(1000) })).collect();
        std::future::ready(Ok(json!({ "lines": lines, "cursor": limit.to_string() }))).boxed()
    }
}

/// Never answers.
/// Never answers; counts those who ask.
#[derive(Default)]
struct Stuck(std::sync::atomic::AtomicUsize);

impl Contract for Stuck {
    fn call(&self, _: Call) -> BoxFuture<'static, Result<Value, Error>> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        std::future::pending().boxed()
    }
}

fn app(read_only: bool) -> Router {
    app_over(Arc::new(Echo), read_only)
}

fn app_over(contract: Arc<dyn Contract>, read_only: bool) -> Router {
    let door = mcp::Door::new(contract, mcp::Settings { read_only });
    let hosts = mcp::Hosts::new(None, ["deploy.example.org".to_owned()]);
    let service = mcp::http::service(door, &hosts, CancellationToken::new());
    shell(
        Router::new().route(mcp::http::PATH, service_route(service)),
        |shown: Shown| async move {
            let Shown::Token(token) = shown else { return Err(Error::new(ErrorKind::Unauthorized, "over")) };
            match token.as_str() {
                TOKEN => {
                    let id: TokenId = "tok_01jd0000000000000000000000".parse().unwrap();
                    let grants = Grants::everywhere(Role::Owner);
                    Ok(Caller::new(Principal::Machine(id.clone()), Credential::Token(id), grants, "tester"))
                }
                _ => Err(Error::new(ErrorKind::Unauthorized, "no such token")),
            }
        },
        Arc::default(),
    )
}

async fn send(app: Router, method: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> (u16, Value) {
    let mut request = http::Request::builder().method(method).uri("/mcp");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app.oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), 10 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes))))
}

const AUTH: (&str, &str) = ("authorization", "Bearer plimsoll-token-for-tests");
const HOST: (&str, &str) = ("host", "127.0.0.1:7878");
const ACCEPT: (&str, &str) = ("accept", "application/json, text/event-stream");
const JSON: (&str, &str) = ("content-type", "application/json");
const VERSION: (&str, &str) = ("mcp-protocol-version", "2025-11-25");
const GOOD: [(&str, &str); 5] = [AUTH, HOST, ACCEPT, JSON, VERSION];

fn message(method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

async fn call(read_only: bool, tool: &str, arguments: Value) -> Value {
    let body = message("tools/call", json!({ "name": tool, "arguments": arguments }));
    let (status, answer) = send(app(read_only), "POST", &GOOD, body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn strangers_are_refused_with_a_problem() {
    let list = message("tools/list", json!({}));
    let big = "x".repeat(decode::MAX_BODY + 1);
    let with = |more: &[(&'static str, &'static str)]| {
        let changed: Vec<&str> = more.iter().map(|(name, _)| *name).collect();
        let kept = GOOD.into_iter().filter(|(name, _)| !changed.contains(name));
        kept.chain(more.iter().copied()).filter(|(_, value)| !value.is_empty()).collect::<Vec<_>>()
    };
    for (method, headers, body, status, expected) in [
        ("POST", with(&[("authorization", "")]), &list, 401, "token"),
        ("POST", with(&[("authorization", "Bearer wrong")]), &list, 401, "token"),
        ("POST", with(&[("host", "evil.example")]), &list, 403, "Host"),
        ("POST", with(&[("host", "evil.example"), ("origin", "http://evil.example")]), &list, 403, "Host"),
        ("POST", with(&[("origin", "http://evil.example")]), &list, 403, "origin"),
        ("POST", with(&[("origin", "null")]), &list, 403, "origin"),
        ("POST", with(&[("content-type", "text/plain")]), &list, 415, "Content-Type"),
        ("POST", with(&[("accept", "application/json")]), &list, 406, "Accept"),
        ("POST", with(&[("mcp-protocol-version", "1999-01-01")]), &list, 400, "1999"),
        ("POST", with(&[]), &big, 413, "2 MiB"),
        ("GET", with(&[("accept", "text/event-stream")]), &String::new(), 405, "Method"),
        ("DELETE", with(&[]), &String::new(), 405, "Method"),
    ] {
        let (found, problem) = send(app(false), method, &headers, body.clone()).await;
        assert_eq!(found, status, "{method} {headers:?}: {problem}");
        assert_eq!(problem["status"], status, "{problem}");
        let text = problem.to_string();
        assert!(text.contains(expected) && problem["hint"].is_string(), "{headers:?}: {problem}");
        assert!(!text.contains(TOKEN));
    }
    for headers in [with(&[]), with(&[("host", "deploy.example.org"), ("origin", "https://deploy.example.org")])] {
        let (status, answer) = send(app(false), "POST", &headers, list.clone()).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), mcp::tools::all().len());
    }
}

#[tokio::test]
async fn a_call_comes_through_as_the_one_who_sent_it() {
    let arguments = json!({ "app": "shop", "environment": "production", "idempotency_key": "k-1" });
    let answer = call(false, "deploy_full", arguments).await;
    let found = &answer["result"]["structuredContent"];
    assert_eq!(found["operation"], "deployments.deploy", "{answer}");
    assert_eq!((&found["caller"], &found["key"]), (&json!("tester"), &json!("k-1")));
    assert_eq!(found["request"], json!({ "app": "shop", "environment": "production" }));
}

#[tokio::test]
async fn read_only_beats_whatever_a_request_says() {
    let (_, answer) = send(app(true), "POST", &GOOD, message("tools/list", json!({}))).await;
    let names: Vec<&str> =
        answer["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"apps_list") && names.contains(&"deployments_wait"), "{names:?}");
    for tool in mcp::tools::all().iter().filter(|tool| !tool.reads_only()) {
        assert!(!names.contains(&tool.name()), "{names:?}");
        for arguments in [json!({}), json!({ "app": "shop", "confirm": "shop", "read_only": false })] {
            let answer = call(true, tool.name(), arguments).await;
            assert_eq!(answer["result"]["isError"], true, "{answer}");
            assert_eq!(answer["result"]["structuredContent"]["code"], "read_only", "{answer}");
        }
    }
    assert_eq!(call(true, "apps_list", json!({})).await["result"]["isError"], false);
}

#[tokio::test]
async fn wrong_calls_are_told_apart() {
    let answer = call(false, "apps_lst", json!({})).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("Unknown tool: apps_lst"), "{answer}");
    assert_eq!(answer["error"]["data"]["hint"], "Did you mean `apps_list`?");
    let answer = call(false, "apps_get", json!({ "app": "shop", "color": "red" })).await;
    assert_eq!(answer["result"]["structuredContent"]["code"], "invalid_arguments", "{answer}");
    let (_, answer) = send(app(false), "POST", &GOOD, message("tools/nonsense", json!({}))).await;
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    for (body, code) in
        [("{\"jsonrpc\": ", -32700), ("", -32700), ("[]", -32600), ("{\"jsonrpc\":\"2.0\"}", -32600), ("7", -32600)]
    {
        let (status, answer) = send(app(false), "POST", &GOOD, body).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(code)), "{body}: {answer}");
    }
}

#[tokio::test]
async fn a_page_that_is_too_large_comes_in_smaller_ones() {
    for obeys in [true, false] {
        let body =
            message("tools/call", json!({ "name": "logs_read", "arguments": { "app": "a", "environment": "b" } }));
        let (status, answer) = send(app_over(Arc::new(Pages { obeys }), false), "POST", &GOOD, body).await;
        let result = &answer["result"];
        assert_eq!(status, 200, "{answer}");
        assert!(result["content"][0]["text"].as_str().unwrap().len() <= mcp::MAX_RESULT);
        let page = &result["structuredContent"];
        let count = page["lines"].as_array().unwrap().len();
        assert!(count > 20, "{count} lines");
        // The cursor is the operation's own; what ignores its limit is cut, and says so.
        let cursor: usize = page["cursor"].as_str().unwrap().parse().unwrap();
        assert_eq!(cursor == count, obeys);
        assert_eq!(page.get("cut").is_none(), obeys);
        assert_eq!(
            page["read_on"].as_str().is_some_and(|told| told.contains("`limit`")),
            !obeys,
            "{}",
            page["read_on"]
        );
    }
}

#[tokio::test]
async fn too_many_calls_are_told_to_come_back() {
    let stuck = Arc::new(Stuck::default());
    let app = app_over(stuck.clone(), false);
    let body = || message("tools/call", json!({ "name": "apps_list", "arguments": {} }));
    let limit = std::time::Duration::from_secs(60);
    let calls: Vec<_> = (0..64).map(|_| tokio::spawn(send(app.clone(), "POST", &GOOD, body()))).collect();
    let all_in = async {
        while stuck.0.load(std::sync::atomic::Ordering::SeqCst) < 64 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(limit, all_in).await.unwrap();
    // One more: it waits like the others as long as there is a place.
    let one_more = async || {
        let call = send(app.clone(), "POST", &GOOD, body());
        tokio::time::timeout(std::time::Duration::from_secs(1), call).await.ok().map(|(_, answer)| answer)
    };
    let answer = one_more().await.unwrap();
    let error = &answer["result"]["structuredContent"];
    assert_eq!((&error["code"], &error["retry"]["after_seconds"]), (&json!("unavailable"), &json!(1)), "{answer}");
    // Whoever leaves makes room.
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    let room = async { while one_more().await.is_some() {} };
    tokio::time::timeout(limit, room).await.unwrap();
}
