//! Values of variables reach the app, and nothing else; what lets people and programs in reaches nobody.

mod outside;
mod people;
mod places;
mod ways;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use plimsoll_tests::agent::Agent;
use plimsoll_tests::canary::{Canaries, Told};
use plimsoll_tests::processes::Watch;
use plimsoll_tests::server::{files_below, free_address};
use plimsoll_tests::{App, Repo, Server, wait_for};
use serde_json::{Value, json};

use crate::edge::Pair;

/// In production.
const PARROT: &str = "hunter2-the-parrot-talks-1618";
/// In staging, under the same name.
const UNDERSTUDY: &str = "hunter2-of-the-understudy-4711";
/// In both, and hard to write down.
const QUOTED: &str = "say \"Grüße\" to \\the parrot 🦜 9";

/// In the address of a channel that nobody listens at.
const HOOK: &str = "hunter2-whistles-for-the-parrot-3141";
/// What webhooks to another one are signed with.
const SIGNED: &str = "whsec_c2V2ZW4gb3R0ZXJzIHVuZGVyIHRoZSBwaWVyLCBwYXJyb3Q=";

/// What no program should do, and many do when something is wrong.
const TELL: &str = r#"
import json, os, sys
print("PARROT is", os.environ["PARROT"], "and QUOTED is", os.environ["QUOTED"])
print(json.dumps(dict(os.environ)), json.dumps(dict(os.environ), ensure_ascii=False), flush=True)
print("once more:", os.environ["QUOTED"], file=sys.stderr)
"#;

/// Tells whenever it starts, waits in its first build, and fails a smoke test as long as a file is there.
fn app(server: &Server, version: &str, release: &str, more: &str) -> Vec<(&'static str, String)> {
    let shared = server.shared().display().to_string();
    let build = format!("python3 tell.py; touch {shared}/building; while [ ! -e {shared}/go ]; do sleep 0.05; done");
    let smoke = format!("[[smoke_tests]]\nname = \"tells\"\ncommand = \"python3 tell.py; test ! -e {shared}/fail\"\n");
    let mut files = App::new(version).build(&build).release(release).configured(&smoke).configured(more).files();
    for (_, procfile) in files.iter_mut().filter(|(path, _)| *path == "Procfile") {
        *procfile = procfile.replace("web: ", "web: python3 tell.py; exec ");
    }
    files.push(("tell.py", TELL.to_owned()));
    files
}

