//! From an HTTP request to an operation's request.
//!
//! Nothing is ignored: a query where a body is expected, a body where none is
//! taken, an unknown field or one that contradicts the path are all errors.

use std::error::Error as _;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::LengthLimitError;
use operations::error::field_complaint;
use operations::{Error, Operation};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{problem, query};

/// The largest body, in bytes.
pub(crate) const MAX_BODY: usize = 2 * 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

type Pairs = Vec<(String, String)>;

/// Reads the request of operation `O`.
pub(crate) async fn request<O: Operation>(request: Request) -> Result<O::Request, Error> {
    let (mut parts, body) = request.into_parts();
    let path = path_pairs(&mut parts).await?;
    let decoded = if O::METHOD.has_body() {
        if parts.uri.query().is_some_and(|query| !query.is_empty()) {
            return Err(
                Error::invalid("the query of this request would be ignored").hint("Send its fields in the JSON body")
            );
        }
        let bytes = read(&parts.headers, body).await?;
        let content_type = parts.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("(not text)"));
        from_body(&path, content_type, &bytes)
    } else {
        if !axum::body::HttpBody::is_end_stream(&body) {
            return Err(
                Error::invalid("the body of this request would be ignored").hint("Send its fields in the query")
            );
        }
        from_query(&path, parts.uri.query().unwrap_or_default())
    };
    decoded.map_err(|error| match error.hint {
        Some(_) => error,
        None => error.hint(format!("/openapi.json describes its fields under the operationId `{}`", O::NAME)),
    })
}

/// The path's parameters, decoded.
pub(crate) async fn path_pairs(parts: &mut Parts) -> Result<Pairs, Error> {
    match RawPathParams::from_request_parts(parts, &()).await {
        Ok(params) => Ok(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()),
        Err(RawPathParamsRejection::MissingPathParams(_)) => Ok(Vec::new()),
        Err(rejection) => Err(Error::invalid(format!("the path is unreadable: {}", rejection.body_text()))
            .hint("Encode text as UTF-8 before percent-encoding it")),
    }
}

/// A request from path and query alone.
pub(crate) fn from_query<T: DeserializeOwned>(path: &[(String, String)], query: &str) -> Result<T, Error> {
    let mut pairs = path.to_vec();
    for (name, value) in query::pairs(query)? {
        // The decoder would take it for no value: `?app=` would be all apps.
        if value.is_empty() {
            let name: String = name.chars().take(80).collect();
            return Err(Error::invalid(format!("query: `{name}` is empty")).hint("Give it a value, or leave it out"));
        }
        match path.iter().find(|(known, _)| *known == name) {
            Some((_, in_path)) => agree(&name, in_path, &value)?,
            None => pairs.push((name, value)),
        }
    }
    let form =
        serde_html_form::to_string(&pairs).map_err(|e| Error::invalid(format!("the query is unreadable: {e}")))?;
    serde_path_to_error::deserialize(serde_html_form::Deserializer::from_bytes(form.as_bytes()))
        .map_err(|error| field_error("query", &error))
}

/// A request from path and JSON body. No body at all is an empty object.
fn from_body<T: DeserializeOwned>(
    path: &[(String, String)],
    content_type: Option<&str>,
    body: &[u8],
) -> Result<T, Error> {
    let mut fields = if body.is_empty() { Map::new() } else { object(content_type, body)? };
    for (name, in_path) in path {
        match fields.get(name) {
            None => _ = fields.insert(name.clone(), Value::String(in_path.clone())),
            Some(Value::String(text)) => agree(name, in_path, text)?,
            Some(other) => agree(name, in_path, &other.to_string())?,
        }
    }
    serde_path_to_error::deserialize(whole(Value::Object(fields))).map_err(|error| field_error("body", &error))
}

