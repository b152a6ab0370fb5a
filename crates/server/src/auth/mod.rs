//! How somebody signs in and out. These routes are no operations: they make the very thing by which operations know who
//! asks, and answer with cookies.

pub(crate) mod cookie;
mod device;
mod jwt;
pub(crate) mod oidc;
mod second_factor;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use control::{Acceptance, Caller, Denied, Opened, PLACE_KEPT, Proof, SignedIn as FirstStep, Visitor};
use domain::forwarded::Client;
use http::header::{RETRY_AFTER, SET_COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode};
use operations::Error;
use operations::sign_in::{
    ACCEPT, AcceptInvitation, CONFIRM, ConfirmIdentity, DEVICE, DEVICE_TOKEN, JWT, METHODS, SECOND_FACTOR, SIGN_IN,
    SIGN_OUT, SignIn, SignedIn, WantedCookie, WaysIn,
};
use operations::variables::Value as Secret;
use secrecy::{ExposeSecret, SecretString};

use crate::observe::RequestId;
use crate::problem::Problem;
use crate::{Plane, client, decode, origin};
use cookie::Kind;

/// What is sent to be signed in is short.
const MAX_BODY: usize = 64 * 1024;
/// Characters of a browser's name for itself.
const LONGEST_AGENT: usize = 200;

/// All are below it.
const BELOW: &str = "/api/v1/auth/";

/// Whether a path is one of the way in and out.
pub(crate) fn is_way_in(path: &str) -> bool {
    path.starts_with(BELOW) || path.starts_with(oidc::BELOW)
}

pub(crate) fn routes(router: Router<Plane>) -> Router<Plane> {
    router
        .route(METHODS, get(methods))
        .route(SIGN_IN, post(sign_in))
        .route(SECOND_FACTOR, post(second_factor::second_factor))
        .route(ACCEPT, post(accept))
        .route(SIGN_OUT, post(sign_out))
        .route(CONFIRM, post(confirm))
        .route(DEVICE, post(device::begin))
        .route(DEVICE_TOKEN, post(device::collect))
        .route(JWT, post(jwt::sign))
        .route(oidc::START, get(oidc::start))
        .route(oidc::CALLBACK, get(oidc::callback))
}

/// Whether to ask there is to try to get in. A program that waits to be let in asks every other second, and who has a token signed
/// is in: they are not.
pub(crate) fn is_attempt(route: &str) -> bool {
    [SIGN_IN, SECOND_FACTOR, ACCEPT, CONFIRM, DEVICE, oidc::START, oidc::CALLBACK].contains(&route)
}

/// Whether a path is one of those that take a POST.
pub(crate) fn takes_post(path: &str) -> bool {
    [SIGN_IN, SECOND_FACTOR, ACCEPT, SIGN_OUT, CONFIRM, DEVICE, DEVICE_TOKEN, JWT].contains(&path)
}

async fn methods(State(plane): State<Plane>, request: Request) -> Result<Json<WaysIn>, Problem> {
    let door = Doorway::of(&request);
    let owner_missing = plane.control.owner_is_missing().await?;
    let oidc = plane.control.oidc_name().await?;
    Ok(Json(WaysIn { password: true, oidc, secure: door.private, owner_missing }))
}

async fn sign_in(State(plane): State<Plane>, request: Request) -> Response {
    let door = Doorway::of(&request);
    let work = async {
        origin::from_no_foreign_page(request.headers())?;
        let said: SignIn = decode::json(request, MAX_BODY).await?;
        let kind = door.kind(said.cookie)?;
        match plane.control.sign_in(&door.visitor, &said.email, said.password.expose_secret()).await? {
            FirstStep::Opened(opened) => Ok(signed_in(kind, &opened)?),
            FirstStep::SecondFactor { ticket } => {
                Ok(Json(SignedIn::SecondFactor { ticket: Secret(ticket) }).into_response())
            }
        }
    };
    work.await.unwrap_or_else(refused)
}

