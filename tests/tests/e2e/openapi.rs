//! The API keeps to its own document: schemathesis makes requests up from it, good and bad ones, and checks every answer.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use plimsoll_tests::{App, Repo, Server};
use secrecy::ExposeSecret;

/// Requests made up for each operation and phase. More find more, and take longer.
const EXAMPLES: &str = "10";

fn schemathesis() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let program = root.join("target/schemathesis/bin/schemathesis");
    assert!(program.is_file(), "{} is missing: run scripts/test-setup", program.display());
    program
}

/// Paths of streams: each request of them takes as long as one listens, which is most of the time of all requests.
const STREAMS: &str = "/stream$";

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_the_document_says() {
    asked(&["--exclude-path-regex", STREAMS], 500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stream_is_as_the_document_says() {
    asked(&["--include-path-regex", STREAMS, "--phases", "examples,coverage,fuzzing"], 20).await;
}

/// Makes requests up for what `chosen` leaves of the document, more than `least`.
async fn asked(chosen: &'static [&'static str], least: u32) {
    let server = Server::start().await;
    let repo = Repo::new();
    repo.commit(App::new("v1").files(), "v1");
    server.create_app("shop", repo.source()).await;
    server.deploy_well("shop").await;
    let token = operations::local::read(&server.data()).unwrap().token;
    let home = tempfile::tempdir().unwrap();
    let output = tokio::task::spawn_blocking(move || {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi");
        Command::new(schemathesis())
            .arg("--config-file")
            .arg(folder.join("schemathesis.toml"))
            .args(["run", &format!("http://{}/openapi.json", server.api())])
            .args(chosen)
            .args(["--checks", "all", "--continue-on-failure", "--max-examples", EXAMPLES, "--seed", "1"])
            .args(["--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "30"])
            .env("SCHEMATHESIS_HOOKS", folder.join("addresses.py"))
            .env("PLIMSOLL_TOKEN", token.expose_secret())
            .env("HOME", home.path())
            .current_dir(home.path())
            .stdin(Stdio::null())
            .output()
            .map(|output| (output, server))
    });
    let (output, server) = output.await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    // It has really asked.
    let cases = text.lines().find_map(|line| line.trim().split_once(" generated")?.0.parse::<u32>().ok());
    assert!(cases.is_some_and(|cases| cases > least), "{text}");
    // What it made up harmed nobody else.
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
