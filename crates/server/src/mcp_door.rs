//! The door for agents: `/mcp`, over the same control plane, token and rules as every other route.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};
use control::{Caller, Control, Handle, Via};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{Method, StatusCode};
use mcp::{Call, Contract};
use operations::{Effect, Error, Operation};
use serde_json::Value;

use crate::call::{Answer, carry_out};
use crate::problem::{Problem, refused};
use crate::{Plane, Settings, Surroundings, decode, guard, idempotency};

type Service = mcp::http::Service<mcp::Door>;

/// The longest refusal of the protocol's library, in bytes.
const MAX_REFUSAL: usize = 64 * 1024;

/// Answers everything at [`mcp::http::PATH`].
pub(crate) fn route<S: Clone + Send + Sync + 'static>(plane: &Plane, settings: &Settings) -> MethodRouter<S> {
    let contract = Arc::new(InProcess { control: plane.control.clone(), around: plane.around.clone() });
    service_route(mcp::http::service(
        mcp::Door::new(contract, rules(&plane.control)),
        &settings.mcp_hosts,
        plane.closing.clone(),
    ))
}

/// What agents may do here, whichever door they come through.
pub(crate) fn rules(control: &Control) -> mcp::Settings {
    mcp::Settings { read_only: control.mcp_read_only() }
}

fn service_route<S: Clone + Send + Sync + 'static>(service: Service) -> MethodRouter<S> {
    any(move |request: Request| answer(service.clone(), request))
}

/// The operations, in this process, for the caller whom the guard has let in.
struct InProcess {
    control: Control,
    around: Arc<Surroundings>,
}

impl Contract for InProcess {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Value, Error>> {
        let control = self.control.clone();
        macro_rules! by_name {
            ($($operation:ty),* $(,)?) => {
                match call.operation {
                    $( <$operation as Operation>::NAME => boxed::<$operation>(control, call), )*
                    other => nothing(other).boxed(),
                }
            };
        }
        operations::for_each_operation!(by_name)
    }

    /// As the guard counts every other request: it could not see what this one does.
    fn count(&self, effect: Effect, from: &http::Extensions) -> Result<(), (Error, u32)> {
        match (effect, from.get::<Caller>()) {
            (Effect::Read, _) | (_, None) => Ok(()),
            (_, Some(caller)) => guard::change(&self.around.limits, caller),
        }
    }
}

// As `routes::mount_call`.
#[inline(never)]
fn boxed<O: Operation>(control: Control, call: Call) -> BoxFuture<'static, Result<Value, Error>>
where
    Control: Handle<O>,
{
    one::<O>(control, call).boxed()
}

async fn one<O: Operation>(control: Control, call: Call) -> Result<Value, Error>
where
    Control: Handle<O>,
{
    let Some(caller) = call.from.get::<Caller>().cloned() else {
        tracing::error!(operation = O::NAME, "a call of a tool came without a caller");
        return Err(Error::internal());
    };
    let caller = Caller { via: Via::Mcp, ..caller };
    let key = call.key.map(|key| idempotency::check("`idempotency_key`", key.as_bytes())).transpose()?;
    let request = mcp::decode::<O>(call.request)?;
    let response = match carry_out::<O>(control, caller, request, key).await? {
        Answer::New(response) | Answer::Recorded(response) => response,
    };
    serde_json::to_value(response).map_err(|error| {
        tracing::error!(%error, operation = O::NAME, "a response can't be written as JSON");
        Error::internal()
    })
}

async fn nothing(operation: &'static str) -> Result<Value, Error> {
    Err(Error::not_found(format!("there is no operation `{operation}`")))
}

/// The body is read here, within the limits of every other route; what the library refuses in a word of its own becomes
/// a problem document.
async fn answer(service: Service, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = if parts.method == Method::POST {
        match decode::read(&parts.headers, body).await {
            Ok(bytes) => bytes,
            Err(error) => return Problem(error).into_response(),
        }
    } else {
        bytes::Bytes::new()
    };
    let response = mcp::http::answer(&service, http::Request::from_parts(parts, bytes)).await.map(Body::new);
    let is_json =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !(response.status().is_client_error() || response.status().is_server_error()) || is_json {
        return response;
    }
    explained(response).await
}

async fn explained(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let said = axum::body::to_bytes(body, MAX_REFUSAL).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let what = if said.is_empty() { "the request is not one of the protocol" } else { said.trim() };
    let error = refused(parts.status, what.to_owned());
    let mut response = Problem(error.hint(hint(parts.status, what))).into_response();
    if let Some(allow) = parts.headers.get(ALLOW) {
        response.headers_mut().insert(ALLOW, allow.clone());
    }
    response
}

fn hint(status: StatusCode, what: &str) -> &'static str {
    match status {
        StatusCode::FORBIDDEN if what.contains("Host") => {
            "Call it by an address of this machine, or start the server with `--mcp-host NAME` for the name that you use"
        }
        StatusCode::FORBIDDEN => "Web pages may call it only from a name that the server was given with `--mcp-host`",
        StatusCode::METHOD_NOT_ALLOWED => "There are no sessions here: each message is a POST, answered by itself",
        StatusCode::NOT_ACCEPTABLE => "Send the header `Accept: application/json, text/event-stream`",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "Send the header `Content-Type: application/json`",
        _ => "Streamable HTTP of the Model Context Protocol is spoken here; the guide says how to connect an agent",
    }
}

#[cfg(test)]
mod tests;
