//! The streams of [`operations::stream`]. A client that comes back with
//! `Last-Event-ID` goes on after that message, whatever its query says.

mod output_file;
mod topics;
mod written;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use control::Caller;
use domain::{DeploymentId, Name};
use futures::TryStreamExt;
use http::HeaderMap;
use operations::page::{DEFAULT_LIMIT, MAX_LIMIT};
use operations::{Error, Permission, Place, events, logs};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problem::Problem;
use crate::sse::Access;
use crate::{Plane, decode, sse};
pub(crate) use output_file::{FileRequest, output_file};
pub(crate) use topics::{TopicsRequest, topics};

/// As for `events.list`; there is no limit, as a stream has no end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsRequest {
    /// Only of this app.
    #[serde(default)]
    app: Option<Name>,
    /// Only of this environment.
    #[serde(default)]
    environment: Option<Name>,
    /// Only of this deployment.
    #[serde(default)]
    deployment: Option<DeploymentId>,
    /// Events after this one. When absent: those of the deployment from its first on, or all from now on.
    #[serde(default)]
    after: Option<i64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutputRequest {
    deployment: DeploymentId,
    /// Lines after this number; from the first when absent.
    #[serde(default)]
    after: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogsRequest {
    /// Name of the app.
    app: Name,
    /// Name of the environment.
    environment: Name,
    /// Only this component.
    #[serde(default)]
    component: Option<Name>,
    /// Lines after this cursor; the newest when absent.
    #[serde(default)]
    #[schemars(extend("pattern" = logs::LOG_CURSOR))]
    after: Option<String>,
    /// Lines of history to begin with, 1 to 500.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 500))]
    limit: u32,
}

fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

pub(crate) async fn events(
    State(plane): State<Plane>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let (asked, last) = decode_stream::<EventsRequest>(request).await?;
    let EventsRequest { app, environment, deployment, after } = asked;
    let after = resume(last, "the number of an event")?.or(after);
    let place = Place::Apps(app.as_ref());
    let who = plane.control.admit_to(caller, "events.stream", Permission::Look, place).await?;
    let request = events::ListRequest { app, environment, deployment, after, limit: MAX_LIMIT };
    let messages = plane.control.follow_events(&who, request).await?;
    let messages = messages.map_ok(|event| sse::message(&event.cursor.to_string(), &event).into());
    Ok(sse::response(messages, plane.closing.clone(), access(&plane, &who)))
}

pub(crate) async fn output(
    State(plane): State<Plane>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let (asked, last) = decode_stream::<OutputRequest>(request).await?;
    let after = resume(last, "the number of a line")?.or(asked.after);
    let place = Place::Deployment(&asked.deployment);
    let who = plane.control.admit_to(caller, "deployments.output_stream", Permission::Look, place).await?;
    let frames = plane.control.follow_output(&who, &asked.deployment, after).await?;
    let messages = frames.map_ok(|frame| written::output_lines(&frame).into());
    Ok(sse::response(messages, plane.closing.clone(), access(&plane, &who)))
}

pub(crate) async fn logs(
    State(plane): State<Plane>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let (asked, last) = decode_stream::<LogsRequest>(request).await?;
    let LogsRequest { app, environment, component, after, limit } = asked;
    let who = plane.control.admit_to(caller, "logs.stream", Permission::Look, Place::App(&app)).await?;
    let request = logs::ReadRequest { app, environment, component, after: last.or(after), limit };
    let frames = plane.control.follow_logs(&who, request).await?;
    let messages = frames.map_ok(|frame| written::logs_lines(&frame).into());
    Ok(sse::response(messages, plane.closing.clone(), access(&plane, &who)))
}

/// A stream outlives the request that was let in, and so does a long file: it asks again whether its reader still may.
pub(crate) fn access(plane: &Plane, caller: &Caller) -> Access {
    let (control, caller) = (plane.control.clone(), caller.clone());
    Access::new(move || {
        let (control, caller) = (control.clone(), caller.clone());
        async move { control.still_knows(&caller).await }
    })
}

/// The stream's request from path and query, and the id of the last message that the client has.
async fn decode_stream<T: DeserializeOwned>(request: Request) -> Result<(T, Option<String>), Error> {
    let (mut parts, _) = request.into_parts();
    let path = decode::path_pairs(&mut parts).await?;
    let asked = decode::from_query(&path, parts.uri.query().unwrap_or_default())?;
    Ok((asked, last_event_id(&parts.headers)?))
}

/// Longer than any id: that of sixteen topics, each with a dozen instances.
const MAX_ID: usize = 8192;

/// An empty id means none: so the specification of server-sent events says it.
fn last_event_id(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else { return Ok(None) };
    match value.to_str() {
        Ok(id) if id.len() <= MAX_ID => Ok(Some(id.to_owned())),
        _ => Err(Error::invalid("the header Last-Event-ID is not an id of this stream")
            .hint("Send the `id` of the last message")),
    }
}

fn resume<N: std::str::FromStr>(last: Option<String>, what: &str) -> Result<Option<N>, Error> {
    last.map(|id| {
        id.parse().map_err(|_| {
            Error::invalid(format!("the header Last-Event-ID must be {what}")).hint("Send the `id` of the last message")
        })
    })
    .transpose()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn decoded<T: DeserializeOwned>(uri: &str, last: Option<&[u8]>) -> Result<(T, Option<String>), Error> {
        let mut request = http::Request::builder().uri(uri);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        decode_stream(request.body(Body::empty()).unwrap()).await
    }

    #[tokio::test]
    async fn a_stream_knows_its_query_and_no_other() {
        let (asked, last) = decoded::<EventsRequest>("/s?app=shop&after=4", Some(b"9")).await.unwrap();
        assert_eq!((asked.after, last.as_deref()), (Some(4), Some("9")));
        assert_eq!(resume::<i64>(last, "").unwrap().or(asked.after), Some(9));
        let (_, last) = decoded::<EventsRequest>("/s", Some(b"")).await.unwrap();
        assert_eq!(last, None);
        let error = decoded::<EventsRequest>("/s?limit=4", None).await.unwrap_err();
        assert!(error.detail.contains("unknown field `limit`"), "{}", error.detail);
        let (asked, _) = decoded::<LogsRequest>("/s?app=shop&environment=production&limit=3", None).await.unwrap();
        assert_eq!((asked.limit, asked.component), (3, None));
    }

    #[tokio::test]
    async fn a_bad_last_id_is_refused() {
        assert_eq!(resume::<u64>(Some("-1".to_owned()), "a number").unwrap_err().status, 400);
        assert_eq!(resume::<i64>(Some("x".to_owned()), "a number").unwrap_err().status, 400);
        assert_eq!(decoded::<EventsRequest>("/s", Some(b"\xff")).await.unwrap_err().status, 400);
        assert_eq!(decoded::<EventsRequest>("/s", Some(&[b'1'; MAX_ID + 1])).await.unwrap_err().status, 400);
    }
}
