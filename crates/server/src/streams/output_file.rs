//! The whole output of a deployment as a file of text, read as fast as it is taken.

use std::fmt::Write;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use control::Caller;
use domain::DeploymentId;
use futures::TryStreamExt;
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use operations::logs::LogLine;
use operations::{Permission, Place};
use schemars::JsonSchema;
use serde::Deserialize;

use super::access;
use crate::problem::Problem;
use crate::{Plane, decode};

const KIND: &str = "text/plain; charset=utf-8";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileRequest {
    /// Id of the deployment (`dep_…`).
    deployment: DeploymentId,
}

pub(crate) async fn output_file(
    State(plane): State<Plane>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let path = decode::path_pairs(&mut parts).await?;
    let FileRequest { deployment } = decode::from_query(&path, parts.uri.query().unwrap_or_default())?;
    let place = Place::Deployment(&deployment);
    let who = plane.control.admit_to(caller, "deployments.output_file", Permission::Look, place).await?;
    let lines = plane.control.whole_output(&who, &deployment).await?;
    let lines = access(&plane, &who).while_given(lines);
    let mut response = Response::new(Body::from_stream(lines.map_ok(|lines| text(&lines))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(KIND));
    // A browser saves it and never shows it: what is in it is anybody's.
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{deployment}.log\"")) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// `2026-11-21T10:00:00.123Z building | text`, and so on.
fn text(lines: &[LogLine]) -> Bytes {
    let mut text = String::new();
    for LogLine { at, source, text: printed, .. } in lines {
        // Writing to a string can't fail.
        _ = writeln!(text, "{} {source} | {printed}", at.format("%Y-%m-%dT%H:%M:%S%.3fZ"));
    }
    text.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_and_from_whom() {
        let line = |text: &str| -> LogLine {
            serde_json::from_value(serde_json::json!({
                "seq": 1, "at": "2026-11-21T10:00:00.1239Z", "source": "building", "stream": "stdout", "text": text,
            }))
            .unwrap()
        };
        let expected = "2026-11-21T10:00:00.123Z building | one\n2026-11-21T10:00:00.123Z building | \n";
        assert_eq!(text(&[line("one"), line("")]), expected);
    }
}
