//! The matrix: each entry of the API's document, asked for by each role, had at the app itself, at another one or everywhere; with a
//! session, with a token, and with a token that was given less than its person has.
//!
//! Nothing is changed by it: what would be written fails for want of its record in the audit log, once it was let through. So each asks
//! of the very same apps, even to delete them.

mod expected;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plimsoll_tests::requests::{self, Asked};
use plimsoll_tests::server::free_address;
use plimsoll_tests::{App, Repo, Server, wait_for};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::edge::Pair;
use crate::people::PASSWORD;
use expected::{OF_ALL_APPS, OPEN, ROWS};

/// What is asked about, and the app of others. Words that stand nowhere else.
const APP: &str = "otter-bay";
const OTHER: &str = "kelp-cove";
const ROLES: [&str; 4] = ["viewer", "deployer", "admin", "owner"];
/// So long a stream says nothing more of what there is.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Here,
    Elsewhere,
    Everywhere,
}

#[derive(Debug, Clone)]
enum Credential {
    Session(String),
    Token(String),
}

/// Somebody who asks.
struct Asker {
    what: String,
    /// Of the table: the group, and the mark in it.
    place: Place,
    role: usize,
    credential: Credential,
    /// Its person may do more.
    capped: bool,
}

impl Asker {
    /// Names and ids of the app that must not be told.
    fn must_not_know<'a>(&self, words: &'a Words) -> &'a [String] {
        match self.place {
            Place::Here => &words.other,
            Place::Elsewhere => &words.app,
            Place::Everywhere => &[],
        }
    }

    fn mark(&self, row: &expected::Row) -> char {
        let marks = match self.credential {
            Credential::Token(_) if self.capped => row.by_capped.or(row.by_token).unwrap_or(row.marks),
            Credential::Token(_) => row.by_token.unwrap_or(row.marks),
            Credential::Session(_) => row.marks,
        };
        let group = marks.split(' ').nth(self.place as usize).unwrap();
        group.chars().nth(self.role).unwrap()
    }
}

/// By which the apps can be told.
struct Words {
    app: Vec<String>,
    other: Vec<String>,
}

struct World {
    server: Server,
    http: reqwest::Client,
    local: String,
}

impl World {
    async fn send(&self, credential: Option<&Credential>, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = self.http.request(method, format!("http://{}{path}", self.server.api()));
        request = match credential {
            None => request,
            Some(Credential::Token(token)) => request.bearer_auth(token),
            Some(Credential::Session(cookie)) => {
                request.header("cookie", cookie).header("sec-fetch-site", "same-origin")
            }
        };
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let cookies = response.headers().get_all("set-cookie").iter();
        let cookies = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next().map(str::to_owned));
        // Those that are taken away are given without a value.
        let cookies = cookies.filter(|cookie| !cookie.ends_with('=')).collect();
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let endless = kind.starts_with("text/event-stream");
        let mut said = Vec::new();
        loop {
            match tokio::time::timeout(if endless { PAUSE } else { Duration::from_secs(60) }, response.chunk()).await {
                Ok(Ok(Some(piece))) => said.extend_from_slice(&piece),
                Err(_) if !endless => panic!("{path} does not end"),
                _ => break,
            }
        }
        Answer { status, cookies, said: String::from_utf8_lossy(&said).into_owned() }
    }

    /// As the machine's own token.
    async fn ours(&self, method: Method, path: &str, body: Value) -> Value {
        let local = Credential::Token(self.local.clone());
        let body = (!body.is_null()).then_some(body);
        let answer = self.send(Some(&local), method, &format!("/api/v1/{path}"), body.as_ref()).await;
        answer.json(path)
    }

    /// Somebody new, who is signed in.
    async fn person(&self, email: &str, role: &str, app: Option<&str>) -> Credential {
        let mut invitation = json!({ "email": email, "role": role });
        if let Some(app) = app {
            invitation["app"] = json!(app);
        }
        let made = self.ours(Method::POST, "invitations", invitation).await;
        let accept = json!({ "invitation": made["secret"], "name": "Somebody", "password": PASSWORD });
        let answer = self.send(None, Method::POST, "/api/v1/auth/accept", Some(&accept)).await;
        assert_eq!(answer.status, 200, "{email}: {}", answer.said);
        Credential::Session(answer.cookies.join("; "))
    }

    async fn token(&self, person: &Credential, name: &str, grants: Option<Value>) -> Credential {
        let mut request = json!({ "name": name, "for": "me" });
        if let Some(grants) = grants {
            request["grants"] = grants;
        }
        let answer = self.send(Some(person), Method::POST, "/api/v1/tokens", Some(&request)).await;
        Credential::Token(answer.json(name)["secret"].as_str().unwrap().to_owned())
    }

    fn cli(&self, args: &[&str]) -> Value {
        self.server.cli_json(&[args, &["--json"]].concat())
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    cookies: Vec<String>,
    said: String,
}

impl Answer {
    fn json(&self, what: &str) -> Value {
        assert!((200..300).contains(&self.status), "{what}: {} {}", self.status, self.said);
        serde_json::from_str(&self.said).unwrap()
    }

