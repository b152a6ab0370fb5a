//! The examples deploy from repositories with a history. They need the package registries, as the apps do.

use plimsoll_tests::repo::example;
use plimsoll_tests::{Repo, Server};

/// A server with the example `name` deployed from its second commit.
async fn deployed(name: &str) -> (Server, Repo) {
    let server = Server::start().await;
    let repo = Repo::new();
    repo.commit([("NOTES.md", "an idea\n")], "begin");
    repo.commit_copy(&example(name), "the app");
    server.create_app(name, repo.source()).await;
    server.deploy_well(name).await;
    (server, repo)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_static_site() {
    let (server, _repo) = deployed("static-site").await;
    let (status, page) = server.get("static-site", "/").await.unwrap();
    assert_eq!(status, 200);
    assert!(page.contains("<html") || page.contains("<!doctype html"), "{page}");
    assert_eq!(server.get("static-site", "/style.css").await.unwrap().0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_app_with_a_procfile() {
    let (server, repo) = deployed("python-procfile").await;
    let (status, body) = server.get("python-procfile", "/").await.unwrap();
    assert!(status == 200 && body.contains("1.0.0") && body.contains("Hello"), "{status} {body}");
    server.set_variables("python-procfile", &[("GREETING", "Ahoy")]).await;
    repo.commit([("VERSION", "1.1.0\n")], "1.1.0");
    let second = server.deploy_well("python-procfile").await;
    let (_, body) = server.get("python-procfile", "/").await.unwrap();
    assert!(body.contains("1.1.0") && body.contains("Ahoy"), "{body}");
    // The release command ran, and what it said was kept.
    let output = server.cli(&["deployments", "output", second.id.as_str()]);
    let output = String::from_utf8_lossy(&output.stdout);
    assert!(output.contains("migrating with Python"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_app_with_a_build() {
    let (server, repo) = deployed("node-build").await;
    let (_, page) = server.get("node-build", "/").await.unwrap();
    assert!(page.contains("<strong>Markdown</strong>"), "{page}");
    repo.commit([("pages/index.md", "# Second\n\n_after_ a change\n")], "change");
    server.deploy_well("node-build").await;
    let (_, page) = server.get("node-build", "/").await.unwrap();
    assert!(page.contains("<em>after</em>"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_of_two_components() {
    let (server, _repo) = deployed("two-components").await;
    assert_eq!(server.get("two-components", "/api/visits").await, Ok((200, r#"{"visits": 1}"#.to_owned())));
    let (_, page) = server.get("two-components", "/").await.unwrap();
    assert!(page.contains("Visits"), "{page}");
    assert_eq!(server.pids("two-components").await.len(), 2);
}
