//! The audit log as a file: one record a line, read as fast as it is taken.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use control::Caller;
use domain::audit::Record;
use futures::TryStreamExt;
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use operations::audit::ExportRequest;
use operations::{Error, Permission};

use crate::problem::Problem;
use crate::streams::access;
use crate::{Plane, decode};

/// JSON documents, one a line.
pub(crate) const KIND: &str = "application/x-ndjson";

pub(crate) async fn audit(
    State(plane): State<Plane>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let path = decode::path_pairs(&mut parts).await?;
    let asked: ExportRequest = decode::from_query(&path, parts.uri.query().unwrap_or_default())?;
    let who = plane.control.admit_to(caller, "audit.export", Permission::Audit, asked.place()).await?;
    let pages = plane.control.export_audit(&who, asked).await?;
    let pages = access(&plane, &who).while_given(pages);
    // What fails on the way is cut off, so that nobody takes a part for the whole.
    let pieces = pages.and_then(|records| std::future::ready(lines(&records)));
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(KIND));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"audit.ndjson\""));
    Ok(response)
}

fn lines(records: &[Record]) -> Result<Bytes, Error> {
    let mut text = Vec::new();
    for record in records {
        serde_json::to_writer(&mut text, record).map_err(|e| {
            tracing::error!(record = record.seq, "a record of the audit log can't be written as JSON: {e}");
            Error::internal()
        })?;
        text.push(b'\n');
    }
    Ok(text.into())
}
