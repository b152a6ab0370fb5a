//! The target of the protocol's conformance suite: what the suite asks for (tools, prompts and resources by fixed names)
//! behind the very same transport, gate and door as the real server.
//!
//! `mcp-conformance ADDR` listens there and ends with its standard input.
// A helper of tests: what it reads is written beside it.
#![allow(clippy::unwrap_used)]

mod fixtures;
mod rounds;
mod target;

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use mcp::{Call, Contract, Door, Hosts, Settings};
use operations::Error;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use target::Target;

/// The suite calls no operation.
struct Nothing;

impl Contract for Nothing {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Value, Error>> {
        std::future::ready(Err(Error::not_found(format!("{} is not here", call.operation)))).boxed()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(address) = std::env::args().nth(1) else {
        eprintln!("usage: mcp-conformance ADDR");
        return ExitCode::from(2);
    };
    let listener = match TcpListener::bind(&address).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("can't listen on {address}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let closing = CancellationToken::new();
    let target = Target::new(Door::new(Arc::new(Nothing), Settings::default()));
    let service = mcp::http::service(target, &Hosts::default(), closing.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let answer = hyper::service::service_fn(move |request| answer(service.clone(), request));
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    closing.cancel();
    ExitCode::SUCCESS
}

async fn answer(
    service: mcp::http::Service<Target>,
    request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<mcp::http::Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let bytes = Limited::new(body, mcp::http::MAX_BODY).collect().await.map(|body| body.to_bytes());
    Ok(mcp::http::answer(&service, http::Request::from_parts(parts, bytes.unwrap_or_else(|_| Bytes::new()))).await)
}
