//! The second step: a code for the ticket that the right password has earned.

use axum::extract::{Request, State};
use axum::response::Response;
use operations::sign_in::SecondStep;
use secrecy::ExposeSecret;

use super::{Doorway, MAX_BODY, refused, signed_in};
use crate::{Plane, decode, origin};

pub(super) async fn second_factor(State(plane): State<Plane>, request: Request) -> Response {
    let door = Doorway::of(&request);
    let work = async {
        origin::from_no_foreign_page(request.headers())?;
        let said: SecondStep = decode::json(request, MAX_BODY).await?;
        let kind = door.kind(said.cookie)?;
        let (ticket, code) = (said.ticket.expose_secret(), said.code.expose_secret());
        let opened = plane.control.second_factor(&door.visitor, ticket, code).await?;
        Ok(signed_in(kind, &opened)?)
    };
    work.await.unwrap_or_else(refused)
}