/// `2.0` is the integer 2, in JSON as in its schemas; to serde it is not.
fn whole(value: Value) -> Value {
    /// Up to here each integer is a number of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => {
            match number.as_f64().filter(|n| number.is_f64() && n.fract() == 0.0 && n.abs() <= EXACT) {
                // Its range was looked at.
                #[allow(clippy::cast_possible_truncation)]
                Some(n) => Value::from(n as i64),
                None => Value::Number(number),
            }
        }
        Value::Array(items) => items.into_iter().map(whole).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, field)| (name, whole(field))).collect(),
        other => other,
    }
}

fn object(content_type: Option<&str>, body: &[u8]) -> Result<Map<String, Value>, Error> {
    let essence = content_type.and_then(|text| text.split(';').next()).map(|text| text.trim().to_ascii_lowercase());
    if essence.as_deref() != Some("application/json") {
        let found = content_type
            .map_or_else(|| "none".to_owned(), |text| format!("`{}`", text.chars().take(80).collect::<String>()));
        return Err(problem::refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("the body must be JSON; its Content-Type is {found}"),
        )
        .hint("Send the header `Content-Type: application/json`"));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(Error::invalid(format!("the body must be a JSON object, not {}", kind(&other)))),
        Err(e) => Err(Error::invalid(format!("the body is not valid JSON: {e}")).at(
            "body",
            e.line().max(1),
            e.column().max(1),
        )),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn agree(name: &str, in_path: &str, elsewhere: &str) -> Result<(), Error> {
    if in_path == elsewhere {
        return Ok(());
    }
    Err(Error::invalid(format!("`{name}` is `{in_path}` in the path and something else beside it"))
        .hint(format!("Leave `{name}` out: the path says it")))
}

fn field_error<E: std::fmt::Display>(place: &str, error: &serde_path_to_error::Error<E>) -> Error {
    let complaint = field_complaint(&error.path().to_string(), &error.inner().to_string());
    Error::invalid(format!("{place}: {complaint}"))
}

/// The JSON body of a request that is no operation's, of `limit` bytes at most.
pub(crate) async fn json<T: DeserializeOwned>(request: Request, limit: usize) -> Result<T, Error> {
    let (parts, body) = request.into_parts();
    if parts.uri.query().is_some_and(|query| !query.is_empty()) {
        return Err(
            Error::invalid("the query of this request would be ignored").hint("Send its fields in the JSON body")
        );
    }
    let bytes = read_at_most(limit, &parts.headers, body).await?;
    let content_type = parts.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("(not text)"));
    from_body(&[], content_type, &bytes)
}

/// The whole body, which is neither larger than [`MAX_BODY`] nor slower than [`BODY_TIME`].
pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Error> {
    read_at_most(MAX_BODY, headers, body).await
}

