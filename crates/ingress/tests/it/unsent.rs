//! Requests of which nothing was sent: they wait for a place, and go where the table leads by then.

use std::time::{Duration, Instant};

use ingress::{EnvironmentRoutes, Gate, Limits, Target};

use crate::support::*;

/// Without a look at the upstreams, which would find them crowded.
fn ungated(generation: u64, upstreams: &[std::net::SocketAddr]) -> EnvironmentRoutes {
    targeting(generation, Target::Upstreams { upstreams: upstreams.to_vec(), standby: vec![], gate: Gate::None })
}

fn limits(connect: u64, reach: u64) -> Limits {
    Limits { connect: Duration::from_millis(connect), reach: Duration::from_millis(reach), ..Limits::default() }
}

/// A GET, and an upload that is not idempotent.
fn requests() -> [String; 2] {
    let get = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let post = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\n\r\nhello");
    [get, post]
}

/// Clients whose requests have come in, and were not sent yet.
async fn waiting(ingress: &Ingress) -> Vec<Raw> {
    let mut clients = vec![];
    for request in requests() {
        let mut client = ingress.raw().await;
        client.send(request).await;
        clients.push(client);
    }
    in_flight(ingress, 2).await;
    clients
}

/// So many requests were counted in, and are at it.
async fn in_flight(ingress: &Ingress, count: u64) {
    until(|| async {
        let stats = ingress.client.stats().await.unwrap();
        (stats.releases.iter().map(|r| r.in_flight).sum::<u64>() == count).then_some(())
    })
    .await;
}

/// An app that is behind for a moment, and whose queue is full, loses nobody.
#[tokio::test]
async fn who_finds_no_room_waits_for_it() {
    let ingress = Ingress::with(limits(200, 10_000)).await;
    let crowded = Crowded::new().await;
    ingress.client.cutover(ungated(1, &[crowded.address])).await.unwrap();
    let mut clients = vec![];
    for request in requests() {
        let mut client = ingress.raw().await;
        client.send(request).await;
        clients.push(client);
    }
    // Each has given up on a connection, and tries again.
    until(|| async { (ingress.client.stats().await.unwrap().releases[0].retries >= 2).then_some(()) }).await;
    let _open = crowded.open("v1");
    for mut client in clients {
        assert_eq!(client.answer().await.unwrap().text(), "v1");
    }
}

#[tokio::test]
async fn nobody_waits_for_ever_nor_for_those_who_refuse() {
    let ingress = Ingress::with(limits(100, 500)).await;
    let crowded = Crowded::new().await;
    ingress.client.cutover(ungated(1, &[crowded.address])).await.unwrap();
    let begun = Instant::now();
    assert_eq!(ingress.get("/").await.status, 502);
    assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
    ingress.client.cutover(ungated(2, &[nowhere().await])).await.unwrap();
    assert_eq!(ingress.get("/").await.status, 502);
    assert_eq!(ingress.client.stats().await.unwrap().releases[1].retries, 0, "a refusal is an answer");
}

/// Its instance is stopped before it got there, and the next release serves.
#[tokio::test]
async fn what_was_not_sent_goes_to_the_next_release() {
    let ingress = Ingress::start().await;
    let (crowded, next) = (Crowded::new().await, Origin::named("v2").await);
    ingress.client.cutover(ungated(1, &[crowded.address])).await.unwrap();
    let clients = waiting(&ingress).await;
    ingress.route(2, &[next.address]).await;
    assert_eq!(ingress.client.drain(&deployment(1), Duration::ZERO).await.unwrap().in_flight, 2);
    drop(crowded);
    for mut client in clients {
        assert_eq!(client.answer().await.unwrap().text(), "v2");
    }
    let stats = ingress.client.stats().await.unwrap();
    let counted: Vec<_> = stats.releases.iter().map(|r| (r.requests, r.abandoned, r.in_flight)).collect();
    assert_eq!(counted, [(0, 0, 0), (2, 0, 0)], "each counts once, for the release that answered it");
    // There is nothing any more that it could be sent to.
    let crowded = Crowded::new().await;
    ingress.client.cutover(ungated(3, &[crowded.address])).await.unwrap();
    let mut client = ingress.raw().await;
    client.send(&requests()[0]).await;
    in_flight(&ingress, 1).await;
    ingress.client.remove(&environment(), 4).await.unwrap();
    drop(crowded);
    assert_eq!(client.answer().await.unwrap().status, 404);
}

/// The standby's own deployment is drained while a request still waits for the new release: once the routes are replaced
/// nobody waits for a request to the standby, so none goes there.
#[tokio::test]
async fn a_standby_that_is_given_up_gets_nothing_more() {
    let ingress = Ingress::with(limits(1000, 10_000)).await;
    let (old, crowded) = (Origin::named("v1").await, Crowded::new().await);
    ingress.route(1, &[old.address]).await;
    ingress.client.cutover(with_standby(2, &[crowded.address], old.address, 1)).await.unwrap();
    let clients = waiting(&ingress).await;
    ingress.client.cutover(ungated(2, &[crowded.address])).await.unwrap();
    assert_eq!(ingress.client.drain(&deployment(1), Duration::ZERO).await.unwrap().in_flight, 0);
    // The first connections are given up, and with them the look at the standby is over.
    until(|| async { (ingress.client.stats().await.unwrap().releases[1].retries >= 2).then_some(()) }).await;
    let _open = crowded.open("v2");
    for mut client in clients {
        assert_eq!(client.answer().await.unwrap().text(), "v2");
    }
}
