//! Signing in by a provider's word: to the provider and back.
//!
//! Coming back is a visit from another site. So what the browser keeps meanwhile is in a cookie of its own, `Lax` and sealed;
//! the session's own stays `Strict`. Whoever comes back sees a page, so every end of it is one: an error is a word in the address
//! of the page to sign in at.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use control::CameBack;
use domain::forwarded::Client;
use domain::own_page;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use operations::Error;
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{Doorway, add_cookies, cookie, give_cookies};
use crate::problem::Problem;
use crate::{Plane, origin};

pub(crate) const START: &str = "/auth/oidc/start";
pub(crate) const CALLBACK: &str = "/auth/oidc/callback";
/// Everything of it is below.
pub(super) const BELOW: &str = "/auth/oidc/";

/// Of what a provider sends back.
const LONGEST_QUERY: usize = 8 * 1024;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Start {
    /// The page of this server to go on with, such as `/apps/shop`; the first one without it.
    #[serde(default)]
    #[schemars(regex(pattern = own_page::PATTERN), length(max = own_page::LONGEST))]
    next: Option<String>,
}

/// A provider may add to it.
#[derive(Default, Deserialize, JsonSchema)]
pub(crate) struct Back {
    /// As the provider was given it.
    state: Option<String>,
    /// What the server gets the person's identity for, once.
    code: Option<String>,
    /// Why the provider lets nobody in.
    error: Option<String>,
}

pub(super) async fn start(State(plane): State<Plane>, request: Request) -> Result<Response, Problem> {
    let door = Doorway::of(&request);
    let asked: Start = serde_html_form::from_str(request.uri().query().unwrap_or_default())
        .map_err(|e| Error::invalid(format!("the query: {e}")).hint("expected `next`, or nothing"))?;
    let next = asked.next.as_deref().unwrap_or("/");
    if !own_page::is_own(next) {
        return Err(Error::invalid("`next`: that is no page of this server")
            .hint("expected a path, such as /apps/shop")
            .into());
    }
    let redirect = redirect(&plane, &request)?;
    let sent = plane.control.begin_oidc(&door.visitor, &redirect, next).await?;
    let mut response = to(&sent.address)?;
    add_cookies(&mut response, [cookie::give_asked(door.usual(), sent.ticket.expose_secret())?]);
    Ok(response)
}

pub(super) async fn callback(State(plane): State<Plane>, request: Request) -> Result<Response, Problem> {
    let door = Doorway::of(&request);
    let query = request.uri().query().filter(|query| query.len() <= LONGEST_QUERY).unwrap_or_default();
    let said: Back = serde_html_form::from_str(query).unwrap_or_default();
    let back = CameBack {
        ticket: cookie::asked(request.headers(), door.encrypted),
        state: said.state.as_deref(),
        code: said.code.as_deref(),
        error: said.error.as_deref(),
    };
    let mut response = match plane.control.finish_oidc(&door.visitor, &back).await {
        Ok((opened, next)) => {
            let mut response = to(&next)?;
            give_cookies(&mut response, door.usual(), &opened)?;
            response
        }
        Err(why) => to(&format!("/sign-in?trouble={}", why.as_str()))?,
    };
    // Good once, whatever came of it.
    add_cookies(&mut response, cookie::forget_asked()?);
    Ok(response)
}

/// Where the provider sends people back to: by the name that the server was told, else by the one that it is called by.
fn redirect(plane: &Plane, request: &Request) -> Result<String, Error> {
    let base = match &plane.around.public_url {
        Some(url) => url.clone(),
        None => own_base(request.headers(), request.uri(), request.extensions().get::<Client>())?,
    };
    Ok(format!("{base}{CALLBACK}"))
}

fn own_base(headers: &HeaderMap, uri: &Uri, client: Option<&Client>) -> Result<String, Error> {
    let authority = origin::own(headers, uri).ok_or_else(|| Error::invalid("the request names no host"))?;
    let scheme = if client.is_some_and(|client| client.secure) { "https" } else { "http" };
    Ok(format!("{scheme}://{authority}"))
}

fn to(address: &str) -> Result<Response, Error> {
    let mut location = HeaderValue::from_str(address).map_err(|_| {
        tracing::error!("an address can't be written into a header");
        Error::internal()
    })?;
    // It holds state and nonce.
    location.set_sensitive(true);
    Ok((StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_as_the_browser_came() {
        let headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("127.0.0.1:7878"))]);
        let uri = Uri::from_static("/");
        assert_eq!(own_base(&headers, &uri, None).unwrap(), "http://127.0.0.1:7878");
        assert!(own_base(&HeaderMap::new(), &uri, None).is_err());
    }
}