async fn read_at_most(limit: usize, headers: &HeaderMap, body: Body) -> Result<Bytes, Error> {
    let declared = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(problem::too_large(limit));
    }
    match tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(e)) if e.source().is_some_and(|inner| inner.is::<LengthLimitError>()) => Err(problem::too_large(limit)),
        Ok(Err(_)) => Err(Error::invalid("the body was cut off before its end")),
        Err(_) => Err(problem::refused(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not arrive within {} seconds", BODY_TIME.as_secs()),
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use operations::{apps, deployments, events, releases, variables};

    use super::*;

    fn path(pairs: &[(&str, &str)]) -> Pairs {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    const JSON: Option<&str> = Some("application/json; charset=utf-8");

    #[test]
    fn a_query_becomes_numbers_options_and_defaults() {
        let request: events::ListRequest = from_query(&[], "after=-3&app=shop&limit=7").unwrap();
        assert_eq!((request.after, request.limit, request.deployment), (Some(-3), 7, None));
        assert_eq!(request.app.unwrap().as_str(), "shop");
        let request: deployments::ListRequest = from_query(&[], "phase=building").unwrap();
        assert_eq!((request.limit, request.cursor), (50, None));
        let request: releases::GetRequest =
            from_query(&path(&[("app", "shop"), ("number", "12")]), "app=shop").unwrap();
        assert_eq!(request.number, 12);
    }

    #[test]
    fn a_body_joins_the_path() {
        let body = br#"{"variables":{"A":"1"},"app":"shop"}"#;
        let request: variables::SetRequest =
            from_body(&path(&[("app", "shop"), ("environment", "production")]), JSON, body).unwrap();
        assert_eq!(request.variables.len(), 1);
        // Without fields of its own an operation needs neither body nor Content-Type.
        let request: deployments::RollbackRequest =
            from_body(&path(&[("app", "shop"), ("environment", "production")]), None, b"").unwrap();
        assert_eq!(request.release, None);
    }

    #[test]
    fn bad_queries_say_which_field() {
        let app = path(&[("app", "shop")]);
        for (query, expected) in [
            ("colour=red", "unknown field `colour`, expected one of"),
            ("limit=many", "`limit`: "),
            ("limit=-1", "`limit`: "),
            ("limit=99999999999", "`limit`: "),
            ("limit=1&limit=2", "`limit`: "),
            ("app=other", "`app` is `shop` in the path"),
            ("cursor=%ff", "not UTF-8"),
            ("cursor=", "`cursor` is empty"),
            ("cursor", "`cursor` is empty"),
        ] {
            let error = from_query::<releases::ListRequest>(&app, query).unwrap_err();
            assert_eq!(error.status, 400);
            assert!(error.detail.contains(expected), "{query}: {}", error.detail);
        }
        let error = from_query::<apps::GetRequest>(&path(&[("app", "No Such")]), "").unwrap_err();
        assert!(error.detail.contains("`app`: `No Such` is not a valid name"), "{}", error.detail);
    }

    #[test]
    fn bad_bodies_say_where() {
        for (content_type, body, status, expected) in [
            (JSON, &b"{\"name\":"[..], 400, "line 1 column 8"),
            (JSON, b"{\n \"name\": nope}", 400, "line 2"),
            (JSON, b"\xff\xfe", 400, "not valid JSON"),
            (JSON, b"[]", 400, "not an array"),
            (JSON, b"{}", 400, "missing field `name`"),
            (JSON, br#"{"name":"a","x":1}"#, 400, "unknown field `x`, expected `name` or `source`"),
            (JSON, br#"{"name":"A b"}"#, 400, "`name`: `A b` is not a valid name"),
            (JSON, br#"{"name":"a","source":"x"}"#, 400, "`source`: invalid type: string, expected"),
            (JSON, br#"{"name":"a","source":{"kind":"svn"}}"#, 400, "unknown variant, expected"),
            (JSON, br#"{"name":"a","source":{"kind":"git"}}"#, 400, "`source`"),
            (Some("text/plain"), b"{}", 415, "`text/plain`"),
            (Some("application/x-www-form-urlencoded"), b"name=a", 415, "must be JSON"),
            (None, b"{}", 415, "Content-Type is none"),
        ] {
            let error = from_body::<apps::CreateRequest>(&[], content_type, body).unwrap_err();
            let shown = String::from_utf8_lossy(body);
            assert_eq!(error.status, status, "{shown}");
            assert!(error.detail.contains(expected), "{shown}: {}", error.detail);
        }
        let nested = format!("{{\"source\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
        assert!(
            from_body::<apps::CreateRequest>(&[], JSON, nested.as_bytes()).unwrap_err().detail.contains("recursion")
        );
        let error = from_body::<apps::SetSourceRequest>(&path(&[("app", "a")]), JSON, br#"{"app":7}"#).unwrap_err();
        assert!(error.detail.contains("in the path"), "{}", error.detail);
    }

    #[tokio::test]
    async fn a_body_without_a_length_is_counted_as_it_comes() {
        let chunks = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 20])));
        let error = read(&HeaderMap::new(), Body::from_stream(chunks)).await.unwrap_err();
        assert_eq!(error.status, 413);
        let cut = futures::stream::iter([Ok(Bytes::from("{")), Err(std::io::Error::other("gone"))]);
        let error = read(&HeaderMap::new(), Body::from_stream(cut)).await.unwrap_err();
        assert_eq!((error.status, error.detail.contains("cut off")), (400, true));
    }
}
