use std::time::Duration;

use forge::GitError;
use tokio_util::sync::CancellationToken;

use crate::support::{World, eventually, with_ssh};

/// An ssh that writes its process id and then says nothing for ever.
const SILENT_SSH: &str = "#!/bin/sh\necho $$ > \"$HOME/ssh.pid\"\nexec sleep 600\n";

fn alive(world: &World) -> bool {
    let Ok(pid) = std::fs::read_to_string(world.dir.path().join("ssh.pid")) else {
        return false;
    };
    std::path::Path::new(&format!("/proc/{}", pid.trim())).exists() && !pid.trim().is_empty()
}

#[tokio::test]
async fn what_is_not_there() {
    let world = World::empty();
    let none = CancellationToken::new();
    let error = world.checkout("x", None).await.unwrap_err();
    assert!(matches!(error, GitError::Empty { .. }), "{error}");

    let missing = format!("{}/nope", world.url());
    let error = world.checkout_from(&missing, "x", None, &none).await.unwrap_err();
    assert!(matches!(error, GitError::NotFound { .. }), "{error}");

    let plain = world.dir.path().display().to_string();
    let error = world.checkout_from(&plain, "x", None, &none).await.unwrap_err();
    assert!(matches!(error, GitError::NotARepository { .. }), "{error}");

    let file = format!("{}/.git/HEAD", world.url());
    let error = world.checkout_from(&file, "x", None, &none).await.unwrap_err();
    assert!(matches!(error, GitError::NotARepository { .. }), "{error}");
}

/// A port that nobody listens on, and that nobody else is given while the socket is held.
fn closed_port() -> (tokio::net::TcpSocket, u16) {
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = held.local_addr().unwrap().port();
    (held, port)
}

#[tokio::test]
async fn nobody_listens() {
    let world = World::new();
    let (_held, port) = closed_port();
    for scheme in ["http", "https", "ssh"] {
        let url = format!("{scheme}://127.0.0.1:{port}/x.git");
        let error = world.checkout_from(&url, "x", None, &CancellationToken::new()).await.unwrap_err();
        assert!(matches!(error, GitError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(&url), "{error}");
    }
}

#[tokio::test]
async fn a_destination_that_exists_is_not_touched() {
    let world = World::new();
    std::fs::create_dir(world.dest("x")).unwrap();
    let mut sink = |_: &str| {};
    let none = CancellationToken::new();
    let error = world.git.checkout(&world.url(), None, &world.dest("x"), &mut sink, &none).await.unwrap_err();
    assert!(matches!(error, GitError::Io { .. }), "{error}");
    assert_eq!(std::fs::read_dir(world.dest("x")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_cancel_in_the_middle_ends_all_processes() {
    let mut world = World::new();
    with_ssh(&mut world, SILENT_SSH);
    let cancel = CancellationToken::new();
    let (result, ()) = tokio::join!(world.checkout_from("git@example.invalid:x", "x", None, &cancel), async {
        eventually("ssh runs", || alive(&world)).await;
        cancel.cancel();
    });
    assert_eq!(result.unwrap_err(), GitError::Cancelled);
    eventually("ssh is gone", || !alive(&world)).await;
}

#[tokio::test]
async fn a_dropped_checkout_ends_all_processes() {
    let mut world = World::new();
    with_ssh(&mut world, SILENT_SSH);
    let cancel = CancellationToken::new();
    tokio::select! {
        _ = world.checkout_from("git@example.invalid:x", "x", None, &cancel) => panic!("it can't end"),
        () = eventually("ssh runs", || alive(&world)) => {}
    }
    eventually("ssh is gone", || !alive(&world)).await;
    assert_eq!(std::fs::read_dir(world.dir.path().join("out")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_limit_of_time() {
    let mut world = World::new();
    with_ssh(&mut world, SILENT_SSH);
    world.git = world.git.clone().with_limit(Duration::from_millis(700));
    let error = world.checkout_from("git@example.invalid:x", "x", None, &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, GitError::TimedOut { .. }), "{error}");
    eventually("ssh is gone", || !alive(&world)).await;
}

#[tokio::test]
async fn a_cancel_is_heard_while_another_holds_the_cache() {
    let world = World::new();
    world.checkout("a", None).await.unwrap();
    let lock = std::fs::read_dir(world.dir.path().join("cache")).unwrap().map(|e| e.unwrap().path());
    let lock = lock.into_iter().find(|p| p.extension().is_some_and(|e| e == "lock")).unwrap();
    let held = std::fs::File::open(lock).unwrap();
    held.lock().unwrap();
    let cancel = CancellationToken::new();
    let url = world.url();
    let waiting = world.checkout_from(&url, "b", None, &cancel);
    let (result, ()) = tokio::join!(waiting, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    });
    assert_eq!(result.unwrap_err(), GitError::Cancelled);
}

#[tokio::test]
async fn a_broken_cache_is_made_anew() {
    let world = World::new();
    world.checkout("a", None).await.unwrap();
    let cache = std::fs::read_dir(world.dir.path().join("cache")).unwrap().map(|e| e.unwrap().path());
    let cache = cache.into_iter().find(|p| p.extension().is_some_and(|e| e == "git")).unwrap();
    // As a kill in the middle of a fetch may leave it.
    std::fs::write(cache.join("shallow.lock"), "").unwrap();
    let second = world.commit("README", "two");
    assert_eq!(world.checkout("b", None).await.unwrap().sha, second);
    std::fs::write(cache.join("config"), "[nonsense").unwrap();
    assert_eq!(world.checkout("c", None).await.unwrap().sha, second);
    std::fs::remove_file(cache.join("HEAD")).unwrap();
    assert_eq!(world.checkout("d", None).await.unwrap().sha, second);
}

#[tokio::test]
async fn without_git_it_says_so() {
    let mut world = World::new();
    world.git = world.git.clone().with_variable("PATH", "/nowhere");
    assert_eq!(world.checkout("x", None).await.unwrap_err(), GitError::GitMissing);
}
