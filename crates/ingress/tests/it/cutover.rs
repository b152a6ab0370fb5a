//! Moving requests from one release to another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ingress::{CutoverError, Gate, Refused, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::support::*;

/// What the clients saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) sent: AtomicU64,
    pub(crate) good: AtomicU64,
    /// The newest generation whose cutover was acknowledged.
    pub(crate) acknowledged: AtomicU64,
    pub(crate) done: AtomicBool,
}

impl Seen {
    /// One request; a failure is told in full. The answer must not be older than the last acknowledged cutover.
    pub(crate) async fn request(&self, client: &mut Raw, path: &str) {
        let least = self.acknowledged.load(Ordering::SeqCst);
        self.sent.fetch_add(1, Ordering::SeqCst);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        let answer = client.answer().await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let generation: u64 = answer.text().strip_prefix('v').unwrap().parse().unwrap();
        assert!(generation >= least, "v{generation} answered after v{least} was acknowledged");
        self.good.fetch_add(1, Ordering::SeqCst);
    }
}

/// 50 cutovers under an open loop of new connections (one each 2 ms, some slow) and eight kept connections. The
/// old upstream is killed with all its connections as soon as the drain says that nothing is in flight.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_cutovers_lose_no_request() {
    let ingress = Ingress::start().await;
    let mut current = Origin::named("v1").await;
    ingress.route(1, &[current.address]).await;
    let seen = Arc::new(Seen::default());
    seen.acknowledged.store(1, Ordering::SeqCst);
    let address = ingress.address;

    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let seen = seen.clone();
        clients.spawn(async move {
            let mut client = Raw::connect(address).await;
            while !seen.done.load(Ordering::SeqCst) {
                seen.request(&mut client, "/").await;
            }
        });
    }
    let open_loop = tokio::spawn({
        let seen = seen.clone();
        async move {
            let mut requests = JoinSet::new();
            let mut clock = tokio::time::interval(Duration::from_millis(2));
            let mut n = 0;
            while !seen.done.load(Ordering::SeqCst) {
                clock.tick().await;
                n += 1;
                let (seen, path) = (seen.clone(), if n % 20 == 0 { "/slow" } else { "/" });
                requests.spawn(async move { seen.request(&mut Raw::connect(address).await, path).await });
                // A machine that is too slow for so many is not buried under them.
                if requests.len() >= 100 {
                    requests.join_next().await.unwrap().unwrap();
                }
            }
            while let Some(request) = requests.join_next().await {
                request.unwrap();
            }
        }
    });

    for generation in 2..=51 {
        let next = Origin::named(&format!("v{generation}")).await;
        let report = ingress.client.cutover(routes(generation, &[next.address])).await.unwrap();
        seen.acknowledged.store(generation, Ordering::SeqCst);
        let previous = report.previous.unwrap();
        assert_eq!(previous.generation, generation - 1);
        let drained = ingress.client.drain(&previous.deployment, Duration::from_secs(10)).await.unwrap();
        assert_eq!(drained.in_flight, 0);
        std::mem::replace(&mut current, next).kill().await;
    }
    seen.done.store(true, Ordering::SeqCst);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    open_loop.await.unwrap();

    let (sent, good) = (seen.sent.load(Ordering::SeqCst), seen.good.load(Ordering::SeqCst));
    assert_eq!(sent - good, 0, "lost requests of {sent}");
    assert!(sent > 500, "only {sent} requests were sent");
    let stats = ingress.client.stats().await.unwrap();
    assert_eq!(stats.releases.iter().map(|r| r.requests).sum::<u64>(), sent);
    assert_eq!(stats.releases.iter().map(|r| r.statuses[1]).sum::<u64>(), sent);
    assert_eq!(stats.releases.iter().map(|r| r.errors.fallback + r.abandoned).sum::<u64>(), 0);
}

#[tokio::test]
async fn a_kept_connection_survives_a_cutover() {
    let ingress = Ingress::start().await;
    let (old, new) = (Origin::named("v1").await, Origin::named("v2").await);
    ingress.route(1, &[old.address]).await;
    let mut client = ingress.raw().await;
    assert_eq!(client.get("/").await.text(), "v1");
    ingress.route(2, &[new.address]).await;
    assert_eq!(client.get("/").await.text(), "v2");
    let back = targeting(2, Target::Upstreams { upstreams: vec![old.address], standby: vec![], gate: Gate::None });
    ingress.client.cutover(back).await.unwrap();
    assert_eq!(client.get("/").await.text(), "v1");
}

