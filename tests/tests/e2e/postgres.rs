//! The same on PostgreSQL.

use plimsoll_tests::Server;
use plimsoll_tests::postgres::Postgres;

#[tokio::test(flavor = "multi_thread")]
async fn versions_go_there_and_back_and_survive_a_kill() {
    let url = Postgres::shared().create_database();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("url");
    std::fs::write(&file, format!("{url}\n")).unwrap();
    let mut server = Server::start_with(&["--database-url-file", file.to_str().unwrap()], &[]).await;
    crate::rollback::there_and_back(&server).await;
    assert!(!server.data().join("plimsoll.db").exists(), "everything is in PostgreSQL");

    let pids = server.pids("hello").await;
    server.kill9();
    server.assert_serves("hello", "/", "v3").await;
    server.restart().await;
    assert_eq!(server.pids("hello").await, pids, "adopted, not restarted");
    assert_eq!(server.releases("hello").await.len(), 3);
    let info = server.cli_json(&["version", "--json"]);
    assert!(info.to_string().contains("postgres"), "{info}");
    assert!(!server.log().contains(Postgres::shared().password()), "the password is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_address_comes_from_the_environment_too() {
    let url = Postgres::shared().create_database();
    let server = Server::start_with(&[], &[("PLIMSOLL_DATABASE_URL", &url)]).await;
    let (server, _repo, _) = crate::on(server, "hello").await;
    server.assert_serves("hello", "/", "v1").await;
}
