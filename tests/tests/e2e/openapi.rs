//! The API keeps to its own document: schemathesis makes requests up from it, good and bad ones, and checks every answer.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use plimsoll_tests::{App, Repo, Server};
use secrecy::ExposeSecret;

use crate::sign_in::{EMAIL, PASSWORD, owner};

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

/// Who asks.
enum As {
    /// With the token of this machine.
    Program,
    /// With the cookie of a session, as the pages of the server do.
    Person,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_to_a_program_is_as_the_document_says() {
    asked(As::Program, &["--exclude-path-regex", STREAMS], 500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_to_a_person_is_as_the_document_says() {
    asked(As::Person, &["--exclude-path-regex", STREAMS], 500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stream_is_as_the_document_says() {
    // Most of it is waiting: each of the four is asked beside the others.
    const CHOSEN: &[&str] =
        &["--include-path-regex", STREAMS, "--phases", "examples,coverage,fuzzing", "--workers", "4"];
    tokio::join!(asked(As::Program, CHOSEN, 20), asked(As::Person, CHOSEN, 20));
}

/// Makes requests up for what `chosen` leaves of the document, more than `least`.
async fn asked(who: As, chosen: &'static [&'static str], least: u32) {
    // What one may ask for in a second is far less than what is made up in one.
    let server = Server::start_with(&["--rate-limit", "1000"], &[]).await;
    let repo = Repo::new();
    repo.commit(App::new("v1").files(), "v1");
    server.create_app("shop", repo.source()).await;
    server.deploy_well("shop").await;
    let mut ann = owner(&server, "127.0.0.1").await;
    let session = ann.cookies.iter().find(|(name, _)| name == "__Host-plimsoll").unwrap().1.clone();
    let token = operations::local::read(&server.data()).unwrap().token;
    // From the environment: arguments are seen by everybody on the machine.
    let headers = match who {
        As::Program => "{ Authorization = \"Bearer ${PLIMSOLL_TOKEN}\" }",
        As::Person => "{ Cookie = \"__Host-plimsoll=${PLIMSOLL_SESSION}\", Sec-Fetch-Site = \"same-origin\" }",
    };
    let home = tempfile::tempdir().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi");
    let config = std::fs::read_to_string(folder.join("schemathesis.toml")).unwrap();
    std::fs::write(home.path().join("config.toml"), format!("headers = {headers}\n{config}")).unwrap();
    let output = tokio::task::spawn_blocking(move || {
        Command::new(schemathesis())
            .arg("--config-file")
            .arg(home.path().join("config.toml"))
            .args(["run", &format!("http://{}/openapi.json", server.api())])
            .args(chosen)
            // All checks but those that the configuration turns off, which naming them here would turn on again.
            .args(["--continue-on-failure", "--max-examples", EXAMPLES, "--seed", "1"])
            .args(["--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "30"])
            .env("SCHEMATHESIS_HOOKS", folder.join("hooks.py"))
            .env("PLIMSOLL_TOKEN", token.expose_secret())
            .env("PLIMSOLL_SESSION", session)
            .env("PLIMSOLL_EMAIL", EMAIL)
            .env("PLIMSOLL_PASSWORD", PASSWORD)
            .env("HOME", home.path())
            .current_dir(home.path())
            .stdin(Stdio::null())
            .output()
            .map(|output| (output, server))
    });
    let (output, server) = output.await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    // It has really asked, and was known to the end.
    let cases = text.lines().find_map(|line| line.trim().split_once(" generated")?.0.parse::<u32>().ok());
    assert!(cases.is_some_and(|cases| cases > least), "{text}");
    // A program may end the sessions of anybody.
    if matches!(who, As::Person) {
        let me = ann.me().await;
        assert_eq!(me.status, 200, "{}", me.body);
    }
    // What it made up harmed nobody else.
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