#[tokio::test]
async fn older_deployments_are_refused_and_a_cutover_can_be_taken_back() {
    let ingress = Ingress::start().await;
    let (old, new) = (Origin::named("v1").await, Origin::named("v2").await);
    let old_routes = routes(1, &[old.address]);
    ingress.client.cutover(old_routes.clone()).await.unwrap();
    ingress.route(3, &[new.address]).await;

    let refused = ingress.client.cutover(routes(2, &[old.address])).await.unwrap_err();
    let CutoverError::Refused(Refused::OlderGeneration { current: 3, offered: 2, by }) = refused else {
        panic!("{refused}");
    };
    assert_eq!(by, Some(deployment(3)));
    assert!(ingress.client.prepare(&routes(2, &[old.address])).await.is_err());
    assert!(ingress.client.prepare(&routes(4, &[old.address])).await.is_ok());
    assert_eq!(ingress.get("/").await.text(), "v2");

    // Deployment 3 takes its cutover back: the old routes and release under its own generation.
    let mut undo = old_routes.clone();
    (undo.generation, undo.deployment) = (3, deployment(3));
    let report = ingress.client.cutover(undo.clone()).await.unwrap();
    assert_eq!(report.previous.unwrap().release, release(3));
    assert_eq!(ingress.get("/").await.text(), "v1");
    let drained = ingress.client.drain(&deployment(3), Duration::from_secs(5)).await.unwrap();
    assert_eq!(drained.in_flight, 0);
    let sequence = ingress.client.table().await.unwrap().sequence;
    assert_eq!(ingress.client.cutover(undo.clone()).await.unwrap().previous, Some(undo));
    assert_eq!(ingress.client.table().await.unwrap().sequence, sequence, "a repeat changes nothing");
}

#[tokio::test]
async fn a_removed_environment_is_gone_and_stays_so() {
    let ingress = Ingress::start().await;
    let origin = Origin::named("v1").await;
    ingress.route(1, &[origin.address]).await;
    ingress.client.remove(&environment(), 2).await.unwrap();
    ingress.client.remove(&environment(), 2).await.unwrap();
    assert_eq!(ingress.get("/").await.status, 404);
    assert!(ingress.client.cutover(routes(2, &[origin.address])).await.is_err());
    ingress.route(3, &[origin.address]).await;
    assert!(ingress.client.remove(&environment(), 2).await.is_err());
    assert_eq!(ingress.get("/").await.status, 200);
}

#[tokio::test]
async fn a_host_belongs_to_one_environment() {
    let ingress = Ingress::start().await;
    let origin = Origin::named("v1").await;
    ingress.route(1, &[origin.address]).await;
    let mut other = routes(1, &[origin.address]);
    other.environment = domain::EnvironmentId::from_ulid(ulid::Ulid::from_parts(1, 2));
    other.app = "other".parse().unwrap();
    let refused = ingress.client.cutover(other.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("app.localhost/` belongs to hello/production"), "{refused}");
    other.routes[0].path = "/other".parse().unwrap();
    ingress.client.cutover(other).await.unwrap();
}

#[tokio::test]
async fn a_drain_waits_for_slow_requests_up_to_its_limit() {
    let ingress = Ingress::start().await;
    let (release_it, hold) = tokio::sync::watch::channel(false);
    let slow = Origin::http(move |_| {
        let mut hold = hold.clone();
        async move {
            hold.wait_for(|&go| go).await.unwrap();
            http::Response::new(bytes::Bytes::from("late").into())
        }
    })
    .await;
    let new = Origin::named("v2").await;
    ingress.route(1, &[slow.address]).await;
    let mut client = ingress.raw().await;
    client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    until(|| async { (ingress.client.stats().await.unwrap().releases[0].in_flight == 1).then_some(()) }).await;
    ingress.route(2, &[new.address]).await;

    let drained = ingress.client.drain(&deployment(1), Duration::from_millis(100)).await.unwrap();
    assert_eq!(drained.in_flight, 1);
    let drain = tokio::spawn({
        let client = ingress.client.clone();
        async move { (client.drain(&deployment(1), Duration::from_secs(20)).await.unwrap(), Instant::now()) }
    });
    assert_eq!(ingress.get("/").await.text(), "v2");
    let released = Instant::now();
    release_it.send_replace(true);
    assert_eq!(client.answer().await.unwrap().text(), "late");
    let (drained, at) = drain.await.unwrap();
    assert_eq!(drained.in_flight, 0);
    assert!(at > released);
    assert_eq!(ingress.client.drain(&deployment(99), Duration::ZERO).await.unwrap().in_flight, 0);
}