/// By each way in: from the input of a command, over HTTP and by an agent.
async fn plant(server: &Server, told: &mut Told) {
    let mut set = server
        .command()
        .args(["env", "set", "PARROT", "--app", "hello"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    set.stdin.take().unwrap().write_all(format!("{PARROT}\n").as_bytes()).unwrap();
    let set = set.wait_with_output().unwrap();
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    told.add("plimsoll env set", [set.stdout, set.stderr].concat());

    let mut request = places::variables(&json!({ "variables": { "QUOTED": QUOTED } }).to_string());
    request.headers.push(("idempotency-key", "planted-over-http".to_owned()));
    for _ in 0..2 {
        let (status, answer) = places::ask(server, &request).await;
        assert_eq!(status, 200, "{answer}");
        told.add("variables.set", answer);
    }

    let variables = json!({ "PARROT": UNDERSTUDY, "QUOTED": QUOTED });
    let arguments = json!({ "app": "hello", "environment": "staging", "variables": variables,
        "idempotency_key": "planted-by-an-agent" });
    let agent = Agent::new(server);
    for _ in 0..2 {
        told.add("the tool variables_set", agent.call("variables_set", arguments.clone()).await.to_string());
    }
}

/// Channels that are told of each deployment, and can't be reached.
async fn plant_channels(server: &Server, told: &mut Told) {
    let nobody = free_address();
    let url = format!("http://{nobody}/services/T0/{HOOK}?key={HOOK}");
    let topics = ["deployment_active", "deployment_failed"];
    for target in [json!({ "kind": "slack", "url": url }), json!({ "kind": "webhook", "url": url, "secret": SIGNED })] {
        let body = json!({ "name": "on call", "target": target, "topics": topics });
        let (status, answer) = places::ask(server, &places::post("channels", &body)).await;
        assert_eq!(status, 201, "{answer}");
        told.add("channels.create", answer);
    }
    for wrong in [
        json!({ "kind": "slack", "url": format!("ftp://{HOOK}") }),
        json!({ "kind": "slack", "url": [HOOK] }),
        json!({ "kind": "webhook", "url": format!("https://me:{HOOK}@example.org/") }),
        json!({ "kind": "webhook", "url": url, "secret": HOOK }),
    ] {
        let body = json!({ "name": "on call", "target": wrong });
        let (status, answer) = places::ask(server, &places::post("channels", &body)).await;
        assert!([400, 422].contains(&status), "{answer}");
        told.add("channels.create, refused", answer);
    }
    let (_, all) = places::ask(server, &places::get("/api/v1/channels")).await;
    let all: Value = serde_json::from_str(all.split_once('\n').unwrap().1).unwrap();
    for channel in all.as_array().unwrap() {
        places::run(server, &["channels", "test", channel["id"].as_str().unwrap()], 0, told);
    }
}

/// What became of what the channels were told: each has been tried.
async fn deliveries(server: &Server, told: &mut Told) {
    for channel in server.cli_json(&["channels", "list", "--json"]).as_array().unwrap() {
        let path = format!("/api/v1/channels/{}/deliveries", channel["id"].as_str().unwrap());
        let tried = wait_for("an attempt", Duration::from_secs(60), async || {
            let (_, said) = places::ask(server, &places::get(&path)).await;
            said.contains("\"error\"").then_some(said)
        });
        told.add(path.clone(), tried.await);
    }
}

/// The first deployment, with a look at everything in the middle of its build.
async fn deploy_and_look(server: &Server, certificates: &Path, told: &mut Told) {
    let mut deploy = server.command();
    deploy.args(["deploy", "hello"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let deploy = deploy.spawn().unwrap();
    let building = server.shared().join("building");
    wait_for("the build", Duration::from_secs(60), async || building.exists().then_some(())).await;
    told.add_files(server.data().parent().unwrap(), certificates);
    fs::write(server.shared().join("go"), "").unwrap();
    let deploy = deploy.wait_with_output().unwrap();
    let said = [deploy.stdout, deploy.stderr].concat();
    assert!(deploy.status.success(), "{}", String::from_utf8_lossy(&said));
    told.add("plimsoll deploy", said);
}

/// An agent deploys to staging, and is told of each step.
async fn deploy_by_agent(server: &Server, told: &mut Told) {
    let agent = Agent::new(server);
    let deployment = agent.call("deploy_full", json!({ "app": "hello", "environment": "staging" })).await;
    told.add("the tool deploy_full", deployment.to_string());
    let params = json!({ "name": "deployments_wait", "_meta": { "progressToken": "p" },
        "arguments": { "deployment": deployment["id"], "timeout_seconds": 50 } });
    loop {
        let heard = agent.request("tools/call", params.clone()).await;
        let waited = heard.response()["result"]["structuredContent"].clone();
        told.add("the tool deployments_wait", Value::from(heard.messages).to_string());
        if waited["ended"] == true {
            assert_eq!(waited["deployment"]["phase"], "active", "{waited}");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_is_in_no_output_of_any_kind() {
    let watch = Watch::start();
    let https = free_address().to_string();
    let mailer = Pair::new(&["127.0.0.1"], 90);
    let trusted = mailer.path("certificate.pem").display().to_string();
    let mut server = Server::start_with(
        &["--log", "trace", "--ingress-https-listen", &https, "--allow-outgoing", "127.0.0.0/8", "--rate-limit", "100"],
        &[("SSL_CERT_FILE", &trusted)],
    )
    .await;
    let pair = Pair::new(&["parrot.localhost"], 90);
    // The one place that must have one: the ingress has to serve without a server.
    let certificates = server.data().join("ingress/certificates");
    let mut told = Told::default();

    let repo = Repo::new();
    repo.commit(app(&server, "v1", "python3 tell.py >&2", ""), "v1");
    server.create_app("hello", repo.source()).await;
    places::run(&server, &["envs", "create", "staging", "--app", "hello"], 0, &mut told);
    let mut files = Default::default();
    places::run(&server, &pair.add(&mut files, &[]), 0, &mut told);
    plant(&server, &mut told).await;
    plant_channels(&server, &mut told).await;
    outside::plant_mail(&server, outside::refuser(&mailer).await, &mut told).await;
    let people = people::plant(&server, &mut told).await;
    let planted = [PARROT, UNDERSTUDY, QUOTED, HOOK, SIGNED, outside::MAIL, pair.secret()];
    let secrets: Vec<&str> = planted.into_iter().chain(people.secrets()).collect();
    let canaries = Canaries::new(&secrets);
    let codes = Canaries::of_codes(&people.codes.iter().map(String::as_str).collect::<Vec<_>>());
    // What everything is sealed and signed with.
    let kept = fs::read_to_string(server.data().join("master.key")).unwrap();
    let key = Canaries::new(&[&kept.trim_end()[kept.trim_end().len() - 64..]]);
    // Its time does not come while this runs.
    let yearly =
        ["deploy", "hello", "--env", "staging", "--cron", "30 2 28 3 * Europe/Berlin", "--schedule", "nightly"];
    places::run(&server, &yearly, 0, &mut told);
    deploy_and_look(&server, &certificates, &mut told).await;
    server.assert_serves("hello", "/env/PARROT", PARROT).await;
    server.assert_serves("hello", "/env/QUOTED", QUOTED).await;

    // Failures show output, and what a smoke test has seen.
    repo.commit(app(&server, "v2", "python3 tell.py; exit 1", ""), "v2");
    places::run(&server, &["deploy", "hello"], 6, &mut told);
    let wrong = "[[smoke_tests]]\nname = \"greets\"\npath = \"/json/QUOTED\"\n\
                 expect = { json = { \"/value\" = \"bonjour\" } }\n";
    repo.commit(app(&server, "v3", "true", wrong), "v3");
    places::run(&server, &["deploy", "hello"], 6, &mut told);
    assert!(told.at("plimsoll deploy").contains("bonjour"), "{}", told.at("plimsoll deploy"));
    // A restart writes and reads everything once more.
    server.kill9();
    server.restart().await;
    server.assert_serves("hello", "/env/PARROT", PARROT).await;

    // From staging to production, where the parrot is another one.
    repo.commit(app(&server, "v4", "python3 tell.py", ""), "v4");
    deploy_by_agent(&server, &mut told).await;
    let promote = ["promote", "staging", "production", "--app", "hello"];
    places::run(&server, &[&promote[..], &["--dry-run"]].concat(), 0, &mut told);
    places::run(&server, &[&promote[..], &["--dry-run", "--json"]].concat(), 0, &mut told);
    assert!(told.at("--dry-run --json").contains("\"different\""), "{}", told.at("--dry-run --json"));
    places::run(&server, &promote, 0, &mut told);
    server.assert_serves("hello", "/", "v4").await;
    server.assert_serves("hello", "/env/PARROT", PARROT).await;

    // Smoke tests on demand, which pass and fail.
    let smoke = ["smoke-tests", "run", "--app", "hello"];
    places::run(&server, &smoke, 0, &mut told);
    fs::write(server.shared().join("fail"), "").unwrap();
    places::run(&server, &smoke, 6, &mut told);
    places::run(&server, &[&smoke[..], &["--json"]].concat(), 6, &mut told);
    let run = json!({ "app": "hello", "environment": "staging" });
    told.add("the tool run_smoke_tests", Agent::new(&server).call("run_smoke_tests", run).await.to_string());
    places::run(&server, &["rollback", "--app", "hello"], 0, &mut told);
    server.settle("hello").await;

    deliveries(&server, &mut told).await;
    let upload = server.upload(b"no archive at all").await;
    places::commands(&server, &mut told);
    let known = places::known(&server, &repo, upload.as_str());
    places::pages(&server, &known, &mut told).await;
    places::tools(&server, &known, &mut told).await;
    places::refusals(&server, [PARROT, QUOTED], &mut told).await;
    places::backups(&server, &mut told);
    told.add_files(server.data().parent().unwrap(), &certificates);
    places::environments(&server, &mut told);
    for arguments in watch.stop() {
        told.add("arguments of a process", arguments);
    }

    let leaks = [told.leaks(&canaries), told.leaks(&codes)].concat();
    assert!(leaks.is_empty(), "{leaks:#?}");
    let at_home = |leak: &String| leak.split_once(": ").is_some_and(|(place, _)| place.ends_with("/master.key"));
    let (home, elsewhere): (Vec<_>, Vec<_>) = told.leaks(&key).into_iter().partition(at_home);
    assert!(!home.is_empty() && elsewhere.is_empty(), "{elsewhere:#?}");
    // It was there to be found, and so were the places.
    assert!(told.at("deployments output").contains("PARROT is [secret] and QUOTED is [secret]"));
    for place in [
        "plimsoll logs --app hello",
        "plimsoll logs --app hello --env staging --json",
        "GET /api/v1/apps/{app}/environments/{environment}/logs",
        "GET /api/v1/apps/{app}/environments/{environment}/logs/stream",
        "GET /api/v1/stream",
        "the tool logs_read",
        "/log/current",
    ] {
        assert!(told.has_said(place, "PARROT is [secret] and QUOTED is [secret]"), "{place}");
    }
    assert!(told.at("run_smoke_tests").contains("PARROT is [secret]"), "{}", told.at("run_smoke_tests"));
    assert!(told.at("tables/idempotency").contains("planted-over-http"), "{}", told.at("tables/idempotency"));
    assert!(told.at("tables/audit").contains("Mona"), "{}", told.at("tables/audit"));
    assert!(told.at("/api/v1/tokens once more").contains("laptop"), "{}", told.at("/api/v1/tokens once more"));
    assert!(told.at("server.log").contains("TRACE"), "the log tells all that it can");
    let places: Vec<&str> = told.places().collect();
    // The failures were told, without what failed.
    let deliveries = told.at("deliveries");
    assert!(deliveries.contains("refuses user or password (535)"), "{deliveries}");
    for place in [
        "plimsoll.db",
        "outputs/",
        "/metrics",
        "/readyz",
        "promotions/plan",
        "the tool logs_read",
        "secrets.sealed",
        "GET /api/v1/audit/export",
        "GET /api/v1/stream",
        "the page /sign-in",
    ] {
        assert!(places.iter().any(|name| name.contains(place)), "{place}: {places:#?}");
    }
    let app = server.apps()[0];
    let environment = fs::read(format!("/proc/{app}/environ")).unwrap();
    assert!(canaries.found_in(&environment).is_some(), "the app has it");
    let kept = files_below(&certificates).into_iter().filter_map(|path| fs::read(path).ok());
    assert!(kept.into_iter().any(|content| canaries.found_in(&content).is_some()), "the ingress has its key");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start().await;
    let mode = |path: &str| fs::metadata(server.data().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for file in ["master.key", "local.json"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    // The token of the first start is shown once, and kept nowhere.
    let log = server.log();
    let token = log
        .lines()
        .skip_while(|line| !line.contains("API token"))
        .nth(1)
        .unwrap_or_else(|| panic!("no token in {log}"))
        .trim()
        .to_owned();
    assert!(token.len() >= 20, "{token}");
    let used = server
        .command()
        .args(["apps", "list"])
        .env("PLIMSOLL_SERVER", format!("http://{}", server.api()))
        .env("PLIMSOLL_TOKEN", &token)
        .output()
        .unwrap();
    assert!(used.status.success(), "{}", String::from_utf8_lossy(&used.stderr));
    for path in files_below(&server.data()) {
        let content = fs::read(&path).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&content).contains(&token), "the token is in {}", path.display());
    }
}
