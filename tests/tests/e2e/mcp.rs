//! Agents: the protocol's own suite, foreign clients, and what an agent may and may not do.

mod clients;
mod door;

use std::time::Duration;

use domain::DeploymentId;
use domain::audit::{ActorKind, Via};
use domain::phase::Phase;
use operations::audit::{List, ListRequest};
use plimsoll_tests::agent::{Agent, Companion};
use plimsoll_tests::{App, Repo, Server};
use serde_json::{Value, json};

fn place() -> Value {
    json!({ "app": "hello", "environment": "production" })
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn id(deployment: &Value) -> DeploymentId {
    deployment["id"].as_str().unwrap().parse().unwrap()
}

/// Waits as an agent does: again and again.
async fn waited(agent: &Agent, id: &DeploymentId) -> Value {
    for _ in 0..10 {
        let waited = agent.call("deployments_wait", json!({ "deployment": id, "timeout_seconds": 20 })).await;
        if waited["ended"] == true {
            return waited;
        }
        assert!(waited["next"].as_str().unwrap().contains("deployments_wait"), "{waited}");
    }
    panic!("{id} does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_deploys_and_may_leave() {
    let server = Server::start().await;
    let agent = Agent::new(&server);
    let repo = Repo::new();
    let gate = server.shared().join("go");
    let build = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
    repo.commit(App::new("v1").build(&build).files(), "v1");
    let source = json!({ "kind": "git", "url": repo.path() });
    agent.call("apps_create", json!({ "name": "hello", "source": source })).await;

    // Its id is there while it builds.
    let deployment = agent.call("deploy_full", with(place(), "idempotency_key", json!("first"))).await;
    // Its answer was lost, it thinks: the same key is the same deployment, also twice at once.
    let again = || agent.call("deploy_full", with(place(), "idempotency_key", json!("first")));
    let (one, other) = tokio::join!(again(), again());
    assert_eq!((&one["id"], &other["id"]), (&deployment["id"], &deployment["id"]));
    let other_request =
        json!({ "app": "hello", "environment": "production", "reference": "main", "idempotency_key": "first" });
    assert_eq!(agent.refused("deploy_full", other_request).await["code"], "conflict");
    // It leaves in the middle of a wait, and of a second deployment's start.
    let waiting = json!({ "deployment": deployment["id"], "timeout_seconds": 50 });
    agent.call_and_leave("deployments_wait", waiting, Duration::from_millis(300)).await;
    std::fs::write(gate, "").unwrap();
    assert_eq!(server.end(&id(&deployment)).await.phase, Phase::Active);
    server.assert_serves("hello", "/", "v1").await;

    // Progress for those who ask for it, growing, on the answer's own stream.
    repo.commit(App::new("v2").build("sleep 1").files(), "v2");
    let second = agent.call("deploy_full", place()).await;
    let params = json!({ "name": "deployments_wait", "_meta": { "progressToken": "p-1" },
        "arguments": { "deployment": second["id"], "timeout_seconds": 50 } });
    let heard = agent.request("tools/call", params).await;
    let (response, told) = heard.messages.split_last().unwrap();
    assert_eq!(response["result"]["structuredContent"]["deployment"]["phase"], "active", "{response}");
    let steps: Vec<f64> = told.iter().map(|message| message["params"]["progress"].as_f64().unwrap()).collect();
    assert!(!steps.is_empty() && steps.is_sorted_by(|a, b| a < b), "{told:?}");
    assert!(told.iter().all(|message| message["params"]["progressToken"] == "p-1"), "{told:?}");

    // Cancelled: v2 serves on.
    repo.commit(App::new("v3").build("sleep 60").files(), "v3");
    let third = agent.call("deploy_full", place()).await;
    server.reach(&id(&third), Phase::Building).await;
    agent.call("deployments_cancel", json!({ "deployment": third["id"] })).await;
    let ended = waited(&agent, &id(&third)).await;
    assert_eq!(ended["deployment"]["phase"], "cancelled");
    let back = agent.call("rollback", place()).await;
    assert_eq!(waited(&agent, &id(&back)).await["deployment"]["phase"], "active");
    server.assert_serves("hello", "/", "v1").await;

    // Destroying needs a word, and the right one.
    let delete = json!({ "app": "hello" });
    for wrong in [delete.clone(), with(delete.clone(), "confirm", json!("hullo"))] {
        let refusal = agent.refused("apps_delete", wrong).await;
        assert_eq!(refusal["code"], "confirmation_required");
        assert!(refusal["hint"].as_str().unwrap().contains("`hello`"), "{refusal}");
    }
    server.assert_serves("hello", "/", "v1").await;
    agent.call("apps_delete", with(delete, "confirm", json!("hello"))).await;
    assert_eq!(agent.refused("apps_get", json!({ "app": "hello" })).await["code"], "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_beats_everything() {
    let server = Server::start_with(&["--mcp-read-only"], &[]).await;
    let agent = Agent::new(&server);
    // One that was told, and one that the server tells.
    let mut told = Companion::start(&server, &["--read-only"]).await;
    let mut companion = Companion::start(&server, &[]).await;
    // People's own programs are not meant.
    server.cli_json(&["apps", "create", "hello", "--json"]);
    for heard in [
        agent.request("tools/list", json!({})).await.response().clone(),
        told.request("tools/list", json!({})).await,
        companion.request("tools/list", json!({})).await,
    ] {
        let tools = heard["result"]["tools"].as_array().unwrap();
        assert!(tools.len() > 10 && tools.iter().all(|tool| tool["annotations"]["readOnlyHint"] == true), "{heard}");
    }
    for (tool, arguments) in [
        ("apps_create", json!({ "name": "other" })),
        ("apps_delete", json!({ "app": "hello", "confirm": "hello" })),
        ("deploy_full", place()),
        ("variables_set", with(place(), "variables", json!({ "A": "1" }))),
    ] {
        assert_eq!(agent.refused(tool, arguments.clone()).await["code"], "read_only", "{tool}");
        assert_eq!(told.refused(tool, arguments.clone()).await["code"], "read_only", "{tool}");
        let refusal = companion.refused(tool, arguments).await;
        assert_eq!(refusal["code"], "read_only", "{tool}");
        assert!(refusal["hint"].to_string().contains("--mcp-read-only"), "{refusal}");
    }
    let weakened = with(place(), "read_only", json!(false));
    assert_eq!(agent.refused("deploy_full", weakened.clone()).await["code"], "read_only");
    assert_eq!(told.refused("deploy_full", weakened).await["code"], "read_only");
    let apps = agent.call("apps_list", json!({})).await;
    assert_eq!(apps["items"].as_array().unwrap().len(), 1, "{apps}");
    assert_eq!(companion.call("apps_list", json!({})).await, apps);
    assert_eq!(told.call("apps_list", json!({})).await, apps);
    told.leave().await;
    companion.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_companion_outlasts_its_server() {
    let mut server = Server::start().await;
    let repo = Repo::new();
    repo.commit(App::new("v1").build("sleep 3").files(), "v1");
    server.create_app("hello", repo.source()).await;
    let mut companion = Companion::start(&server, &[]).await;
    let deployment = companion.call("deploy_full", place()).await;
    // An agent has done it, as if it had come to `/mcp`.
    let deploys = ListRequest { operation: Some("deployments.deploy".to_owned()), ..ListRequest::default() };
    let records = server.client().call::<List>(&deploys).await.unwrap().items;
    let by: Vec<_> = records.iter().map(|record| (record.draft.actor_kind, record.draft.via)).collect();
    assert_eq!(by, [(ActorKind::Agent, Via::Mcp)]);
    server.reach(&id(&deployment), Phase::Building).await;
    // It waits while its server dies and comes back with another token.
    let params =
        json!({ "name": "deployments_wait", "arguments": { "deployment": deployment["id"], "timeout_seconds": 50 } });
    companion.write(&plimsoll_tests::agent::request("tools/call", params)).await;
    server.kill9();
    server.restart().await;
    let answer = companion.read().await;
    assert_eq!(answer["result"]["structuredContent"]["deployment"]["phase"], "active", "{answer}");
    server.stop();
    let refusal = companion.refused("apps_list", json!({})).await;
    assert_eq!((&refusal["code"], &refusal["retry"]["possible"]), (&json!("unavailable"), &json!(true)), "{refusal}");
    server.restart().await;
    assert_eq!(companion.call("apps_list", json!({})).await["items"][0]["name"], "hello");
    // Nonsense on its input ends nothing.
    companion.write(&json!("nonsense")).await;
    companion.write(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": 7 })).await;
    let mut answer = companion.request("tools/call", json!({ "name": "apps_list", "arguments": {} })).await;
    while answer["result"]["structuredContent"].is_null() {
        answer = companion.read().await;
    }
    companion.leave().await;
}