#[tokio::test]
async fn the_gate_keeps_requests_away_from_what_cannot_answer() {
    let ingress = Ingress::start().await;
    let good = Origin::named("v1").await;
    ingress.route(1, &[good.address]).await;

    let failed = ingress.client.cutover(routes(2, &[good.address, nowhere().await])).await.unwrap_err();
    assert!(matches!(&failed, CutoverError::GateFailed { component, .. } if component.as_str() == "web"), "{failed}");

    let sick = Origin::http(|request| async move {
        let mut response = http::Response::new(bytes::Bytes::new().into());
        let healthy = request.uri().path() == "/health" && request.headers().contains_key("host");
        *response.status_mut() = if healthy { http::StatusCode::OK } else { http::StatusCode::INTERNAL_SERVER_ERROR };
        response
    })
    .await;
    let gated = |path: &str| {
        let gate = Gate::Http { path: path.to_owned(), timeout: Duration::from_secs(5) };
        targeting(2, Target::Upstreams { upstreams: vec![sick.address], standby: vec![], gate })
    };
    let failed = ingress.client.cutover(gated("/")).await.unwrap_err();
    assert!(failed.to_string().contains("500"), "{failed}");
    assert_eq!(ingress.get("/").await.text(), "v1", "nothing changed");
    ingress.client.cutover(gated("/health")).await.unwrap();

    let silent = Origin::raw(|stream| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    })
    .await;
    let gate = Gate::Http { path: "/".to_owned(), timeout: Duration::from_millis(200) };
    let target = Target::Upstreams { upstreams: vec![silent.address], standby: vec![], gate };
    let failed = ingress.client.cutover(targeting(3, target)).await.unwrap_err();
    assert!(failed.to_string().contains("within 200 ms"), "{failed}");
    let failed = ingress.client.cutover(routes(3, &[ingress.address])).await.unwrap_err();
    assert!(failed.to_string().contains("this ingress itself"), "{failed}");
}

#[tokio::test]
async fn a_standby_answers_when_no_upstream_can_be_reached() {
    let ingress = Ingress::start().await;
    let old = Origin::echo().await;
    let new = Origin::named("v2").await;
    ingress.route(1, &[old.address]).await;
    ingress.client.cutover(with_standby(2, &[new.address, nowhere().await], old.address, 1)).await.unwrap();
    for _ in 0..4 {
        assert_eq!(ingress.get("/").await.text(), "v2", "the other upstream before the standby");
    }
    new.kill().await;
    let mut client = ingress.raw().await;
    client.send(format!("POST /x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\n\r\nhello")).await;
    let answer = client.answer().await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.text().ends_with("\n\nhello"), "{}", answer.text());
    let verified = ingress.client.verify(&HOST.parse().unwrap(), &"/".parse().unwrap()).await.unwrap();
    assert_eq!((verified.release, verified.deployment), (release(1), deployment(2)));
    let stats = ingress.client.stats().await.unwrap();
    let of = |n: u64| stats.releases.iter().find(|r| r.release == release(n)).unwrap();
    assert_eq!((of(2).requests, of(2).errors.fallback, of(1).requests), (4, 2, 2));
}

/// The old release must not be stopped while it answers in the new one's place.
#[tokio::test]
async fn a_drain_waits_for_what_a_standby_answers() {
    let ingress = Ingress::start().await;
    let (go_on, hold) = tokio::sync::watch::channel(false);
    let old = Origin::raw(move |mut stream| {
        let mut hold = hold.clone();
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            hold.wait_for(|&go| go).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate").await.unwrap();
        }
    })
    .await;
    ingress.client.cutover(with_standby(1, &[old.address], nowhere().await, 9)).await.unwrap();
    ingress.client.cutover(with_standby(2, &[nowhere().await], old.address, 1)).await.unwrap();
    let mut client = ingress.raw().await;
    client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let behind = || async { ingress.client.drain(&deployment(1), Duration::ZERO).await.unwrap().in_flight };
    until(|| async { (behind().await == 1).then_some(()) }).await;
    go_on.send_replace(true);
    assert_eq!(client.answer().await.unwrap().text(), "late");
    assert_eq!(ingress.client.drain(&deployment(1), Duration::from_secs(5)).await.unwrap().in_flight, 0);
    old.kill().await;
    assert_eq!(ingress.get("/").await.status, 502);
}

#[tokio::test]
async fn only_the_secret_learns_who_answered() {
    let ingress = Ingress::start().await;
    let origin = Origin::http(|request| async move {
        let seen = request.headers().keys().any(|n| n.as_str().starts_with("plimsoll"));
        http::Response::builder()
            .header("plimsoll-release", "rel_forged")
            .body(bytes::Bytes::from(format!("{seen}")).into())
            .unwrap()
    })
    .await;
    ingress.route(7, &[origin.address]).await;
    let (host, path) = (HOST.parse().unwrap(), "/".parse().unwrap());
    let verified = ingress.client.verify(&host, &path).await.unwrap();
    assert_eq!((verified.status, verified.release, verified.deployment), (200, release(7), deployment(7)));
    assert!(ingress.client.verify(&"other.localhost".parse().unwrap(), &path).await.is_err());

    let secret = std::fs::read_to_string(ingress.dir.join("verify.secret")).unwrap();
    for (offered, expected) in [("", None), ("x", None), (secret.as_str(), Some(release(7).to_string()))] {
        let mut client = ingress.raw().await;
        client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nPlimsoll-Verify: {offered}\r\n\r\n")).await;
        let answer = client.answer().await.unwrap();
        assert_eq!(answer.header("plimsoll-release"), expected.as_deref());
        assert_eq!(answer.text(), "false", "the secret goes no further");
    }
}
