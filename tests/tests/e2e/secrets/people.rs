//! What people and programs say to be let in: each kind is made, used, and put where it does not belong.

use std::net::IpAddr;

use plimsoll_tests::Server;
use plimsoll_tests::canary::Told;
use reqwest::header::SET_COOKIE;
use reqwest::redirect::Policy;
use reqwest::{Method, Response};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{outside, ways};

const EMAIL: &str = "mona@example.org";
const PASSWORD: &str = "eleven magpies over the canal 1729";
const NEXT: &str = "a herd of quiet lanterns 8128";

/// Most are good until the end; the first session ends with the password's change.
pub(super) struct Planted {
    secrets: Vec<String>,
    /// What nobody would type.
    shown: Vec<String>,
    /// Of six digits.
    pub(super) codes: Vec<String>,
}

impl Planted {
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.typed().chain(self.shown.iter().map(String::as_str))
    }

    fn typed(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(String::as_str).chain([PASSWORD, NEXT])
    }
}

/// Somebody at an address of this machine.
pub(super) struct Sender<'a> {
    server: &'a Server,
    http: reqwest::Client,
}

impl<'a> Sender<'a> {
    /// From this address: one that is wrong too often is not listened to for a time.
    pub(super) fn at(server: &'a Server, address: [u8; 4]) -> Self {
        let http = reqwest::Client::builder().no_proxy().local_address(IpAddr::from(address));
        let http = http.redirect(Policy::none());
        Self { server, http: http.build().unwrap() }
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Response {
        let mut request = self.http.request(method, format!("http://{}{path}", self.server.api()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        request.send().await.unwrap()
    }

    /// A page of another server.
    pub(super) async fn elsewhere(&self, address: &str) -> Response {
        self.http.get(address).send().await.unwrap()
    }

    /// What a request that goes well is answered with, and its cookies.
    pub(super) async fn good(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> (Value, Vec<String>) {
        let body = (!body.is_null()).then(|| body.to_string());
        let response = self.send(method, path, headers, body).await;
        let cookies = cookies_of(&response);
        let (status, said) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {said}");
        (serde_json::from_str(&said).unwrap_or(Value::Null), cookies)
    }

    pub(super) async fn refused(&self, path: &str, headers: &[(&str, &str)], body: Option<String>, told: &mut Told) {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        self.refused_by(method, path, headers, body, told).await;
    }

    pub(super) async fn refused_by(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
        told: &mut Told,
    ) {
        let response = self.send(method, path, headers, body).await;
        let (status, head) = (response.status(), format!("{:?}", response.headers()));
        let said = response.text().await.unwrap();
        assert!(status.is_client_error(), "{path}: {status} {said}");
        told.add("what is said to a wrong one of a person", format!("{head}\n{said}"));
    }
}

/// `name=value` of each cookie that an answer gives.
pub(super) fn cookies_of(response: &Response) -> Vec<String> {
    let cookies = response.headers().get_all(SET_COOKIE).iter();
    cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned()).collect()
}

/// Those that are not taken back, as a browser sends them.
pub(super) fn line_of(cookies: &[String]) -> String {
    cookies.iter().filter(|cookie| !cookie.ends_with('=')).cloned().collect::<Vec<_>>().join("; ")
}

/// The value of a cookie that stands for somebody.
pub(super) fn session(cookies: &[String]) -> String {
    let named = cookies.iter().filter_map(|cookie| cookie.split_once('='));
    let mut values = named.filter(|(name, value)| !name.ends_with("place") && !value.is_empty());
    values.next().map(|(_, value)| value.to_owned()).unwrap_or_else(|| panic!("no session: {cookies:?}"))
}

pub(super) async fn plant(server: &Server, told: &mut Told) -> Planted {
    let sender = Sender::at(server, [127, 0, 0, 1]);
    let local = operations::local::read(&server.data()).unwrap().token;
    let ours = format!("Bearer {}", local.expose_secret());
    let invite = json!({ "email": EMAIL, "role": "owner" });
    let (invited, _) = sender.good(Method::POST, "/api/v1/invitations", &[("authorization", &ours)], invite).await;
    let invitation = invited["secret"].as_str().unwrap().to_owned();
    let accept = json!({ "invitation": invitation, "name": "Mona", "password": PASSWORD });
    let (_, first) = sender.good(Method::POST, "/api/v1/auth/accept", &[], accept).await;
    let wrong = json!({ "email": EMAIL, "password": NEXT }).to_string();
    sender.refused("/api/v1/auth/sign-in", &[], Some(wrong), told).await;
    let right = json!({ "email": EMAIL, "password": PASSWORD });
    let (_, cookies) = sender.good(Method::POST, "/api/v1/auth/sign-in", &[], right).await;
    let line = line_of(&cookies);
    let with = [("cookie", line.as_str()), ("sec-fetch-site", "same-origin")];

    // What is asked for twice is remembered, without what is shown once.
    let mut made = Vec::new();
    for (path, body, key) in [
        ("/api/v1/tokens", json!({ "name": "laptop", "for": "me" }), "a-token-by-a-person"),
        ("/api/v1/tokens", json!({ "name": "robot" }), "a-token-of-a-machine"),
        ("/api/v1/invitations", json!({ "role": "viewer", "app": "hello" }), "an-invitation"),
    ] {
        let keyed = [&with[..], &[("idempotency-key", key)]].concat();
        let (once, _) = sender.good(Method::POST, path, &keyed, body.clone()).await;
        made.push(once["secret"].as_str().unwrap().to_owned());
        let (again, _) = sender.good(Method::POST, path, &keyed, body).await;
        told.add(format!("{path} once more"), again.to_string());
    }
    let change = json!({ "current": PASSWORD, "new": NEXT });
    sender.good(Method::PUT, "/api/v1/me/password", &with, change).await;
    for path in ["me", "sessions", "tokens", "users", "invitations", "audit", "events?limit=500"] {
        let (said, _) = sender.good(Method::GET, &format!("/api/v1/{path}"), &with, Value::Null).await;
        told.add(format!("/api/v1/{path} for a person"), said.to_string());
    }
    let mut secrets = vec![session(&first), session(&cookies), invitation];
    secrets.extend(made);
    let owner = [("authorization", ours.as_str())];
    let ways = ways::plant(&sender, &owner, told).await;
    secrets.extend(ways.sent);
    secrets.extend(outside::plant_provider(&sender, &owner, told).await);
    let planted = Planted { secrets, shown: ways.shown, codes: ways.codes };
    astray(server, &planted, &with, told).await;
    // A page of somebody else's, with the cookie that the browser sends along.
    let theirs = [with[0], ("sec-fetch-site", "cross-site")];
    sender.refused("/api/v1/tokens", &theirs, Some(json!({ "name": "stolen" }).to_string()), told).await;
    for page in ["/", "/sign-in", "/setup", "/invitation", "/api/v1/auth/methods"] {
        let response = sender.send(Method::GET, page, &with, None).await;
        told.add(format!("the page {page}"), response.text().await.unwrap());
    }
    planted
}

/// Each where another one belongs, or nearly where it does.
async fn astray(server: &Server, planted: &Planted, with: &[(&str, &str)], told: &mut Told) {
    for (secret, n) in planted.typed().zip(1..) {
        let sender = Sender::at(server, [127, 0, 1, n]);
        for body in [
            json!({ "email": secret, "password": "x" }).to_string(),
            json!({ "email": EMAIL, "password": [secret] }).to_string(),
            json!({ "email": EMAIL, "password": "x", "more": secret }).to_string(),
            format!("{{\"email\":\"{EMAIL}\",\"password\":\"{secret}"),
        ] {
            sender.refused("/api/v1/auth/sign-in", &[], Some(body), told).await;
        }
        let taken = json!({ "invitation": format!("{secret}x"), "name": "Eve", "password": "x" }).to_string();
        sender.refused("/api/v1/auth/accept", &[], Some(taken), told).await;
        let confirm = json!({ "password": secret, "more": secret }).to_string();
        sender.refused("/api/v1/auth/confirm", with, Some(confirm), told).await;
        let cookie = format!("__Host-plimsoll={secret}x; plimsoll_plain={secret}x");
        sender.refused("/api/v1/me", &[("cookie", &cookie)], None, told).await;
        let bearer = format!("Bearer {secret}x");
        sender.refused("/api/v1/me", &[("authorization", &bearer)], None, told).await;
        let query = format!("/api/v1/apps?token={}", secret.replace(' ', "%20"));
        sender.refused(&query, with, None, told).await;
    }
}
