//! Processes that are killed.

use std::time::Duration;

use ingress::{Client, ensure};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::RngExt;

use crate::support::*;

async fn pid(client: &Client) -> Pid {
    Pid::from_raw(client.status().await.unwrap().pid.try_into().unwrap())
}

/// A process that is no child of ours is gone when no signal reaches it; one that init has not reaped yet has no memory.
async fn gone(pid: Pid) {
    until(|| async {
        let is_gone = kill(pid, None) == Err(Errno::ESRCH)
            || std::fs::read_to_string(format!("/proc/{pid}/statm")).is_ok_and(|s| s.starts_with("0 "));
        is_gone.then_some(())
    })
    .await;
}

/// 25 times: cutovers one after the other, and a kill -9 at some instant. What was acknowledged is there after
/// the restart, or the one that was being asked for; nothing older, nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_comes_back_with_its_table() {
    let temp = tempfile::tempdir().unwrap();
    let _reaper = Reaper(temp.path().to_owned());
    let listen: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let origin = Origin::named("v1").await;
    let (mut generation, mut acknowledged) = (0_u64, 0_u64);
    let (mut address, mut answered) = (None, 0);
    for round in 0..25 {
        let client = ensure(temp.path(), &binary(), listen).await.unwrap();
        let status = client.status().await.unwrap();
        assert_eq!(*address.get_or_insert(status.listen), status.listen, "the address stays");
        assert_eq!(status.degraded, None, "round {round}");
        let table = client.table().await.unwrap();
        let found = table.environments.get(&environment()).map_or(0, |e| e.generation);
        assert!(
            (acknowledged..=generation).contains(&found),
            "found {found}, acknowledged {acknowledged} of {generation}"
        );
        if found > 0 {
            let entry = &table.environments[&environment()];
            assert_eq!(entry, &routes(found, &[origin.address]), "whole");
            assert_eq!(Raw::connect(status.listen).await.get("/").await.text(), "v1");
            assert!(client.prepare(&routes(found - 1, &[origin.address])).await.is_err());
        }
        let process = pid(&client).await;
        let delay = Duration::from_micros(rand::rng().random_range(0..30_000));
        let (first, acknowledges) = tokio::sync::oneshot::channel();
        let mut first = Some(first);
        let killer = tokio::spawn(async move {
            // Each second time it has acknowledged something, however slow the disk is.
            if round % 2 == 1 {
                acknowledges.await.unwrap();
            }
            tokio::time::sleep(delay).await;
            kill(process, Signal::SIGKILL).unwrap();
        });
        loop {
            generation += 1;
            match client.cutover(routes(generation, &[origin.address])).await {
                Ok(_) => {
                    acknowledged = generation;
                    if let Some(first) = first.take() {
                        answered += 1;
                        // Nobody waits for it in the other rounds.
                        let _ = first.send(());
                    }
                }
                Err(ingress::CutoverError::Unavailable(_)) => break,
                Err(other) => panic!("{other}"),
            }
        }
        killer.await.unwrap();
        gone(process).await;
    }
    assert!(answered >= 12, "cutovers were acknowledged in {answered} rounds only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_started_process_is_adopted_and_stops_when_told() {
    let temp = tempfile::tempdir().unwrap();
    let _reaper = Reaper(temp.path().to_owned());
    let listen: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let binary = binary();
    let (first, second) = tokio::join!(ensure(temp.path(), &binary, listen), ensure(temp.path(), &binary, listen));
    let (first, second) = (pid(&first.unwrap()).await, pid(&second.unwrap()).await);
    assert_eq!(first, second, "both got the one process");
    assert_eq!(nix::unistd::getsid(Some(first)).ok(), Some(nix::unistd::getsid(Some(first)).unwrap()));
    assert_ne!(nix::unistd::getsid(Some(first)).unwrap(), nix::unistd::getsid(None).unwrap(), "a session of its own");
    assert_eq!(nix::sys::wait::waitpid(first, None), Err(Errno::ECHILD), "no child of ours");

    kill(first, Signal::SIGTERM).unwrap();
    gone(first).await;
    let third = ensure(temp.path(), &binary, listen).await.unwrap();
    let process = pid(&third).await;
    third.stop().await.unwrap();
    gone(process).await;
    assert!(third.status().await.is_err());
}
