//! Who may do what, asked from outside: each entry of the API's document, by each role.

use std::collections::BTreeSet;

use domain::TokenId;
use operations::events::{List, ListRequest};
use operations::tokens::{Create, CreateRequest};
use plimsoll_tests::agent::Agent;
use plimsoll_tests::requests::{self, Asked};
use plimsoll_tests::{Repo, Server};
use serde_json::{Value, json};

/// The least role that an operation needs, and where: written out, as the guide has it, not computed from the code.
/// `-`: whoever has signed in. `open`: anybody. `person`: no program. `hidden`: not there for who must not know of it.
const LEAST: &[(&str, &str, &str)] = &[
    ("health.live", "open", ""),
    ("health.ready", "open", ""),
    ("server.info", "-", ""),
    ("guides.list", "-", ""),
    ("guides.get", "-", ""),
    ("guides.search", "-", ""),
    ("figures.show", "viewer", "app"),
    ("overview.show", "viewer", "app"),
    ("schedules.preview", "-", ""),
    ("cluster.show", "viewer", "everywhere"),
    ("apps.create", "deployer", "everywhere"),
    ("apps.list", "viewer", "app"),
    ("apps.get", "viewer", "app"),
    ("apps.set_source", "admin", "app"),
    ("apps.set_concurrency", "admin", "app"),
    ("apps.delete", "owner", "app"),
    ("environments.create", "admin", "app"),
    ("environments.list", "viewer", "app"),
    ("environments.get", "viewer", "app"),
    ("environments.set_supersede", "admin", "app"),
    ("environments.delete", "owner", "app"),
    ("environments.metrics", "viewer", "app"),
    ("variables.list", "viewer", "app"),
    ("variables.set", "admin", "app"),
    ("variables.unset", "admin", "app"),
    ("sources.detect", "deployer", "app"),
    ("uploads.create", "deployer", "app"),
    ("uploads.list", "viewer", "app"),
    ("uploads.get", "viewer", "app"),
    ("uploads.delete", "deployer", "app"),
    ("uploads.send", "deployer", "app"),
    ("plans.create", "deployer", "app"),
    ("plans.list", "viewer", "app"),
    ("plans.get", "viewer", "app"),
    ("plans.simulate", "viewer", "app"),
    ("deployments.deploy", "deployer", "app"),
    ("deployments.rollback", "deployer", "app"),
    ("promotions.plan", "viewer", "app"),
    ("promotions.promote", "deployer", "app"),
    ("smoke_tests.run", "deployer", "app"),
    ("deployments.list", "viewer", "app"),
    ("deployments.get", "viewer", "app"),
    ("deployments.cancel", "deployer", "app"),
    ("deployments.resume", "deployer", "app"),
    ("deployments.abandon", "deployer", "app"),
    ("deployments.output", "viewer", "app"),
    ("deployments.output_stream", "viewer", "app"),
    ("deployments.output_file", "viewer", "app"),
    ("stream.topics", "viewer", "app"),
    ("queue.list", "viewer", "app"),
    ("queue.move", "deployer", "app"),
    ("queue.reschedule", "deployer", "app"),
    ("queue.timeline", "viewer", "app"),
    ("schedules.create", "deployer", "app"),
    ("schedules.list", "viewer", "app"),
    ("schedules.get", "viewer", "app"),
    ("schedules.update", "deployer", "app"),
    ("schedules.delete", "deployer", "app"),
    ("windows.create", "admin", "everywhere"),
    ("windows.list", "viewer", "app"),
    ("windows.delete", "admin", "app"),
    ("windows.bypasses", "viewer", "app"),
    ("releases.list", "viewer", "app"),
    ("releases.get", "viewer", "app"),
    ("certificates.add", "admin", "everywhere"),
    ("certificates.list", "viewer", "everywhere"),
    ("certificates.get", "viewer", "everywhere"),
    ("certificates.remove", "admin", "everywhere"),
    ("ingress.restart", "admin", "everywhere"),
    ("analytics.show", "viewer", "app"),
    ("deployments.diagnose", "viewer", "app"),
    ("stalls.show", "viewer", "everywhere"),
    ("stalls.set", "admin", "everywhere"),
    ("retention.show", "viewer", "everywhere"),
    ("retention.set", "admin", "everywhere"),
    ("retention.plan", "viewer", "everywhere"),
    ("retention.run", "admin", "everywhere"),
    ("logs.read", "viewer", "app"),
    ("logs.stream", "viewer", "app"),
    ("events.list", "viewer", "app"),
    ("events.stream", "viewer", "app"),
    ("metrics.read", "viewer", "everywhere"),
    ("tokens.list", "-", ""),
    ("tokens.create", "owner", "everywhere"),
    ("tokens.revoke", "owner", "everywhere"),
    ("me.show", "-", ""),
    ("me.set_preferences", "person", ""),
    ("me.change_password", "person", ""),
    ("users.list", "owner", "everywhere"),
    ("users.get", "owner", "everywhere"),
    ("users.set", "owner", "everywhere"),
    ("users.remove", "owner", "everywhere"),
    // To an app, who governs that.
    ("users.invite", "owner", "everywhere"),
    ("invitations.list", "admin", "everywhere"),
    ("invitations.withdraw", "admin", "app"),
    ("members.list", "viewer", "app"),
    ("members.set", "admin", "app"),
    ("members.remove", "admin", "app"),
    ("sessions.list", "person", ""),
    ("sessions.end", "hidden", ""),
    ("audit.list", "admin", "everywhere"),
    ("audit.verify", "admin", "everywhere"),
    ("audit.export", "admin", "everywhere"),
    ("devices.show", "person", ""),
    ("devices.approve", "person", ""),
    ("auth_settings.show", "owner", "everywhere"),
    ("auth_settings.set", "owner", "everywhere"),
    ("totp.show", "person", ""),
    ("totp.begin", "person", ""),
    ("totp.confirm", "person", ""),
    ("totp.remove", "person", ""),
    ("approvals.list", "viewer", "app"),
    ("approvals.get", "viewer", "app"),
    ("approvals.vote", "person", ""),
    ("approval_policies.list", "viewer", "app"),
    ("approval_policies.set", "admin", "app"),
    ("approval_policies.remove", "admin", "app"),
    ("channels.list", "viewer", "app"),
    ("channels.create", "admin", "everywhere"),
    ("channels.update", "admin", "app"),
    ("channels.remove", "admin", "app"),
    ("channels.test", "admin", "app"),
    ("deliveries.list", "viewer", "app"),
    ("deliveries.resend", "admin", "app"),
    ("notices.list", "viewer", "app"),
    ("notices.seen", "person", ""),
    ("mutes.list", "person", ""),
    ("mutes.set", "person", ""),
    ("mutes.remove", "person", ""),
    ("mail.show", "viewer", "everywhere"),
    ("mail.set", "admin", "everywhere"),
];

