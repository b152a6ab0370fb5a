//! Our own server, a deployment whose build prints.

use std::time::Duration;

use operations::deployments::{Output, OutputRequest};
use operations::stream;
use plimsoll_tests::{App, Repo, Server};
use secrecy::ExposeSecret;

use super::client::{Crowd, Hello};
use super::{Measured, PRINTER, gate, printer, watch};

/// How the lines come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Messages {
    /// Many lines in each, as pages get them.
    Batches,
    /// As `curl` and the CLI get them.
    Lines,
}

const READY: Duration = Duration::from_secs(60);

pub(super) async fn measure(messages: Messages) -> Result<Measured, String> {
    let server = Server::start().await;
    let repo = Repo::new();
    let gate = gate(&server.shared());
    let command = format!("python3 printer.py {}", printer(&gate).join(" "));
    let mut files = App::new("v1").build(&command).files();
    files.push(("printer.py", PRINTER.to_owned()));
    repo.commit(files, "prints");
    server.create_app("loud", repo.source()).await;
    let deployment = server.deploy("loud").await;

    let begun = tokio::time::Instant::now();
    loop {
        let page = server.client().call::<Output>(&OutputRequest::of(deployment.id.clone())).await;
        if page.map_err(|e| e.to_string())?.lines.iter().any(|line| line.text == "ready") {
            break;
        }
        if begun.elapsed() > READY {
            return Err("the build did not begin to print in time".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let path = match messages {
        Messages::Batches => format!("{}?topics=dep:{}:log", stream::TOPICS, deployment.id),
        Messages::Lines => stream::output_path(&deployment.id),
    };
    let token = operations::local::read(&server.data()).map_err(|e| e.to_string())?.token;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\nAuthorization: Bearer {}\r\n\r\n",
        server.api(),
        token.expose_secret()
    );
    // The first bytes of the stream say that the watcher is there.
    let crowd = Crowd::gather(server.api(), Hello { head, status: 200, then: Vec::new(), welcome: b"retry: " }).await?;
    watch(crowd, server.pid(), || std::fs::write(&gate, "").unwrap()).await
}
