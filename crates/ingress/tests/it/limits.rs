//! What a route, a proxy in front or a missing folder change for requests.

use std::fs;
use std::time::Duration;

use ingress::{Limits, Policy, RouteLimits, Target};
use tokio::io::AsyncReadExt;

use crate::support::*;

#[tokio::test]
async fn a_route_has_limits_of_its_own() {
    let ingress = Ingress::start().await;
    let (echo, silent) = (
        Origin::echo().await,
        Origin::raw(|mut stream| async move {
            let _ = stream.read_to_end(&mut vec![]).await;
        })
        .await,
    );
    let mut routes = routes(1, &[echo.address]);
    routes.routes[0].limits = RouteLimits { max_body: Some(10), ..RouteLimits::default() };
    let mut slow = routes.routes[0].clone();
    slow.path = "/slow".parse().unwrap();
    slow.target = Target::Upstreams { upstreams: vec![silent.address], standby: vec![], gate: ingress::Gate::Tcp };
    slow.limits = RouteLimits { response_head: Some(Duration::from_millis(100)), ..RouteLimits::default() };
    routes.routes.push(slow);
    ingress.client.cutover(routes.clone()).await.unwrap();
    assert_eq!(ingress.client.table().await.unwrap().environments[&environment()], routes);

    assert_eq!(ingress.get("/slow").await.status, 504);
    for (lines, body, status) in [
        ("Content-Length: 10", "0123456789", 200),
        ("Content-Length: 11", "0123456789a", 413),
        ("Content-Length: 99999999999", "", 413),
        ("Transfer-Encoding: chunked", "a\r\n0123456789\r\n0\r\n\r\n", 200),
        ("Transfer-Encoding: chunked", "5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n", 413),
    ] {
        let mut client = ingress.raw().await;
        client.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n\r\n{body}")).await;
        let answer = client.answer().await.unwrap();
        assert_eq!(answer.status, status, "{lines}: {body}");
        assert_eq!(answer.header("connection") == Some("close"), status == 413, "{lines}: {body}");
    }
}

#[tokio::test]
async fn only_a_trusted_proxy_is_believed() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ingress");
    let origin = Origin::echo().await;
    let ingress = Ingress::on(&dir, Limits::default()).await;
    ingress.route(1, &[origin.address]).await;
    let ask = async |ingress: &Ingress| {
        let mut client = ingress.raw().await;
        let said = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 203.0.113.7";
        client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{said}\r\n\r\n")).await;
        client.answer().await.unwrap().text()
    };
    let truth = ["x-forwarded-for: 127.0.0.1\n", "x-forwarded-proto: http\n"];
    let word = ["x-forwarded-for: 203.0.113.7, 127.0.0.1\n", "x-forwarded-proto: https\n", "x-real-ip: 203.0.113.7\n"];
    let has = |text: &str, lines: &[&str]| lines.iter().all(|l| text.contains(l));
    assert!(has(&ask(&ingress).await, &truth));
    let trusting = |network: &str| Policy { trusted_proxies: vec![network.parse().unwrap()] };
    ingress.client.configure(trusting("127.0.0.0/8")).await.unwrap();
    let text = ask(&ingress).await;
    assert!(has(&text, &word), "{text}");
    ingress.stop().await;
    let ingress = Ingress::on(&dir, Limits::default()).await;
    assert!(has(&ask(&ingress).await, &word), "it holds after a restart");
    ingress.client.configure(trusting("10.0.0.0/8")).await.unwrap();
    let text = ask(&ingress).await;
    assert!(has(&text, &truth) && !text.contains("x-real-ip"), "{text}");
    ingress.stop().await;

    // Nobody is trusted when nobody knows whom.
    fs::write(dir.join("policy.json"), "{").unwrap();
    let ingress = Ingress::on(&dir, Limits::default()).await;
    assert!(has(&ask(&ingress).await, &truth));
    assert!(ingress.client.status().await.unwrap().degraded.unwrap().contains("policy.json"));
}

#[tokio::test]
async fn pages_suit_who_asks_and_carry_a_number() {
    let ingress = Ingress::start().await;
    ingress.client.cutover(with_standby(1, &[nowhere().await], nowhere().await, 9)).await.unwrap();
    for (accept, kind) in [
        ("Accept: text/html,*/*;q=0.8", "text/html; charset=utf-8"),
        ("Accept: application/json", "application/problem+json"),
        ("Accept: */*", "text/plain; charset=utf-8"),
        ("X: 1", "text/plain; charset=utf-8"),
    ] {
        let mut client = ingress.raw().await;
        client.send(format!("GET /secret?token=x HTTP/1.1\r\nHost: {HOST}\r\n{accept}\r\n\r\n")).await;
        let answer = client.answer().await.unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (502, Some(kind)), "{accept}");
        let (text, id) = (answer.text(), answer.header("x-request-id").unwrap());
        assert!(id.len() == 16 && text.contains(id) && text.contains("502"), "{text}");
        for inside in ["127.0.0.1", "secret", "token", "upstream", "rel_", "refused"] {
            assert!(!text.contains(inside), "{inside}: {text}");
        }
        client.send(format!("HEAD / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        assert_eq!(client.read(true).await.unwrap().status, 502);
    }
}

#[tokio::test]
async fn files_that_are_gone_take_down_their_route_alone() {
    let (ingress, temp) = (Ingress::start().await, tempfile::tempdir().unwrap());
    for name in ["docs", "blog"] {
        fs::create_dir(temp.path().join(name)).unwrap();
        fs::write(temp.path().join(name).join("index.html"), name).unwrap();
    }
    let site = |name: &str| Target::Static { root: temp.path().join(name), single_page: true };
    let mut routes = targeting(1, site("docs"));
    let mut blog = routes.routes[0].clone();
    (blog.path, blog.target) = ("/blog".parse().unwrap(), site("blog"));
    routes.routes.push(blog);
    ingress.client.cutover(routes).await.unwrap();
    assert_eq!(ingress.get("/blog/").await.text(), "blog");
    fs::rename(temp.path().join("blog"), temp.path().join("away")).unwrap();
    assert_eq!((ingress.get("/blog/").await.status, ingress.get("/blog/x/y").await.status), (503, 503));
    assert_eq!(ingress.get("/").await.text(), "docs");
    let degraded = ingress.client.status().await.unwrap().degraded.unwrap();
    assert!(degraded.contains("app.localhost/blog") && degraded.contains("gone"), "{degraded}");
    fs::rename(temp.path().join("away"), temp.path().join("blog")).unwrap();
    assert_eq!(ingress.get("/blog/").await.text(), "blog");
    assert_eq!(ingress.client.status().await.unwrap().degraded, None);
}