async fn accept(State(plane): State<Plane>, request: Request) -> Response {
    let door = Doorway::of(&request);
    let work = async {
        origin::from_no_foreign_page(request.headers())?;
        let said: AcceptInvitation = decode::json(request, MAX_BODY).await?;
        let kind = door.kind(said.cookie)?;
        let acceptance = Acceptance {
            invitation: said.invitation.expose_secret(),
            name: &said.name,
            email: said.email.as_deref(),
            password: said.password.expose_secret(),
        };
        let opened = plane.control.accept_invitation(&door.visitor, &acceptance).await?;
        Ok(signed_in(kind, &opened)?)
    };
    work.await.unwrap_or_else(refused)
}

async fn sign_out(
    State(plane): State<Plane>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    let door = Doorway::of(&request);
    plane.control.sign_out(&caller, &door.visitor).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    add_cookies(&mut response, cookie::forget_session()?);
    Ok(response)
}

async fn confirm(State(plane): State<Plane>, Extension(caller): Extension<Caller>, request: Request) -> Response {
    let door = Doorway::of(&request);
    let work = async {
        let said: ConfirmIdentity = decode::json(request, MAX_BODY).await?;
        let proof = match (&said.password, &said.code) {
            (Some(password), None) => Proof::Password(password.expose_secret()),
            (None, Some(code)) => Proof::Code(code.expose_secret()),
            _ => return Err(Error::invalid("give `password` or `code`, one of the two").into()),
        };
        let opened = plane.control.confirm(&caller, &door.visitor, proof).await?;
        let mut response = StatusCode::NO_CONTENT.into_response();
        give_cookies(&mut response, door.came_with.unwrap_or(door.usual()), &opened)?;
        Ok(response)
    };
    work.await.unwrap_or_else(refused)
}

/// What a request says of who sends it, and of the way that cookies take.
struct Doorway {
    visitor: Visitor,
    private: bool,
    local: bool,
    /// By TLS.
    encrypted: bool,
    /// How the session's cookie came, if one did.
    came_with: Option<Kind>,
}

impl Doorway {
    fn of(request: &Request) -> Self {
        let (headers, extensions) = (request.headers(), request.extensions());
        let client = extensions.get::<Client>();
        let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let encrypted = client.is_some_and(|client| client.secure);
        let session = cookie::session(headers, encrypted);
        Self {
            visitor: Visitor {
                address: client::address(client),
                agent: agent.chars().filter(|c| !c.is_control()).take(LONGEST_AGENT).collect(),
                request_id: extensions.get::<RequestId>().map(|RequestId(id)| id.clone()),
                place: cookie::place(headers).map(SecretString::from),
                session: session.map(|(_, secret)| SecretString::from(secret)),
            },
            private: client::is_private(client, headers, request.uri()),
            local: client::is_local(client, headers, request.uri()),
            encrypted,
            came_with: session.map(|(kind, _)| kind),
        }
    }

    fn usual(&self) -> Kind {
        if self.private { Kind::Secure } else { Kind::Plain }
    }

    /// A plain cookie is taken where it never leaves the machine; elsewhere over TLS nobody needs one.
    fn kind(&self, wanted: Option<WantedCookie>) -> Result<Kind, Error> {
        match wanted {
            None => Ok(self.usual()),
            Some(WantedCookie::Plain) if self.local || !self.private => Ok(Kind::Plain),
            Some(WantedCookie::Plain) => {
                Err(Error::invalid("`cookie`: over TLS there are no plain cookies").hint("leave it out"))
            }
        }
    }
}

fn signed_in(kind: Kind, opened: &Opened) -> Result<Response, Error> {
    let mut response = Json(SignedIn::SignedIn).into_response();
    give_cookies(&mut response, kind, opened)?;
    Ok(response)
}

fn give_cookies(response: &mut Response, kind: Kind, opened: &Opened) -> Result<(), Error> {
    add_cookies(response, cookie::give(kind, opened.secret.expose_secret(), opened.ends_at)?);
    add_cookies(response, cookie::give_place(kind, opened.place.expose_secret(), PLACE_KEPT)?);
    Ok(())
}

fn add_cookies(response: &mut Response, cookies: impl IntoIterator<Item = HeaderValue>) {
    let headers: &mut HeaderMap = response.headers_mut();
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
    }
}

fn refused(Denied { error, wait }: Denied) -> Response {
    let mut response = Problem(error).into_response();
    if let Some(wait) = wait {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    }
    response
}
