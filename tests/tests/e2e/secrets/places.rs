//! Everything that answers, and everything that is kept.

use std::fs;
use std::time::Duration;

use plimsoll_tests::agent::Agent;
use plimsoll_tests::canary::Told;
use plimsoll_tests::{Repo, Server, processes};
use reqwest::Method;
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// So long an answer may pause; streams of what is yet to come do for ever.
const PAUSE: Duration = Duration::from_secs(1);

/// A command that ends with `code`.
pub(super) fn run(server: &Server, args: &[&str], code: i32, told: &mut Told) {
    let output = server.cli(args);
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&said));
    told.add(format!("plimsoll {}", args.join(" ")), said);
}

/// A request of the API.
pub(super) struct Request {
    method: Method,
    path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    body: String,
}

/// One that sets variables of production.
pub(super) fn variables(body: &str) -> Request {
    let path = "/api/v1/apps/hello/environments/production/variables".to_owned();
    Request { method: Method::PUT, path, headers: Vec::new(), body: body.to_owned() }
}

/// One that makes something.
pub(super) fn post(path: &str, body: &Value) -> Request {
    let path = format!("/api/v1/{path}");
    Request { method: Method::POST, path, headers: Vec::new(), body: body.to_string() }
}

/// One that puts something in the place of what was there.
pub(super) fn put(path: &str, body: &Value) -> Request {
    Request { method: Method::PUT, path: path.to_owned(), headers: Vec::new(), body: body.to_string() }
}

pub(super) fn get(path: &str) -> Request {
    Request { method: Method::GET, path: path.to_owned(), headers: Vec::new(), body: String::new() }
}

/// Status; head and body of the answer.
pub(super) async fn ask(server: &Server, request: &Request) -> (u16, String) {
    let token = operations::local::read(&server.data()).unwrap().token;
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).redirect(Policy::none());
    let client = client.build().unwrap();
    let mut sent = client.request(request.method.clone(), format!("http://{}{}", server.api(), request.path));
    let bearer = format!("Bearer {}", token.expose_secret());
    let usual = [("authorization", bearer), ("content-type", "application/json".to_owned())];
    let usual = usual.iter().filter(|(name, _)| !request.headers.iter().any(|(other, _)| other == name));
    for (name, value) in usual.chain(&request.headers) {
        sent = sent.header(*name, value);
    }
    if !request.body.is_empty() {
        sent = sent.body(request.body.clone());
    }
    let mut response = sent.send().await.unwrap();
    let mut said = format!("{:?}\n", response.headers());
    while let Ok(Ok(Some(piece))) = tokio::time::timeout(PAUSE, response.chunk()).await {
        said.push_str(&String::from_utf8_lossy(&piece));
    }
    (response.status().as_u16(), said)
}

