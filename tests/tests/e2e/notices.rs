//! Notices: people are told what happens, whatever befalls the server or their receiver, and a deployment notices nothing of it.

mod receiver;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use domain::channel::DeliveryState;
use domain::notice::Topic;
use domain::{ChannelId, webhook};
use operations::channels::{
    Channel, Create, CreateRequest, Created, List, ListRequest, MailTarget, SlackTarget, Target, Update, UpdateRequest,
    WebhookTarget,
};
use operations::deliveries::{self, Delivery, Resend, ResendRequest};
use operations::mail::{NewMailServer, Set, SetRequest};
use operations::{ErrorKind, notices, overview};
use plimsoll_tests::flow::refused;
use plimsoll_tests::{App, Repo, Server, wait_for};
use receiver::{Heard, MailSink, Manner, Receiver};
use reqwest::Method;
use serde_json::{Value, json};

use crate::people::accept;

const LIMIT: Duration = Duration::from_secs(60);
/// Receivers of these tests are on loopback, where nothing is called that nobody has allowed.
const ALLOWED: [&str; 4] = ["--allow-outgoing", "127.0.0.0/8", "--public-url", "https://deploy.example.org"];

async fn server() -> Server {
    Server::start_with(&ALLOWED, &[]).await
}

fn hook(receiver: &Receiver, path: &str) -> Target {
    Target::Webhook(WebhookTarget { url: receiver.url(path).into(), secret: None })
}

async fn add(server: &Server, name: &str, target: Target, topics: &[Topic]) -> Created {
    let topics = (!topics.is_empty()).then(|| topics.to_vec());
    let request = CreateRequest { app: None, name: name.to_owned(), target, topics, environments: vec![] };
    server.client().call::<Create>(&request).await.unwrap()
}

async fn sent(server: &Server, channel: &ChannelId) -> Vec<Delivery> {
    let request = deliveries::ListRequest { channel: channel.clone(), cursor: None, limit: 500 };
    server.client().call::<deliveries::List>(&request).await.unwrap().items
}

async fn until(server: &Server, channel: &ChannelId, what: &str, is_so: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
    wait_for(what, LIMIT, async || {
        let all = sent(server, channel).await;
        is_so(&all).then_some(all)
    })
    .await
}

async fn channel(server: &Server, id: &ChannelId) -> Channel {
    let all = server.client().call::<List>(&ListRequest::default()).await.unwrap();
    all.into_iter().find(|channel| channel.id == *id).unwrap()
}

