//! The folder: what a process finds there at its start.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use ingress::{Client, Limits, Options, RunError, ensure};

use crate::support::*;

#[tokio::test]
async fn a_restart_serves_what_was_acknowledged_at_the_same_address() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("d".repeat(120)).join("ingress");
    let origin = Origin::named("v1").await;
    let first = Ingress::on(&dir, Limits::default()).await;
    first.route(4, &[origin.address]).await;
    let (address, table) = (first.address, first.client.table().await.unwrap());
    first.stop().await;

    let second = Ingress::on(&dir, Limits::default()).await;
    assert_eq!((second.address, second.client.table().await.unwrap()), (address, table));
    assert_eq!(second.get("/").await.text(), "v1");
    assert!(second.client.cutover(routes(3, &[origin.address])).await.is_err());
    assert_eq!(second.client.status().await.unwrap().degraded, None);
    let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode("."), mode("control.sock"), mode("verify.secret"), mode("routes.json")),
        (0o700, 0o600, 0o600, 0o600)
    );
}

#[tokio::test]
async fn damaged_tables_are_replaced_by_the_copy_and_told() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ingress");
    let origin = Origin::named("v1").await;
    let first = Ingress::on(&dir, Limits::default()).await;
    first.route(4, &[origin.address]).await;
    first.stop().await;
    let whole = fs::read(dir.join("routes.json")).unwrap();
    for damage in [&b""[..], &whole[..whole.len() / 2], b"garbage\n{}", &[0xff; 300]] {
        fs::write(dir.join("routes.json"), damage).unwrap();
        let ingress = Ingress::on(&dir, Limits::default()).await;
        assert_eq!(ingress.get("/").await.text(), "v1");
        let degraded = ingress.client.status().await.unwrap().degraded.unwrap();
        assert!(degraded.contains("routes.json is unreadable"), "{degraded}");
        assert!(ingress.client.cutover(routes(3, &[origin.address])).await.is_err(), "generations are kept");
        ingress.stop().await;
    }
    fs::write(dir.join("routes.json"), "x").unwrap();
    fs::write(dir.join("routes.previous.json"), "y").unwrap();
    let lost = Ingress::on(&dir, Limits::default()).await;
    assert_eq!(lost.get("/").await.status, 404);
    assert!(lost.client.status().await.unwrap().degraded.unwrap().contains("lost"));
    lost.route(5, &[origin.address]).await;
    assert_eq!(lost.get("/").await.text(), "v1");
}

#[tokio::test]
async fn a_change_that_cannot_be_written_is_refused() {
    let ingress = Ingress::start().await;
    let (old, new) = (Origin::named("v1").await, Origin::named("v2").await);
    ingress.route(1, &[old.address]).await;
    // A folder in the way of the temporary file: it can't be opened, even by root.
    fs::create_dir(ingress.dir.join("routes.json.new")).unwrap();
    let failed = ingress.client.cutover(routes(2, &[new.address])).await.unwrap_err();
    assert!(matches!(&failed, ingress::CutoverError::Failed(_)), "{failed}");
    assert_eq!(ingress.get("/").await.text(), "v1");
    assert_eq!(ingress.client.table().await.unwrap().sequence, 1);
    assert!(ingress.client.status().await.unwrap().degraded.is_some());
    fs::remove_dir(ingress.dir.join("routes.json.new")).unwrap();
    ingress.route(2, &[new.address]).await;
    assert_eq!(ingress.get("/").await.text(), "v2");
    assert_eq!(ingress.client.status().await.unwrap().degraded, None);
}

#[tokio::test]
async fn a_second_process_and_a_taken_address_are_refused() {
    let ingress = Ingress::start().await;
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let second = ingress::serve(Options::new(&ingress.dir, any), std::future::pending()).await;
    assert!(matches!(second, Err(RunError::Locked { .. })), "{second:?}");
    let other = tempfile::tempdir().unwrap();
    let taken = ingress::serve(Options::new(other.path(), ingress.address), std::future::pending()).await;
    assert!(taken.unwrap_err().to_string().contains(&ingress.address.to_string()));

    let failed = ensure(other.path(), &binary(), ingress.address).await.unwrap_err().to_string();
    assert!(failed.contains(&ingress.address.to_string()) && failed.contains("in use"), "{failed}");
    // It is asked to move to an address that somebody else has: it goes on where it is.
    let somebody = std::net::TcpListener::bind(any).unwrap();
    let elsewhere = somebody.local_addr().unwrap();
    let stays = ensure(&ingress.dir, &binary(), elsewhere).await.unwrap_err().to_string();
    assert!(stays.contains("goes on") && stays.contains(&elsewhere.to_string()), "{stays}");
    let status = ingress.client.status().await.unwrap();
    assert_eq!((status.pid, status.listen), (std::process::id(), ingress.address));
    assert_eq!(ingress.get("/").await.status, 404);
    ingress.client.remove(&environment(), 1).await.unwrap();
}

/// A process that stops gives folder and address away at once; its requests finish beside its successor.
#[tokio::test]
async fn a_successor_takes_over_while_requests_finish() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ingress");
    let origin = Origin::named("v1").await;
    let first = Ingress::on(&dir, Limits::default()).await;
    first.route(1, &[origin.address]).await;
    let mut busy = first.raw().await;
    busy.send(format!("GET /slow HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    until(|| async { (first.client.stats().await.unwrap().releases[0].in_flight == 1).then_some(()) }).await;
    first.client.stop().await.unwrap();
    until(|| async { first.client.status().await.is_err().then_some(()) }).await;
    let second = Ingress::on(&dir, Limits::default()).await;
    assert_eq!(second.address, first.address);
    assert_eq!(second.get("/").await.text(), "v1");
    assert_eq!(busy.answer().await.unwrap().text(), "v1");
    first.stop().await;
    second.route(2, &[origin.address]).await;
}

#[tokio::test]
async fn nobody_there_is_told_as_such() {
    let temp = tempfile::tempdir().unwrap();
    let client = Client::new(temp.path());
    assert!(client.status().await.unwrap_err().to_string().contains("does not answer"));
    assert!(
        ensure(temp.path(), temp.path(), SocketAddr::from(([127, 0, 0, 1], 0))).await.is_err(),
        "a folder is no program"
    );
}