/// What people look at.
pub(super) fn commands(server: &Server, told: &mut Told) {
    for args in [
        &["env", "list", "--app", "hello"][..],
        &["env", "list", "--app", "hello", "--env", "staging", "--json"],
        &["status"],
        &["status", "--json"],
        &["apps", "list", "--json"],
        &["apps", "show", "hello"],
        &["apps", "show", "hello", "--json"],
        &["envs", "list", "--app", "hello", "--json"],
        &["releases", "list", "--app", "hello", "--json"],
        &["releases", "show", "1", "--app", "hello", "--json"],
        &["deployments", "list", "--json"],
        &["queue", "list", "--json"],
        &["queue", "timeline"],
        &["schedules", "list"],
        &["schedules", "show", "nightly", "--json"],
        &["windows", "list", "--json"],
        &["logs", "--app", "hello"],
        &["logs", "--app", "hello", "--env", "staging", "--json"],
        &["events", "--limit", "500"],
        &["events", "--limit", "500", "--json"],
        &["plan", "hello"],
        &["plan", "hello", "--json"],
        &["plan", "hello", "--env", "staging", "--json"],
        &["simulate", "hello"],
        &["simulate", "hello", "--json"],
        &["plans", "list", "--json"],
        &["metrics", "hello"],
        &["metrics", "hello", "--json"],
        &["certificates", "list", "--json"],
        &["uploads", "list", "--json"],
        &["tokens", "list", "--json"],
        &["users", "list", "--json"],
        &["invitations", "list", "--json"],
        &["members", "list", "--app", "hello", "--json"],
        &["me", "--json"],
        &["audit", "list", "--limit", "500"],
        &["audit", "list", "--limit", "500", "--json"],
        &["audit", "verify", "--json"],
        &["audit", "export"],
        &["channels", "list"],
        &["channels", "list", "--json"],
        &["notices", "list", "--json"],
        &["mail", "show", "--json"],
        &["overview"],
        &["overview", "--json"],
        &["figures", "--json"],
        &["guides", "search", "queue", "--json"],
        &["version", "--json"],
        &["doctor"],
        &["doctor", "--json"],
    ] {
        run(server, args, 0, told);
    }
    for id in ids(&server.cli_json(&["deployments", "list", "--json"])["items"]) {
        run(server, &["deployments", "show", &id], 0, told);
        run(server, &["deployments", "show", &id, "--json"], 0, told);
        run(server, &["deployments", "output", &id], 0, told);
    }
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// A sensible value for each parameter without which something can't be asked.
pub(super) fn known(server: &Server, repo: &Repo, upload: &str) -> Value {
    let deployments = ids(&server.cli_json(&["deployments", "list", "--json"])["items"]);
    let certificates = ids(&server.cli_json(&["certificates", "list", "--json"]));
    let plan = &server.cli_json(&["plan", "hello", "--json"])["digest"];
    let channels = ids(&server.cli_json(&["channels", "list", "--json"]));
    json!({
        "app": "hello", "environment": "production", "from": "staging", "deployment": deployments[0], "number": 1, "plan": plan,
        "certificate": certificates[0], "upload": upload, "source": repo.source(),
        "schedule": "nightly", "window": "win_01hf7yat00000000000000002a",
        "user": "nobody@example.org", "approval": approval(server), "channel": channels[0],
        "user_code": "WDJB-MJHT",
        "page": "runbook", "words": "the queue", "cron": "0 6 * * MON UTC",
        "topics": format!("events@0,env:hello/production:log@0,dep:{}:log", deployments[0]),
    })
}

/// Of a deployment to an environment of its own, which waits for it.
fn approval(server: &Server) -> Value {
    for args in [
        &["envs", "create", "guarded", "--app", "hello"][..],
        &["approval-policies", "set", "--app", "hello", "--env", "guarded"],
        &["deploy", "hello", "--env", "guarded", "--detach"],
    ] {
        let done = server.cli(args);
        assert!(done.status.success(), "{args:?}: {done:?}");
    }
    server.cli_json(&["approvals", "list", "--json"])["items"][0]["id"].clone()
}

fn value_of<'a>(known: &'a Value, name: &str) -> &'a Value {
    known.get(name).unwrap_or_else(|| panic!("`{name}` is new: give it a value in `known`"))
}

/// Every page that the API's document knows, streams as far as they come.
pub(super) async fn pages(server: &Server, known: &Value, told: &mut Told) {
    let (_, document) = ask(server, &get("/openapi.json")).await;
    let document: Value = serde_json::from_str(document.split_once('\n').unwrap().1).unwrap();
    for (template, item) in document["paths"].as_object().unwrap() {
        let Some(operation) = item.get("get") else { continue };
        let (mut path, mut query) = (template.clone(), Vec::new());
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter["required"] == true) {
            let name = parameter["name"].as_str().unwrap();
            let value = value_of(known, name).to_string().replace('"', "");
            match parameter["in"].as_str() {
                Some("path") => path = path.replace(&format!("{{{name}}}"), &value),
                _ => query.push(format!("{name}={value}")),
            }
        }
        let (status, said) = ask(server, &get(&format!("{path}?{}", query.join("&")))).await;
        let expected = match template.as_str() {
            // A program asks: nobody was invited, and it has no sessions of its own.
            "/api/v1/users/{user}" => 404,
            "/api/v1/sessions" | "/api/v1/me/totp" | "/api/v1/mutes" | "/api/v1/devices/{user_code}" => 403,
            // The provider is gone.
            "/auth/oidc/start" => 503,
            "/auth/oidc/callback" => 303,
            _ => 200,
        };
        assert_eq!(status, expected, "{template}: {said}");
        told.add(format!("GET {template}"), said);
    }
}

/// Every tool that reads.
pub(super) async fn tools(server: &Server, known: &Value, told: &mut Told) {
    let agent = Agent::new(server);
    let heard = agent.request("tools/list", json!({})).await;
    let tools = heard.response()["result"]["tools"].as_array().unwrap().clone();
    told.add("the list of tools", Value::from(heard.messages).to_string());
    for tool in tools.iter().filter(|tool| tool["annotations"]["readOnlyHint"] == true) {
        let name = tool["name"].as_str().unwrap();
        let required = tool["inputSchema"]["required"].as_array().into_iter().flatten();
        let given = |field: &Value| {
            let field = field.as_str().unwrap();
            (field.to_owned(), value_of(known, field).clone())
        };
        let arguments = Value::Object(required.map(given).collect());
        let heard = agent.request("tools/call", json!({ "name": name, "arguments": arguments })).await;
        assert_eq!(heard.response()["result"]["isError"], false, "{name}: {:?}", heard.messages);
        told.add(format!("the tool {name}"), Value::from(heard.messages).to_string());
    }
}

