//! Signing in by a provider's word: the whole way there and back, and every lie on it.

use plimsoll_tests::oidc::{ACCESS, CLIENT, Lie, Provider, SECRET};
use plimsoll_tests::server::files_below;
use plimsoll_tests::{Repo, Server};
use reqwest::Method;
use reqwest::header::{LOCATION, SET_COOKIE};
use serde_json::{Value, json};

use crate::people::{Person, accept, invited, secret};

/// A browser, which keeps cookies and goes where it is sent, step by step.
struct Browser {
    client: reqwest::Client,
    base: String,
    cookies: Vec<Cookie>,
}

#[derive(Clone)]
struct Cookie {
    name: String,
    value: String,
    path: String,
    strict: bool,
}

struct Answer {
    status: u16,
    location: Option<String>,
    cookies: Vec<String>,
    body: Value,
}

impl Browser {
    fn new(server: &Server) -> Self {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, base: format!("http://{}", server.api()), cookies: Vec::new() }
    }

    /// A path is asked for by a page of the server; an address is where another site sends the browser.
    async fn get(&mut self, address: &str) -> Answer {
        if address.starts_with('/') {
            let request = self.client.get(format!("{}{address}", self.base));
            return self.send(request, self.cookies_for(address, true)).await;
        }
        let line = address.strip_prefix(&self.base).map(|path| self.cookies_for(path, false)).unwrap_or_default();
        self.send(self.client.get(address), line).await
    }

    async fn post(&mut self, path: &str, body: Value) -> Answer {
        let request = self.client.post(format!("{}{path}", self.base)).json(&body);
        self.send(request, self.cookies_for(path, true)).await
    }

    fn cookies_for(&self, path: &str, from_own_page: bool) -> String {
        let sent = self.cookies.iter().filter(|cookie| path.starts_with(&cookie.path));
        let sent = sent.filter(|cookie| from_own_page || !cookie.strict);
        sent.map(|Cookie { name, value, .. }| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    async fn send(&mut self, mut request: reqwest::RequestBuilder, line: String) -> Answer {
        if !line.is_empty() {
            request = request.header("cookie", line);
        }
        let response = request.send().await.unwrap();
        let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned();
        let cookies: Vec<String> = response.headers().get_all(SET_COOKIE).iter().map(text).collect();
        for line in &cookies {
            let (name, rest) = line.split_once('=').unwrap();
            let (value, attributes) = rest.split_once("; Path=").unwrap();
            let path = attributes.split(';').next().unwrap();
            self.cookies.retain(|known| (known.name.as_str(), known.path.as_str()) != (name, path));
            if !attributes.contains("Max-Age=0") {
                let strict = attributes.contains("SameSite=Strict");
                let (name, value, path) = (name.to_owned(), value.to_owned(), path.to_owned());
                self.cookies.push(Cookie { name, value, path, strict });
            }
        }
        let location = response.headers().get(LOCATION).map(text);
        let status = response.status().as_u16();
        let body = serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null);
        Answer { status, location, cookies, body }
    }

    /// To the provider and back; where it ends.
    async fn sign_in(&mut self, next: &str) -> String {
        let back = self.until_back(next).await;
        self.get(&back).await.location.unwrap()
    }

    /// As far as the address that the provider sends it back to.
    async fn until_back(&mut self, next: &str) -> String {
        let there = self.get(&format!("/auth/oidc/start?next={next}")).await;
        assert_eq!(there.status, 303, "{}", there.body);
        let back = self.get(&there.location.unwrap()).await;
        assert_eq!(back.status, 302, "{}", back.body);
        back.location.unwrap()
    }

    async fn me(&mut self) -> Answer {
        self.get("/api/v1/me").await
    }

    fn is_signed_in(&self) -> bool {
        self.cookies.iter().any(|cookie| cookie.name == "__Host-plimsoll")
    }
}

fn settings(provider: &Provider, link_by_email: bool) -> Value {
    json!({ "oidc": {
        "name": "Example Inc.", "issuer": provider.issuer(), "client_id": CLIENT, "client_secret": SECRET,
        "link_by_email": link_by_email,
    }})
}

async fn set(owner: &Person, settings: Value) {
    let (status, said) = owner.ask(Method::PUT, "settings/access", settings).await;
    assert_eq!(status, 200, "{said}");
    assert!(!said.to_string().contains(SECRET), "{said}");
}

