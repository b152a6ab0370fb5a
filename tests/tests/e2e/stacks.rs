//! Kinds of app that no example stands for.

use std::path::Path;
use std::time::Duration;

use plimsoll_tests::{Repo, Server, processes, wait_for};

/// Answers with its version; of the standard library alone.
pub(crate) const MAIN: &str = r#"
use std::io::{Read, Write};

fn main() {
    let port = std::env::var("PORT").expect("PORT is set");
    let listener = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).expect("the port is free");
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        let _ = stream.read(&mut [0; 4096]);
        let body = concat!("rust ", env!("CARGO_PKG_VERSION"));
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    }
}
"#;

fn manifest(version: &str) -> String {
    format!("[package]\nname = \"hello\"\nversion = \"{version}\"\nedition = \"2021\"\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rust_app_is_built_and_started_without_a_word_of_configuration() {
    let server = Server::start().await;
    let repo = Repo::new();
    repo.commit([("Cargo.toml", manifest("0.1.0")), ("src/main.rs", MAIN.to_owned())], "one");
    server.create_app("hello", repo.source()).await;
    let first = server.deploy_well("hello").await;
    assert_eq!(first.metadata.detected_type.as_deref(), Some("rust"));
    server.assert_serves("hello", "/", "rust 0.1.0").await;
    repo.commit([("Cargo.toml", manifest("0.2.0"))], "two");
    server.deploy_well("hello").await;
    server.assert_serves("hello", "/", "rust 0.2.0").await;
}

const GO: &str = r#"package main

import (
	"fmt"
	"net/http"
	"os"

	"example.org/hello/greeting"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, greeting.Text) })
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_go_app_is_built_and_started_without_a_word_of_configuration() {
    let server = Server::start().await;
    let repo = Repo::new();
    let greeting = |text: &str| format!("package greeting\n\nconst Text = {text:?}\n");
    let files = [
        ("go.mod", "module example.org/hello\n\ngo 1.19\n".to_owned()),
        ("main.go", GO.to_owned()),
        ("greeting/greeting.go", greeting("go one")),
    ];
    repo.commit(files, "one");
    server.create_app("hello", repo.source()).await;
    let first = server.deploy_well("hello").await;
    assert_eq!(first.metadata.detected_type.as_deref(), Some("go"));
    server.assert_serves("hello", "/", "go one").await;
    repo.commit([("greeting/greeting.go", greeting("go two"))], "two");
    server.deploy_well("hello").await;
    server.assert_serves("hello", "/", "go two").await;
}

const NODE: &str = "require('http').createServer((_, answer) => answer.end(require('greeting'))).listen(process.env.PORT, '127.0.0.1');\n";
const YARN_LOCK: &str = "# yarn lockfile v1\n\n\n\"greeting@file:./greeting\":\n  version \"1.0.0\"\n";
const PNPM_LOCK: &str = "lockfileVersion: '9.0'

settings:
  autoInstallPeers: true
  excludeLinksFromLockfile: false

importers:

  .:
    dependencies:
      greeting:
        specifier: file:./greeting
        version: file:greeting

packages:

  greeting@file:greeting:
    resolution: {directory: greeting, type: directory}

snapshots:

  greeting@file:greeting: {}
";

#[tokio::test(flavor = "multi_thread")]
async fn node_apps_are_installed_with_the_package_manager_of_their_lock_file() {
    let server = Server::start().await;
    for (manager, lock, text) in [("yarn", "yarn.lock", YARN_LOCK), ("pnpm", "pnpm-lock.yaml", PNPM_LOCK)] {
        let repo = Repo::new();
        let files = [
            (
                "package.json",
                "{\"name\": \"hello\", \"private\": true, \"dependencies\": {\"greeting\": \"file:./greeting\"}}",
            ),
            ("server.js", NODE),
            (lock, text),
            ("greeting/package.json", "{\"name\": \"greeting\", \"version\": \"1.0.0\"}"),
            ("greeting/index.js", "module.exports = 'installed';\n"),
        ];
        repo.commit(files, "one");
        server.create_app(manager, repo.source()).await;
        let deployed = server.deploy_well(manager).await;
        let output = server.cli(&["deployments", "output", deployed.id.as_str()]);
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.contains(&format!("{manager} install --frozen-lockfile")), "{output}");
        server.assert_serves(manager, "/", "installed").await;
    }
}

/// With a package that the lock file pins, and one more that only developers need.
#[tokio::test(flavor = "multi_thread")]
async fn python_apps_are_installed_with_the_tool_of_their_lock_file() {
    let server = Server::start().await;
    for (tool, says) in [("uv", "uv sync --frozen"), ("poetry", "poetry install --only main")] {
        let repo = Repo::new();
        repo.commit_copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(tool), "one");
        server.create_app(tool, repo.source()).await;
        let deployed = server.deploy_well(tool).await;
        assert_eq!(deployed.metadata.detected_type.as_deref(), Some("python"));
        let output = server.cli(&["deployments", "output", deployed.id.as_str()]);
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.contains(says), "{output}");
        let answer = "signed by 2.2.0 without tools of development";
        server.assert_serves(tool, "/", answer).await;
        // Nothing of it is in the workspace, which is gone: it starts once more.
        server.settle(tool).await;
        let first = server.pids(tool).await["web"];
        processes::kill9(first);
        wait_for("another process", Duration::from_secs(30), async || {
            let again = server.pids(tool).await.get("web").is_some_and(|pid| *pid != first);
            (again && server.get(tool, "/").await == Ok((200, answer.to_owned()))).then_some(())
        })
        .await;
    }
}
