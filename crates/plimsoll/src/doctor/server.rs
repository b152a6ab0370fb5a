//! Server and ingress: they answer, know our token, and have this program's version.

use std::time::Duration;

use operations::ErrorKind;
use operations::client::CallError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Finding, Surroundings};
use crate::text::clean;

const SERVER: &str = "server";
const READY: &str = "readiness";
const INGRESS: &str = "ingress";
const OURS: &str = env!("CARGO_PKG_VERSION");
const LIMIT: Duration = Duration::from_secs(15);
const LARGEST: u64 = 64 << 10;

pub(super) async fn check(around: &Surroundings) -> Vec<Finding> {
    let mut findings = vec![server(around)];
    if let (Some(local), Some(_)) = (&around.local, around.server) {
        findings.push(ready(&local.url).await);
    }
    findings.push(ingress(around));
    findings
}

fn server(around: &Surroundings) -> Finding {
    let restart = "Restart it with this version: apps serve on meanwhile";
    match (&around.info, around.server) {
        (Some(Ok(info)), _) if info.version != OURS => {
            Finding::warning(SERVER, format!("version {}, and this program is {OURS}", info.version), restart)
        }
        (Some(Ok(info)), _) => Finding::ok(SERVER, format!("version {}, answers and knows the token", info.version)),
        (Some(Err(CallError::Refused(e))), _) if e.code == ErrorKind::Unauthorized => Finding::failed(
            SERVER,
            "it does not know the token of local.json",
            "Another server answers at that address, or the folder is a copy: restart the server",
        ),
        (Some(Err(e)), Some(pid)) => Finding::failed(
            SERVER,
            format!("process {pid} runs and does not answer: {e}"),
            "Look at its log, and restart it",
        ),
        (Some(Err(_)), None) => Finding::failed(
            SERVER,
            "it does not run, and did not end in good order",
            "Start it: it goes on where it was. Its log may say why it ended",
        ),
        (None, Some(pid)) => Finding::failed(
            SERVER,
            format!("process {pid} runs and has not told where: it is starting, or waits for something"),
            "Look at its log",
        ),
        (None, None) => Finding::skipped(SERVER, "none runs with this folder"),
    }
}

async fn ready(url: &str) -> Finding {
    match tokio::time::timeout(LIMIT, get(url, "/readyz")).await {
        Ok(Ok((200, _))) => Finding::ok(READY, "requests may be sent"),
        Ok(Ok((status, body))) => {
            let problem = serde_json::from_str::<operations::Error>(&body);
            let why = problem.map_or_else(|_| format!("status {status}"), |problem| clean(&problem.detail));
            Finding::failed(READY, why, "The server's log says more")
        }
        Ok(Err(e)) => Finding::failed(READY, e.to_string(), "Look at the server's log"),
        Err(_) => Finding::failed(READY, format!("no answer within {} s", LIMIT.as_secs()), "Look at the server's log"),
    }
}

/// Status and body of a page that needs no token.
async fn get(url: &str, path: &str) -> std::io::Result<(u16, String)> {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LARGEST).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other("the answer is no HTTP"))?;
    Ok((status, answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned()))
}

fn ingress(around: &Surroundings) -> Finding {
    match &around.ingress {
        None if around.server.is_some() => Finding::failed(
            INGRESS,
            "it does not answer",
            "The server starts it again each second; its log and ingress/ingress.log say why it can't",
        ),
        None => Finding::skipped(INGRESS, "none runs with this folder"),
        Some(status) => match &status.degraded {
            Some(why) => Finding::warning(INGRESS, clean(why), "See the runbook: the ingress"),
            None if status.version != OURS => Finding::warning(
                INGRESS,
                format!("version {}, and this program is {OURS}", status.version),
                "Restart the server: the ingress is brought up to its version",
            ),
            None => Finding::ok(INGRESS, format!("version {}, answers", status.version)),
        },
    }
}