/// Writes events that people want to be told into the server's database, behind its back.
fn happen(server: &Server, count: u32, app: &str) {
    let script = "import json, sqlite3, sys, time\n\
        c = sqlite3.connect(sys.argv[1], timeout=30)\n\
        body = json.dumps({'kind': 'window_bypassed', 'by': 'ann', 'reason': 'sale'})\n\
        row = (int(time.time() * 1e6), sys.argv[3], 'production', 'window_bypassed', body)\n\
        sql = 'INSERT INTO events (at, app, environment, kind, body) VALUES (?, ?, ?, ?, ?)'\n\
        c.executemany(sql, [row] * int(sys.argv[2]))\n\
        c.commit()";
    let database = server.data().join("plimsoll.db");
    let done = Command::new("python3").args(["-c", script]).arg(database).arg(count.to_string()).arg(app).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn assert_signed(heard: &Heard, secret: &str) {
    let secret: webhook::Secret = secret.parse().unwrap();
    let (at, signature) = (&heard.headers["webhook-timestamp"], &heard.headers["webhook-signature"]);
    let now = chrono::Utc::now().timestamp();
    assert_eq!(webhook::verify(&secret, heard.id(), at, signature, &heard.body, now), Ok(()), "{heard:?}");
    let other = webhook::Secret::new([7; 32]);
    assert!(webhook::verify(&other, heard.id(), at, signature, &heard.body, now).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_deployment_is_told_by_webhook_slack_and_mail() {
    let server = server().await;
    let (program, slack, mail) = (
        Receiver::start(Manner::Answers(200)).await,
        Receiver::start(Manner::Answers(200)).await,
        MailSink::start().await,
    );
    let made = add(&server, "program", hook(&program, "/hook?key=otter"), &[]).await;
    let url = slack.url("/services/T0/B0/teapotgravel").into();
    add(&server, "on call", Target::Slack(SlackTarget { url }), &[Topic::DeploymentFailed]).await;
    // Before a mail server is known, mails wait.
    let to = vec!["Ann <ann@example.org>".to_owned(), "zoe@example.org".to_owned()];
    let team = add(&server, "team", Target::Mail(MailTarget { to }), &[]).await.channel.id;
    let secret = made.secret.unwrap();
    assert_eq!(made.channel.address.as_deref(), Some(program.url("").as_str()), "no more of it is shown");

    let repo = Repo::new();
    repo.commit(App::new("v1").build("echo no <!channel>; exit 3").files(), "v1");
    server.create_app("shop", repo.source()).await;
    let failed = server.deploy_to_end("shop").await;

    let heard = program.wait(1).await.remove(0);
    assert_eq!((heard.path.as_str(), heard.headers["content-type"].as_str()), ("/hook?key=otter", "application/json"));
    assert_signed(&heard, &secret);
    let body = heard.json();
    let expected = json!({ "type": "deployment_failed", "title": "shop production: deployment failed in building" });
    assert_eq!((&body["type"], &body["data"]["title"]), (&expected["type"], &expected["title"]), "{body}");
    assert_eq!(body["data"]["notices"][0]["deployment"], failed.id.as_str());
    assert_eq!(body["data"]["url"], format!("https://deploy.example.org/deployments/{}", failed.id));
    let text = slack.wait(1).await.remove(0).json()["text"].as_str().unwrap().to_owned();
    assert!(
        text.contains("*shop production: deployment failed in building*") && !text.contains("<!channel>"),
        "{text}"
    );
    let done = until(&server, &made.channel.id, "the delivery", |all| all.iter().any(|d| d.done_at.is_some())).await;
    assert_eq!((done[0].state, done[0].attempts, done[0].status), (DeliveryState::Sent, 1, Some(200)));
    assert_eq!(done[0].id.as_str(), heard.id());

    let waits = until(&server, &team, "the mail's first attempt", |all| all.iter().any(|d| d.error.is_some())).await;
    assert!(waits[0].error.as_ref().unwrap().contains("plimsoll mail set"), "{waits:?}");
    // Whoever may set it up is told that it does not work, for as long as that is so.
    let fails = async || {
        let seen = server.client().call::<overview::Show>(&overview::ShowRequest::default()).await.unwrap();
        seen.needs_you.iter().any(|need| matches!(need, overview::Need::Channel { channel, .. } if *channel == team))
    };
    assert!(fails().await);
    let sink = NewMailServer {
        host: mail.address.ip().to_string(),
        port: mail.address.port(),
        encryption: domain::channel::Encryption::None,
        from: "Plimsoll <plimsoll@example.org>".to_owned(),
        user: None,
        password: None,
    };
    server.client().call::<Set>(&SetRequest { server: Some(sink) }).await.unwrap();
    let again = ResendRequest { channel: team.clone(), delivery: waits[0].id.clone() };
    server.client().call::<Resend>(&again).await.unwrap();
    let mail = mail.wait(1).await.remove(0);
    assert_eq!(mail.to.len(), 2, "{mail:?}");
    assert!(mail.text.contains("Subject: shop production: deployment failed in building"), "{}", mail.text);
    assert!(mail.text.contains(waits[0].id.as_str()), "its id is that of the delivery: {}", mail.text);
    wait_for("the end of what was wrong with the channel", LIMIT, async || (!fails().await).then_some(())).await;

    // People read the same, and so does who follows.
    let page = server.client().call::<notices::List>(&notices::ListRequest::default()).await.unwrap();
    assert_eq!(page.items[0].topic, Topic::DeploymentFailed);
    assert_eq!((page.items[0].deployment.as_ref(), page.next, page.seen), (Some(&failed.id), None, None));
    let shown = String::from_utf8(server.cli(&["notices", "list", "--json"]).stdout).unwrap();
    assert!(shown.contains("deployment failed in building"), "{shown}");
    let shown = String::from_utf8(server.cli(&["channels", "list"]).stdout).unwrap();
    // The columns of a table are as wide as there is room: ids alone are never broken.
    assert!(shown.contains(made.channel.id.as_str()), "{shown}");
    assert!(!shown.contains("teapot") && !shown.contains("otter"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_told_after_a_kill() {
    let mut server = server().await;
    let receiver = Receiver::start(Manner::Hangs).await;
    let made = add(&server, "program", hook(&receiver, "/hook"), &[Topic::WindowBypassed]).await;
    let (id, secret) = (made.channel.id, made.secret.unwrap());
    // Between the event and its message.
    server.kill9();
    happen(&server, 1, "shop");
    server.restart().await;
    let first = receiver.wait(1).await.remove(0);
    // Between the attempt and the note of it.
    server.kill9();
    receiver.behave(Manner::Answers(204));
    server.restart().await;
    let all = receiver.wait(2).await;
    assert_eq!(all[1].id(), first.id(), "whoever got it twice can tell");
    assert_eq!(all[1].json(), first.json());
    assert_signed(&all[1], &secret);
    let done = until(&server, &id, "the delivery", |all| all.iter().any(|d| d.done_at.is_some())).await;
    assert_eq!((done.len(), done[0].state, done[0].status), (1, DeliveryState::Sent, Some(204)));
    // And again, as somebody wants it, after which it is told no more.
    let again = ResendRequest { channel: id.clone(), delivery: done[0].id.clone() };
    server.client().call::<Resend>(&again).await.unwrap();
    assert_eq!(receiver.wait(3).await[2].id(), first.id());
    until(&server, &id, "the second delivery", |all| all[0].state == DeliveryState::Sent).await;
    server.kill9();
    server.restart().await;
    happen(&server, 1, "shop");
    let all = receiver.wait(4).await;
    assert_ne!(all[3].id(), first.id(), "what was sent stays sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_and_can_not_be_noted_is_not_sent_again() {
    let server = server().await;
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let channel = add(&server, "program", hook(&receiver, "/hook"), &[]).await.channel.id;
    let sql = |sql: &str| {
        let script = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1], timeout=30) as c: c.execute(sys.argv[2])";
        let done =
            Command::new("python3").args(["-c", script]).arg(server.data().join("plimsoll.db")).arg(sql).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    sql("CREATE TRIGGER full BEFORE UPDATE OF state ON deliveries WHEN NEW.state = 'sent' \
         BEGIN SELECT RAISE(ABORT, 'no room'); END");
    happen(&server, 1, "shop");
    receiver.wait(1).await;
    // Twice the pause after which it was sent again.
    let again = tokio::time::timeout(Duration::from_secs(5), receiver.wait(2)).await;
    assert!(again.is_err(), "{:?}", receiver.heard());
    sql("DROP TRIGGER full");
    let done = until(&server, &channel, "the delivery", |all| all.iter().any(|d| d.done_at.is_some())).await;
    assert_eq!((done[0].state, done[0].attempts, receiver.heard().len()), (DeliveryState::Sent, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_misbehave_touch_no_deployment() {
    let server = server().await;
    let repo = Repo::new();
    repo.commit(App::new("v1").files(), "v1");
    server.create_app("shop", repo.source()).await;
    server.deploy_well("shop").await;
    let median = async || {
        let mut times = Vec::new();
        for _ in 0..3 {
            let began = Instant::now();
            server.deploy_well("shop").await;
            times.push(began.elapsed());
        }
        times.sort_unstable();
        times[1]
    };
    let before = median().await;
    let manners = [Manner::Hangs, Manner::Answers(500), Manner::Closes, Manner::Floods, Manner::Answers(410)];
    let mut receivers = Vec::new();
    for manner in manners {
        let receiver = Receiver::start(manner).await;
        let path = format!("/hook/hunter2-{}", receivers.len());
        let made = add(&server, "bad", hook(&receiver, &path), &[Topic::DeploymentActive]).await;
        receivers.push((receiver, made.channel.id));
    }
    let after = median().await;
    assert!(after < before * 2 + Duration::from_secs(8), "{before:?} without channels, {after:?} with them");

    for (receiver, _) in &receivers {
        receiver.wait(1).await;
    }
    let [hangs, fails, closes, floods, gone] = receivers.as_slice() else { panic!() };
    for (channel, what) in [(&hangs.1, "answer"), (&fails.1, "500"), (&closes.1, "HTTP")] {
        let tried = until(&server, channel, "a failed attempt", |all| all.iter().any(|d| d.error.is_some())).await;
        let tried = tried.iter().find(|d| d.error.is_some()).unwrap();
        let error = tried.error.as_ref().unwrap();
        assert!(error.contains(what) && !error.contains("hunter2"), "{error}");
        assert!(tried.state == DeliveryState::Waiting && tried.due_at.is_some(), "{tried:?}");
        let failing = self::channel(&server, channel).await;
        assert!(failing.enabled && failing.failing_since.is_some(), "{failing:?}");
    }
    // A receiver has said yes, whatever it says besides; nobody listens to all of it.
    until(&server, &floods.1, "the endless answer", |all| all.iter().any(|d| d.state == DeliveryState::Sent)).await;
    assert!(floods.0.sent() < 64 << 20, "{} bytes were taken", floods.0.sent());
    // One that is gone is left alone, until somebody says otherwise.
    let disabled = async || (!self::channel(&server, &gone.1).await.enabled).then_some(());
    wait_for("the channel is disabled", LIMIT, disabled).await;
    let audit = server.cli_json(&["audit", "list", "--operation", "channels.disable", "--json"]);
    let records = audit["items"].as_array().unwrap();
    assert_eq!(records.len(), 1, "{audit:#}");
    let told = |field: &str| records[0][field].as_str().unwrap_or_default();
    assert_eq!((told("actor"), told("target"), told("outcome")), ("system", gone.1.as_str(), "done"), "{audit:#}");
    assert_eq!(records[0]["detail"]["status"], 410, "{audit:#}");
    let left = sent(&server, &gone.1).await;
    assert!(left.iter().all(|d| d.done_at.is_some()), "{left:?}");
    let again = ResendRequest { channel: gone.1.clone(), delivery: left[0].id.clone() };
    assert_eq!(refused(server.client().call::<Resend>(&again).await).code, ErrorKind::Conflict);
    let enable = UpdateRequest { enabled: Some(true), ..UpdateRequest::of(gone.1.clone()) };
    let enabled = server.client().call::<Update>(&enable).await.unwrap();
    assert!(enabled.enabled && enabled.failing_since.is_none());
    assert!(!server.log().contains("hunter2"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_events_is_few_messages() {
    let server = server().await;
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let made = add(&server, "program", hook(&receiver, "/hook"), &[Topic::WindowBypassed]).await;
    happen(&server, 500, "shop");
    receiver.wait(5).await;
    let all = until(&server, &made.channel.id, "six messages", |all| {
        all.iter().filter(|d| d.state == DeliveryState::Sent).count() == 5
    })
    .await;
    assert_eq!((all.len(), all.iter().map(|d| d.count).sum::<u64>()), (6, 500), "{all:?}");
    let many = all.iter().find(|message| message.count > 1).unwrap();
    assert!(many.count == 495 && many.due_at.is_some_and(|due| due > many.created_at), "{many:?}");
    // Nobody has to wait for it.
    let again = ResendRequest { channel: made.channel.id.clone(), delivery: many.id.clone() };
    server.client().call::<Resend>(&again).await.unwrap();
    let body = receiver.wait(6).await[5].json();
    assert_eq!((&body["type"], &body["data"]["count"]), (&json!("notices"), &json!(495)), "{body}");
    assert_eq!(body["data"]["title"], "495 notices: 495 past a closed window");
    assert_eq!(body["data"]["notices"].as_array().unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_inside_are_refused_unless_they_are_allowed() {
    let server = Server::start().await;
    let create = |url: &str| CreateRequest {
        app: None,
        name: "inside".to_owned(),
        target: Target::Webhook(WebhookTarget { url: url.to_owned().into(), secret: None }),
        topics: None,
        environments: vec![],
    };
    for url in [
        "http://127.0.0.1:1/hunter2",
        "https://127.0.0.1:1/hunter2",
        "https://localhost:1/hunter2",
        "https://2130706433/hunter2",
        "https://0x7f.1/hunter2",
        "https://[::ffff:127.0.0.1]/hunter2",
        "https://169.254.169.254/hunter2",
        "https://10.0.0.1/hunter2",
        "ftp://example.org/hunter2",
        "https://user:hunter2@example.org/",
    ] {
        let error = refused(server.client().call::<Create>(&create(url)).await);
        assert_eq!(error.code, ErrorKind::Unprocessable, "{url}: {error:?}");
        assert!(error.detail.contains("`target.url`") && !error.detail.contains("hunter2"), "{url}: {error:?}");
    }
    let error = refused(server.client().call::<Create>(&create("https://10.0.0.1/")).await);
    assert!(error.detail.contains("--allow-outgoing 10.0.0.1"), "{error:?}");
    assert!(server.cli_json(&["channels", "list", "--json"]).as_array().unwrap().is_empty());

    // What is in a command line others see, so the CLI takes such an address from elsewhere.
    let told = server.cli(&["channels", "create", "slack", "x", "--url", "https://hooks.example.org/x"]);
    assert_eq!(told.status.code(), Some(2), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_mute_what_they_do_not_want_to_hear_of() {
    let server = server().await;
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let made = add(&server, "program", hook(&receiver, "/hook"), &[Topic::WindowBypassed]).await;
    let repo = Repo::new();
    repo.commit([("README.md", "hello\n")], "begin");
    for app in ["shop", "blog", "other"] {
        server.create_app(app, repo.source()).await;
    }
    let link = server.cli(&["users", "invite", "zoe@example.org", "--role", "deployer", "--app", "shop"]);
    let zoe = accept(&server, &String::from_utf8(link.stdout).unwrap(), "Zoe").await.1.unwrap();
    let set = server.cli(&["members", "set", "zoe@example.org", "--app", "blog", "--role", "viewer"]);
    assert!(set.status.success(), "{set:?}");

    // What she follows from here on.
    let mut follower = zoe.follow("stream?topics=notices").await;
    for app in ["shop", "blog", "other"] {
        happen(&server, 1, app);
    }
    receiver.wait(3).await;
    let titles = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["title"].as_str().unwrap().split(' ').next().unwrap().to_owned()).collect()
    };
    let (status, page) = zoe.ask(Method::GET, "notices", Value::Null).await;
    assert_eq!((status, titles(&page), &page["unseen"]), (200, vec!["blog".to_owned(), "shop".to_owned()], &json!(2)));
    let newest = &page["items"][0]["cursor"];
    let (status, mark) = zoe.ask(Method::PUT, "notices/seen", json!({ "cursor": newest })).await;
    assert_eq!((status, &mark["seen"]), (200, newest), "{mark}");
    assert_eq!(zoe.ask(Method::GET, "notices", Value::Null).await.1["unseen"], 0);

    let (status, mute) = zoe.ask(Method::PUT, "mutes/shop", json!({ "until": "in 2h" })).await;
    assert!(status == 200 && mute["until"].is_string(), "{mute}");
    for (path, body, expected) in [
        ("mutes/other", json!({}), 404),
        ("mutes/nothing", json!({}), 404),
        ("mutes/shop", json!({ "until": "yesterday" }), 422),
    ] {
        let (status, said) = zoe.ask(Method::PUT, path, body).await;
        assert_eq!(status, expected, "{path}: {said}");
    }
    assert_eq!(zoe.ask(Method::GET, "mutes", Value::Null).await.1[0]["app"], "shop");
    for app in ["shop", "blog"] {
        happen(&server, 1, app);
    }
    // Channels are told all the same.
    receiver.wait(5).await;
    assert_eq!(sent(&server, &made.channel.id).await.len(), 5);
    let page = zoe.ask(Method::GET, "notices", Value::Null).await.1;
    assert_eq!((titles(&page), &page["unseen"]), (vec!["blog".to_owned(), "blog".to_owned()], &json!(1)));
    let mut followed = String::new();
    while followed.matches("event: notices").count() < 3 {
        let piece = tokio::time::timeout(LIMIT, follower.chunk()).await.unwrap().unwrap().unwrap();
        followed.push_str(&String::from_utf8_lossy(&piece));
    }
    let of = |app: &str| followed.matches(&format!("\"title\":\"{app} ")).count();
    assert_eq!((of("shop"), of("blog"), of("other")), (1, 2, 0), "{followed}");

    assert_eq!(zoe.ask(Method::DELETE, "mutes/shop", Value::Null).await.0, 200);
    assert_eq!(zoe.ask(Method::DELETE, "mutes/shop", Value::Null).await.0, 404);
    assert_eq!(titles(&zoe.ask(Method::GET, "notices", Value::Null).await.1).len(), 4);
    // What is of the whole server she is not shown; she sets up nothing where she only deploys.
    assert_eq!(zoe.ask(Method::GET, "channels", Value::Null).await.1, json!([]));
    let body = json!({ "app": "shop", "name": "x", "target": { "kind": "mail", "to": ["zoe@example.org"] } });
    assert_eq!(zoe.ask(Method::POST, "channels", body).await.0, 403);
    let of_all = format!("channels/{}/deliveries", made.channel.id);
    assert_eq!(zoe.ask(Method::GET, &of_all, Value::Null).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_approval_is_told_to_whose_vote_counts_and_its_end_to_who_asked() {
    let server = server().await;
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let topics = [
        Topic::ApprovalRequested,
        Topic::ApprovalRefused,
        Topic::ApprovalExpired,
        Topic::ApprovalApproved,
        Topic::DeploymentCancelled,
    ];
    let made = add(&server, "program", hook(&receiver, "/hook"), &topics).await;
    let repo = Repo::new();
    repo.commit(App::new("v1").files(), "v1");
    server.create_app("shop", repo.source()).await;
    let mut people = Vec::new();
    for (name, role) in [("ann", "admin"), ("zoe", "admin"), ("vic", "deployer")] {
        let email = format!("{name}@example.org");
        let link = server.cli(&["users", "invite", &email, "--role", role, "--app", "shop"]);
        people.push(accept(&server, &String::from_utf8(link.stdout).unwrap(), name).await.1.unwrap());
    }
    let [ann, zoe, vic] = &people[..] else { panic!("three people") };
    let place = "apps/shop/environments/production";
    let policy = json!({ "required": 1, "role": "admin" });
    assert_eq!(ann.ask(Method::PUT, &format!("{place}/approval-policy"), policy).await.0, 200);
    let mut follower = ann.follow("stream?topics=notices").await;

    let ask = async || {
        let (status, said) = ann.ask(Method::POST, &format!("{place}/deployments"), json!({})).await;
        assert_eq!(status, 202, "{said}");
        (said["id"].as_str().unwrap().to_owned(), said["metadata"]["approval"].as_str().unwrap().to_owned())
    };
    let vote = async |approval: &str, verdict: &str| {
        let (_, now) = zoe.get(&format!("approvals/{approval}")).await;
        let body = json!({ "subject": now["subject"], "verdict": verdict, "comment": "seen" });
        let (status, said) = zoe.ask(Method::POST, &format!("approvals/{approval}/votes"), body).await;
        assert_eq!(status, 200, "{said}");
    };
    let topics = async |person: &crate::people::Person| -> Vec<String> {
        let (_, page) = person.get("notices").await;
        let items = page["items"].as_array().unwrap().iter().rev();
        items.map(|item| item["topic"].as_str().unwrap().to_owned()).collect()
    };
    let (deployment, approval) = ask().await;
    let first = receiver.wait(1).await.remove(0).json();
    assert_eq!(first["type"], "approval_requested", "{first}");
    assert_eq!(first["data"]["title"], "shop production: deployment waits for approval");
    assert_eq!(first["data"]["url"], format!("https://deploy.example.org/deployments/{deployment}"));
    assert_eq!(topics(zoe).await, ["approval_requested"]);
    // What it would run with has changed: she is asked anew.
    server.set_variables("shop", &[("COLOUR", "blue")]).await;
    let again = receiver.wait(2).await.remove(1).json();
    assert_eq!(again["data"]["title"], "shop production: deployment waits for approval again");
    vote(&approval, "refuse").await;
    let refused = receiver.wait(3).await.remove(2).json();
    assert_eq!(refused["type"], "approval_refused", "{refused}");
    assert!(refused["data"]["notices"][0]["body"].as_str().unwrap().contains("refused by zoe: seen"), "{refused}");
    let (deployment, approval) = ask().await;
    receiver.wait(4).await;
    vote(&approval, "approve").await;
    assert_eq!(receiver.wait(5).await.remove(4).json()["type"], "approval_approved");
    let deployment = server.deployment(&deployment.parse().unwrap()).await.id;
    plimsoll_tests::flow::active(server.end(&deployment).await);

    assert_eq!(
        topics(zoe).await,
        ["approval_requested", "approval_requested", "approval_requested", "deployment_active"]
    );
    assert_eq!(topics(ann).await, ["approval_refused", "approval_approved", "deployment_active"]);
    assert_eq!(topics(vic).await, ["deployment_active"], "her vote would not count, and she asked for nothing");
    let page = server.client().call::<notices::List>(&notices::ListRequest::default()).await.unwrap();
    assert_eq!(page.items.len(), 6, "a program is told of all: {page:#?}");
    let mut followed = String::new();
    while !followed.contains("deployment_active") {
        let piece = tokio::time::timeout(LIMIT, follower.chunk()).await.unwrap().unwrap().unwrap();
        followed.push_str(&String::from_utf8_lossy(&piece));
    }
    assert!(followed.contains("was refused") && !followed.contains("waits for approval"), "{followed}");
    // One message for each, and none that says twice that it has ended.
    assert_eq!(sent(&server, &made.channel.id).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_tried_from_the_command_line() {
    let server = server().await;
    let receiver = Receiver::start(Manner::Answers(200)).await;
    let mut create = server.command();
    create.args(["--json", "channels", "create", "webhook", "ops", "--url-file", "-", "--topic", "deployment_failed"]);
    let mut create = create.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let url = receiver.url("/hook/hunter2parrot");
    std::io::Write::write_all(&mut create.stdin.take().unwrap(), format!("{url}\n").as_bytes()).unwrap();
    let created = create.wait_with_output().unwrap();
    assert!(created.status.success(), "{created:?}");
    let created: Value = serde_json::from_slice(&created.stdout).unwrap();
    let id = created["channel"]["id"].as_str().unwrap();
    let tested = server.cli_json(&["channels", "test", id, "--json"]);
    assert_eq!((&tested["arrived"], &tested["status"]), (&json!(true), &json!(200)), "{tested}");
    let heard = receiver.wait(1).await.remove(0);
    assert_signed(&heard, created["secret"].as_str().unwrap());
    assert_eq!(heard.json()["type"], "test");
    // The receiver repeats the address, and we don't.
    receiver.behave(Manner::Answers(404));
    let tested = server.cli_json(&["channels", "test", id, "--json"]);
    assert_eq!((&tested["arrived"], &tested["status"]), (&json!(false), &json!(404)), "{tested}");
    assert!(tested["said"].as_str().unwrap().contains("[secret]"), "{tested}");
    assert!(!tested.to_string().contains("hunter2"), "{tested}");
    assert!(server.cli(&["channels", "update", id, "--disable", "--topic", "deployment_stuck"]).status.success());
    let all = server.cli_json(&["channels", "list", "--json"]);
    assert_eq!((&all[0]["enabled"], &all[0]["topics"]), (&json!(false), &json!(["deployment_stuck"])), "{all}");
    assert!(server.cli(&["channels", "remove", id, "--yes"]).status.success());
    assert_eq!(server.cli_json(&["channels", "list", "--json"]), json!([]));
    let audit = server.cli_json(&["audit", "list", "--json"]).to_string();
    assert!(
        audit.contains("channels.create") && audit.contains("channels.test") && !audit.contains("hunter2"),
        "{audit}"
    );
}
