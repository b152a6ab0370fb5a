//! The client of the contract: one call for every operation, and streams.

use std::time::Duration;

use bytes::Bytes;
use domain::UploadId;
use futures::{Stream, StreamExt};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::uploads::{self, Upload};
use crate::{Effect, Error, ErrorKind, Operation, path_parameters};

/// Header of the calls that are an agent's, whatever door it came through: who sends it is held to what agents may do.
pub const AGENT: &str = "plimsoll-agent";

/// Talks to one server with one token.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    /// Its calls are an agent's.
    agent: bool,
}

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server answered, and said no.
    #[error(transparent)]
    Refused(#[from] Error),
    /// Nobody answered, or the answer was cut off.
    #[error("can't reach the server at {url}: {reason}")]
    Unreachable { url: String, reason: String },
    /// Somebody answered who does not speak the contract.
    #[error("the answer of {url} is not Plimsoll's: {reason}")]
    Garbled { url: String, reason: String },
}

impl CallError {
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            CallError::Refused(error) => Some(error.code),
            _ => None,
        }
    }
}

/// A message of a stream.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: Option<String>,
    pub event: Option<String>,
    pub data: String,
}

impl Client {
    /// `base` such as `http://127.0.0.1:7878`.
    pub fn new(base: &str, token: &SecretString) -> Result<Self, CallError> {
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).map_err(|_| CallError::Garbled {
                url: base.to_owned(),
                reason: "the token holds characters that no token has".to_owned(),
            })?;
        bearer.set_sensitive(true);
        Self::with(base, HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
    }

    /// For the ways in, where nobody has a token yet.
    pub fn anonymous(base: &str) -> Result<Self, CallError> {
        Self::with(base, HeaderMap::new())
    }

    fn with(base: &str, headers: HeaderMap) -> Result<Self, CallError> {
        let url = base.trim_end_matches('/').to_owned();
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(5))
            .no_proxy()
            .build()
            .map_err(|e| CallError::Garbled { url: url.clone(), reason: e.to_string() })?;
        Ok(Self { base: url, http, agent: false })
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same, whose calls of operations are an agent's.
    #[must_use]
    pub fn for_agent(self) -> Self {
        Self { agent: true, ..self }
    }

    /// Calls an operation.
    pub async fn call<O: Operation>(&self, request: &O::Request) -> Result<O::Response, CallError> {
        self.call_with_key::<O>(request, None).await
    }

    /// Calls an operation with an idempotency key: the same key never does a thing twice.
    pub async fn call_with_key<O: Operation>(
        &self,
        request: &O::Request,
        key: Option<&str>,
    ) -> Result<O::Response, CallError> {
        let (path, rest) = self.split::<O>(request)?;
        let url = format!("{}{path}", self.base);
        let mut builder = match O::METHOD {
            crate::Method::Get => self.http.get(&url),
            crate::Method::Post => self.http.post(&url),
            crate::Method::Put => self.http.put(&url),
            crate::Method::Delete => self.http.delete(&url),
        }
        .timeout(Duration::from_secs(120));
        builder = if O::METHOD.has_body() { builder.json(&rest) } else { builder.query(&query(&rest)) };
        if let Some(key) = key.filter(|_| O::EFFECT != Effect::Read) {
            builder = builder.header("Idempotency-Key", key);
        }
        if self.agent {
            builder = builder.header(AGENT, "mcp");
        }
        self.answer(builder).await
    }

