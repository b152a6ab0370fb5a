//! The ingress's own answers. They say what happened and what to do, and nothing about the inside.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use crate::body::ResponseBody;
use crate::epoch::InFlight;

/// A page for `status`; without a body for methods that get none is hyper's doing.
pub(crate) fn page(status: StatusCode, in_flight: Option<InFlight>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::page(text(status), in_flight));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The same, after which the connection is closed, as it is unclear what follows on it.
pub(crate) fn last_page(status: StatusCode, in_flight: Option<InFlight>) -> Response<ResponseBody> {
    let mut response = page(status, in_flight);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn text(status: StatusCode) -> Bytes {
    let (title, explanation) = match status {
        StatusCode::BAD_REQUEST => ("Bad request", "The request is ambiguous or names no host."),
        StatusCode::NOT_FOUND => ("Not found", "Nothing is served at this address."),
        StatusCode::METHOD_NOT_ALLOWED => ("Method not allowed", "Only GET and HEAD are possible here."),
        StatusCode::REQUEST_TIMEOUT => ("Request timeout", "The rest of the request did not arrive in time."),
        StatusCode::BAD_GATEWAY => {
            ("Bad gateway", "The app could not be reached, or it broke off its answer. Try again in a moment.")
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            ("Service unavailable", "No instance of the app is running at the moment. Try again later.")
        }
        StatusCode::GATEWAY_TIMEOUT => ("Gateway timeout", "The app did not answer in time."),
        _ => ("Error", "The request could not be answered."),
    };
    let code = status.as_u16();
    Bytes::from(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{code} {title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>body{{font:1rem/1.5 system-ui,sans-serif;\
         max-width:32rem;margin:20vh auto;padding:0 1rem;color-scheme:light dark}}</style>\
         <h1>{code} {title}</h1><p>{explanation}</p></html>\n"
    ))
}
