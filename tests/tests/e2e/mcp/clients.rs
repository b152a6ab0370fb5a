//! The protocol's conformance suite, and clients that others wrote. `scripts/test-setup` installs them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use plimsoll_tests::server::{binary, free_address};
use plimsoll_tests::{App, Repo, Server, wait_for};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file of what `scripts/test-setup` installs.
fn installed(path: &str) -> PathBuf {
    let found = root().join("target/mcp-clients").join(path);
    assert!(found.exists(), "{} is missing: run scripts/test-setup", found.display());
    found
}

/// A Node program among them, run by the Node that came along.
fn node(script: &str) -> Command {
    let mut command = Command::new(installed("node_modules/.bin/node"));
    command.arg(installed("node_modules").join(script)).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// The suite against the target that stands on the same transport, gate and door as the server.
async fn conforms(revision: &str, scenarios: usize) {
    let target = binary().parent().unwrap().join("examples/mcp-conformance");
    assert!(target.exists(), "{} is missing: run cargo build --workspace --all-targets", target.display());
    let address: SocketAddr = free_address();
    // It ends with its standard input, and so with us.
    let mut running = Command::new(target).arg(address.to_string()).stdin(Stdio::piped()).spawn().unwrap();
    let listens = async || std::net::TcpStream::connect(address).ok();
    wait_for("the conformance target", Duration::from_secs(30), listens).await;
    let expected = root().join(format!("tests/mcp/expected-failures-{revision}.yaml"));
    let output = node("@modelcontextprotocol/conformance/dist/index.js")
        .args(["server", "--url", &format!("http://{address}/mcp"), "--requirements", revision])
        .arg("--expected-failures")
        .arg(&expected)
        .output()
        .unwrap();
    drop(running.stdin.take());
    assert!(running.wait().unwrap().success());
    let told = text(&output);
    assert!(output.status.success(), "{told}");
    let passed = told.lines().filter(|line| line.starts_with("✓ ") && line.ends_with(" passed, 0 failed")).count();
    assert!(passed >= scenarios, "only {passed} scenarios:\n{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_to_2025_11_25() {
    conforms("2025-11-25", 27).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_to_2026_07_28() {
    conforms("2026-07-28", 39).await;
}

/// A server with an app that has deployed well, and once not.
async fn lived_in() -> (Server, Repo) {
    let (server, repo, _) = crate::with_app("hello").await;
    repo.commit(App::new("v2").release("echo the migration broke; exit 3").files(), "v2");
    server.deploy_to_end("hello").await;
    repo.commit(App::new("v3").files(), "v3");
    (server, repo)
}

fn token_file(server: &Server) -> PathBuf {
    use secrecy::ExposeSecret;
    let path = server.data().join("token-of-the-test");
    let local = operations::local::read(&server.data()).unwrap();
    std::fs::write(&path, local.token.expose_secret()).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_lists_and_calls_over_both_transports() {
    let (server, _repo) = lived_in().await;
    let url = format!("http://{}/mcp", server.api());
    let output = Command::new(installed("venv/bin/python"))
        .arg(root().join("tests/mcp/client.py"))
        .args([binary().as_os_str(), server.data().as_os_str(), url.as_ref(), token_file(&server).as_os_str()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let told: Vec<Value> =
        String::from_utf8_lossy(&output.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let versions: Vec<&str> = told.iter().map(|connection| connection["version"].as_str().unwrap()).collect();
    assert_eq!(versions, ["2025-11-25", "2025-11-25", "2026-07-28", "2026-07-28"]);
    for connection in &told {
        assert_eq!(connection["tools"], told[0]["tools"]);
        assert_eq!(connection["ended"], "active", "{connection}");
        assert!(connection["phases"].to_string().contains("failed"), "{connection}");
        assert!(!connection["progress"].as_array().unwrap().is_empty(), "{connection}");
        assert!(connection["checked"].as_array().unwrap().len() >= 16, "{connection}");
        let codes = ["not_found", "invalid_arguments", "confirmation_required", "conflict"];
        assert_eq!(connection["refused"], serde_json::json!(codes), "{connection}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_lists_and_calls_over_both_transports() {
    let (server, _repo) = lived_in().await;
    let home = server.data().join("home-of-the-inspector");
    std::fs::create_dir(&home).unwrap();
    let bearer = format!("Authorization: Bearer {}", std::fs::read_to_string(token_file(&server)).unwrap());
    let url = format!("http://{}/mcp", server.api());
    let (binary, data) = (binary(), server.data());
    let stdio = [binary.to_str().unwrap(), "--data", data.to_str().unwrap(), "mcp"];
    let http = [url.as_str(), "--header", bearer.as_str()];
    for target in [&stdio[..], &http[..]] {
        let inspect = |args: &[&str]| {
            let output = node("@modelcontextprotocol/inspector/clients/launcher/build/index.js")
                .arg("--cli")
                .args(target)
                .args(args)
                .env("HOME", &home)
                .output()
                .unwrap();
            assert!(output.status.success(), "{target:?} {args:?}: {}", text(&output));
            serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output)))
        };
        // Strict: any schema that some client could stumble over badly is an error.
        let listed = inspect(&["--method", "tools/list", "--strict"]);
        assert!(listed["tools"].to_string().contains("deploy_full"), "{listed}");
        let called = inspect(&["--method", "tools/call", "--tool-name", "apps_get", "--tool-arg", "app=hello"]);
        assert_eq!(called["structuredContent"]["name"], "hello", "{called}");
    }
}
