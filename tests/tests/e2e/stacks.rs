//! Kinds of app that no example stands for.

use plimsoll_tests::{Repo, Server};

const MAIN: &str = r#"
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
