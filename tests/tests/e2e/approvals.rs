//! Deployments that wait for the yes of others: whose counts, what is approved of, and what ends it.

use std::time::Duration;

use chrono::TimeDelta;
use domain::ApprovalId;
use domain::access::Role;
use domain::approval::{ApprovalState, Verdict};
use domain::deployment::Deployment;
use domain::event::EventKind;
use domain::failure::Cause;
use domain::phase::Phase;
use domain::queue::Waiting;
use operations::approvals::{Approval, ApprovalRequest, Get, Vote, VoteRequest};
use operations::deployments::{Cancel, Deploy, DeployRequest, DeploymentRequest};
use operations::queue::Entry;
use operations::tokens::{Create, CreateRequest, Grant};
use operations::{Client, ErrorKind, Page};
use plimsoll_tests::agent::Agent;
use plimsoll_tests::flow::{active, refused};
use plimsoll_tests::{App, Repo, Server, wait_for};
use reqwest::Method;
use serde_json::{Value, json};

use crate::people::{Person, accept, secret, with};
use crate::upgrade::sql;
use crate::with_app;

const LIMIT: Duration = Duration::from_secs(90);

/// The app `hello`, whose owner Ann asks for things, and Zoe, an admin of it, who votes; with a token of each.
struct World {
    server: Server,
    repo: Repo,
    ann: Person,
    zoe: Person,
    /// Ann's, for programs of hers.
    laptop: Client,
    zoes: String,
}

impl World {
    async fn new(policy: Value) -> Self {
        let (server, repo, _) = with_app("hello").await;
        let link =
            String::from_utf8(server.cli(&["users", "invite", "ann@example.org", "--role", "owner"]).stdout).unwrap();
        let ann = accept(&server, &link, "Ann").await.1.unwrap();
        let zoe = person(&server, &ann, "zoe", "admin").await;
        let laptop = with(&server, &token(&ann, "ann-laptop").await);
        let zoes = token(&zoe, "zoe-laptop").await;
        let (status, said) = ann.ask(Method::PUT, "apps/hello/environments/production/approval-policy", policy).await;
        assert_eq!(status, 200, "{said}");
        Self { server, repo, ann, zoe, laptop, zoes }
    }

    /// Ann deploys, and it waits.
    async fn asked(&self) -> (Deployment, Approval) {
        self.asked_with(json!({})).await
    }

    async fn asked_with(&self, more: Value) -> (Deployment, Approval) {
        let (status, said) = self.ann.ask(Method::POST, "apps/hello/environments/production/deployments", more).await;
        assert_eq!(status, 202, "{said}");
        let deployment: Deployment = serde_json::from_value(said).unwrap();
        assert_eq!(deployment.phase, Phase::Queued, "{deployment:#?}");
        let approval = deployment.metadata.approval.clone().expect("it names what it waits for");
        (deployment, self.approval(&approval).await)
    }

    /// As Zoe sees it.
    async fn approval(&self, id: &ApprovalId) -> Approval {
        let (status, said) = self.zoe.get(&format!("approvals/{id}")).await;
        assert_eq!(status, 200, "{said}");
        serde_json::from_value(said).unwrap()
    }

    async fn vote(&self, by: &Person, on: &Approval, verdict: Verdict) -> (u16, Value) {
        let body = json!({ "subject": on.subject, "verdict": verdict, "comment": "seen" });
        by.ask(Method::POST, &format!("approvals/{}/votes", on.id), body).await
    }

    async fn told(&self, deployment: &Deployment) -> Vec<EventKind> {
        self.server.events(&deployment.id).await.into_iter().map(|event| event.kind).collect()
    }
}

async fn person(server: &Server, ann: &Person, name: &str, role: &str) -> Person {
    let invited = json!({ "email": format!("{name}@example.org"), "role": role, "app": "hello" });
    let made = ann.ask(Method::POST, "invitations", invited).await;
    accept(server, &format!("/invitation#{}", secret(&made)), name).await.1.unwrap()
}

/// One that acts in the person's name.
async fn token(of: &Person, name: &str) -> String {
    secret(&of.ask(Method::POST, "tokens", json!({ "name": name, "for": "me" })).await)
}