fn known(repo: &Repo, token: &TokenId) -> Value {
    json!({
        "app": "hello", "environment": "production", "from": "staging", "name": "hello", "number": 1, "limit": 1, "size": 1,
        "deployment": "dep_01jd0000000000000000000000", "upload": "upl_01jd0000000000000000000000",
        "window": "win_01jd0000000000000000000000", "token": token,
        "plan": "0123abcd", "schedule": "nightly", "certificate": "hello", "key": "x", "source": repo.source(),
        "topics": "events", "variables": {}, "names": [], "cron": "0 6 * * * UTC", "policy": "run_all", "to": { "place": "first" },
        "digest": format!("sha256:{}", "0".repeat(64)), "rule": { "kind": "freeze", "reason": "sale" },
        "user": "zoe@example.org", "session": "ses_01jd0000000000000000000000", "page": "guide", "words": "queue",
        "invitation": "inv_01jd0000000000000000000000", "role": "viewer", "preferences": {},
        "current": "otter gravel teapot", "new": "walnut harbour thimble", "code": "123456",
        "approval": "apr_01jd0000000000000000000000", "subject": "commit:0123abcd#1", "verdict": "approve",
        "channel": "chn_01jd0000000000000000000000", "delivery": "dlv_01jd0000000000000000000000", "cursor": 1,
        "target": { "kind": "mail", "to": ["ann@example.org"] },
        "user_code": "WDJB-MJHT",
    })
}