/// Requests that are wrong, and have a secret where one belongs or nearly so.
pub(super) async fn refusals(server: &Server, secrets: [&str; 2], told: &mut Told) {
    let agent = Agent::new(server);
    for secret in secrets {
        let wrong = [
            json!(secret),
            json!({ "variables": secret }),
            json!({ "variables": [secret] }),
            json!({ "variables": { "A": [secret] } }),
            json!({ "variables": { "A": { "B": secret } } }),
            json!({ "variables": { "A B": secret } }),
            json!({ "variables": { "PORT": secret } }),
            json!({ "variables": { "A": format!("{secret}\0") } }),
            json!({ "variables": { "A": secret.repeat(4000) } }),
            json!({ "variables": { "A": secret }, "more": secret }),
            json!({ "PARROT": secret }),
            json!({ "app": secret, "variables": { "A": secret } }),
        ];
        let mut requests: Vec<Request> = wrong.iter().map(|body| variables(&body.to_string())).collect();
        let good = json!({ "variables": { "A": secret } }).to_string();
        requests.push(variables(good.trim_end_matches('}')));
        requests.push(Request { headers: vec![("content-type", "text/plain".to_owned())], ..variables(&good) });
        let nobody = "/api/v1/apps/nobody/environments/production/variables".to_owned();
        requests.push(Request { path: nobody, ..variables(&good) });
        for body in [json!({ "certificate": "-", "key": secret }), json!({ "certificate": "-", "key": [secret] })] {
            let path = "/api/v1/certificates".to_owned();
            requests.push(Request { method: Method::POST, path, ..variables(&body.to_string()) });
        }
        for (n, request) in requests.iter().enumerate() {
            let (status, said) = ask(server, request).await;
            assert!((400..500).contains(&status), "{status} for {}: {said}", request.body);
            told.add(format!("the answer to wrong request {n}"), said);
        }
        // An agent's app has no other place to be in: there it is a name.
        for wrong in wrong.into_iter().filter(|wrong| wrong.is_object() && wrong.get("app").is_none()) {
            let mut arguments = json!({ "app": "hello", "environment": "production" });
            arguments.as_object_mut().unwrap().append(&mut wrong.as_object().unwrap().clone());
            let heard = agent.request("tools/call", json!({ "name": "variables_set", "arguments": arguments })).await;
            assert_eq!(heard.response()["result"]["isError"], true, "{wrong}: {:?}", heard.messages);
            told.add("the refusal of a tool", Value::from(heard.messages).to_string());
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("variables.env");
        for text in [format!("A=1\n{secret}\n"), format!("A='{secret}"), format!("A='' {secret}")] {
            fs::write(&file, text).unwrap();
            run(server, &["env", "set", "--app", "hello", "--file", file.to_str().unwrap()], 9, told);
        }
        let mut stranger = server.command();
        stranger.args(["apps", "list"]).env("PLIMSOLL_TOKEN", secret);
        let output = stranger.env("PLIMSOLL_SERVER", format!("http://{}", server.api())).output().unwrap();
        assert!(!output.status.success());
        told.add("plimsoll with a wrong token", [output.stdout, output.stderr].concat());
    }
    let token = ("authorization", format!("Bearer {}", secrets[0]));
    let (status, said) = ask(server, &Request { headers: vec![token], ..get("/api/v1/apps") }).await;
    assert_eq!(status, 401, "{said}");
    told.add("the answer to a wrong token", said);
}

/// Each entry of a backup with keys and of one without.
pub(super) fn backups(server: &Server, told: &mut Told) {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (sealed, open, passphrase) = (at("sealed.tar.zst"), at("open.tar.zst"), at("passphrase"));
    fs::write(&passphrase, "four random words here\n").unwrap();
    run(server, &["backup", "create", "--output", &sealed, "--passphrase-file", &passphrase], 0, told);
    run(server, &["backup", "create", "--output", &open, "--without-keys"], 0, told);
    run(server, &["backup", "verify", &sealed, "--passphrase-file", &passphrase, "--json"], 0, told);
    for file in [sealed, open] {
        let tar = zstd::stream::decode_all(fs::File::open(&file).unwrap()).unwrap();
        for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let place = format!("{file}: {}", entry.path().unwrap().display());
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
            told.add(place, content);
        }
    }
}

/// What the processes of this server were started with, but for the apps themselves.
pub(super) fn environments(server: &Server, told: &mut Told) {
    let apps = server.apps();
    let ours = processes::marked(&server.data().display().to_string());
    assert!(ours.iter().any(|process| process.pid == server.pid()), "the server is one of them: {ours:#?}");
    for process in ours.into_iter().filter(|process| !apps.contains(&process.pid)) {
        told.add(format!("environment of {}", process.command), process.environment());
    }
}
