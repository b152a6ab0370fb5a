//! The content of uploads: a body of any length, taken in as it comes.

use std::future::ready;
use std::io;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use control::Caller;
use domain::UploadId;
use futures::{StreamExt, TryStreamExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use operations::{Error, Permission, Place};
use schemars::JsonSchema;
use serde::Deserialize;
use tracing::Instrument;

use crate::problem::{Problem, refused};
use crate::{Plane, decode};

pub(crate) const CONTENT: &str = "application/octet-stream";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContentRequest {
    upload: UploadId,
    /// Where in the file the bytes belong: as many as were received.
    #[serde(default)]
    offset: u64,
}

pub(crate) async fn receive(
    State(plane): State<Plane>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let (asked, length, body) = decode_content(request).await?;
    let (control, closing) = (plane.control, plane.closing);
    let who = control.admit_to(caller, "uploads.send", Permission::Deploy, Place::Upload(&asked.upload)).await?;
    let work = async move {
        // A server that stops does not wait for a sender that can go on later.
        let stopped = closing.clone();
        let end = stream::once(async move { stopped.is_cancelled() });
        let end = end.filter(|stopped| ready(*stopped)).map(|_| Err(io::ErrorKind::Interrupted.into()));
        let pieces = body.into_data_stream().map_err(io::Error::other);
        let pieces = pieces.take_until(closing.cancelled_owned()).chain(end);
        control.receive(&who, &asked.upload, asked.offset, length, pieces).await
    };
    // In a task of its own: what a client that leaves has sent is still written to its end.
    match tokio::spawn(work.in_current_span()).await {
        Ok(result) => Ok(Json(result?).into_response()),
        Err(stopped) if stopped.is_panic() => std::panic::resume_unwind(stopped.into_panic()),
        Err(_) => Err(Error::unavailable("the server is stopping").hint("Go on once it is back").into()),
    }
}

async fn decode_content(request: Request) -> Result<(ContentRequest, Option<u64>, Body), Error> {
    let (mut parts, body) = request.into_parts();
    let path = decode::path_pairs(&mut parts).await?;
    let asked = decode::from_query(&path, parts.uri.query().unwrap_or_default())?;
    check_type(&parts.headers)?;
    // Without a body there is no length either.
    let length = match axum::body::HttpBody::is_end_stream(&body) {
        true => Some(0),
        false => parts.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok()),
    };
    Ok((asked, length, body))
}

/// A form is a file in an envelope, which would become part of it.
fn check_type(headers: &HeaderMap) -> Result<(), Error> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or("(not text)");
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(CONTENT) {
        return Ok(());
    }
    let shown: String = text.chars().take(80).collect();
    Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("the body must be the bytes of the file, not `{shown}`"))
        .hint("Send them as they are, with the header `Content-Type: application/octet-stream`; `curl -T FILE` sends none"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn decoded(uri: &str, headers: &[(&str, &str)], body: Body) -> Result<(u64, Option<u64>), Error> {
        let mut request = http::Request::builder().method("PUT").uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).unwrap();
        // Outside of a route there are no parameters of a path.
        decode_content(request).await.map(|(asked, length, _)| (asked.offset, length))
    }

    #[tokio::test]
    async fn bytes_are_taken_and_envelopes_refused() {
        let at = |query: &str| format!("/u?upload=upl_01jd0000000000000000000000{query}");
        let body = || Body::from_stream(futures::stream::iter([Ok::<_, io::Error>("abc")]));
        assert_eq!(decoded(&at(""), &[], Body::empty()).await.unwrap(), (0, Some(0)));
        assert_eq!(decoded(&at("&offset=7"), &[("content-length", "3")], body()).await.unwrap(), (7, Some(3)));
        let typed = [("content-type", "application/octet-stream")];
        assert_eq!(decoded(&at(""), &typed, body()).await.unwrap(), (0, None));
        for kind in ["application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", ""] {
            assert_eq!(decoded(&at(""), &[("content-type", kind)], body()).await.unwrap_err().status, 415, "{kind}");
        }
        for query in ["&offset=-1", "&offset=x", "&offset=99999999999999999999", "&from=1", "&offset=1&offset=2"] {
            assert_eq!(decoded(&at(query), &[], body()).await.unwrap_err().status, 400, "{query}");
        }
        assert_eq!(decoded("/u?upload=dep_01jd0000000000000000000000", &[], body()).await.unwrap_err().status, 400);
    }
}