    /// As in the table; `!` for what is in none.
    fn mark(&self) -> char {
        match self.status {
            403 => '-',
            404 => '.',
            // Whoever was let through may find that it is not possible, or that nothing can be written.
            401 | 405 => '!',
            _ => '+',
        }
    }
}

/// Something of everything, at one app; what is asked for, by the names of fields, and the words by which it is known.
async fn furnish(world: &World, app: &str, repo: &Repo) -> (Value, Vec<String>) {
    let server = &world.server;
    repo.commit([("README.md", "the first commit\n")], "begin");
    repo.commit(App::new("v1").files(), "v1");
    server.create_app(app, repo.source()).await;
    world.cli(&["envs", "create", "staging", "--app", app]);
    server.set_variables(app, &[(&app.to_uppercase().replace('-', "_"), "1")]).await;
    let mail = json!({ "kind": "mail", "to": ["ann@example.org"] });
    let told = json!({ "app": app, "name": "ops", "target": mail, "topics": ["deployment_active"] });
    let channel = world.ours(Method::POST, "channels", told).await["channel"]["id"].as_str().unwrap().to_owned();
    let deployment = server.deploy_well(app).await.id;
    let deliveries = format!("channels/{channel}/deliveries");
    let delivery = wait_for("a message to the channel", Duration::from_secs(60), async || {
        let sent = world.ours(Method::GET, &deliveries, Value::Null).await;
        sent["items"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    let staged = world.cli(&["deploy", app, "--env", "staging", "--detach"]);
    server.end(&serde_json::from_value(staged["id"].clone()).unwrap()).await;
    let queued = world.cli(&["deploy", app, "--env", "staging", "--at", "in 2h", "--detach"]);
    let schedule = format!("{app}-nightly");
    world.cli(&["deploy", app, "--cron", "0 6 1 1 * UTC", "--schedule", &schedule]);
    let plan = world.cli(&["plan", app]);
    let freeze = json!({ "app": app, "rule": { "kind": "freeze", "from": "in 3h", "reason": "sale" } });
    let window = world.ours(Method::POST, "windows", freeze).await;
    let invited = json!({ "email": format!("guest@{app}.example.org"), "role": "viewer", "app": app });
    let invitation = world.ours(Method::POST, "invitations", invited).await["invitation"].clone();
    let machine = json!({ "name": format!("ci-{app}"), "grants": [{ "app": app, "role": "deployer" }] });
    let token = world.ours(Method::POST, "tokens", machine).await["token"].clone();
    world.cli(&["approval-policies", "set", "--app", app, "--role", "admin"]);
    let held = world.cli(&["deploy", app, "--detach"]);
    let approval = &held["metadata"]["approval"];
    let asked = world.cli(&["approvals", "show", approval.as_str().unwrap()]);
    let known = json!({
        "approval": approval, "subject": asked["subject"], "verdict": "approve",
        "app": app, "environment": "production", "from": "staging", "number": 1, "deployment": deployment,
        "queued": queued["id"], "plan": plan["digest"], "schedule": schedule, "window": window["id"],
        "invitation": invitation["id"], "token": token["id"], "channel": channel, "delivery": delivery,
    });
    let told = [
        approval,
        &held["id"],
        &queued["id"],
        &staged["id"],
        &plan["digest"],
        &window["id"],
        &invitation["id"],
        &token["id"],
    ];
    let mut words: Vec<String> = told.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
    words.extend([app.to_owned(), deployment.to_string(), channel, delivery]);
    (known, words)
}

/// What is asked, with good values for all that it takes.
async fn everything(world: &World, mut known: Value, elsewhere: &Repo) -> Vec<Asked> {
    let owner = world.person("ann@example.org", "owner", None).await;
    let session = world.send(Some(&owner), Method::GET, "/api/v1/sessions", None).await.json("sessions");
    world.person("zoe@example.org", "viewer", Some(APP)).await;
    let digest = format!("sha256:{}", "0".repeat(64));
    let upload = world.ours(Method::POST, "uploads", json!({ "name": "a.tar", "size": 10, "digest": digest })).await;
    let pair = Pair::new(&["certified.localhost"], 90);
    let mut files = Default::default();
    world.cli(&pair.add(&mut files, &[]));
    let certificates = world.ours(Method::GET, "certificates", Value::Null).await;
    let more = json!({
        "upload": upload["id"], "certificate": certificates[0]["id"], "session": session[0]["id"], "user": "zoe@example.org",
        "source": elsewhere.source(), "name": APP, "limit": 1, "size": 1, "key": "x", "digest": digest, "role": "viewer",
        "topics": "events@0", "variables": {}, "names": [], "cron": "0 6 * * * UTC", "policy": "run_all",
        "to": { "place": "first" }, "rule": { "kind": "freeze", "reason": "sale" }, "preferences": {},
        "current": PASSWORD, "new": "walnut harbour thimble", "cursor": 1,
        "target": { "kind": "mail", "to": ["ann@example.org"] },
        "user_code": "WDJB-MJHT", "code": "123456", "page": "runbook", "words": "the queue",
    });
    known.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let document = world.send(None, Method::GET, "/openapi.json", None).await.json("the document");
    let mut all = requests::all(&document, &known);
    let text = |name: &str| known[name].as_str().unwrap().to_owned();
    for asked in &mut all {
        match asked.operation.as_str() {
            // Of what waits.
            "queue.move" | "queue.reschedule" | "deployments.cancel" | "deployments.resume" | "deployments.abandon" => {
                asked.path = asked.path.replace(&text("deployment"), &text("queued"));
            }
            "events.stream" => asked.path.push_str("?after=0"),
            "events.list" | "audit.list" => asked.path.push_str("?limit=500"),
            _ => {}
        }
    }
    all
}

/// Each role at each place, with each credential.
async fn askers(world: &World) -> Vec<Asker> {
    let boss = world.person("owen@example.org", "owner", None).await;
    let mut askers = Vec::new();
    for (place, app) in [(Place::Here, Some(APP)), (Place::Elsewhere, Some(OTHER)), (Place::Everywhere, None)] {
        for (number, role) in ROLES.into_iter().enumerate() {
            let what = format!("{role}-{place:?}").to_lowercase();
            let session = world.person(&format!("{what}@example.org"), role, app).await;
            let own = world.token(&session, &what, None).await;
            let grant = app.map_or_else(|| json!({ "role": role }), |app| json!({ "app": app, "role": role }));
            let capped = world.token(&boss, &what, Some(json!([grant]))).await;
            for (kind, credential) in [("a session", session), ("a token", own), ("a capped token", capped)] {
                let capped = kind == "a capped token";
                askers.push(Asker { what: format!("{what} with {kind}"), place, role: number, credential, capped });
            }
        }
    }
    askers
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_is_let_through_to_what_is_its_and_learns_of_nothing_else() {
    let https = free_address().to_string();
    let server = Server::start_with(&["--ingress-https-listen", &https], &[]).await;
    let local = operations::local::read(&server.data()).unwrap().token.expose_secret().to_owned();
    let world = World { server, http: reqwest::Client::builder().no_proxy().build().unwrap(), local };
    let (repo, others) = (Repo::new(), Repo::new());
    let (known, app) = furnish(&world, APP, &repo).await;
    let (_, other) = furnish(&world, OTHER, &others).await;
    let words = Words { app, other };
    let all = everything(&world, known, &others).await;
    let askers = askers(&world).await;

    let rows: BTreeMap<&str, &expected::Row> = ROWS.iter().map(|row| (row.operation, row)).collect();
    let listed: BTreeSet<&str> = rows.keys().copied().collect();
    let found: BTreeSet<&str> = all.iter().map(|asked| asked.operation.as_str()).collect();
    assert_eq!(found, listed, "each operation has a row in the table, and nothing else");

    // From now on nothing is written.
    let refusing = "CREATE TRIGGER no_record BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    crate::audit::sql(&world.server, refusing).unwrap();
    for asked in &all {
        let answer = world.send(None, asked.method.clone(), &asked.path, asked.body.as_ref()).await;
        let open = OPEN.contains(&asked.operation.as_str());
        assert_eq!(answer.status == 401, !open, "{}, by nobody: {answer:?}", asked.operation);
    }
    let mut wrong = Vec::new();
    let mut told_both = BTreeSet::new();
    for asker in &askers {
        for asked in &all {
            let operation = asked.operation.as_str();
            let answer =
                world.send(Some(&asker.credential), asked.method.clone(), &asked.path, asked.body.as_ref()).await;
            let expected = asker.mark(rows[operation]);
            let said = || answer.said.chars().take(300).collect::<String>();
            if answer.mark() != expected {
                wrong.push(format!("{operation}, {}: {expected} is {} {}", asker.what, answer.status, said()));
            }
            // An error names what was asked for, and that alone.
            let fine = (200..300).contains(&answer.status);
            // A change finds that nothing can be written; who may read gets what was asked for.
            if asked.method == Method::GET && expected == '+' && !fine && operation != "health.ready" {
                wrong.push(format!(
                    "{operation}, {}: let through, and answered {} {}",
                    asker.what,
                    answer.status,
                    said()
                ));
            }
            if let Some(word) = asker.must_not_know(&words).iter().find(|word| fine && answer.said.contains(*word)) {
                wrong.push(format!("{operation} tells {} of {word}: {}", asker.what, said()));
            }
            if fine && [APP, OTHER].iter().all(|name| answer.said.contains(name)) {
                told_both.insert(operation);
            }
        }
    }
    assert!(wrong.is_empty(), "{} are not as the table has it:\n{}", wrong.len(), wrong.join("\n"));
    for operation in OF_ALL_APPS {
        assert!(told_both.contains(operation), "{operation} tells nobody of both apps: {told_both:?}");
    }
    crate::audit::sql(&world.server, "DROP TRIGGER no_record").unwrap();
    assert_eq!(world.cli(&["apps", "list"])["items"].as_array().unwrap().len(), 2, "nothing was deleted");
}