fn state(said: &(u16, Value)) -> (&Value, &Value) {
    assert_eq!(said.0, 200, "{}", said.1);
    (&said.1["state"], &said.1["got"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_person_lets_it_start_and_nobody_else() {
    let world = World::new(json!({ "required": 2, "role": "deployer" })).await;
    let server = &world.server;
    world.repo.commit(App::new("v2").files(), "v2");
    // What it would wait for is known before, by whoever plans it.
    let planned = json!({ "required": 2, "role": "deployer", "own_counts": false, "expires_in": "1d" });
    let (status, plan) = world.ann.ask(Method::POST, "apps/hello/environments/production/plans", json!({})).await;
    assert_eq!((status, &plan["approval"]), (201, &planned), "{plan}");
    let digest = plan["digest"].as_str().unwrap();
    let (_, simulated) = world.zoe.get(&format!("plans/{digest}/simulation")).await;
    assert_eq!(simulated["approval"], planned, "{simulated}");
    let (deployment, approval) = world.asked().await;
    assert_eq!((approval.state, approval.got, approval.required), (ApprovalState::Pending, 0, 2));
    assert!(approval.may_vote && approval.requested_by == "Ann", "{approval:#?}");
    let head = world.repo.git(&["rev-parse", "HEAD"]);
    assert!(approval.subject.starts_with(&format!("commit:{}", head.trim())), "{approval:#?}");
    assert!(approval.subject_note.contains("v2"), "{approval:#?}");

    // It waits, and says for what.
    let waits = server.deployment(&deployment.id).await.metadata.waiting_for.unwrap();
    assert!(waits.starts_with("approval (0 of 2, role deployer, expires "), "{waits}");
    let queue: Page<Entry> = serde_json::from_value(server.cli_json(&["queue", "list", "--json"])).unwrap();
    let entry = &queue.items[0];
    assert!(matches!(&entry.waiting, Waiting::Approval { got: 0, needs: 2, .. }), "{entry:#?}");
    assert!(entry.estimate.is_none(), "nobody knows when: {entry:#?}");

    // Not by who asked, whatever they come with.
    let own = world.vote(&world.ann, &approval, Verdict::Approve).await;
    assert!(own.0 == 403 && own.1.to_string().contains("one's own approval does not count"), "{own:?}");
    let vote = VoteRequest {
        approval: approval.id.clone(),
        subject: approval.subject.clone(),
        verdict: Verdict::Approve,
        comment: None,
    };
    let error = refused(world.laptop.call::<Vote>(&vote).await);
    assert!(error.code == ErrorKind::Forbidden && error.detail.contains("one's own"), "{error:?}");
    let seen = world.laptop.call::<Get>(&ApprovalRequest { approval: approval.id.clone() }).await.unwrap();
    assert!(!seen.may_vote && seen.may_not.unwrap().contains("yourself"));
    // Nor by a program, on this machine or elsewhere.
    let error = refused(server.client().call::<Vote>(&vote).await);
    assert!(error.code == ErrorKind::Forbidden && error.detail.contains("a person"), "{error:?}");
    let ci = json!({ "name": "ci", "grants": [{ "app": "hello", "role": "owner" }] });
    let ci = with(server, &secret(&world.ann.ask(Method::POST, "tokens", ci).await));
    assert_eq!(refused(ci.call::<Vote>(&vote).await).code, ErrorKind::Forbidden);
    // Nor by an agent with a person's token.
    let agent = Agent::new(server);
    let bearer = format!("Bearer {}", world.zoes);
    let arguments = json!({ "approval": approval.id, "subject": approval.subject, "verdict": "approve" });
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "approvals_vote", "arguments": arguments } });
    let heard = agent.send(&call, &[("authorization", bearer.as_str())]).await;
    assert!(heard.response()["error"]["message"].as_str().unwrap().contains("Unknown tool"), "{heard:?}");
    // Nor by who has too little there, or nothing.
    let viewer = person(server, &world.ann, "vic", "viewer").await;
    let no = world.vote(&viewer, &approval, Verdict::Approve).await;
    assert!(no.0 == 403 && no.1.to_string().contains("role deployer"), "{no:?}");
    // And for what was asked alone.
    let other = Approval { subject: approval.subject.replace("commit:", "commit:0"), ..approval.clone() };
    assert_eq!(world.vote(&world.zoe, &other, Verdict::Approve).await.0, 409);
    assert_eq!(server.deployment(&deployment.id).await.phase, Phase::Queued);

    // The branch moves meanwhile.
    world.repo.commit(App::new("v3").files(), "v3");
    let mine = world.zoe.get("approvals?mine=true").await.1;
    assert_eq!(mine["items"].as_array().unwrap().len(), 1, "{mine}");
    let needs = async |who: &Person| who.get("overview").await.1["needs_you"].clone();
    let told = needs(&world.zoe).await;
    assert_eq!((&told[0]["kind"], &told[0]["approval"]), (&json!("approval"), &json!(approval.id)), "{told}");
    assert_eq!((needs(&world.ann).await, needs(&viewer).await), (json!([]), json!([])));
    assert_eq!(state(&world.vote(&world.zoe, &approval, Verdict::Approve).await), (&json!("pending"), &json!(1)));
    assert_eq!(state(&world.vote(&world.zoe, &approval, Verdict::Approve).await).1, &json!(1), "twice is once");
    assert_eq!(world.zoe.get("approvals?mine=true").await.1["items"], json!([]));
    assert_eq!(needs(&world.zoe).await, json!([]), "she has voted");
    let waits = server.deployment(&deployment.id).await.metadata.waiting_for.unwrap();
    assert!(waits.starts_with("approval (1 of 2"), "{waits}");

    // Who may not vote any more has not voted, until they may again.
    let member = "apps/hello/members/zoe@example.org";
    for (role, got) in [("viewer", 0), ("admin", 1)] {
        assert_eq!(world.ann.ask(Method::PUT, member, json!({ "role": role })).await.0, 200);
        assert_eq!(world.approval(&approval.id).await.got, got, "{role}");
        let waits = server.deployment(&deployment.id).await.metadata.waiting_for.unwrap();
        assert!(waits.starts_with(&format!("approval ({got} of 2")), "{waits}");
    }

    // The second one by the CLI.
    let dan = person(server, &world.ann, "dan", "deployer").await;
    // Who votes does not say who is asked; and without the policy, what it has had asked goes on to wait.
    let policy = "apps/hello/environments/production/approval-policy";
    assert_eq!(dan.ask(Method::DELETE, policy, Value::Null).await.0, 403);
    assert_eq!(world.ann.ask(Method::DELETE, policy, Value::Null).await.0, 200);
    let waits = server.deployment(&deployment.id).await.metadata.waiting_for.unwrap();
    assert!(waits.starts_with("approval (1 of 2"), "{waits}");
    let dans = token(&dan, "dan-laptop").await;
    let mut cli = server.command();
    cli.args(["approvals", "approve", approval.id.as_str(), "--comment", "looked at it", "--yes"]);
    cli.env("PLIMSOLL_SERVER", format!("http://{}", server.api())).env("PLIMSOLL_TOKEN", &dans);
    let done = cli.output().unwrap();
    assert!(done.status.success(), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stdout).contains("may start"), "{done:?}");
    let ended = active(server.end(&deployment.id).await);
    assert_eq!(ended.metadata.commit.unwrap().sha, head.trim());
    server.assert_serves("hello", "/", "v2").await;

    let decided = world.approval(&approval.id).await;
    assert_eq!((decided.state, decided.got, decided.votes.len()), (ApprovalState::Approved, 2, 2));
    assert_eq!(decided.votes[1].comment.as_deref(), Some("looked at it"));
    assert_eq!(world.vote(&dan, &decided, Verdict::Refuse).await.0, 409, "it is decided");
    let told = world.told(&deployment).await;
    assert!(told.iter().any(|kind| matches!(kind, EventKind::ApprovalRequested { required: 2, .. })), "{told:#?}");
    let approved = |kind: &EventKind| matches!(kind, EventKind::ApprovalDecided { state: ApprovalState::Approved, .. });
    assert!(told.iter().any(approved), "{told:#?}");
    let audit = server.cli(&["audit", "list", "--limit", "500", "--json"]);
    let audit = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(audit.contains("approvals.vote") && audit.contains("approval_policies.set"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ones_program_asks_for_one_has_asked_for() {
    let world = World::new(json!({ "required": 1, "role": "admin" })).await;
    let server = &world.server;
    // Machines' tokens that Ann made: one herself, the other one by it.
    let owner = json!({ "name": "ci", "grants": [{ "role": "owner" }] });
    let ci = with(server, &secret(&world.ann.ask(Method::POST, "tokens", owner).await));
    let grants = vec![Grant { app: None, role: Role::Deployer }];
    let request = CreateRequest { grants, ..CreateRequest::named("runner".parse().unwrap()) };
    let runner = with(server, &ci.call::<Create>(&request).await.unwrap().secret.unwrap());
    for program in [ci, runner] {
        let request: DeployRequest =
            serde_json::from_value(json!({ "app": "hello", "environment": "production" })).unwrap();
        let asked = program.call::<Deploy>(&request).await.unwrap();
        let approval = world.approval(asked.metadata.approval.as_ref().unwrap()).await;
        let own = world.vote(&world.ann, &approval, Verdict::Approve).await;
        assert!(own.0 == 403 && own.1.to_string().contains("one's own approval does not count"), "{own:?}");
        let (_, mine) = world.ann.get("approvals?mine=true").await;
        assert_eq!(mine["items"], json!([]), "it does not wait for her");
        assert_eq!(state(&world.vote(&world.zoe, &approval, Verdict::Refuse).await).0, &json!("refused"));
    }
    // The server's own token is nobody's.
    let asked = server.deploy("hello").await;
    let approval = world.approval(asked.metadata.approval.as_ref().unwrap()).await;
    assert_eq!(state(&world.vote(&world.ann, &approval, Verdict::Refuse).await).0, &json!("refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_is_asked_anew_and_a_no_or_a_cancel_ends_it() {
    let world = World::new(json!({ "required": 1, "role": "admin", "bypasses": true })).await;
    let server = &world.server;

    // Variables change while it is pending.
    let (deployment, first) = world.asked().await;
    server.set_variables("hello", &[("COLOUR", "blue")]).await;
    let second = world.approval(&first.id).await;
    assert_ne!(first.subject, second.subject);
    assert_eq!(world.vote(&world.zoe, &first, Verdict::Approve).await.0, 409, "that was another question");
    let no = world.vote(&world.zoe, &second, Verdict::Refuse).await;
    assert_eq!(state(&no).0, &json!("refused"));
    let ended = server.end(&deployment.id).await;
    let failure = ended.failure.unwrap();
    assert_eq!((ended.phase, failure.cause), (Phase::Cancelled, Cause::NotApproved), "{failure:#?}");
    assert!(failure.message.contains("refused by zoe: seen"), "{failure:#?}");

    // And once it was approved of, but could not start: a freeze holds it.
    let frozen = server.cli(&["windows", "freeze", "--app", "hello", "--reason", "sale"]);
    assert!(frozen.status.success(), "{frozen:?}");
    let (deployment, asked) = world.asked().await;
    assert_eq!(state(&world.vote(&world.zoe, &asked, Verdict::Approve).await).0, &json!("approved"));
    let waits = server.deployment(&deployment.id).await.metadata.waiting_for.unwrap();
    assert!(waits.contains("sale"), "{waits}");
    server.set_variables("hello", &[("COLOUR", "red")]).await;
    let again = world.approval(&asked.id).await;
    assert_eq!((again.state, again.got, again.votes[0].counts), (ApprovalState::Pending, 0, false), "{again:#?}");
    let told = world.told(&deployment).await;
    assert!(told.iter().any(|kind| matches!(kind, EventKind::ApprovalReset { .. })), "{told:#?}");

    // Past the freeze, with the yes of another one on record.
    let more = json!({ "priority": "critical", "bypass_window": "the cart is down" });
    let (urgent, asked) = world.asked_with(more).await;
    assert!(asked.subject_note.contains("the cart is down"), "{asked:#?}");
    assert_eq!(server.deployment(&urgent.id).await.phase, Phase::Queued, "it goes past windows, not past people");
    let yes = world.vote(&world.zoe, &asked, Verdict::Approve).await;
    assert_eq!(state(&yes).0, &json!("approved"));
    active(server.end(&urgent.id).await);
    let bypasses = server.cli_json(&["windows", "bypasses", "--json"]);
    assert_eq!(bypasses["items"][0]["approved_by"], "zoe", "{bypasses}");

    // Whoever cancels it spares the others the vote.
    world.laptop.call::<Cancel>(&DeploymentRequest { deployment: deployment.id.clone() }).await.unwrap();
    let void = world.approval(&again.id).await;
    assert_eq!(void.state, ApprovalState::Void);
    assert!(void.why.as_deref().is_some_and(|why| why.contains("cancelled by")), "{void:#?}");
    assert_eq!(world.vote(&world.zoe, &void, Verdict::Approve).await.0, 409);

    // A rollback ends an outage: nobody is asked, unless the policy says so.
    let back = server.rollback("hello", None).await.unwrap();
    assert_eq!(back.metadata.approval, None);
    active(server.end(&back.id).await);
    let policy = json!({ "required": 1, "role": "admin", "rollbacks": true });
    let path = "apps/hello/environments/production/approval-policy";
    assert_eq!(world.ann.ask(Method::PUT, path, policy).await.0, 200);
    let back = server.rollback("hello", Some(2)).await.unwrap();
    let asked = world.approval(&back.metadata.approval.clone().unwrap()).await;
    assert!(asked.subject.starts_with("release:rel_"), "{asked:#?}");
    server.cancel(&back.id).await.unwrap();

    // What may be another one by then can't be approved of.
    let folder = DeployRequest {
        source: Some(domain::source::Source::Directory { path: world.repo.path().to_owned() }),
        ..serde_json::from_value(json!({ "app": "hello", "environment": "production" })).unwrap()
    };
    let error = refused(server.client().call::<Deploy>(&folder).await);
    assert!(error.status == 422 && error.detail.contains("nobody can approve of it"), "{error:?}");
    assert_eq!(world.zoe.ask(Method::DELETE, path, Value::Null).await.0, 200);
    let free = server.deploy("hello").await;
    assert_eq!(free.metadata.approval, None);
    server.cancel(&free.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_votes_on_ends_and_what_is_approved_late_is_newest() {
    let mut world = World::new(json!({ "required": 1, "role": "admin" })).await;
    // Asked for the longest time, and approved of last: that is what people want now.
    world.repo.commit(App::new("older").files(), "older");
    let (older, of_older) = world.asked().await;
    world.repo.commit(App::new("newer").files(), "newer");
    let (newer, of_newer) = world.asked().await;
    assert_eq!(state(&world.vote(&world.zoe, &of_newer, Verdict::Approve).await).0, &json!("approved"));
    active(world.server.end(&newer.id).await);
    world.server.assert_serves("hello", "/", "newer").await;
    assert_eq!(state(&world.vote(&world.zoe, &of_older, Verdict::Approve).await).0, &json!("approved"));
    active(world.server.end(&older.id).await);
    world.server.assert_serves("hello", "/", "older").await;

    // A restart forgets nothing.
    let short = json!({ "required": 1, "role": "admin", "expires_in": "1m" });
    let path = "apps/hello/environments/production/approval-policy";
    assert_eq!(world.ann.ask(Method::PUT, path, short).await.0, 200);
    let (forgotten, question) = world.asked().await;
    world.server.stop();
    // As if the server had been away for most of the minute, which is the shortest there is.
    let due = question.expires_at - TimeDelta::seconds(50);
    let row = format!("expires_at = {} WHERE id = '{}'", due.timestamp_micros(), question.id);
    sql(&world.server, &format!("UPDATE approvals SET {row}"));
    world.server.restart().await;
    let server = &world.server;
    let ended = wait_for("the end of what nobody voted on", LIMIT, async || {
        let deployment = server.deployment(&forgotten.id).await;
        deployment.phase.is_end().then_some(deployment)
    })
    .await;
    assert!(ended.finished_at.unwrap() >= due, "{ended:#?}");
    let failure = ended.failure.unwrap();
    assert_eq!((ended.phase, failure.cause), (Phase::Cancelled, Cause::NotApproved), "{failure:#?}");
    let expired = world.approval(&question.id).await;
    assert_eq!((expired.state, expired.may_vote), (ApprovalState::Expired, false));
    // Who has ended it is on record.
    let audit = world.server.cli_json(&["audit", "list", "--operation", "approvals.expire", "--json"]);
    let records = audit["items"].as_array().unwrap();
    assert_eq!(records.len(), 1, "{audit:#}");
    let told = |field: &str| records[0][field].as_str().unwrap_or_default();
    assert_eq!((told("actor"), told("actor_kind"), told("via")), ("system", "system", "tick"), "{audit:#}");
    assert_eq!((told("target"), told("app"), told("outcome")), (question.id.as_str(), "hello", "done"), "{audit:#}");
    assert_eq!(records[0]["detail"]["deployment"], forgotten.id.as_str());
    let verified = world.server.cli(&["audit", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
    world.server.assert_serves("hello", "/", "older").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_asked_about_supersedes_nothing_that_was_approved_of() {
    let world = World::new(json!({ "required": 1, "role": "admin" })).await;
    let server = &world.server;
    for args in [
        vec!["envs", "set-supersede", "production", "skip_queued", "--app", "hello"],
        vec!["windows", "freeze", "--app", "hello", "--reason", "sale"],
    ] {
        let done = server.cli(&args);
        assert!(done.status.success(), "{done:?}");
    }
    let cause = async |of: &Deployment| server.deployment(&of.id).await.failure.map(|failure| failure.cause);
    let (approved, question) = world.asked().await;
    assert_eq!(state(&world.vote(&world.zoe, &question, Verdict::Approve).await).0, &json!("approved"));
    let (older, _) = world.asked().await;
    let (newer, question) = world.asked().await;
    // Of those that wait for votes the newest is enough; what may start stays.
    assert_eq!(cause(&older).await, Some(Cause::Superseded));
    assert_eq!(cause(&approved).await, None);
    assert_eq!(state(&world.vote(&world.zoe, &question, Verdict::Approve).await).0, &json!("approved"));
    assert_eq!(cause(&approved).await, Some(Cause::Superseded));
    assert_eq!(server.deployment(&newer.id).await.phase, Phase::Queued);
}
