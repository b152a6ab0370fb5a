//! What the ingress does with requests, as a user of the whole system sees it.

use std::time::Duration;

use operations::environments::EnvironmentRequest;
use operations::metrics;
use plimsoll_tests::processes::is_alive;
use plimsoll_tests::{Repo, Server, wait_for};

/// Answers `/` at once and `/slow` after twenty seconds; `/echo` with what it was told about the client.
const PROGRAM: &str = r#"
import os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(20)
        body = self.headers.get("X-Forwarded-For", "").encode()
        self.send_response(500 if self.path == "/bad" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

#[tokio::test(flavor = "multi_thread")]
async fn time_limits_trusted_proxies_and_figures_by_release() {
    let server = Server::start_with(&["--trusted-proxies", "10.0.0.0/8,127.0.0.1"], &[]).await;
    let repo = Repo::new();
    let config = "[components.web]\nstart = \"exec python3 app.py\"\nrequest_timeout = \"3s\"\nmax_body = \"1MiB\"\n";
    repo.commit([("app.py", PROGRAM), ("plimsoll.toml", config)], "one");
    server.create_app("shop", repo.source()).await;
    server.deploy_well("shop").await;

    assert_eq!(server.get("shop", "/slow").await.unwrap().0, 504);
    let long = vec![b'x'; (1 << 20) + 1];
    let host = plimsoll_tests::flow::host("shop");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = client.post(format!("http://{}/", server.ingress())).header("Host", &host).body(long);
    // It may be told, or find the connection closed on the rest of what it sends.
    assert!(post.send().await.map_or(true, |answer| answer.status() == 413));
    assert_eq!(server.get("shop", "/bad").await.unwrap().0, 500);
    let asked = client
        .get(format!("http://{}/", server.ingress()))
        .header("Host", &host)
        .header("X-Forwarded-For", "203.0.113.7");
    assert_eq!(asked.send().await.unwrap().text().await.unwrap(), "203.0.113.7, 127.0.0.1");

    let request = EnvironmentRequest { app: "shop".parse().unwrap(), environment: "production".parse().unwrap() };
    let figures = server.client().call::<metrics::Get>(&request).await.unwrap();
    let [web] = &figures.releases[..] else { panic!("{figures:?}") };
    assert_eq!((web.component.as_str(), web.number, web.active), ("web", Some(1), true));
    assert_eq!((web.errors.timeout, web.responses.server_errors), (1, 2));
    assert!(web.requests >= 3 && web.latency.count == web.requests && web.latency.p999_ms >= 400.0, "{web:?}");
    let told = String::from_utf8(server.cli(&["metrics", "shop"]).stdout).unwrap();
    assert!(told.contains("v1 *") && told.contains("web"), "{told}");

    // The ingress ends and is started again: its figures go on.
    let ended = server.ingress_pid();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(ended), nix::sys::signal::Signal::SIGTERM).unwrap();
    let limit = Duration::from_secs(30);
    let later = async || server.client().call::<metrics::Get>(&request).await.ok().filter(|_| !is_alive(ended));
    let after = wait_for("the figures", limit, later).await;
    assert!(after.releases[0].requests >= web.requests && after.releases[0].since == web.since, "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_gone_are_told_and_harm_no_other_app() {
    let server = Server::start().await;
    let mut apps = Vec::new();
    for name in ["docs", "blog"] {
        let repo = Repo::new();
        repo.commit([("index.html", name)], name);
        let app = server.create_app(name, repo.source()).await;
        server.deploy_well(name).await;
        apps.push((app, repo));
    }
    let release = server.data().join("releases").join(apps[1].0.id.as_str());
    std::fs::rename(&release, release.with_extension("away")).unwrap();
    assert_eq!(server.get("blog", "/").await.unwrap().0, 503);
    server.assert_serves("docs", "/", "docs").await;
    let warned = String::from_utf8(server.cli(&["status"]).stderr).unwrap();
    assert!(warned.contains("blog.localhost/") && warned.contains("gone"), "{warned}");
    let logged = async || server.log().contains("blog.localhost/").then_some(());
    wait_for("a line in the server's log", Duration::from_secs(10), logged).await;
    std::fs::rename(release.with_extension("away"), &release).unwrap();
    server.assert_serves("blog", "/", "blog").await;
}