/// A server that takes the word of a provider.
async fn with_provider() -> (Server, Provider, Person) {
    let server = Server::start_with(&["--allow-outgoing", "127.0.0.0/8"], &[]).await;
    let provider = Provider::start().await;
    let ann = invited(&server, "ann@example.org", "owner").await;
    set(&ann, settings(&provider, false)).await;
    (server, provider, ann)
}

fn zoe() -> Value {
    json!({ "sub": "248", "email": "Zoe@Example.org", "email_verified": true, "name": "Zoë" })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_invited_comes_by_the_provider_and_comes_again() {
    let (server, provider, ann) = with_provider().await;
    let mut browser = Browser::new(&server);
    assert_eq!(browser.get("/api/v1/auth/methods").await.body["oidc"], "Example Inc.");
    provider.next_is(zoe());
    assert_eq!(browser.sign_in("/queue").await, "/sign-in?trouble=nobody", "nobody has invited her");
    assert!(!browser.is_signed_in());
    let invitation = json!({ "email": "zoe@example.org", "role": "deployer" });
    assert_eq!(ann.ask(Method::POST, "invitations", invitation).await.0, 201);
    // Her word for her own address is not the provider's.
    provider.next_is(json!({ "sub": "666", "email": "zoe@example.org", "email_verified": false }));
    assert_eq!(browser.sign_in("/queue").await, "/sign-in?trouble=nobody");
    provider.next_is(zoe());
    let back = browser.until_back("/apps/shop%3Ftab%3D1").await;
    let done = browser.get(&back).await;
    assert_eq!((done.status, done.location.as_deref()), (303, Some("/apps/shop?tab=1")));
    let session = done.cookies.iter().find(|line| line.starts_with("__Host-plimsoll=")).unwrap();
    assert!(session.contains("SameSite=Strict") && session.contains("HttpOnly"), "{session}");
    let me = browser.me().await.body;
    assert_eq!((&me["name"], &me["email"]), (&json!("Zoë"), &json!("zoe@example.org")), "{me}");
    assert_eq!(me["grants"], json!({ "everywhere": "deployer" }));
    assert_eq!(
        ann.get("invitations").await.1.as_array().unwrap().iter().filter(|i| i["email"] == "zoe@example.org").count(),
        0
    );

    // The same answer once more, in the same browser: the code is spent, and so is the question.
    assert_eq!(browser.get(&back).await.location.as_deref(), Some("/sign-in?trouble=over"));
    // Again, with another address at the provider and with other keys: the subject says who it is.
    provider.next_is(json!({ "sub": "248", "email": "zoe.a@example.com", "email_verified": true }));
    provider.rotate();
    let mut phone = Browser::new(&server);
    assert_eq!(phone.sign_in("/").await, "/");
    assert_eq!(phone.me().await.body["email"], "zoe@example.org");
    let sessions = phone.get("/api/v1/sessions").await.body;
    assert!(sessions.as_array().unwrap().iter().all(|session| session["via"] == "oidc"), "{sessions}");
    // Whoever comes back has a new session, and the one that they left from has ended; no browser sends its cookie from another site.
    let before = phone.cookies.clone();
    let again = phone.until_back("/").await;
    assert_eq!(phone.get(&again).await.location.as_deref(), Some("/"));
    assert_eq!(phone.me().await.status, 200);
    phone.cookies = before;
    assert_eq!(phone.me().await.status, 401, "the session of before has ended");
    // She has no password that somebody could guess.
    let guess = json!({ "email": "zoe@example.org", "password": "" });
    let sent = reqwest::Client::builder().no_proxy().build().unwrap();
    let sent = sent.post(format!("http://{}/api/v1/auth/sign-in", server.api())).json(&guess).send().await.unwrap();
    assert_eq!(sent.status(), 401);
    assert!(server.cli(&["users", "disable", "zoe@example.org", "--yes"]).status.success());
    assert_eq!(Browser::new(&server).sign_in("/").await, "/sign-in?trouble=nobody");

    let audit = server.cli_json(&["audit", "list", "--json", "--limit", "100"]).to_string();
    for word in ["auth.oidc", "auth.link", "auth_settings.set"] {
        assert!(audit.contains(word), "{word} is not in the audit log");
    }
    // What we have at the provider is nowhere to be read, and no code or token either.
    let code = back.split("code=").nth(1).unwrap().split('&').next().unwrap();
    for path in files_below(&server.data()) {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains(SECRET) && !text.contains(code), "{}", path.display());
    }
    let log = server.log();
    assert!(!log.contains(SECRET) && !log.contains(code) && !audit.contains(SECRET));
}

