//! People: the first one comes by the link that the server prints, signs in and out; who guesses has to wait, and no page of
//! somebody else's acts in anybody's name.

use std::net::IpAddr;

use plimsoll_tests::Server;
use plimsoll_tests::server::files_below;
use reqwest::header::{HeaderMap, RETRY_AFTER, SET_COOKIE};
use serde_json::{Value, json};

pub(crate) const EMAIL: &str = "ann@example.org";
pub(crate) const PASSWORD: &str = "canary-otter-gravel-teapot-2718";
const NEXT: &str = "canary-thimble-walnut-harbour-1618";

/// A browser at an address of this machine, which sends what it is told to.
pub(crate) struct Browser {
    client: reqwest::Client,
    base: String,
    /// As browsers do for requests of our own pages.
    site: Option<&'static str>,
    pub(crate) cookies: Vec<(String, String)>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Browser {
    pub(crate) fn at(server: &Server, address: &str) -> Self {
        let address: IpAddr = address.parse().unwrap();
        let client = reqwest::Client::builder().no_proxy().local_address(address).build().unwrap();
        Self { client, base: format!("http://{}", server.api()), site: Some("same-origin"), cookies: Vec::new() }
    }

    pub(crate) async fn send(&mut self, method: reqwest::Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(site) = self.site {
            request = request.header("sec-fetch-site", site);
        }
        if !self.cookies.is_empty() {
            let line: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", line.join("; "));
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        for line in headers.get_all(SET_COOKIE) {
            let (name, rest) = line.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !rest.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        Answer { status, headers, body }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(reqwest::Method::GET, path, None).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.send(reqwest::Method::POST, path, Some(body)).await
    }

    pub(crate) async fn sign_in(&mut self, email: &str, password: &str) -> Answer {
        self.post("/api/v1/auth/sign-in", json!({ "email": email, "password": password })).await
    }

    pub(crate) async fn me(&mut self) -> Answer {
        self.get("/api/v1/me").await
    }
}

/// The secret of the link that the first start prints.
pub(crate) fn setup(server: &Server) -> String {
    let log = server.log();
    let link = log.split_whitespace().find(|word| word.contains("/setup#")).expect("the log shows a link");
    link.split_once('#').unwrap().1.to_owned()
}

/// Ann, who has come by that link.
pub(crate) async fn owner(server: &Server, address: &str) -> Browser {
    let mut browser = Browser::at(server, address);
    let said = json!({ "invitation": setup(server), "name": "Ann", "email": EMAIL, "password": PASSWORD });
    let answer = browser.post("/api/v1/auth/accept", said).await;
    assert_eq!((answer.status, answer.body), (200, json!({ "state": "signed_in" })));
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_owner_comes_by_a_link_signs_out_and_in_again() {
    let mut server = Server::start().await;
    let mut stranger = Browser::at(&server, "127.0.0.1");
    let door = stranger.get("/api/v1/auth/methods").await.body;
    assert_eq!((&door["owner_missing"], &door["secure"]), (&json!(true), &json!(true)));
    assert_eq!(stranger.me().await.status, 401);
    let secret = setup(&server);
    for (said, field) in [
        (json!({ "invitation": secret, "name": "Ann", "email": EMAIL, "password": "password1234" }), "`password`: "),
        (json!({ "invitation": secret, "name": "Ann", "password": PASSWORD }), "`email`: "),
        (json!({ "invitation": secret, "name": " ", "email": EMAIL, "password": PASSWORD }), "`name`: "),
        (json!({ "invitation": secret, "name": "Ann", "email": "ann", "password": PASSWORD }), "`email`: "),
    ] {
        let answer = stranger.post("/api/v1/auth/accept", said).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body["detail"].as_str().unwrap().starts_with(field), "{}", answer.body);
    }
    let wrong = json!({ "invitation": format!("inv_{}", "A".repeat(43)), "name": "Eve", "email": "eve@example.org", "password": PASSWORD });
    assert_eq!(stranger.post("/api/v1/auth/accept", wrong).await.status, 404);

    let mut ann = owner(&server, "127.0.0.1").await;
    let me = ann.me().await;
    assert_eq!((&me.body["name"], &me.body["email"]), (&json!("Ann"), &json!(EMAIL)));
    assert_eq!(me.body["grants"]["everywhere"], "owner");
    assert!(me.body["session_ends_at"].is_string(), "{}", me.body);
    let again = json!({ "invitation": secret, "name": "Eve", "email": "eve@example.org", "password": PASSWORD });
    assert_eq!(stranger.post("/api/v1/auth/accept", again).await.status, 404, "a link is good once");
    assert_eq!(stranger.get("/api/v1/auth/methods").await.body["owner_missing"], false);

    // The session outlives the server, and another one begins beside it.
    server.stop();
    server.restart().await;
    assert_eq!(ann.me().await.status, 200);
    let mut phone = Browser::at(&server, "127.0.0.2");
    let answer = phone.sign_in(&format!(" {} ", EMAIL.to_uppercase()), PASSWORD).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let cookies: Vec<&str> = answer.headers.get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap()).collect();
    let session = cookies.iter().find(|line| line.starts_with("__Host-plimsoll=")).unwrap();
    for attribute in ["Path=/;", "Secure", "HttpOnly", "SameSite=Strict", "Max-Age="] {
        assert!(session.contains(attribute), "{session}");
    }
    assert!(cookies.iter().any(|line| line.starts_with("plimsoll_place=")), "{cookies:?}");
    assert_eq!(ann.post("/api/v1/auth/sign-out", json!({})).await.status, 204);
    assert!(!ann.cookies.iter().any(|(name, _)| name.contains("plimsoll") && name != "plimsoll_place"));
    assert_eq!((ann.me().await.status, phone.me().await.status), (401, 200));

    // Some browsers keep no secure cookies on plain HTTP.
    let plain = json!({ "email": EMAIL, "password": PASSWORD, "cookie": "plain" });
    assert_eq!(ann.post("/api/v1/auth/sign-in", plain).await.status, 200);
    assert!(ann.cookies.iter().any(|(name, _)| name == "plimsoll_plain"));
    assert_eq!(ann.me().await.status, 200);

    // Who signs in anew leaves no session behind in that browser.
    let before = phone.cookies.clone();
    assert_eq!(phone.sign_in(EMAIL, PASSWORD).await.status, 200);
    let after = std::mem::replace(&mut phone.cookies, before);
    assert_eq!(phone.me().await.status, 401, "the session of before has ended");
    phone.cookies = after;
    assert_eq!((phone.me().await.status, ann.me().await.status), (200, 200));
    let ended = server.cli_json(&["audit", "list", "--operation", "auth.sign_out", "--json"]);
    assert_eq!(ended["items"].as_array().unwrap().len(), 2, "Ann's own, and this one: {ended}");

    // To confirm takes the password, and gives the session another secret.
    let before = phone.cookies.clone();
    let no = phone.post("/api/v1/auth/confirm", json!({ "password": "not the password at all" })).await;
    assert_eq!(no.status, 401, "{}", no.body);
    assert_eq!(phone.post("/api/v1/auth/confirm", json!({ "password": PASSWORD })).await.status, 204);
    assert_eq!(phone.me().await.status, 200);
    phone.cookies = before;
    assert_eq!(phone.me().await.status, 401, "the secret of before is worth nothing");

    // Another password ends what is signed in elsewhere.
    let change = |current: &str, new: &str| json!({ "current": current, "new": new });
    let put = reqwest::Method::PUT;
    let no = ann.send(put.clone(), "/api/v1/me/password", Some(change("not it at all", NEXT))).await;
    assert_eq!((no.status, no.body["detail"].as_str().unwrap().starts_with("`current`")), (400, true), "{}", no.body);
    let no = ann.send(put.clone(), "/api/v1/me/password", Some(change(PASSWORD, "ann@example.org"))).await;
    assert_eq!((no.status, no.body["detail"].as_str().unwrap().starts_with("`new`")), (400, true), "{}", no.body);
    phone.cookies.clear();
    assert_eq!(phone.sign_in(EMAIL, PASSWORD).await.status, 200);
    let done = ann.send(put, "/api/v1/me/password", Some(change(PASSWORD, NEXT))).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert!(done.body["ended"].as_u64().unwrap() >= 1, "{}", done.body);
    assert_eq!((ann.me().await.status, phone.me().await.status), (200, 401));
    let stays_out = Browser::at(&server, "127.0.0.4").sign_in(EMAIL, PASSWORD).await;
    assert_eq!(stays_out.status, 401);
    assert_eq!(phone.sign_in(EMAIL, NEXT).await.status, 200);

    // No file and no log holds the password, the link's secret or a session's.
    let mut places: Vec<(String, String)> = files_below(&server.data())
        .into_iter()
        .map(|path| (path.display().to_string(), String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned()))
        .collect();
    let held = |places: &[(String, String)], secret: &str| -> Vec<String> {
        places.iter().filter(|(_, text)| text.contains(secret)).map(|(place, _)| place.clone()).collect()
    };
    assert!(held(&places, &secret).is_empty(), "{:?}", held(&places, &secret));
    places.push(("the log".to_owned(), server.log()));
    for (_, value) in &ann.cookies {
        assert!(held(&places, value).is_empty(), "a cookie is in {:?}", held(&places, value));
    }
    for password in [PASSWORD, NEXT] {
        assert!(held(&places, password).is_empty(), "a password is in {:?}", held(&places, password));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_in_the_same_network_keeps_one_from_another_password() {
    let server = Server::start().await;
    let mut ann = owner(&server, "127.0.0.9").await;
    let mut stranger = Browser::at(&server, "127.0.0.9");
    for _ in 0..5 {
        assert_eq!(stranger.sign_in(EMAIL, "not it at all").await.status, 401);
    }
    assert_eq!(stranger.sign_in(EMAIL, PASSWORD).await.status, 429);
    let mut change = async |current: &str, new: &str| {
        let body = json!({ "current": current, "new": new });
        ann.send(reqwest::Method::PUT, "/api/v1/me/password", Some(body)).await
    };
    // A new one that is no good is no guess at the one of now.
    for new in ["short", EMAIL, PASSWORD, "password1234", "abc", "plim"] {
        let no = change(PASSWORD, new).await;
        assert!(no.status == 400 && no.body["detail"].as_str().unwrap().starts_with("`new`"), "{new}: {}", no.body);
    }
    for _ in 0..4 {
        assert_eq!(change("not it at all", NEXT).await.status, 400);
    }
    let done = change(PASSWORD, NEXT).await;
    assert_eq!(done.status, 200, "{}", done.body);
    // Whoever has got hold of a session does not guess for long.
    for _ in 0..5 {
        assert_eq!(change("not it at all", PASSWORD).await.status, 400);
    }
    assert_eq!(change(NEXT, PASSWORD).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_made_up_do_not_fill_the_audit_log() {
    let server = Server::start().await;
    let mut stranger = Browser::at(&server, "127.0.0.30");
    for n in 0..14 {
        assert_eq!(stranger.sign_in(&format!("nobody{n}@example.org"), "not it at all").await.status, 401);
    }
    assert_eq!(Browser::at(&server, "127.0.0.31").sign_in(EMAIL, "not it at all").await.status, 401);
    let told = server.cli_json(&["audit", "list", "--operation", "auth.sign_in", "--limit", "100", "--json"]);
    let told = told["items"].as_array().unwrap();
    assert_eq!(told.len(), 11, "{told:?}");
    assert_eq!((&told[0]["target"], &told[0]["detail"]["left_out_before"]), (&json!(EMAIL), &json!(4)), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_waits_and_nobody_else_does() {
    let server = Server::start().await;
    let mut ann = owner(&server, "127.0.0.9").await;
    let mut answers = Vec::new();
    for email in [EMAIL, "nobody@example.org", "not an address"] {
        let mut guesser = Browser::at(&server, "127.0.0.1");
        for n in 0..5 {
            let answer = guesser.sign_in(email, &format!("{n} is not the password")).await;
            assert_eq!(answer.status, 401, "{email}: {}", answer.body);
            answers.push(answer.body);
        }
        let locked = guesser.sign_in(email, PASSWORD).await;
        assert_eq!((locked.status, &locked.body["code"]), (429, &json!("rate_limited")), "{email}");
        let seconds: u64 = locked.headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((800..=901).contains(&seconds), "{seconds}");
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "an answer tells who is here: {answers:#?}");
    // Ann herself, elsewhere, and where she has signed in before.
    for address in ["127.0.0.2", "127.0.0.9"] {
        let answer = Browser::at(&server, address).sign_in(EMAIL, PASSWORD).await;
        assert_eq!(answer.status, 200, "{address}: {}", answer.body);
    }
    // Her browser is known where guesses came from, also after somebody else has come in with it.
    let mut guesser = Browser::at(&server, "127.0.0.5");
    for _ in 0..5 {
        assert_eq!(guesser.sign_in(EMAIL, "not it at all").await.status, 401);
    }
    assert_eq!(guesser.sign_in(EMAIL, PASSWORD).await.status, 429);
    let invited = server.cli_json(&["--json", "users", "invite", "bob@example.org", "--role", "viewer"]);
    let bob = json!({ "invitation": invited["secret"], "name": "Bob", "password": PASSWORD });
    assert_eq!(ann.post("/api/v1/auth/accept", bob).await.status, 200);
    let mut hers = Browser { cookies: ann.cookies, ..guesser };
    assert_eq!(hers.sign_in(EMAIL, PASSWORD).await.status, 200);
    // Guesses sent at once don't get past the count.
    let guesses = (0..20).map(|n| {
        let mut guesser = Browser::at(&server, "127.0.0.3");
        async move { guesser.sign_in(EMAIL, &format!("{n} is not it either")).await.status }
    });
    let answers = futures::future::join_all(guesses).await;
    let looked_at = answers.iter().filter(|status| **status == 401).count();
    assert!(looked_at <= 5, "{answers:?}");
    assert!(answers.iter().all(|status| matches!(status, 401 | 429)), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_page_acts_in_somebodys_name() {
    let server = Server::start().await;
    let mut ann = owner(&server, "127.0.0.1").await;
    let shop = json!({ "name": "shop" });
    for site in [Some("same-site"), Some("cross-site"), Some("none"), None] {
        ann.site = site;
        let answer = ann.post("/api/v1/apps", shop.clone()).await;
        assert_eq!(answer.status, 403, "{site:?}: {}", answer.body);
        if site.is_some() {
            let answer = Browser { site, ..Browser::at(&server, "127.0.0.1") }.sign_in(EMAIL, PASSWORD).await;
            assert_eq!(answer.status, 403, "{site:?}: {}", answer.body);
            assert!(!answer.headers.contains_key(SET_COOKIE));
        }
    }
    ann.site = Some("same-origin");
    let made = ann.post("/api/v1/apps", shop).await;
    assert_eq!(made.status, 201, "{}", made.body);
    // Agents come with tokens; a page has no business there.
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    assert_eq!(ann.post("/mcp", call).await.status, 401);
    assert_eq!(ann.get("/metrics").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_link_ends_with_the_first_owner() {
    let server = Server::start().await;
    let said = |secret: &str, name: &str| json!({ "invitation": secret, "name": name, "email": format!("{name}@example.org"), "password": PASSWORD });
    let invited = server.cli_json(&["--json", "users", "invite", "--role", "owner"]);
    let waits = server.cli_json(&["invitations", "list", "--json"]);
    assert_eq!(waits.as_array().unwrap().len(), 2, "that of the server, and this one: {waits}");
    let mut ann = Browser::at(&server, "127.0.0.1");
    let came = ann.post("/api/v1/auth/accept", said(invited["secret"].as_str().unwrap(), "ann")).await;
    assert_eq!(came.status, 200, "{}", came.body);
    // Whoever finds the printed link in a log becomes nobody.
    let eve = Browser::at(&server, "127.0.0.2").post("/api/v1/auth/accept", said(&setup(&server), "eve")).await;
    assert_eq!(eve.status, 404, "{}", eve.body);
    assert_eq!(server.cli_json(&["invitations", "list", "--json"]), json!([]));
}
