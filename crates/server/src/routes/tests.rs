//! The whole shell, with every route of the contract, by real requests. In the place
//! of `control` stands a handler that answers with the request it was given.
#![allow(clippy::unwrap_used)]

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use control::{Credential, Principal};
use domain::TokenId;
use domain::access::{Grants, Role};
use http::header::{ALLOW, AUTHORIZATION, WWW_AUTHENTICATE};
use operations::ErrorKind;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::decode;
use crate::observe::REQUEST_ID;

const TOKEN: &str = "plimsoll-token-for-tests";

const SESSION: &str = "session-for-tests";

/// A person who has signed in.
fn zoe() -> Caller {
    let user = "usr_01jd0000000000000000000000".parse().unwrap();
    let id = "ses_01jd0000000000000000000000".parse().unwrap();
    let credential = Credential::Session { id, confirmed_until: chrono::Utc::now() };
    Caller::new(Principal::Person(user), credential, Grants::everywhere(Role::Viewer), "Zoe")
}

async fn echo<O: Operation>(caller: axum::Extension<Caller>, request: Request) -> Result<Response, Problem> {
    let request = decode::request::<O>(request).await?;
    Ok(Json(json!({ "operation": O::NAME, "caller": caller.name, "request": request })).into_response())
}

fn app() -> Router {
    let mut router = pages(Router::new()).route("/panic", get(|| async { panic!("on purpose") as () }));
    macro_rules! mount_all {
        ($($operation:ty),* $(,)?) => { $( router = mount::<$operation, _, _, _>(router, echo::<$operation>); )* };
    }
    operations::for_each_operation!(mount_all);
    shell(
        router,
        |shown: Shown| async move {
            let token = match shown {
                Shown::Token(token) => token,
                Shown::Session(secret) if secret == SESSION => return Ok(zoe()),
                Shown::Session(_) => return Err(Error::new(ErrorKind::Unauthorized, "the session has ended")),
            };
            match token.as_str() {
                TOKEN => {
                    let id: TokenId = "tok_01jd0000000000000000000000".parse().unwrap();
                    let grants = Grants::everywhere(Role::Owner);
                    Ok(Caller::new(Principal::Machine(id.clone()), Credential::Token(id), grants, "tester"))
                }
                "away" => Err(Error::unavailable("the database is away")),
                _ => Err(Error::new(ErrorKind::Unauthorized, "no such token")),
            }
        },
        Arc::default(),
    )
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Value,
}

async fn send(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let mut request = http::Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 10 << 20).await.unwrap();
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

const AUTH: (&str, &str) = ("authorization", "Bearer plimsoll-token-for-tests");
const JSON: (&str, &str) = ("content-type", "application/json");

/// Method, path, headers, body; status and a part of the detail.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);

#[tokio::test]
async fn every_bad_request_is_answered_with_a_problem() {
    let big = format!("{{\"name\":\"{}\"}}", "a".repeat(decode::MAX_BODY));
    let apps = "/api/v1/apps";
    let cases: &[Case<'_>] = &[
        ("GET", apps, &[], "", 401, "token"),
        ("GET", "/api/v1/nothing", &[], "", 401, "token"),
        ("PATCH", apps, &[], "", 401, "token"),
        ("POST", apps, &[JSON], &big, 401, "token"),
        ("GET", apps, &[("authorization", "Bearer wrong")], "", 401, "token"),
        ("GET", apps, &[("authorization", "Basic dXNlcjpwYXNz")], "", 401, "token"),
        ("GET", apps, &[("authorization", "Bearer away")], "", 503, "database"),
        ("GET", apps, &[AUTH, ("origin", "http://evil.example"), ("host", "127.0.0.1:1")], "", 403, "another origin"),
        ("GET", "/healthz", &[("origin", "null"), ("host", "127.0.0.1:1")], "", 403, "another origin"),
        ("GET", "/api/v1/nothing", &[AUTH], "", 404, "/api/v1/nothing"),
        ("GET", "/api/v1/apps/", &[AUTH], "", 404, "/api/v1/apps/"),
        ("GET", "/%61pi/v1/apps", &[], "", 404, "nothing at GET"),
        ("GET", "/", &[], "", 404, "nothing at GET"),
        ("PATCH", apps, &[AUTH], "", 405, "PATCH is not possible at /api/v1/apps"),
        ("DELETE", "/healthz", &[], "", 405, "DELETE"),
        ("OPTIONS", apps, &[AUTH], "", 405, "OPTIONS"),
        ("POST", apps, &[AUTH, JSON], &big, 413, "2 MiB"),
        ("POST", apps, &[AUTH, JSON, ("content-length", "99999999999")], "", 413, "2 MiB"),
        ("POST", apps, &[AUTH], "{}", 415, "Content-Type"),
        ("POST", apps, &[AUTH, ("content-type", "text/xml")], "<a/>", 415, "text/xml"),
        ("POST", apps, &[AUTH, JSON], "{\n\"name\": }", 400, "line 2 column 9"),
        ("POST", apps, &[AUTH, JSON], "{}", 400, "missing field `name`"),
        ("POST", "/api/v1/apps?name=a", &[AUTH, JSON], "{}", 400, "query"),
        ("GET", apps, &[AUTH, JSON], "{}", 400, "body"),
        ("GET", "/api/v1/apps?limit=x", &[AUTH], "", 400, "`limit`"),
        ("GET", "/api/v1/apps?page=1", &[AUTH], "", 400, "unknown field `page`"),
        ("GET", "/api/v1/apps?cursor=%C3", &[AUTH], "", 400, "UTF-8"),
        ("GET", "/api/v1/apps/%FF", &[AUTH], "", 400, "path"),
        ("GET", "/api/v1/apps/..%2F..", &[AUTH], "", 400, "`app`"),
        ("GET", "/api/v1/deployments/dep_1", &[AUTH], "", 400, "`deployment`"),
        ("GET", "/api/v1/apps/shop/releases/v3", &[AUTH], "", 400, "`number`"),
        ("PUT", "/api/v1/apps/shop/source", &[AUTH, JSON], r#"{"app":"other"}"#, 400, "`app`"),
        ("GET", "/panic", &[AUTH], "", 500, "inside Plimsoll"),
    ];
    for (method, path, headers, body, status, expected) in cases {
        let answer = send(method, path, headers, (*body).to_owned()).await;
        let what = format!("{method} {path}: {}", answer.body);
        assert_eq!(answer.status, *status, "{what}");
        assert_eq!(answer.headers[CONTENT_TYPE], "application/problem+json", "{what}");
        let problem: Error = serde_json::from_value(answer.body.clone()).unwrap();
        assert_eq!(problem.status, *status, "{what}");
        assert!(problem.detail.contains(expected), "{what}");
        assert!(problem.hint.is_some() || *status == 503, "{what}");
        assert_eq!(answer.headers.contains_key(WWW_AUTHENTICATE), *status == 401, "{what}");
        assert!(*status != 405 || answer.headers.contains_key(ALLOW), "{what}");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert!(answer.headers.contains_key(REQUEST_ID));
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
        assert!(!answer.body.to_string().contains(TOKEN));
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.headers[name], value, "{what}");
        }
    }
}

