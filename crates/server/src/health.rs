//! Two pages for machines that watch the server; they need no token and tell nothing else.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::Plane;
use crate::problem::Problem;

/// The process lives.
pub(crate) async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Requests may be sent here; a problem document says why not.
pub(crate) async fn ready(State(plane): State<Plane>) -> Result<Json<Value>, Problem> {
    plane.control.ready().await?;
    Ok(Json(json!({ "status": "ready" })))
}
