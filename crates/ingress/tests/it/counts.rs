//! Counts, and how they go on from one process to the next.

use std::fs;
use std::time::Duration;

use ingress::{Latency, Limits, ReleaseStats};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

async fn counted(ingress: &Ingress) -> ReleaseStats {
    let stats = until(|| async {
        let stats = ingress.client.stats().await.unwrap();
        stats.releases.iter().all(|r| r.in_flight == 0).then_some(stats)
    })
    .await;
    stats.releases.into_iter().find(|r| r.release == release(1)).unwrap()
}

#[tokio::test]
async fn counts_go_on_after_a_restart() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ingress");
    let origin = Origin::named("v1").await;
    let first = Ingress::on(&dir, Limits::default()).await;
    first.route(1, &[origin.address]).await;
    for _ in 0..5 {
        first.get("/").await;
    }
    first.raw().await.get("/").await;
    let before = counted(&first).await;
    assert_eq!((before.requests, before.component.as_str()), (6, "web"));
    first.stop().await;

    let second = Ingress::on(&dir, Limits::default()).await;
    assert_eq!(counted(&second).await, before, "nothing is lost, and the counting began when it began");
    second.get("/").await;
    let after = counted(&second).await;
    assert_eq!((after.requests, after.latency.count(), after.bytes_sent), (7, 7, before.bytes_sent + 2));
    second.stop().await;

    // Figures that can't be read harm nothing but figures.
    fs::write(dir.join("stats.json"), "{").unwrap();
    let third = Ingress::on(&dir, Limits::default()).await;
    assert_eq!(third.get("/").await.text(), "v1");
    assert_eq!(counted(&third).await.requests, 1);
}

/// Requests that finish in a process whose successor serves already are counted by the successor.
#[tokio::test]
async fn late_requests_are_told_to_the_successor() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ingress");
    let (go_on, hold) = tokio::sync::watch::channel(false);
    let origin = Origin::raw(move |mut stream| {
        let mut hold = hold.clone();
        async move {
            if stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {
                let _ = hold.wait_for(|&go| go).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate").await;
            }
        }
    })
    .await;
    let first = Ingress::on(&dir, Limits::default()).await;
    first.route(1, &[origin.address]).await;
    let mut busy = first.raw().await;
    busy.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    until(|| async { (first.client.stats().await.unwrap().releases[0].in_flight == 1).then_some(()) }).await;
    first.begin_stop();
    let second = until(|| async {
        let second = tokio::time::timeout(Duration::from_secs(10), Ingress::on(&dir, Limits::default())).await;
        second.ok()
    })
    .await;
    assert_eq!(counted(&second).await.requests, 0);
    go_on.send_replace(true);
    assert_eq!(busy.answer().await.unwrap().text(), "late");
    first.stop().await;
    let told = counted(&second).await;
    assert_eq!((told.requests, told.statuses[1], told.bytes_sent, told.latency.count()), (1, 1, 4, 1));
}

#[tokio::test]
async fn each_component_has_its_own_counts() {
    let ingress = Ingress::start().await;
    let (web, api) = (Origin::named("v1").await, Origin::named("v2").await);
    let mut routes = routes(1, &[web.address]);
    let mut second = routes.routes[0].clone();
    second.path = "/api".parse().unwrap();
    second.component = "api".parse().unwrap();
    let ingress::Target::Upstreams { upstreams, .. } = &mut second.target else { unreachable!() };
    *upstreams = vec![api.address];
    routes.routes.push(second);
    ingress.client.cutover(routes).await.unwrap();
    for path in ["/", "/api", "/api/x", "/api"] {
        ingress.get(path).await;
    }
    let stats = ingress.client.stats().await.unwrap();
    let counts: Vec<_> = stats.releases.iter().map(|r| (r.component.as_str(), r.requests)).collect();
    assert_eq!(counts, [("api", 3), ("web", 1)]);
    let mut all = Latency::default();
    stats.releases.iter().for_each(|r| all.add(&r.latency));
    assert_eq!((all.count(), all.within(Duration::from_secs(20))), (4, 4));
}
