//! Probes against real sockets and processes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::health::{HealthCheck, Observation, Probe};
use domain::limit::Span;
use runtime::{Executor, NotHealthy, Target, observe, wait_healthy};
use tokio_util::sync::CancellationToken;

use crate::support::Machine;

/// Answers the nth connection with the nth answer, then with the last.
fn app(answers: &'static [&'static str]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let n = count.fetch_add(1, Ordering::SeqCst);
            // One read is enough for these requests; a mere connection sends none.
            let _request = stream.read(&mut [0; 4096]);
            stream.write_all(answers[n.min(answers.len() - 1)].as_bytes()).ok();
        }
    });
    (addr, asked)
}

fn target(addr: Option<SocketAddr>) -> Target {
    let directory = std::env::temp_dir();
    let executor = Executor::new(&directory.join("plimsoll-probe-test"));
    Target {
        addr,
        host: "localhost".into(),
        directory,
        env: BTreeMap::new(),
        secrets: BTreeSet::new(),
        marker: "probe".into(),
        sandbox: None,
        executor,
    }
}

fn check(probe: Probe) -> HealthCheck {
    HealthCheck { timeout: Span::secs(3), ..HealthCheck::new(probe) }
}

fn http() -> HealthCheck {
    check(Probe::Http { path: "/up?x=1".into() })
}

fn why(seen: Observation) -> String {
    match seen {
        Observation::Failed(why) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_passes_from_200_to_399() {
    for ok in [
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\nx",
        "HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n",
        "HTTP/1.0 204 x\r\n\r\n",
    ] {
        let (addr, _) = app(Box::leak(vec![ok].into_boxed_slice()));
        assert_eq!(observe(&http(), &target(Some(addr))).await, Observation::Passed, "{ok}");
    }
    let (addr, _) = app(&["HTTP/1.1 500 Internal Server Error\r\n\r\n"]);
    assert_eq!(why(observe(&http(), &target(Some(addr))).await), "GET /up?x=1 answered 500 Internal Server Error");
    for bad in ["HTTP/1.1 404 Not Found\r\n\r\n", "SSH-2.0-x\r\n\r\n", ""] {
        let (addr, _) = app(Box::leak(vec![bad].into_boxed_slice()));
        why(observe(&http(), &target(Some(addr))).await);
    }
    assert!(
        why(observe(&check(Probe::Http { path: "no path".into() }), &target(Some(addr))).await).contains("no path")
    );
    assert!(why(observe(&http(), &target(None)).await).contains("no port"));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_endless_headers_are_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let begin = Instant::now();
    assert!(why(observe(&http(), &target(Some(addr))).await).contains("within 3s"));
    assert!(begin.elapsed() < Duration::from_secs(30));
    let endless = Box::leak(format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(10 << 20)).into_boxed_str());
    let (addr, _) = app(Box::leak(vec![&*endless].into_boxed_slice()));
    why(observe(&http(), &target(Some(addr))).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tcp_and_command() {
    let (addr, _) = app(&[""]);
    assert_eq!(observe(&check(Probe::Tcp), &target(Some(addr))).await, Observation::Passed);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(why(observe(&check(Probe::Tcp), &target(Some(closed))).await).contains("cannot connect"));

    let command = |c: &str| check(Probe::Command { command: c.into() });
    assert_eq!(observe(&command("exit 0"), &target(None)).await, Observation::Passed);
    let seen = observe(&command("echo first; echo no database >&2; exit 2"), &target(None)).await;
    assert_eq!(why(seen), "the check command ended with exit status 2: no database");
    assert!(why(observe(&command("sleep 1000"), &target(None)).await).contains("did not end within 3s"));
    let env = BTreeMap::from([("KEY".to_owned(), "hunter2-of-the-probe".to_owned())]);
    let knows = Target { env, secrets: BTreeSet::from(["KEY".to_owned()]), ..target(None) };
    let seen = observe(&command("echo \"wrong: $KEY\"; exit 2"), &knows).await;
    assert_eq!(why(seen), "the check command ended with exit status 2: wrong: [secret]");
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_for_successes_in_a_row() {
    const OK: &str = "HTTP/1.1 200 OK\r\n\r\n";
    let (addr, asked) = app(&["HTTP/1.1 503 x\r\n\r\n", OK, "HTTP/1.1 503 x\r\n\r\n", OK, OK]);
    let check = HealthCheck { threshold: 2, interval: Span::millis(20), ..http() };
    let mut seen = Vec::new();
    let on_event = |o: &Observation, _| seen.push(*o == Observation::Passed);
    wait_healthy(&check, &target(Some(addr)), || None, on_event, &CancellationToken::new()).await.unwrap();
    assert_eq!(seen, [false, true, false, true, true]);
    assert_eq!(asked.load(Ordering::SeqCst), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn gives_up_after_the_grace_even_if_a_probe_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = target(Some(listener.local_addr().unwrap()));
    let check = HealthCheck { timeout: Span::secs(60), grace: Span::millis(300), ..http() };
    let begin = Instant::now();
    let ended = wait_healthy(&check, &target, || None, |_, _| {}, &CancellationToken::new()).await.unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(matches!(ended, NotHealthy::Unhealthy(why) if why.starts_with("not healthy within 300ms")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_noticed_at_once_and_a_cancel_too() {
    let machine = Machine::new();
    let spec = machine.spec("sleep 0.3; exit 9");
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = target(Some(listener.local_addr().unwrap()));
    let check = HealthCheck { timeout: Span::secs(30), ..http() };
    let begin = Instant::now();
    let exited = || machine.runtime.last_exit(&name);
    let ended = wait_healthy(&check, &target, exited, |_, _| {}, &CancellationToken::new()).await.unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(ended, NotHealthy::Unhealthy("the app has ended: exit status 9".into()));

    let cancel = CancellationToken::new();
    let (ended, ()) = tokio::join!(wait_healthy(&check, &target, || None, |_, _| {}, &cancel), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        cancel.cancel();
    });
    assert_eq!(ended.unwrap_err(), NotHealthy::Cancelled);
}
