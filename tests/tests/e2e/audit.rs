//! The audit log: what is done is in it, what is in it is as it was written, and without it nothing is done.

use std::collections::BTreeMap;
use std::process::Command;

use domain::audit::{ActorKind, Outcome, Record, Via};
use operations::apps::{Create as CreateApp, CreateRequest as CreateAppRequest, Delete, GetRequest};
use operations::audit::{List, ListRequest, Verified, Verify, VerifyRequest};
use operations::channels::{Create as CreateChannel, CreateRequest as ChannelRequest, MailTarget, Target};
use operations::deployments::{Cancel, DeploymentRequest};
use operations::tokens::{Create as CreateToken, CreateRequest as CreateTokenRequest};
use operations::{Client, ErrorKind};
use plimsoll_tests::flow::refused;
use plimsoll_tests::requests::{self, Asked};
use plimsoll_tests::{App, Repo, Server};
use serde_json::{Value, json};

/// Runs one statement on the server's database, behind its back; its rows, or what the database says against it.
pub(crate) fn sql(server: &Server, statement: &str) -> Result<Value, String> {
    let script = "import json, sqlite3, sys\n\
        c = sqlite3.connect(sys.argv[1], timeout=30)\n\
        rows = c.execute(sys.argv[2]).fetchall()\n\
        c.commit()\n\
        print(json.dumps([[v.hex() if isinstance(v, bytes) else v for v in row] for row in rows]))";
    let database = server.data().join("plimsoll.db");
    let done = Command::new("python3").args(["-c", script]).arg(database).arg(statement).output().unwrap();
    match done.status.success() {
        true => Ok(serde_json::from_slice(&done.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
    }
}

/// All records, the oldest first.
async fn records(server: &Server) -> Vec<Record> {
    let all = server.client().call::<List>(&ListRequest { limit: 500, ..ListRequest::default() }).await.unwrap();
    assert_eq!(all.next, None);
    let mut records = all.items;
    records.reverse();
    assert!(records.iter().zip(1..).all(|(record, seq)| record.seq == seq), "without gaps");
    records
}

async fn verified(server: &Server, anchor: Option<&str>) -> Verified {
    let request = VerifyRequest { anchor: anchor.map(str::to_owned) };
    server.client().call::<Verify>(&request).await.unwrap()
}

/// The number of the first record that is not as it was written, and what is said of it.
async fn fault(server: &Server, anchor: Option<&str>) -> (u64, String) {
    let found = verified(server, anchor).await;
    assert!(!found.sound && found.anchor.is_none(), "{found:?}");
    let fault = found.fault.unwrap();
    (fault.seq, fault.what)
}

async fn make(server: &Server, name: &str) {
    let request = CreateAppRequest { name: name.parse().unwrap(), source: None };
    server.client().call::<CreateApp>(&request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_in_the_log_and_no_secret_is() {
    const PARROT: &str = "hunter2-the-parrot-talks-2718";
    let server = Server::start().await;
    let client = server.client();
    let repo = Repo::new();
    repo.commit(App::new("v1").files(), "v1");
    server.create_app("shop", repo.source()).await;
    server.set_variables("shop", &[("PARROT", PARROT)]).await;
    let deployment = server.deploy_well("shop").await.id;
    let with_credentials =
        domain::source::Source::Git { url: format!("https://me:{PARROT}@git.example.org/shop.git"), reference: None };
    let source = operations::apps::SetSourceRequest { app: "shop".parse().unwrap(), source: with_credentials };
    client.call::<operations::apps::SetSource>(&source).await.unwrap();
    // What is not possible is no act.
    let ended = client.call::<Cancel>(&DeploymentRequest { deployment: deployment.clone() }).await;
    assert_eq!(refused(ended).code, ErrorKind::Conflict);
    let reader = CreateTokenRequest { read_only: true, ..CreateTokenRequest::named("reader".parse().unwrap()) };
    let made = client.call_with_key::<CreateToken>(&reader, Some("once")).await.unwrap();
    client.call_with_key::<CreateToken>(&reader, Some("once")).await.unwrap();
    let secret = made.secret.unwrap();
    let reading = Client::new(client.base(), &secret.clone().into()).unwrap();
    for _ in 0..5 {
        let other = CreateAppRequest { name: "other".parse().unwrap(), source: None };
        assert_eq!(refused(reading.call::<CreateApp>(&other).await).code, ErrorKind::Forbidden);
    }
    let of_app = ListRequest { app: Some("shop".parse().unwrap()), ..ListRequest::default() };
    let of_app: Vec<u64> = client.call::<List>(&of_app).await.unwrap().items.iter().map(|r| r.seq).collect();
    client.call::<Delete>(&GetRequest { app: "shop".parse().unwrap() }).await.unwrap();

    let all = records(&server).await;
    let told: Vec<(&str, Outcome)> = all.iter().map(|r| (r.draft.operation.as_str(), r.draft.outcome)).collect();
    let expected = [
        ("tokens.create", Outcome::Done),
        ("invitations.create", Outcome::Done),
        ("apps.create", Outcome::Done),
        ("variables.set", Outcome::Done),
        ("deployments.deploy", Outcome::Done),
        ("apps.set_source", Outcome::Done),
        ("tokens.create", Outcome::Done),
        ("apps.create", Outcome::Refused),
        ("apps.delete", Outcome::Begun),
        ("apps.delete", Outcome::Done),
    ];
    assert_eq!(told, expected, "each once: the repeated request is none, the same refusal is told once a minute");
    assert_eq!(of_app, [6, 5, 4, 3]);
    let [key, link, create, set, deploy, source, token, no, begun, gone] = all.as_slice() else { panic!("{all:#?}") };
    for record in [create, set, deploy, source, begun, gone] {
        let draft = &record.draft;
        assert_eq!(draft.app.as_ref().map(|app| app.as_str()), Some("shop"), "{draft:#?}");
        assert_eq!(draft.app_id, create.draft.app_id, "{draft:#?}");
        assert_eq!((draft.actor_kind, draft.via), (ActorKind::Token, Via::Local), "{draft:#?}");
        assert!(draft.address.is_some_and(|address| address.is_loopback()) && draft.request.is_some(), "{draft:#?}");
    }
    // What the first start made: nobody has asked for it.
    for record in [key, link] {
        let draft = &record.draft;
        assert_eq!((draft.actor.as_str(), draft.actor_kind, draft.via), ("system", ActorKind::System, Via::Local));
    }
    let waiting = server.cli_json(&["invitations", "list", "--json"]);
    assert_eq!(link.draft.target.as_deref(), waiting[0]["id"].as_str(), "{waiting}");
    assert!(create.draft.app_id.is_some());
    assert_eq!(deploy.draft.environment.as_ref().map(|e| e.as_str()), Some("production"));
    assert_eq!(deploy.draft.target.as_deref(), Some(deployment.as_str()));
    assert_eq!(token.draft.target.as_deref(), Some(made.token.id.as_str()));
    assert_eq!(set.draft.detail.value()["request"]["variables"], json!({ "PARROT": "[secret]" }));
    let after = &source.draft.detail.value()["after"];
    assert_eq!(after["url"], "https://[secret]@git.example.org/shop.git");
    assert_eq!((no.draft.actor.as_str(), no.draft.actor_name.as_str()), (made.token.id.as_str(), "reader"));
    assert!(no.draft.detail.value()["error"]["detail"].as_str().unwrap().contains("role deployer"), "{no:#?}");
    assert_eq!((begun.draft.of, gone.draft.of), (None, Some(begun.seq)));

    // Another reader of the log is a viewer, and the log is none of theirs.
    assert_eq!(refused(reading.call::<List>(&ListRequest::default()).await).code, ErrorKind::Forbidden);
    let sound = server.cli_json(&["audit", "verify", "--json"]);
    assert_eq!((&sound["sound"], &sound["unchecked"]), (&json!(true), &json!(0)), "{sound}");
    let export = server.cli(&["audit", "export"]);
    assert!(export.status.success(), "{export:?}");
    let export = String::from_utf8(export.stdout).unwrap();
    let lines: Vec<Record> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[..all.len()], all);
    let last = lines.last().unwrap();
    exported(&server, &export, &format!("{}:{}", last.seq, last.hash));
    let shown = String::from_utf8(server.cli(&["audit", "list"]).stdout).unwrap();
    assert!(shown.contains("deployments.deploy") && shown.contains("refused"), "{shown}");
    for text in [&export, &shown] {
        assert!(!text.contains(PARROT) && !text.contains(secret.as_str()), "{text}");
    }
}

/// An export speaks for itself, wherever it is taken; `anchor` is of its last record.
fn exported(server: &Server, export: &str, anchor: &str) {
    let file = server.shared().join("audit.ndjson");
    let verify = |text: &str, more: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let args = [&["audit", "verify", "--json", "--file", file.to_str().unwrap()], more].concat();
        // No server is asked.
        let asked = server.command().args(args).env("PLIMSOLL_SERVER", "http://127.0.0.1:9").output().unwrap();
        let said: Value = serde_json::from_slice(&asked.stdout).unwrap_or_else(|e| panic!("{e}: {asked:?}"));
        (asked.status.code(), said["fault"]["what"].as_str().unwrap_or_default().to_owned(), said["anchor"].clone())
    };
    assert_eq!(verify(export, &["--anchor", anchor]), (Some(0), String::new(), json!(anchor)));
    let (code, what, _) = verify(&export.replacen("\"via\":\"local\"", "\"via\":\"web\"", 1), &[]);
    assert!(code == Some(10) && what.contains("record 1 was altered"), "{what}");
    let (_, first) = export.split_once('\n').unwrap();
    assert!(verify(first, &[]).1.contains("record 1 is missing: the next one is 2"));
    let cut = export.trim_end().rsplit_once('\n').unwrap().0;
    assert_eq!(verify(cut, &[]).0, Some(0), "an end that is cut off can't be seen");
    assert!(verify(cut, &["--anchor", anchor]).1.contains("cut off"), "but by who knows what was there");
    assert!(verify(&format!("{cut}\nnothing\n"), &[]).1.contains("can't be read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_altered_behind_the_servers_back_is_named() {
    let mut server = Server::start().await;
    for name in ["one", "two", "three", "four"] {
        make(&server, name).await;
    }
    let whole = verified(&server, None).await;
    assert!(whole.sound && whole.records == 6, "{whole:?}");
    let anchor = whole.anchor.unwrap();

    // Nobody does it by mistake.
    let refused = sql(&server, "UPDATE audit SET actor_name = 'nobody' WHERE seq = 2").unwrap_err();
    assert!(refused.contains("append-only"), "{refused}");
    assert!(sql(&server, "DELETE FROM audit").unwrap_err().contains("append-only"));
    for trigger in ["audit_is_not_changed", "audit_is_kept"] {
        sql(&server, &format!("DROP TRIGGER {trigger}")).unwrap();
    }

    let name = sql(&server, "SELECT actor_name FROM audit WHERE seq = 2").unwrap()[0][0].clone();
    sql(&server, "UPDATE audit SET actor_name = 'nobody' WHERE seq = 2").unwrap();
    let (seq, what) = fault(&server, None).await;
    assert!(seq == 2 && what.contains("altered"), "{what}");
    let told = server.cli(&["audit", "verify"]);
    assert_eq!(told.status.code(), Some(10), "{told:?}");
    assert!(String::from_utf8_lossy(&told.stdout).contains("record 2"), "{told:?}");
    sql(&server, &format!("UPDATE audit SET actor_name = '{}' WHERE seq = 2", name.as_str().unwrap())).unwrap();
    assert!(verified(&server, Some(&anchor)).await.sound, "as it was");

    // One that is missing, in the middle and at the end.
    sql(&server, "CREATE TABLE aside AS SELECT * FROM audit WHERE seq > 2").unwrap();
    sql(&server, "DELETE FROM audit WHERE seq = 3").unwrap();
    let (seq, what) = fault(&server, None).await;
    assert!(seq == 3 && what.contains("missing: the next one is 4"), "{what}");
    sql(&server, "DELETE FROM audit WHERE seq > 3").unwrap();
    let (seq, what) = fault(&server, None).await;
    assert!(seq == 3 && what.contains("cut off"), "{what}");

    // The log goes on all the same, and does not hide it.
    server.stop();
    server.restart().await;
    make(&server, "five").await;
    let (seq, _) = fault(&server, None).await;
    assert_eq!(seq, 3);
    // Whoever puts back rows still has the head against them, which tells of the break.
    sql(&server, "DELETE FROM audit WHERE seq > 2").unwrap();
    sql(&server, "INSERT INTO audit SELECT * FROM aside").unwrap();
    assert!(!verified(&server, None).await.sound);
    let wrong = VerifyRequest { anchor: Some("four".to_owned()) };
    assert_eq!(plimsoll_tests::flow::refused(server.client().call::<Verify>(&wrong).await).status, 422);
}

/// What the requests below could change.
const TABLES: [&str; 17] = [
    "apps",
    "environments",
    "variables",
    "schedules",
    "windows",
    "settings",
    "deployments",
    "sagas",
    "queue",
    "plans",
    "uploads",
    "certificates",
    "channels",
    "idempotency",
    "approval_policies",
    "events",
    "audit",
];

fn everything(server: &Server) -> BTreeMap<&'static str, Value> {
    let mut rows: BTreeMap<_, _> = TABLES
        .into_iter()
        .map(|table| (table, sql(server, &format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap()))
        .collect();
    // When one was last used is noted beside the requests.
    rows.insert("tokens", sql(server, "SELECT id, name, revoked FROM tokens ORDER BY 1").unwrap());
    rows
}

async fn writes(server: &Server, known: &Value) -> Vec<Asked> {
    let document = reqwest::Client::builder().no_proxy().build().unwrap();
    let document = document.get(format!("http://{}/openapi.json", server.api())).send().await.unwrap();
    let document: Value = document.json().await.unwrap();
    let reads: Vec<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .filter(|entry| !["write", "destroy"].contains(&entry["x-plimsoll-effect"].as_str().unwrap_or_default()))
        .map(|entry| entry["operationId"].as_str().unwrap())
        .collect();
    let mut all = requests::all(&document, known);
    // A piece of an upload is not recorded: it is announced, and it is complete.
    all.retain(|asked| !reads.contains(&asked.operation.as_str()) && asked.operation != "uploads.send");
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_record_nothing_is_done() {
    let server = Server::start().await;
    let repo = Repo::new();
    repo.commit(App::new("v1").files(), "v1");
    server.create_app("shop", repo.source()).await;
    server.set_variables("shop", &[("A", "b")]).await;
    let deployment = server.deploy_well("shop").await.id;
    for args in [
        &["envs", "create", "staging", "--app", "shop"][..],
        &["deploy", "shop", "--cron", "0 6 1 1 * UTC", "--schedule", "nightly"],
    ] {
        let done = server.cli(args);
        assert!(done.status.success(), "{args:?}: {done:?}");
    }
    let client = server.client();
    let spare = CreateTokenRequest { read_only: true, ..CreateTokenRequest::named("spare".parse().unwrap()) };
    let spare = client.call::<CreateToken>(&spare).await.unwrap().token.id;
    let digest = format!("sha256:{}", "0".repeat(64));
    let upload =
        operations::uploads::CreateRequest { name: "a.tar".to_owned(), size: 10, digest: digest.parse().unwrap() };
    let upload = client.call::<operations::uploads::Create>(&upload).await.unwrap().id;
    let mail = Target::Mail(MailTarget { to: vec!["ann@example.org".to_owned()] });
    let channel =
        ChannelRequest { app: None, name: "ops".to_owned(), target: mail, topics: None, environments: vec![] };
    let channel = client.call::<CreateChannel>(&channel).await.unwrap().channel.id;
    let token = server.lasting_token().await;
    let invite = |email: &str| {
        let done = server.cli(&["--json", "users", "invite", email, "--role", "deployer", "--app", "shop"]);
        assert!(done.status.success(), "{done:?}");
        serde_json::from_slice::<Value>(&done.stdout).unwrap()
    };
    let zoe = format!("/invitation#{}", invite("zoe@example.org")["secret"].as_str().unwrap());
    assert_eq!(crate::people::accept(&server, &zoe, "Zoe").await.0, 200);
    let invitation = &invite("ann@example.org")["invitation"]["id"];
    let known = json!({
        "user": "zoe@example.org", "role": "viewer", "invitation": invitation, "session": "ses_01jd0000000000000000000000",
        "page": "guide", "words": "queue",
        "current": "not of a machine", "new": "nor is this of one", "preferences": { "theme": "dark" }, "code": "123456",
        "approval": "apr_01jd0000000000000000000000", "subject": "commit:0123abcd#1", "verdict": "approve",
        "user_code": "WDJB-MJHT",
        "app": "shop", "environment": "staging", "from": "production", "name": "other", "number": 1, "limit": 1, "size": 1,
        "deployment": deployment, "upload": upload, "window": "win_01jd0000000000000000000000", "token": spare,
        "plan": "0123abcd", "schedule": "nightly", "certificate": "shop", "key": "x", "source": repo.source(),
        "variables": { "B": "c" }, "names": ["A"], "cron": "0 6 * * * UTC", "policy": "run_all",
        "channel": channel, "delivery": "dlv_01jd0000000000000000000000", "cursor": 1,
        "target": { "kind": "mail", "to": ["ann@example.org"] },
        "to": { "place": "first" }, "topics": "events", "digest": digest, "rule": { "kind": "freeze", "reason": "sale" },
    });
    let mut asked = writes(&server, &known).await;
    // What is there already would be refused for that.
    let created = asked.iter_mut().find(|asked| asked.operation == "environments.create").unwrap();
    created.body = Some(json!({ "environment": "fresh" }));
    let (before, ingress, apps) = (everything(&server), server.ingress_pid(), server.apps());

    sql(&server, "CREATE TRIGGER no_record BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
        .unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut failed = Vec::new();
    for Asked { operation, method, path, body } in &asked {
        use secrecy::ExposeSecret;
        let mut request = http.request(method.clone(), format!("http://{}{path}", server.api()));
        request = request.bearer_auth(token.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let (status, said) = (response.status().as_u16(), response.text().await.unwrap());
        assert!(status >= 400, "{operation} was done without a record: {status} {said}");
        if status >= 500 {
            failed.push(operation.as_str());
        }
    }
    // The others were refused for reasons of their own; these would have been done.
    for operation in [
        "apps.create",
        "apps.set_source",
        "apps.set_concurrency",
        "apps.delete",
        "environments.create",
        "environments.set_supersede",
        "environments.delete",
        "variables.set",
        "uploads.create",
        "uploads.delete",
        "plans.create",
        "deployments.deploy",
        "schedules.create",
        "schedules.delete",
        "windows.create",
        "ingress.restart",
        "retention.run",
        "tokens.create",
        "tokens.revoke",
        "users.invite",
        "users.remove",
        "invitations.withdraw",
        "members.set",
        "members.remove",
        "approval_policies.set",
        "channels.create",
        "channels.update",
        "channels.remove",
        "channels.test",
        "mail.set",
    ] {
        let is_there = asked.iter().any(|asked| asked.operation == operation);
        assert!(is_there && failed.contains(&operation), "{operation} did not fail for want of a record: {failed:?}");
    }
    let after = everything(&server);
    for (table, rows) in &before {
        assert_eq!(rows, &after[table], "{table} has changed");
    }
    assert_eq!((server.ingress_pid(), server.apps()), (ingress, apps));

    sql(&server, "DROP TRIGGER no_record").unwrap();
    make(&server, "other").await;
    assert!(verified(&server, None).await.sound);
}
