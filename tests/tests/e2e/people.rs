//! People: invited, given roles, kept out; and that nothing is worth more than who made it.

use operations::{Client, ErrorKind, apps, me, tokens};
use plimsoll_tests::flow::refused;
use plimsoll_tests::{Repo, Server};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "seven otters under the pier";

/// Somebody with a browser.
pub(crate) struct Person {
    base: String,
    cookie: String,
}

fn base(server: &Server) -> String {
    format!("http://{}", server.api())
}

fn browser() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Opens the link of an invitation; status, and the person when they came in.
pub(crate) async fn accept(server: &Server, link: &str, name: &str) -> (u16, Option<Person>) {
    let secret = link.trim().split_once("/invitation#").unwrap().1;
    assert!(secret.starts_with("inv_"), "{link}");
    let body = json!({ "invitation": secret, "name": name, "password": PASSWORD });
    let sent = browser().post(format!("{}/api/v1/auth/accept", base(server))).json(&body);
    let response = sent.send().await.unwrap();
    let cookies = response.headers().get_all("set-cookie").iter();
    let session =
        cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next().map(str::to_owned)).find(|cookie| {
            cookie
                .split_once('=')
                .is_some_and(|(name, value)| name.contains("plimsoll") && !name.ends_with("place") && !value.is_empty())
        });
    let person = session.map(|cookie| Person { base: base(server), cookie });
    (response.status().as_u16(), person)
}

impl Person {
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let mut request = browser().request(method, format!("{}/api/v1/{path}", self.base));
        request = request.header("cookie", &self.cookie).header("sec-fetch-site", "same-origin");
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null))
    }

    /// A stream that is open.
    pub(crate) async fn follow(&self, path: &str) -> reqwest::Response {
        let request = browser().get(format!("{}/api/v1/{path}", self.base)).header("cookie", &self.cookie);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        response
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, Value::Null).await
    }
}

pub(crate) fn with(server: &Server, secret: &str) -> Client {
    Client::new(&base(server), &secret.to_owned().into()).unwrap()
}

pub(crate) fn secret(made: &(u16, Value)) -> String {
    assert_eq!(made.0, 201, "{}", made.1);
    made.1["secret"].as_str().unwrap().to_owned()
}

fn names(apps: &Value) -> Vec<&str> {
    apps["items"].as_array().unwrap().iter().map(|app| app["name"].as_str().unwrap()).collect()
}

/// Somebody with a role everywhere.
pub(crate) async fn invited(server: &Server, email: &str, role: &str) -> Person {
    let link = server.cli(&["users", "invite", email, "--role", role]);
    let name = email.split('@').next().unwrap();
    accept(server, &String::from_utf8(link.stdout).unwrap(), name).await.1.unwrap()
}

