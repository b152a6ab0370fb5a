//! The route table: the list of operations, four streams, two files, the content of uploads, signing in, three pages.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request};
use axum::handler::Handler;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, get, on, put};
use axum::{Extension, Router};
use control::{Caller, Control, Handle};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method as HttpMethod, StatusCode, Uri};
use operations::{Error, Method, Operation, stream};
use tower_http::catch_panic::CatchPanicLayer;

use crate::guard::Shown;
use crate::problem::{Problem, no_such_route, panicked, refused};
use crate::throttle::Throttle;
use crate::ui::Files;
use crate::{
    Plane, Settings, Surroundings, auth, call, export, guard, health, mcp_door, metrics, observe, openapi, streams, ui,
    uploads,
};

/// Everything the server answers.
pub(crate) fn router(plane: Plane, settings: &Settings) -> Router {
    let control = plane.control.clone();
    let door = mcp_door::route(&plane, settings);
    let routes = pages(operations())
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::page))
        .route(mcp::http::PATH, door);
    let authenticate = move |shown: Shown| {
        let control = control.clone();
        async move {
            match shown {
                Shown::Token(token) => control.authenticate(&token).await,
                Shown::Session(secret) => control.authenticate_session(&secret).await,
            }
        }
    };
    let app = shell(routes, authenticate, plane.around.clone()).with_state(plane);
    match settings.ui {
        Some(files) => app.layer(Extension(files)),
        None => app,
    }
}

/// What machines that watch the server ask for, open to all who reach it.
pub(crate) fn watching(plane: Plane) -> Router {
    let around = plane.around.clone();
    Router::new()
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::open_page))
        .fallback(nothing_here)
        .method_not_allowed_fallback(other_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(move |request: Request, next| observe::observe(around.clone(), request, next)))
        .with_state(plane)
}

fn operations() -> Router<Plane> {
    let mut router = Router::new();
    macro_rules! mount_all {
        ($($operation:ty),* $(,)?) => { $( router = mount_call::<$operation>(router); )* };
    }
    operations::for_each_operation!(mount_all);
    auth::routes(router)
        .route(stream::EVENTS, get(streams::events))
        .route(stream::OUTPUT, get(streams::output))
        .route(stream::LOGS, get(streams::logs))
        .route(stream::TOPICS, get(streams::topics))
        .route(stream::OUTPUT_FILE, get(streams::output_file))
        .route(operations::audit::EXPORT, get(export::audit))
        .route(operations::uploads::CONTENT, put(uploads::receive))
}

// Once for each operation: inlined, all would be one function, over which the optimiser sits for minutes.
#[inline(never)]
fn mount_call<O: Operation>(router: Router<Plane>) -> Router<Plane>
where
    Control: Handle<O>,
{
    mount::<O, _, _, _>(router, call::call::<O> as call::Call)
}

fn mount<O, S, H, T>(router: Router<S>, handler: H) -> Router<S>
where
    O: Operation,
    S: Clone + Send + Sync + 'static,
    H: Handler<T, S>,
    T: 'static,
{
    let filter = match O::METHOD {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Delete => MethodFilter::DELETE,
    };
    router.route(O::PATH, on(filter, handler))
}

/// The pages that need nobody's state.
fn pages<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.route("/healthz", get(health::live)).route("/openapi.json", get(document))
}

async fn document() -> impl IntoResponse {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], openapi::text())
}

/// What stands around the routes, whatever they are: see the crate's page.
pub(crate) fn shell<S, A, F>(routes: Router<S>, authenticate: A, around: Arc<Surroundings>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    A: FnOnce(Shown) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Caller, Error>> + Send + 'static,
{
    let (throttle, known) = (Arc::new(Throttle::default()), around.clone());
    routes
        .fallback(nothing_here)
        .method_not_allowed_fallback(other_method)
        .layer(from_fn(move |request: Request, next| {
            let (authenticate, around, throttle) = (authenticate.clone(), known.clone(), throttle.clone());
            async move { guard::guard(authenticate, &around, &throttle, request, next).await }
        }))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(move |request: Request, next| observe::observe(around.clone(), request, next)))
}

/// A page or a file of the web interface, or a problem document.
async fn nothing_here(method: HttpMethod, uri: Uri, headers: HeaderMap, files: Option<Extension<Files>>) -> Response {
    files
        .and_then(|Extension(files)| ui::answer(files, &method, uri.path(), &headers))
        .unwrap_or_else(|| Problem(no_such_route(&method, uri.path())).into_response())
}

async fn other_method(method: HttpMethod, matched: Option<MatchedPath>) -> Problem {
    let path = matched.as_ref().map_or("this path", MatchedPath::as_str);
    let known = methods(path).join(", ");
    // axum adds the header `Allow` by itself.
    Problem(
        refused(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not possible at {path}"))
            .hint(format!("Possible here: {known}")),
    )
}

/// The methods that a route knows; those that read come with HEAD.
fn methods(path: &str) -> Vec<&'static str> {
    let mut known = Vec::new();
    macro_rules! collect {
        ($($operation:ty),* $(,)?) => { $(
            if <$operation>::PATH == path {
                known.push(<$operation>::METHOD.as_str());
            }
        )* };
    }
    operations::for_each_operation!(collect);
    if path == operations::uploads::CONTENT {
        known.push("PUT");
    }
    if auth::takes_post(path) {
        known.push("POST");
    }
    if known.is_empty() || known.contains(&"GET") {
        known.retain(|method| *method != "GET");
        known.splice(0..0, ["GET", "HEAD"]);
    }
    known
}

#[cfg(test)]
mod tests;
