//! A signed token in the place of an API token.

use axum::extract::{Request, State};
use axum::{Extension, Json};
use control::Caller;
use operations::sign_in::{Sign, Signed};

use super::MAX_BODY;
use crate::problem::Problem;
use crate::{Plane, decode};

pub(super) async fn sign(
    State(plane): State<Plane>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Signed>, Problem> {
    let said: Sign = decode::json(request, MAX_BODY).await?;
    Ok(Json(plane.control.sign_token(&caller, &said).await?))
}
