//! The way in for programs without a browser: they show a code, a person types it into a page of ours.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use operations::sign_in::{BeginDevice, CollectDevice, DEVICE_PAGE, DeviceBegun};
use secrecy::ExposeSecret;

use super::{Doorway, MAX_BODY, refused};
use crate::problem::Problem;
use crate::{Plane, decode, origin};

pub(super) async fn begin(State(plane): State<Plane>, request: Request) -> Response {
    let door = Doorway::of(&request);
    let work = async {
        origin::from_no_foreign_page(request.headers())?;
        let said: BeginDevice = decode::json(request, MAX_BODY).await?;
        let begun = plane.control.begin_device_login(&door.visitor, &said.name).await?;
        let address = plane.around.public_url.as_ref().map(|url| format!("{url}{DEVICE_PAGE}"));
        Ok(Json(DeviceBegun { address, ..begun }).into_response())
    };
    work.await.unwrap_or_else(refused)
}

pub(super) async fn collect(State(plane): State<Plane>, request: Request) -> Result<Response, Problem> {
    let door = Doorway::of(&request);
    origin::from_no_foreign_page(request.headers())?;
    let said: CollectDevice = decode::json(request, MAX_BODY).await?;
    let secret = said.device_code.0.expose_secret();
    Ok(Json(plane.control.collect_device_login(&door.visitor, secret).await?).into_response())
}
