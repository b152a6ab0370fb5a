//! An agent: it speaks the Model Context Protocol to a real server, and hides nothing of what it hears.

use std::process::Stdio;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::Server;

/// Of one answer; the longest wait takes 50 seconds.
const LIMIT: Duration = Duration::from_secs(90);

/// What was answered to one request.
#[derive(Debug)]
pub struct Heard {
    /// HTTP status.
    pub status: u16,
    /// Bytes of the answer.
    pub bytes: usize,
    /// All messages, the response last.
    pub messages: Vec<Value>,
}

impl Heard {
    /// The response itself.
    ///
    /// # Panics
    /// When there is none.
    pub fn response(&self) -> &Value {
        self.messages.last().unwrap()
    }
}

/// An agent at `/mcp`, usually with the token that the server keeps for its own user.
pub struct Agent {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Agent {
    pub fn new(server: &Server) -> Self {
        let local = operations::local::read(&server.data()).unwrap();
        Self::with_token(server, local.token.expose_secret())
    }

    /// The same with another token.
    pub fn with_token(server: &Server, token: &str) -> Self {
        let local = operations::local::read(&server.data()).unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
        Self { http, url: format!("{}/mcp", local.url), token: token.to_owned() }
    }

    /// Sends one message with these headers besides the usual ones; an empty value takes a usual one away.
    pub async fn send(&self, message: &Value, headers: &[(&str, &str)]) -> Heard {
        let token = format!("Bearer {}", self.token);
        let usual = [
            ("authorization", token.as_str()),
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
            ("mcp-protocol-version", "2025-11-25"),
        ];
        let mut request = self.http.post(&self.url).body(message.to_string());
        let changed = |name: &str| headers.iter().any(|(other, _)| *other == name);
        for (name, value) in usual.iter().filter(|(name, _)| !changed(name)).chain(headers) {
            if !value.is_empty() {
                request = request.header(*name, *value);
            }
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        Heard { status, bytes: text.len(), messages: messages(&text) }
    }

    pub async fn request(&self, method: &str, params: Value) -> Heard {
        self.send(&request(method, params), &[]).await
    }

    /// Calls a tool that must succeed; returns its structured result.
    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        let heard = self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await;
        content(heard.response(), false)
    }

    /// Calls a tool that must refuse; returns its structured error.
    pub async fn refused(&self, tool: &str, arguments: Value) -> Value {
        let heard = self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await;
        content(heard.response(), true)
    }

    /// Calls a tool and leaves after `time`, whether there is an answer or not.
    pub async fn call_and_leave(&self, tool: &str, arguments: Value, time: Duration) {
        let params = json!({ "name": tool, "arguments": arguments });
        let message = request("tools/call", params);
        let _ = tokio::time::timeout(time, self.send(&message, &[])).await;
    }
}

/// An agent that has started `plimsoll mcp`.
pub struct Companion {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Companion {
    /// Starts it and shakes hands.
    pub async fn start(server: &Server, args: &[&str]) -> Self {
        let mut command = Command::from(server.command());
        command.arg("mcp").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut companion = Self { child, stdin, lines };
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "companion", "version": "1" } });
        let answer = companion.request("initialize", hello).await;
        assert_eq!(answer["result"]["serverInfo"]["name"], "plimsoll", "{answer}");
        companion.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        companion
    }

    pub async fn write(&mut self, message: &Value) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{message}\n").as_bytes()).await.unwrap();
        stdin.flush().await.unwrap();
    }

    /// The next message.
    pub async fn read(&mut self) -> Value {
        let line = tokio::time::timeout(LIMIT, self.lines.next_line()).await.unwrap().unwrap();
        serde_json::from_str(&line.expect("plimsoll mcp has ended")).unwrap()
    }

    /// Asks, and reads on to the response.
    pub async fn request(&mut self, method: &str, params: Value) -> Value {
        self.write(&request(method, params)).await;
        loop {
            let message = self.read().await;
            if message.get("id").is_some() {
                return message;
            }
        }
    }

    pub async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        content(&self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await, false)
    }

    pub async fn refused(&mut self, tool: &str, arguments: Value) -> Value {
        content(&self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await, true)
    }

    /// Closes its standard input, and waits for its end.
    pub async fn leave(mut self) {
        self.stdin = None;
        let status = tokio::time::timeout(LIMIT, self.child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
    }
}

pub fn request(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

/// The structured result of a tool call, which must be an error or none.
fn content(response: &Value, error: bool) -> Value {
    assert_eq!(response["result"]["isError"], error, "{response}");
    response["result"]["structuredContent"].clone()
}

/// The messages of a JSON answer or of a stream.
fn messages(text: &str) -> Vec<Value> {
    if let Ok(message) = serde_json::from_str(text) {
        return vec![message];
    }
    text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok()).collect()
}
