//! People who sign in without pause, and what deployments and visitors notice of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use operations::invitations::{Invite, InviteRequest};
use plimsoll_tests::{RawLoad, Repo, Server};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::Outcome;
use crate::figure::{Figure, Goal, quantile};
use crate::page::Page;
use crate::rest::pss_kib;

/// Each at an address of its own, as failures and connections are counted by address; accounts are shared by some of them.
const CLIENTS: u8 = 64;
const PEOPLE: u8 = 8;
const LASTS: Duration = Duration::from_secs(30);
/// Visitors of the site, a second.
const RATE: u32 = 200;
const PASSWORD: &str = "seven otters under the pier";
/// What a hash takes, of which there are as many at a time as half of the processors.
const HASH_MB: f64 = 19.0 * 1.048_576;
const REST_MB: f64 = 60.0;
/// By so much may deployments and visitors be slower meanwhile.
const SLOWER: Goal = Goal::RatioAtMost(1.25);

/// 64 clients sign in for half a minute, one attempt after the other; before it and meanwhile a static site of 20 files is deployed again
/// and again, and visited 200 times a second.
pub(crate) async fn run() -> Outcome {
    let server = Server::start().await;
    let repo = Repo::new();
    repo.commit((1..20).map(|n| (format!("page{n}.html"), format!("<p>{n}\n").repeat(50))), "pages");
    repo.commit([("index.html", "v0")], "v0");
    server.create_app("site", repo.source()).await;
    server.deploy_well("site").await;
    for n in 0..PEOPLE {
        join(&server, n).await?;
    }

    let rest = meanwhile(&server, &repo, "rest").await;
    let until = Instant::now() + LASTS;
    let clients = (0..CLIENTS).map(|n| tokio::spawn(sign_in(server.api(), n, until)));
    let clients: Vec<_> = clients.collect();
    let busy = meanwhile(&server, &repo, "busy").await;
    let mut tried = Vec::new();
    for client in clients {
        tried.extend(client.await.map_err(|e| e.to_string())??);
    }
    let good: Vec<f64> = tried.iter().filter(|(status, _)| *status == 200).map(|(_, took)| *took).collect();
    let refused = tried.iter().filter(|(status, _)| *status == 503).count();
    let other = tried.len() - good.len() - refused;
    let permits = (std::thread::available_parallelism().map_or(1, usize::from) / 2).max(1) as f64;
    Ok(vec![
        Figure::new("sign-ins", good.len() as f64 / LASTS.as_secs_f64(), "/s", Goal::Shown),
        Figure::new("sign-ins: p99", quantile(&good, 0.99), "ms", Goal::Shown),
        Figure::new("sign-ins: told to wait, as the queue was full", refused as f64, "", Goal::Shown),
        Figure::new("sign-ins: answered otherwise", other as f64, "", Goal::Is(0.0)),
        Figure::new("sign-ins: a deployment meanwhile", busy.deploy, "ms", SLOWER).against("at rest", rest.deploy),
        Figure::new("sign-ins: p99 of visitors meanwhile", busy.visit, "ms", SLOWER).against("at rest", rest.visit),
        Figure::new("sign-ins: visitors lost", busy.lost as f64, "requests", Goal::Is(0.0)),
        Figure::new("sign-ins: server's memory", busy.memory, "MB", Goal::Below(REST_MB + permits * HASH_MB)),
    ])
}

/// What is seen from beside, as long as sign-ins would last.
struct Beside {
    /// Median, in milliseconds, from the request until it answers.
    deploy: f64,
    /// 99 of 100 requests, in milliseconds.
    visit: f64,
    lost: usize,
    /// Of the server at its most, in megabytes.
    memory: f64,
}

async fn meanwhile(server: &Server, repo: &Repo, name: &str) -> Beside {
    let load = RawLoad::start(server.ingress(), "site.localhost", RATE);
    let mut page = Page::of(server.ingress(), "site.localhost");
    let (mut deploys, mut memory, until) = (Vec::new(), 0.0_f64, Instant::now() + LASTS);
    while Instant::now() < until {
        let version = format!("{name}{}", deploys.len());
        repo.commit([("index.html", &version)], &version);
        let began = Instant::now();
        let deployment = server.deploy("site").await;
        page.until(&version).await;
        deploys.push(began.elapsed().as_secs_f64() * 1000.0);
        server.end(&deployment.id).await;
        memory = memory.max(pss_kib(server.pid()) * 1024.0 / 1e6);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let tally = load.stop();
    let visits: Vec<f64> =
        tally.ends.iter().map(|end| end.ended.saturating_sub(end.sent).as_secs_f64() * 1000.0).collect();
    Beside { deploy: quantile(&deploys, 0.5), visit: quantile(&visits, 0.99), lost: tally.lost().len(), memory }
}

fn email(n: u8) -> String {
    format!("person{n}@example.org")
}

/// Somebody comes by invitation.
async fn join(server: &Server, n: u8) -> Result<(), String> {
    let request: InviteRequest =
        serde_json::from_value(json!({ "email": email(n), "role": "viewer" })).map_err(|e| e.to_string())?;
    let made = server.client().call::<Invite>(&request).await.map_err(|e| e.to_string())?;
    let secret = made.secret.ok_or("the invitation has no secret")?;
    let body = json!({ "invitation": secret, "name": "Somebody", "password": PASSWORD });
    match post(server.api(), n, "/api/v1/auth/accept", &body.to_string()).await? {
        200 => Ok(()),
        status => Err(format!("an invitation was answered with {status}")),
    }
}

/// Status and milliseconds of each attempt.
async fn sign_in(api: SocketAddr, n: u8, until: Instant) -> Result<Vec<(u16, f64)>, String> {
    let body = json!({ "email": email(n % PEOPLE), "password": PASSWORD }).to_string();
    let mut tried = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        let status = post(api, n, "/api/v1/auth/sign-in", &body).await?;
        tried.push((status, began.elapsed().as_secs_f64() * 1000.0));
        if status == 503 {
            // Told to come again: at once it would be a flood of refusals that is measured.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(tried)
}

/// One request over a connection of its own, from the nth address; the status.
async fn post(api: SocketAddr, n: u8, path: &str, body: &str) -> Result<u16, String> {
    let attempt = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 1, n, 1), 0)))?;
        let mut stream = socket.connect(api).await?;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {api}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = attempt.await.map_err(|e| format!("{path}: {e}"))?;
    let status = answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
    status.ok_or_else(|| format!("{path} was answered with no HTTP"))
}