#[tokio::test]
async fn the_methods_of_a_route_are_named() {
    let answer = send("PATCH", "/api/v1/apps/shop/environments/production/variables", &[AUTH], "").await;
    assert_eq!(answer.headers[ALLOW], "GET,HEAD,PUT");
    assert_eq!(answer.body["hint"], "Possible here: GET, HEAD, PUT");
    let answer = send("GET", "/api/v1/sources/detect", &[AUTH], "").await;
    assert_eq!(answer.headers[ALLOW], "POST");
    assert_eq!(answer.body["hint"], "Possible here: POST");
}

#[tokio::test]
async fn a_good_request_reaches_its_operation() {
    let answer =
        send("PUT", "/api/v1/apps/shop/environments/production/variables", &[AUTH, JSON], r#"{"variables":{"A":"1"}}"#)
            .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        json!({
            "operation": "variables.set",
            "caller": "tester",
            "request": { "app": "shop", "environment": "production", "variables": { "A": "1" } },
        })
    );
    let answer =
        send("GET", "/api/v1/events?after=5&limit=2", &[AUTH, ("origin", "http://h:1"), ("host", "h:1")], "").await;
    assert_eq!(answer.body["request"], json!({ "after": 5, "limit": 2 }));
    let answer = send("DELETE", "/api/v1/apps/shop", &[AUTH], "").await;
    assert_eq!(answer.body["operation"], "apps.delete");
    let answer = send("HEAD", "/api/v1/apps", &[AUTH], "").await;
    assert_eq!((answer.status, answer.body), (200, Value::Null));
}

#[tokio::test]
async fn a_cookie_is_as_good_as_a_token_from_our_own_pages() {
    const COOKIE: (&str, &str) = ("cookie", "a=b; __Host-plimsoll=session-for-tests");
    const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");
    let apps = "/api/v1/apps";
    let answer = send("GET", apps, &[COOKIE], "").await;
    assert_eq!((answer.status, &answer.body["caller"]), (200, &json!("Zoe")));
    let answer = send("GET", apps, &[("cookie", "plimsoll_plain=session-for-tests")], "").await;
    assert_eq!((answer.status, &answer.body["caller"]), (200, &json!("Zoe")));
    let shop = r#"{"name":"shop"}"#;
    for (headers, status, told) in [
        (&[COOKIE, JSON, OWN][..], 200, "Zoe"),
        (&[COOKIE, JSON, ("origin", "http://h:1"), ("host", "h:1")], 200, "Zoe"),
        // A token is meant; no page can send one for somebody else.
        (&[COOKIE, JSON, AUTH], 200, "tester"),
        (&[COOKIE, JSON], 403, "which page"),
        (&[COOKIE, JSON, ("sec-fetch-site", "same-site")], 403, "another origin"),
        (&[COOKIE, JSON, ("sec-fetch-site", "cross-site")], 403, "another origin"),
        (&[COOKIE, JSON, OWN, ("origin", "http://h:2"), ("host", "h:1")], 403, "another origin"),
        (&[COOKIE, JSON, OWN, ("authorization", "Bearer wrong")], 401, "token"),
        (&[("cookie", "__Host-plimsoll=another"), JSON, OWN], 401, "session has ended"),
        (&[("cookie", "__Host-plimsoll=a; __Host-plimsoll=session-for-tests"), JSON, OWN], 401, "token"),
    ] {
        let answer = send("POST", apps, headers, shop).await;
        let told_here = answer.body["caller"].as_str().or(answer.body["detail"].as_str()).unwrap_or_default();
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.body);
        assert!(told_here.contains(told), "{headers:?}: {}", answer.body);
    }
}

#[tokio::test]
async fn public_pages_need_no_token() {
    assert_eq!(send("GET", "/healthz", &[], "").await.body, json!({ "status": "ok" }));
    let answer = send("GET", "/openapi.json", &[(AUTHORIZATION.as_str(), "Bearer wrong")], "").await;
    assert_eq!((answer.status, &answer.body["openapi"]), (200, &json!("3.1.0")));
    assert_eq!(answer.body, crate::openapi());
}