    /// Asks at one of the ways in: see [`crate::sign_in`].
    pub async fn ask<T: DeserializeOwned>(&self, path: &str, body: &impl serde::Serialize) -> Result<T, CallError> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        self.answer(request.timeout(Duration::from_secs(30))).await
    }

    /// Sends bytes of an upload, from `offset` in the file on; `length` is how many `body` has.
    pub async fn send(
        &self,
        upload: &UploadId,
        offset: u64,
        length: u64,
        body: impl Into<reqwest::Body>,
    ) -> Result<Upload, CallError> {
        let url = format!("{}{}", self.base, uploads::content_path(upload, offset));
        let request = self.http.put(url).header(CONTENT_TYPE, "application/octet-stream");
        // A piece may take its time; a server that hears nothing for half a minute gives up on it.
        let request = request.header(CONTENT_LENGTH, length).timeout(Duration::from_secs(1800)).body(body);
        self.answer(request).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, CallError> {
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|e| self.unreachable(&e))?;
        match status.is_success() {
            true => serde_json::from_slice(&body).map_err(|e| self.garbled(e.to_string())),
            false => Err(self.refusal(status.as_u16(), &body)),
        }
    }

    /// Opens a stream at `path` (with its query), from after the message `last` on.
    pub async fn stream(
        &self,
        path: &str,
        last: Option<&str>,
    ) -> Result<impl Stream<Item = Result<Message, CallError>> + Unpin + use<>, CallError> {
        let mut builder = self.http.get(format!("{}{path}", self.base)).header(ACCEPT, "text/event-stream");
        if let Some(last) = last {
            builder = builder.header("Last-Event-ID", last);
        }
        let response = builder.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        if !status.is_success() {
            let body = response.bytes().await.map_err(|e| self.unreachable(&e))?;
            return Err(self.refusal(status.as_u16(), &body));
        }
        let url = self.base.clone();
        let messages = sse_stream::SseStream::from_bytes_stream(response.bytes_stream());
        Ok(Box::pin(messages.filter_map(move |item| {
            let message = match item {
                // Keep-alive comments come through as messages without data.
                Ok(sse) => sse.data.map(|data| Ok(Message { id: sse.id, event: sse.event, data })),
                Err(e) => Some(Err(CallError::Unreachable { url: url.clone(), reason: e.to_string() })),
            };
            std::future::ready(message)
        })))
    }

    /// Opens a file at `path` (with its query), to be read piece by piece.
    pub async fn download(
        &self,
        path: &str,
    ) -> Result<impl Stream<Item = Result<Bytes, CallError>> + Unpin + use<>, CallError> {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        if !status.is_success() {
            let body = response.bytes().await.map_err(|e| self.unreachable(&e))?;
            return Err(self.refusal(status.as_u16(), &body));
        }
        let client = self.clone();
        Ok(Box::pin(response.bytes_stream().map(move |piece| piece.map_err(|e| client.unreachable(&e)))))
    }

    /// The path with its parameters filled in, and what is left of the request.
    fn split<O: Operation>(&self, request: &O::Request) -> Result<(String, Value), CallError> {
        let mut rest = serde_json::to_value(request).map_err(|e| self.garbled(e.to_string()))?;
        let mut path = O::PATH.to_owned();
        for name in path_parameters(O::PATH) {
            let value = rest.as_object_mut().and_then(|fields| fields.remove(name));
            let text = match value {
                Some(Value::String(text)) => text,
                Some(other) => other.to_string(),
                None => return Err(self.garbled(format!("{} has no `{name}`", O::NAME))),
            };
            // Ids, names and numbers: nothing in them needs escaping in a path.
            path = path.replace(&format!("{{{name}}}"), &text);
        }
        Ok((path, rest))
    }

    fn refusal(&self, status: u16, body: &[u8]) -> CallError {
        match serde_json::from_slice::<Error>(body) {
            Ok(error) => CallError::Refused(error),
            Err(_) => self.garbled(format!("status {status} without a problem document")),
        }
    }

    fn garbled(&self, reason: String) -> CallError {
        CallError::Garbled { url: self.base.clone(), reason }
    }

    fn unreachable(&self, error: &reqwest::Error) -> CallError {
        // The innermost source says the thing itself ("Connection refused").
        let mut source: &dyn std::error::Error = error;
        while let Some(inner) = source.source() {
            source = inner;
        }
        CallError::Unreachable { url: self.base.clone(), reason: source.to_string() }
    }
}

fn query(rest: &Value) -> Vec<(String, String)> {
    let Some(fields) = rest.as_object() else { return Vec::new() };
    let mut pairs = Vec::new();
    for (name, value) in fields {
        match value {
            Value::Null => {}
            Value::String(text) => pairs.push((name.clone(), text.clone())),
            Value::Array(items) => pairs.extend(
                items.iter().map(|item| (name.clone(), item.as_str().map_or_else(|| item.to_string(), str::to_owned))),
            ),
            other => pairs.push((name.clone(), other.to_string())),
        }
    }
    pairs
}
