//! Two pages for machines that watch the server; they need no token and tell nothing of the inside.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::Plane;
use crate::problem::CONTENT;

/// The process lives.
pub(crate) async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Requests may be sent here, or a problem document; both say what was looked at.
pub(crate) async fn ready(State(plane): State<Plane>) -> Response {
    let readiness = plane.control.ready().await;
    match readiness.verdict() {
        Ok(()) => Json(json!({ "status": "ready", "checks": readiness.checks })).into_response(),
        Err(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            let mut problem = json!(error);
            problem["checks"] = json!(readiness.checks);
            (status, [(CONTENT_TYPE, HeaderValue::from_static(CONTENT))], problem.to_string()).into_response()
        }
    }
}