/// The specification lets a provider keep its token short, and many do.
#[tokio::test(flavor = "multi_thread")]
async fn of_whom_the_token_names_no_address_the_provider_is_asked() {
    let (server, provider, ann) = with_provider().await;
    provider.be_terse();
    let invitation = json!({ "email": "zoe@example.org", "role": "viewer" });
    assert_eq!(ann.ask(Method::POST, "invitations", invitation).await.0, 201);
    provider.next_is(json!({ "sub": "666", "email": "zoe@example.org", "email_verified": false }));
    let mut browser = Browser::new(&server);
    assert_eq!(browser.sign_in("/").await, "/sign-in?trouble=nobody", "not verified there either");
    provider.next_is(zoe());
    assert_eq!(browser.sign_in("/").await, "/");
    let me = browser.me().await.body;
    assert_eq!((&me["name"], &me["email"]), (&json!("Zoë"), &json!("zoe@example.org")), "{me}");
    // Who has no address at all there is still who they are.
    provider.next_is(json!({ "sub": "248" }));
    assert_eq!(Browser::new(&server).sign_in("/").await, "/");
    // Nor does it matter for who is known what the provider does when it is asked for more.
    provider.lie(Lie::Userinfo);
    assert_eq!(Browser::new(&server).sign_in("/").await, "/");
    for path in files_below(&server.data()) {
        assert!(!String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(ACCESS), "{}", path.display());
    }
    assert!(!server.log().contains(ACCESS));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_here_already_is_known_by_address_only_when_that_is_allowed() {
    let (server, provider, ann) = with_provider().await;
    invited(&server, "zoe@example.org", "viewer").await;
    provider.next_is(zoe());
    assert_eq!(Browser::new(&server).sign_in("/").await, "/sign-in?trouble=nobody");
    set(&ann, settings(&provider, true)).await;
    provider.next_is(json!({ "sub": "666", "email": "zoe@example.org" }));
    assert_eq!(Browser::new(&server).sign_in("/").await, "/sign-in?trouble=nobody", "not verified");
    provider.next_is(zoe());
    let mut browser = Browser::new(&server);
    assert_eq!(browser.sign_in("/").await, "/");
    assert_eq!(browser.me().await.body["name"], "zoe", "as she is called here");
    // Who has only said that an address is theirs does not get its owner's account, nor its owner theirs.
    let open = secret(&ann.ask(Method::POST, "invitations", json!({ "role": "viewer" })).await);
    let said =
        json!({ "invitation": open, "name": "Eve", "email": "mia@example.org", "password": "thimble walnut harbour" });
    assert_eq!(browser.post("/api/v1/auth/accept", said).await.status, 200);
    provider.next_is(json!({ "sub": "249", "email": "mia@example.org", "email_verified": true }));
    let mut mia = Browser::new(&server);
    assert_eq!((mia.sign_in("/").await.as_str(), mia.is_signed_in()), ("/sign-in?trouble=unproven", false));
    provider.next_is(zoe());
    // Linked once, it stays, whatever is allowed later.
    set(&ann, settings(&provider, false)).await;
    assert_eq!(browser.sign_in("/").await, "/");
    // Mia's browser is known to be hers where others guess, also after somebody else has come by the provider with it.
    let mias = |password: &str| json!({ "email": "mia@example.org", "password": password });
    for _ in 0..5 {
        assert_eq!(Browser::new(&server).post("/api/v1/auth/sign-in", mias("not it at all")).await.status, 401);
    }
    let right = mias("thimble walnut harbour");
    assert_eq!(Browser::new(&server).post("/api/v1/auth/sign-in", right.clone()).await.status, 429);
    let hers = browser.post("/api/v1/auth/sign-in", right).await;
    assert_eq!(hers.status, 200, "{}", hers.body);
    // Without a provider there is no such way.
    set(&ann, json!({})).await;
    let mut browser = Browser::new(&server);
    assert_eq!(browser.get("/api/v1/auth/methods").await.body["oidc"], Value::Null);
    assert_eq!(browser.get("/auth/oidc/start").await.status, 404);
}

/// Whoever decides about one app alone invites any address to it, and gets the link.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_an_admin_of_an_app_took_is_not_linked() {
    let (server, provider, ann) = with_provider().await;
    let repo = Repo::new();
    repo.commit([("README.md", "hello\n")], "begin");
    server.create_app("shop", repo.source()).await;
    set(&ann, settings(&provider, true)).await;
    let to_shop = |email: &str, role: &str| json!({ "email": email, "role": role, "app": "shop" });
    let link = |made: (u16, Value)| format!("/invitation#{}", secret(&made));
    let made = ann.ask(Method::POST, "invitations", to_shop("adam@example.org", "admin")).await;
    let adam = accept(&server, &link(made), "Adam").await.1.unwrap();
    let made = adam.ask(Method::POST, "invitations", to_shop("ceo@example.org", "viewer")).await;
    let squatter = accept(&server, &link(made), "Eve").await.1.unwrap();

    provider.next_is(json!({ "sub": "1", "email": "ceo@example.org", "email_verified": true }));
    let mut ceo = Browser::new(&server);
    assert_eq!((ceo.sign_in("/").await.as_str(), ceo.is_signed_in()), ("/sign-in?trouble=unproven", false));
    let invitation = json!({ "email": "ceo@example.org", "role": "owner" });
    let (status, said) = ann.ask(Method::POST, "invitations", invitation.clone()).await;
    assert_eq!(status, 409, "{said}");
    assert!(said["hint"].as_str().unwrap().starts_with("no owner of the server has vouched"), "{said}");
    let removed = server.cli(&["users", "remove", "ceo@example.org", "--yes"]);
    assert!(removed.status.success(), "{removed:?}");
    assert_eq!(squatter.get("me").await.0, 401);
    assert_eq!(ann.ask(Method::POST, "invitations", invitation).await.0, 201);
    assert_eq!(ceo.sign_in("/").await, "/");
    assert_eq!(ceo.me().await.body["email"], "ceo@example.org");

    // An owner of the server knows whom they invite, to one app as well. Whoever is linked goes on as they were.
    provider.next_is(json!({ "sub": "2", "email": "adam@example.org", "email_verified": true }));
    let mut linked = Browser::new(&server);
    assert_eq!(linked.sign_in("/").await, "/");
    assert_eq!(linked.me().await.body["name"], "Adam");
    assert_eq!(adam.get("me").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lie_gets_anybody_in() {
    let (server, provider, ann) = with_provider().await;
    assert_eq!(
        ann.ask(Method::POST, "invitations", json!({ "email": "zoe@example.org", "role": "owner" })).await.0,
        201
    );
    provider.next_is(zoe());
    for lie in Lie::ALL {
        provider.lie(lie);
        let mut browser = Browser::new(&server);
        assert_eq!(browser.sign_in("/").await, "/sign-in?trouble=provider", "{lie:?}");
        assert!(!browser.is_signed_in(), "{lie:?}");
    }
    provider.lie(Lie::None);

    // Another state; another browser's answer; the answer without a question.
    let mut browser = Browser::new(&server);
    let back = browser.until_back("/").await;
    let (address, _) = back.split_once("&state=").unwrap();
    assert_eq!(
        browser.get(&format!("{address}&state=another")).await.location.as_deref(),
        Some("/sign-in?trouble=over")
    );
    let (mut eve, mut victim) = (Browser::new(&server), Browser::new(&server));
    let hers = eve.until_back("/").await;
    victim.until_back("/").await;
    assert_eq!(
        victim.get(&hers).await.location.as_deref(),
        Some("/sign-in?trouble=over"),
        "signed in as somebody else"
    );
    assert_eq!(Browser::new(&server).get(&hers).await.location.as_deref(), Some("/sign-in?trouble=over"));
    let mut browser = Browser::new(&server);
    browser.until_back("/").await;
    let denied = browser.get("/auth/oidc/callback?error=access_denied&state=x").await;
    assert_eq!(denied.location.as_deref(), Some("/sign-in?trouble=denied"));

    // From there one goes to pages of this server alone.
    for next in
        ["//evil.example", "https://evil.example", "/\\evil.example", "%2F%2Fevil.example", "/%09/evil.example", "apps"]
    {
        let answer = Browser::new(&server).get(&format!("/auth/oidc/start?next={next}")).await;
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("invalid")), "{next}");
    }
    // At last the truth.
    assert_eq!(Browser::new(&server).sign_in("/").await, "/");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_inside_is_asked_only_when_that_is_allowed() {
    let server = Server::start().await;
    let provider = Provider::start().await;
    let ann = invited(&server, "ann@example.org", "owner").await;
    let (status, no) = ann.ask(Method::PUT, "settings/access", settings(&provider, false)).await;
    assert_eq!(status, 422, "{no}");
    assert!(no["detail"].as_str().unwrap().contains("--allow-outgoing"), "{no}");
    let zoe = invited(&server, "zoe@example.org", "admin").await;
    assert_eq!(zoe.get("settings/access").await.0, 403);
    assert_eq!(zoe.ask(Method::PUT, "settings/access", json!({})).await.0, 403);
}