/// A server with the apps `shop` and `blog`, its owner Ann, and Zoe, who deploys the shop.
async fn ann_and_zoe() -> (Server, Person, Person) {
    let server = Server::start().await;
    let repo = Repo::new();
    repo.commit([("README.md", "hello\n")], "begin");
    server.create_app("shop", repo.source()).await;
    server.create_app("blog", repo.source()).await;
    let link = server.cli(&["users", "invite", "ann@example.org", "--role", "owner"]);
    let link = String::from_utf8(link.stdout).unwrap();
    let (status, ann) = accept(&server, &link, "Ann").await;
    assert_eq!(status, 200);
    assert_eq!(accept(&server, &link, "Eve").await.0, 404, "once");
    let ann = ann.unwrap();
    let invited = json!({ "email": "Zoe@Example.org", "role": "deployer", "app": "shop" });
    let made = ann.ask(Method::POST, "invitations", invited.clone()).await;
    let waiting = ann.get("invitations").await.1;
    // So does the link of the first start.
    let hers = waiting.as_array().unwrap().iter().find(|invitation| invitation["email"] == "zoe@example.org");
    assert_eq!(hers.unwrap_or_else(|| panic!("{waiting}"))["app"], "shop");
    let zoe = accept(&server, &format!("/invitation#{}", secret(&made)), "Zoe").await.1.unwrap();
    assert_eq!(ann.get("invitations?app=shop").await.1, json!([]), "it waits no more");
    let (status, again) = ann.ask(Method::POST, "invitations", invited).await;
    assert_eq!(status, 409, "{again}");
    assert!(again["hint"].as_str().unwrap().contains("members set"), "{again}");
    (server, ann, zoe)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_never_has_more_than_who_makes_it() {
    let (server, ann, zoe) = ann_and_zoe().await;
    assert_eq!(names(&zoe.get("apps").await.1), ["shop"]);
    let laptop = zoe.ask(Method::POST, "tokens", json!({ "name": "laptop", "for": "me" })).await;
    assert_eq!(laptop.1["token"]["grants"], json!([{ "app": "shop", "role": "deployer" }]), "{}", laptop.1);
    let laptop = with(&server, &secret(&laptop));
    for (body, expected) in [
        (json!({ "name": "more", "for": "me", "grants": [{ "role": "viewer" }] }), 403),
        (json!({ "name": "more", "for": "me", "grants": [{ "app": "shop", "role": "admin" }] }), 403),
        (json!({ "name": "more", "for": "me", "grants": [{ "app": "blog", "role": "viewer" }] }), 404),
        (json!({ "name": "more" }), 403),
        (json!({ "name": "more", "read_only": true }), 403),
        (json!({ "name": "more", "grants": [{ "app": "shop", "role": "viewer" }] }), 403),
        (json!({ "name": "more", "grants": [{ "app": "blog", "role": "viewer" }] }), 404),
    ] {
        let (status, said) = zoe.ask(Method::POST, "tokens", body.clone()).await;
        assert_eq!(status, expected, "{body}: {said}");
    }

    // As an admin of the shop she gives tokens of machines there, and none for an owner or for elsewhere.
    let admin = ann.ask(Method::PUT, "apps/shop/members/zoe@example.org", json!({ "role": "admin" })).await;
    assert_eq!((admin.0, &admin.1["role"]), (200, &json!("admin")), "{}", admin.1);
    let shop = |role: &str| json!({ "name": format!("ci-{role}"), "grants": [{ "app": "shop", "role": role }] });
    let ci = secret(&zoe.ask(Method::POST, "tokens", shop("deployer")).await);
    assert_eq!(zoe.ask(Method::POST, "tokens", shop("owner")).await.0, 403);
    let both =
        json!({ "name": "both", "grants": [{ "app": "shop", "role": "viewer" }, { "app": "blog", "role": "viewer" }] });
    assert_eq!(zoe.ask(Method::POST, "tokens", both).await.0, 404);
    assert_eq!(
        zoe.ask(Method::POST, "tokens", json!({ "name": "all", "grants": [{ "role": "viewer" }] })).await.0,
        403
    );
    let listed = zoe.get("tokens").await.1;
    let mut listed: Vec<&str> = listed.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    listed.sort_unstable();
    assert_eq!(listed, ["ci-deployer", "laptop"], "hers, and those of machines that she governs");
    let machine = with(&server, &ci).call::<me::Show>(&me::ShowRequest {}).await.unwrap();
    assert!(machine.principal.starts_with("tok_"), "{machine:?}");

    // What her token was given stays, and what she has no more it has no more.
    let slow = apps::SetConcurrencyRequest { app: "shop".parse().unwrap(), limit: 3 };
    assert_eq!(refused(laptop.call::<apps::SetConcurrency>(&slow).await).code, ErrorKind::Forbidden);
    assert_eq!(ann.ask(Method::PUT, "apps/shop/members/zoe@example.org", json!({ "role": "viewer" })).await.0, 200);
    let now = laptop.call::<me::Show>(&me::ShowRequest {}).await.unwrap();
    assert_eq!(serde_json::to_value(&now.grants).unwrap(), json!({ "apps": { "shop": "viewer" } }));
    let no = tokens::CreateRequest { holder: tokens::Holder::Me, ..tokens::CreateRequest::named("x".parse().unwrap()) };
    assert_eq!(refused(laptop.call::<tokens::Create>(&no).await).code, ErrorKind::Forbidden, "it only looks by now");

    // One that ends makes none that ends later.
    let hour = json!({ "name": "hour", "for": "me", "expires_in": "1h" });
    let hour = with(&server, &secret(&ann.ask(Method::POST, "tokens", hour).await));
    let longer =
        tokens::CreateRequest { holder: tokens::Holder::Me, ..tokens::CreateRequest::named("ever".parse().unwrap()) };
    assert_eq!(refused(hour.call::<tokens::Create>(&longer).await).code, ErrorKind::Forbidden);
    let shorter = tokens::CreateRequest { expires_in: Some("5m".parse().unwrap()), ..longer };
    hour.call::<tokens::Create>(&shorter).await.unwrap();

    // Kept out, she is out by every way; what she made for machines is the app's.
    assert_eq!(ann.ask(Method::PUT, "users/zoe@example.org", json!({ "disabled": true })).await.0, 200);
    assert_eq!(zoe.get("me").await.0, 401);
    assert_eq!(refused(laptop.call::<me::Show>(&me::ShowRequest {}).await).code, ErrorKind::Unauthorized);
    with(&server, &ci).call::<me::Show>(&me::ShowRequest {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_owner_stays_and_admins_leave_owners_alone() {
    let (server, ann, zoe) = ann_and_zoe().await;
    for (method, path, body) in [
        (Method::PUT, "users/ann@example.org", json!({ "everywhere": "viewer" })),
        (Method::PUT, "users/ann@example.org", json!({ "everywhere": "none" })),
        (Method::PUT, "users/ann@example.org", json!({ "disabled": true })),
        (Method::DELETE, "users/ann@example.org", Value::Null),
    ] {
        let (status, said) = ann.ask(method.clone(), path, body.clone()).await;
        assert_eq!(status, 409, "by herself: {body} {said}");
        let token = operations::local::read(&server.data()).unwrap().token;
        let mut sent = browser().request(method, format!("{}/api/v1/{path}", base(&server)));
        sent = sent.bearer_auth(secrecy::ExposeSecret::expose_secret(&token));
        let response = if body.is_null() { sent } else { sent.json(&body) }.send().await.unwrap();
        let status = response.status().as_u16();
        let said = response.text().await.unwrap();
        assert!(status == 409 && said.contains("last owner"), "by the machine: {status} {said}");
    }
    // What a deployer must not.
    for (method, path, body) in [
        (Method::GET, "users", Value::Null),
        (Method::GET, "users/ann@example.org", Value::Null),
        (Method::PUT, "users/zoe@example.org", json!({ "everywhere": "owner" })),
        (Method::PUT, "apps/shop/members/zoe@example.org", json!({ "role": "owner" })),
        (Method::POST, "invitations", json!({ "role": "viewer", "app": "shop" })),
        (Method::POST, "invitations", json!({ "role": "owner" })),
        (Method::GET, "sessions?user=ann@example.org", Value::Null),
    ] {
        let (status, said) = zoe.ask(method, path, body).await;
        assert_eq!(status, 403, "{path}: {said}");
    }
    assert_eq!(zoe.get("apps/blog/members").await.0, 404, "of an app that she must not know of");
    // And an admin of the shop.
    assert_eq!(ann.ask(Method::PUT, "apps/shop/members/zoe@example.org", json!({ "role": "admin" })).await.0, 200);
    assert_eq!(zoe.ask(Method::POST, "invitations", json!({ "role": "owner", "app": "shop" })).await.0, 403);
    let (status, invited) = zoe.ask(Method::POST, "invitations", json!({ "role": "viewer", "app": "shop" })).await;
    assert_eq!(status, 201, "{invited}");
    let id = invited["invitation"]["id"].as_str().unwrap().to_owned();
    assert_eq!(zoe.ask(Method::DELETE, &format!("invitations/{id}"), Value::Null).await.0, 200);
    let gone = format!("/invitation#{}", invited["secret"].as_str().unwrap());
    assert_eq!(accept(&server, &gone, "Eve").await.0, 404, "it was taken back");
    assert_eq!(zoe.ask(Method::PUT, "apps/shop/members/zoe@example.org", json!({ "role": "owner" })).await.0, 403);

    // Sessions are seen and ended by their person, and by who decides about people.
    let hers = zoe.get("sessions").await.1;
    assert_eq!((hers.as_array().unwrap().len(), &hers[0]["current"]), (1, &json!(true)), "{hers}");
    let ann_s = ann.get("sessions").await.1[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(zoe.ask(Method::DELETE, &format!("sessions/{ann_s}"), Value::Null).await.0, 404);
    let zoe_s = hers[0]["id"].as_str().unwrap();
    assert_eq!(ann.ask(Method::DELETE, &format!("sessions/{zoe_s}"), Value::Null).await.0, 200);
    assert_eq!(zoe.get("me").await.0, 401);

    // Removed, she is in no list; and a second owner lets the first one go.
    assert_eq!(ann.ask(Method::DELETE, "users/zoe@example.org", Value::Null).await.0, 200);
    assert_eq!(ann.get("apps/shop/members").await.1, json!([]));
    let second = ann.ask(Method::POST, "invitations", json!({ "email": "eve@example.org", "role": "owner" })).await;
    let eve = accept(&server, &format!("/invitation#{}", secret(&second)), "Eve").await.1.unwrap();
    assert_eq!(eve.ask(Method::PUT, "users/ann@example.org", json!({ "everywhere": "viewer" })).await.0, 200);
    assert_eq!(ann.get("users").await.0, 403, "the next request knows it");
    let zone = json!({ "preferences": { "theme": "dark", "zone": "Europe/Berlin" } });
    assert_eq!(ann.ask(Method::PUT, "me/preferences", zone).await.0, 200);
    assert_eq!(ann.get("me").await.1["preferences"]["zone"], "Europe/Berlin");
    let nowhere = json!({ "preferences": { "zone": "Europe/Atlantis" } });
    assert_eq!(ann.ask(Method::PUT, "me/preferences", nowhere).await.0, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_role_at_one_app_learns_nothing_of_another() {
    let (server, ..) = ann_and_zoe().await;
    let hidden = server.cli_json(&["apps", "show", "blog", "--json"]);
    let hidden = hidden["id"].as_str().or_else(|| hidden["app"]["id"].as_str()).unwrap();
    for role in ["viewer", "deployer", "admin", "owner"] {
        let made = server.cli_json(&["tokens", "create", role, "--grant", &format!("shop={role}"), "--json"]);
        let secret = made["secret"].as_str().unwrap();
        for path in [
            "apps",
            "deployments",
            "queue",
            "queue/timeline",
            "schedules",
            "windows",
            "windows/bypasses",
            "plans",
            "uploads",
            "events",
            "analytics",
            "tokens",
            "me",
            "apps/blog",
            "apps/blog/members",
            "apps/blog/releases",
        ] {
            let response =
                browser().get(format!("{}/api/v1/{path}", base(&server))).bearer_auth(secret).send().await.unwrap();
            let status = response.status().as_u16();
            let said = response.text().await.unwrap();
            assert_eq!(status == 404, path.starts_with("apps/blog"), "{path} as {role}: {status} {said}");
            assert!(status == 404 || !said.contains(hidden) && !said.contains("blog"), "{path} as {role}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_worth_what_its_maker_may_still_give() {
    let (server, ann, zoe) = ann_and_zoe().await;
    let zoe_is = async |role: &str| {
        let (status, said) = ann.ask(Method::PUT, "apps/shop/members/zoe@example.org", json!({ "role": role })).await;
        assert_eq!(status, 200, "{said}");
    };
    zoe_is("admin").await;
    let invite = async || {
        let made = zoe
            .ask(Method::POST, "invitations", json!({ "role": "viewer", "app": "shop", "email": "kim@example.org" }))
            .await;
        format!("/invitation#{}", secret(&made))
    };
    let links = [invite().await, invite().await];
    zoe_is("deployer").await;
    assert_eq!(accept(&server, &links[0], "Kim").await.0, 404, "a deployer invites nobody");
    // And may again, later.
    zoe_is("admin").await;
    assert_eq!(accept(&server, &links[0], "Kim").await.0, 200);
    assert_eq!(ann.ask(Method::DELETE, "users/kim@example.org", Value::Null).await.0, 200);
    assert_eq!(ann.ask(Method::PUT, "users/zoe@example.org", json!({ "disabled": true })).await.0, 200);
    assert_eq!(accept(&server, &links[1], "Kim").await.0, 404, "who is kept out lets nobody in");
    assert_eq!(ann.ask(Method::DELETE, "users/zoe@example.org", Value::Null).await.0, 200);
    assert_eq!(accept(&server, &links[1], "Kim").await.0, 404, "nor does who has gone");

    // A machine's, which ends with its token. What was made on the server's machine goes on after a restart.
    let made = server.cli_json(&["tokens", "create", "door", "--grant", "shop=admin", "--json"]);
    let door = with(&server, made["secret"].as_str().unwrap());
    let request = json!({ "role": "viewer", "app": "shop", "email": "kim@example.org" });
    let request: operations::invitations::InviteRequest = serde_json::from_value(request).unwrap();
    let link = door.call::<operations::invitations::Invite>(&request).await.unwrap().secret.unwrap();
    let revoked = server.cli(&["tokens", "revoke", made["token"]["id"].as_str().unwrap(), "--yes"]);
    assert!(revoked.status.success(), "{revoked:?}");
    assert_eq!(accept(&server, &format!("/invitation#{link}"), "Kim").await.0, 404);
    let local = server.cli_json(&["--json", "users", "invite", "kim@example.org", "--role", "viewer", "--app", "shop"]);
    let mut server = server;
    server.stop();
    server.restart().await;
    let link = format!("/invitation#{}", local["secret"].as_str().unwrap());
    assert_eq!(accept(&server, &link, "Kim").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_leads_to_where_people_reach_the_server() {
    let server = Server::start_with(&["--public-url", "https://deploy.example.org"], &[]).await;
    let said = server.cli(&["users", "invite", "zoe@example.org", "--role", "viewer"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.starts_with("https://deploy.example.org/invitation#"), "not by the address of the inviter");
}