/// Status and body; of a stream its head alone.
async fn send(server: &Server, token: Option<&str>, asked: &Asked) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(asked.method.clone(), format!("http://{}{}", server.api(), asked.path));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = &asked.body {
        request = request.json(body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let stream = status == 200 && (asked.operation.ends_with("stream") || asked.operation == "stream.topics");
    (status, if stream { String::new() } else { response.text().await.unwrap() })
}

async fn everything(server: &Server, known: &Value) -> Vec<Asked> {
    let document = reqwest::Client::builder().no_proxy().build().unwrap();
    let document = document.get(format!("http://{}/openapi.json", server.api())).send().await.unwrap();
    requests::all(&document.json().await.unwrap(), known)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_looks_at_everything_and_changes_nothing() {
    let server = Server::start().await;
    let repo = Repo::new();
    repo.commit([("README.md", "hello\n")], "begin");
    server.create_app("hello", repo.source()).await;
    let reader = CreateRequest { read_only: true, ..CreateRequest::named("reader".parse().unwrap()) };
    let events = ListRequest { app: None, environment: None, deployment: None, after: None, limit: 500 };
    let made = server.client().call::<Create>(&reader).await.unwrap();
    let reader = made.secret.unwrap();
    let before = server.client().call::<List>(&events).await.unwrap();

    let all = everything(&server, &known(&repo, &made.token.id)).await;
    let listed: BTreeSet<&str> = LEAST.iter().map(|(operation, ..)| *operation).collect();
    let found: BTreeSet<&str> = all.iter().map(|asked| asked.operation.as_str()).collect();
    assert_eq!(found, listed, "each operation stands in the table, and nothing else");
    for asked in &all {
        let (_, least, at) = LEAST.iter().find(|(operation, ..)| *operation == asked.operation).unwrap();
        let what = format!("{} {} {}", asked.operation, asked.method, asked.path);
        let (status, said) = send(&server, None, asked).await;
        assert_eq!(status != 401, *least == "open", "{what}, by nobody: {status} {said}");
        let (status, said) = send(&server, Some(&reader), asked).await;
        if *least == "person" {
            assert!(status == 403 && said.contains("needs a person"), "{what}, by a program: {status} {said}");
        } else if *least == "hidden" {
            assert_eq!(status, 404, "{what}, by a viewer: {said}");
        } else if !["open", "-", "viewer"].contains(least) {
            assert_eq!(status, 403, "{what}, by a viewer: {said}");
            let problem: Value = serde_json::from_str(&said).unwrap();
            let detail = problem["detail"].as_str().unwrap();
            assert_eq!(problem["code"], "forbidden", "{what}: {said}");
            let needs = format!("needs the role {least} {}", if *at == "app" { "at the app" } else { "everywhere" });
            assert!(detail.contains(&needs) && detail.contains("`reader` has the role viewer"), "{what}: {detail}");
            assert!(problem["hint"].is_string(), "{what}: {said}");
        } else {
            assert!(![401, 403].contains(&status), "{what}, by a viewer: {status} {said}");
        }
    }
    let after = server.client().call::<List>(&events).await.unwrap();
    assert_eq!(before, after, "nothing has happened");

    // A token's own row is all that it is shown of tokens.
    let tokens = all.iter().find(|asked| asked.operation == "tokens.list").unwrap();
    let (_, own) = send(&server, Some(&reader), tokens).await;
    let own: Value = serde_json::from_str(&own).unwrap();
    assert_eq!(own.as_array().unwrap().len(), 1, "{own}");
    assert_eq!(own[0]["name"], "reader");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_refused_what_its_token_may_not_do() {
    let server = Server::start().await;
    let reader = CreateRequest { read_only: true, ..CreateRequest::named("reader".parse().unwrap()) };
    let reader = server.client().call::<Create>(&reader).await.unwrap().secret.unwrap();
    let agent = Agent::new(&server);
    let bearer = format!("Bearer {reader}");
    let call = |tool: &str, arguments: Value| json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool, "arguments": arguments } });
    let headers = [("authorization", bearer.as_str())];
    let heard = agent.send(&call("apps_create", json!({ "name": "shop" })), &headers).await;
    let result = &heard.response()["result"];
    assert_eq!(
        (&result["isError"], &result["structuredContent"]["code"]),
        (&json!(true), &json!("forbidden")),
        "{heard:?}"
    );
    let heard = agent.send(&call("apps_list", json!({})), &headers).await;
    assert_eq!(heard.response()["result"]["isError"], false, "{heard:?}");
    // Whatever a token may do: tokens are not made by agents.
    let heard = agent.send(&call("tokens_create", json!({ "name": "more" })), &[]).await;
    assert!(heard.response()["error"]["message"].as_str().unwrap().contains("Unknown tool"), "{heard:?}");
}
