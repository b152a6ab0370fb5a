//! The ingress's own answers. They say what happened and what to do, and nothing about the inside: that is in the log,
//! under the number that the page shows. Browsers get HTML, programs that ask for JSON a problem document (RFC 9457),
//! all others plain text.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use rand::RngExt;

use crate::body::ResponseBody;
use crate::epoch::InFlight;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One answer, before it is made.
pub(crate) struct Page {
    status: StatusCode,
    form: Form,
    id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Html,
    Problem,
    Text,
}

impl Page {
    /// In the form that suits a request with these headers.
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap) -> Self {
        Self { status, form: form(headers), id: None }
    }

    /// With a number under which more can be found.
    pub(crate) fn with_id(mut self) -> Self {
        self.id = Some(format!("{:016x}", rand::rng().random::<u64>()));
        self
    }

    pub(crate) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// Without a body for methods that get none is hyper's doing.
    pub(crate) fn response(self, in_flight: Option<InFlight>) -> Response<ResponseBody> {
        let (kind, text) = match self.form {
            Form::Html => ("text/html; charset=utf-8", html(self.status, self.id.as_deref())),
            Form::Problem => ("application/problem+json", problem(self.status, self.id.as_deref())),
            Form::Text => ("text/plain; charset=utf-8", plain(self.status, self.id.as_deref())),
        };
        let mut response = Response::new(ResponseBody::page(Bytes::from(text), in_flight));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if let Some(id) = self.id.and_then(|id| HeaderValue::try_from(id).ok()) {
            headers.insert(REQUEST_ID.clone(), id);
        }
        response
    }

    /// The same, after which the connection is closed, as it is unclear what follows on it.
    pub(crate) fn last_response(self, in_flight: Option<InFlight>) -> Response<ResponseBody> {
        let mut response = self.response(in_flight);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

/// By the first of the known types that `Accept` names with a quality above 0.
fn form(headers: &HeaderMap) -> Form {
    let named = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    for range in named {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let is_refused = parts.any(|p| p.strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty()));
        let form = match kind.to_ascii_lowercase().as_str() {
            "text/html" | "application/xhtml+xml" => Form::Html,
            "application/json" | "application/problem+json" => Form::Problem,
            "text/plain" => Form::Text,
            _ => continue,
        };
        if !is_refused {
            return form;
        }
    }
    Form::Text
}

fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::BAD_REQUEST => ("Bad request", "The request is ambiguous or names no host."),
        StatusCode::NOT_FOUND => ("Not found", "Nothing is served at this address."),
        StatusCode::METHOD_NOT_ALLOWED => ("Method not allowed", "Only GET and HEAD are possible here."),
        StatusCode::REQUEST_TIMEOUT => ("Request timeout", "The rest of the request did not arrive in time."),
        StatusCode::PAYLOAD_TOO_LARGE => ("Content too large", "The request's body is longer than this app takes."),
        StatusCode::EXPECTATION_FAILED => ("Expectation failed", "The only possible expectation is 100-continue."),
        StatusCode::BAD_GATEWAY => {
            ("Bad gateway", "The app could not be reached, or it broke off its answer. Try again in a moment.")
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            ("Service unavailable", "No instance of the app is running at the moment. Try again later.")
        }
        StatusCode::GATEWAY_TIMEOUT => ("Gateway timeout", "The app did not answer in time."),
        _ => ("Error", "The request could not be answered."),
    }
}

fn html(status: StatusCode, id: Option<&str>) -> String {
    let (code, (title, explanation)) = (status.as_u16(), words(status));
    let id = id.map(|id| format!("<p><small>Request {id}</small></p>")).unwrap_or_default();
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{code} {title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>body{{font:1rem/1.5 system-ui,sans-serif;\
         max-width:32rem;margin:20vh auto;padding:0 1rem;color-scheme:light dark}}</style>\
         <h1>{code} {title}</h1><p>{explanation}</p>{id}</html>\n"
    )
}

fn problem(status: StatusCode, id: Option<&str>) -> String {
    let (title, detail) = words(status);
    let mut document = serde_json::json!({ "status": status.as_u16(), "title": title, "detail": detail });
    if let Some(id) = id {
        document["request_id"] = id.into();
    }
    format!("{document}\n")
}

fn plain(status: StatusCode, id: Option<&str>) -> String {
    let (title, explanation) = words(status);
    let id = id.map(|id| format!("Request {id}\n")).unwrap_or_default();
    format!("{} {title}: {explanation}\n{id}", status.as_u16())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_the_form_it_asks_for() {
        let of = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            form(&headers)
        };
        assert_eq!(of("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), Form::Html);
        assert_eq!(of("application/json, text/plain, */*"), Form::Problem);
        assert_eq!(of("application/problem+json"), Form::Problem);
        assert_eq!(of("Text/HTML"), Form::Html);
        assert_eq!(of("text/html;q=0, application/json;q=0.5"), Form::Problem);
        for plain in ["*/*", "", "text/plain", "image/avif,image/webp", ";q=0,,"] {
            assert_eq!(of(plain), Form::Text, "{plain}");
        }
        assert_eq!(form(&HeaderMap::new()), Form::Text);
    }

    #[test]
    fn pages_say_what_and_nothing_about_the_inside() {
        for status in [502, 503, 504].map(|s| StatusCode::from_u16(s).unwrap()) {
            for text in [html(status, Some("0f")), problem(status, Some("0f")), plain(status, Some("0f"))] {
                assert!(text.contains(status.as_str()) && text.contains("0f") && !text.contains("127.0.0.1"), "{text}");
            }
        }
    }
}
