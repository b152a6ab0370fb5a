//! One process in the place of another, with clients that notice every lost request.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ingress::{Client, CutoverError, Gate, Holder, Settings, Status, Target, ensure, replace};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::RngExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::cutover::Seen;
use crate::support::*;
use crate::tls::{certificate, handshake, id};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn secure() -> Settings {
    Settings { https_listen: Some(ANY), ..Settings::from(ANY) }
}

fn end(pid: u32) {
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
}

/// A kept connection of a client that does as HTTP says: one that was told to close is closed and made anew.
async fn polite(seen: &Seen, address: SocketAddr) {
    let mut client = Raw::connect(address).await;
    while !seen.done.load(Ordering::SeqCst) {
        let least = seen.acknowledged.load(Ordering::SeqCst);
        seen.sent.fetch_add(1, Ordering::SeqCst);
        client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        let answer = client.answer().await.unwrap();
        let generation: u64 = answer.text().strip_prefix('v').unwrap().parse().unwrap();
        assert!(answer.status == 200 && generation >= least, "{answer:?} after v{least} was acknowledged");
        seen.good.fetch_add(1, Ordering::SeqCst);
        if answer.header("connection") == Some("close") {
            client = Raw::connect(address).await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A new connection each millisecond, and eight kept ones, one HTTP/2 connection over TLS; meanwhile 10 processes take
/// each other's place, and 30 cutovers go on as if nothing was. Each answer is whole and from the newest
/// acknowledged release at least; upstreams are killed as soon as the drain says that nothing is in flight.
#[tokio::test(flavor = "multi_thread")]
async fn ten_restarts_and_thirty_cutovers_under_load_lose_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let _reaper = Reaper(temp.path().to_owned());
    let binary = binary();
    let client = ensure(temp.path(), &binary, secure()).await.unwrap();
    let first = client.status().await.unwrap();
    let (address, https) = (first.listen, first.https.unwrap());
    let mut current = Origin::named("v1").await;
    client.cutover(routes(1, &[current.address])).await.unwrap();
    client.put_certificate(&id(1), certificate(&[HOST], false)).await.unwrap();
    let seen = Arc::new(Seen::default());
    seen.acknowledged.store(1, Ordering::SeqCst);

    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let seen = seen.clone();
        clients.spawn(async move { polite(&seen, address).await });
    }
    clients.spawn({
        let seen = seen.clone();
        async move {
            let mut requests = JoinSet::new();
            let mut clock = tokio::time::interval(Duration::from_millis(1));
            for n in 0.. {
                clock.tick().await;
                if seen.done.load(Ordering::SeqCst) {
                    break;
                }
                let (seen, path) = (seen.clone(), if n % 50 == 0 { "/slow" } else { "/" });
                requests.spawn(async move { seen.request(&mut Raw::connect(address).await, path).await });
                // A machine that is too slow for so many is not buried under them.
                if requests.len() >= 100 {
                    requests.join_next().await.unwrap().unwrap();
                }
                while requests.try_join_next().is_some_and(|r| r.is_ok()) {}
            }
            while let Some(request) = requests.join_next().await {
                request.unwrap();
            }
        }
    });
    clients.spawn({
        let seen = seen.clone();
        async move {
            while !seen.done.load(Ordering::SeqCst) {
                let mut stream = handshake(https, HOST, &["http/1.1"]).await.unwrap();
                let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
                seen.sent.fetch_add(1, Ordering::SeqCst);
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                seen.good.fetch_add(1, Ordering::SeqCst);
            }
        }
    });

    let restarts = tokio::spawn({
        let dir = temp.path().to_owned();
        async move {
            let mut pids = vec![];
            for _ in 0..10 {
                let replaced = replace(&dir, &binary, secure()).await.unwrap();
                assert_eq!((replaced.after.listen, replaced.after.https), (address, Some(https)));
                pids.push(replaced.after.pid);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            pids
        }
    });
    for generation in 2..=31 {
        let next = Origin::named(&format!("v{generation}")).await;
        let report = client.cutover(routes(generation, &[next.address])).await.unwrap();
        seen.acknowledged.store(generation, Ordering::SeqCst);
        let previous = report.previous.unwrap();
        assert_eq!(previous.generation, generation - 1);
        assert_eq!(client.drain(&previous.deployment, Duration::from_secs(10)).await.unwrap().in_flight, 0);
        std::mem::replace(&mut current, next).kill().await;
    }
    let mut pids = restarts.await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    seen.done.store(true, Ordering::SeqCst);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let (sent, good) = (seen.sent.load(Ordering::SeqCst), seen.good.load(Ordering::SeqCst));
    assert_eq!(sent - good, 0, "lost requests of {sent}");
    assert!(sent > 1000, "only {sent} requests were sent");
    eprintln!("{sent} requests, none lost");
    pids.push(first.pid);
    let last = client.status().await.unwrap();
    assert_eq!(last.degraded, None);
    assert_eq!(client.table().await.unwrap().environments[&environment()].generation, 31);
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 11, "each restart made a new process");
    // Nothing is in flight, so all but the last end by themselves.
    until(|| async { (processes(temp.path()) == [last.pid as i32]).then_some(()) }).await;
}

/// What was open when the process was replaced goes on, and does not go an old way.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_goes_on_and_follows_the_new_process() {
    let temp = tempfile::tempdir().unwrap();
    let _reaper = Reaper(temp.path().to_owned());
    let client = ensure(temp.path(), &binary(), ANY).await.unwrap();
    let before = client.status().await.unwrap();
    let (release_it, hold) = tokio::sync::watch::channel(false);
    let old = Origin::http(move |request| {
        let mut hold = hold.clone();
        async move {
            if request.uri().path() == "/held" {
                hold.wait_for(|&go| go).await.unwrap();
            }
            http::Response::new(bytes::Bytes::from("v1").into())
        }
    })
    .await;
    let new = Origin::named("v2").await;
    client.cutover(routes(1, &[old.address])).await.unwrap();
    let (mut idle, mut held) = (Raw::connect(before.listen).await, Raw::connect(before.listen).await);
    assert_eq!(idle.get("/").await.text(), "v1");
    held.send(format!("GET /held HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    until(|| async { (client.stats().await.unwrap().releases[0].in_flight == 1).then_some(()) }).await;

    let after = replace(temp.path(), &binary(), ANY).await.unwrap().after;
    assert_ne!(after.pid, before.pid);
    client.cutover(routes(2, &[new.address])).await.unwrap();
    // The old process holds this connection, and knows the new table.
    let answer = idle.get("/").await;
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("v2", Some("close")));
    assert!(idle.is_closed().await);
    // It also counts what is in flight there.
    assert_eq!(client.drain(&deployment(1), Duration::from_millis(200)).await.unwrap().in_flight, 1);
    let drain = tokio::spawn({
        let client = client.clone();
        async move { client.drain(&deployment(1), Duration::from_secs(20)).await.unwrap().in_flight }
    });
    release_it.send_replace(true);
    assert_eq!(held.answer().await.unwrap().text(), "v1");
    assert_eq!(drain.await.unwrap(), 0);
    until(|| async { (processes(temp.path()) == [after.pid as i32]).then_some(()) }).await;
}

/// The replaced process has accepted a request, and still waits for a place in the queue of the app that it routes to. That
/// app is stopped when the next release serves: what was not sent follows the new process's table.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_old_process_has_not_sent_goes_to_the_next_release() {
    let temp = tempfile::tempdir().unwrap();
    let _reaper = Reaper(temp.path().to_owned());
    let client = ensure(temp.path(), &binary(), ANY).await.unwrap();
    let before = client.status().await.unwrap();
    let (crowded, next) = (Crowded::new().await, Origin::named("v2").await);
    let ungated = Target::Upstreams { upstreams: vec![crowded.address], standby: vec![], gate: Gate::None };
    client.cutover(targeting(1, ungated)).await.unwrap();
    let mut kept = Raw::connect(before.listen).await;
    kept.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\n\r\nhello")).await;
    until(|| async { (client.stats().await.unwrap().releases[0].in_flight == 1).then_some(()) }).await;

    let after = replace(temp.path(), &binary(), ANY).await.unwrap().after;
    assert_ne!(after.pid, before.pid);
    client.cutover(routes(2, &[next.address])).await.unwrap();
    assert_eq!(client.drain(&deployment(1), Duration::ZERO).await.unwrap().in_flight, 1, "the old one's counts");
    drop(crowded);
    let answer = kept.answer().await.unwrap();
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("v2", Some("close")));
    until(|| async { (processes(temp.path()) == [after.pid as i32]).then_some(()) }).await;
}

/// A WebSocket, or whatever else was upgraded, stays in the old process for as long as it is open.
#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_outlives_the_process_that_accepts() {
    let temp = tempfile::tempdir().unwrap();
    let _reaper = Reaper(temp.path().to_owned());
    let client = ensure(temp.path(), &binary(), ANY).await.unwrap();
    let before = client.status().await.unwrap();
    let origin = Origin::upgrading().await;
    client.cutover(routes(1, &[origin.address])).await.unwrap();
    let mut tunnel = Raw::connect(before.listen).await;
    tunnel.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")).await;
    assert_eq!(tunnel.answer().await.unwrap().status, 101);
    let mut after = before.clone();
    for n in 0..3 {
        after = replace(temp.path(), &binary(), ANY).await.unwrap().after;
        tunnel.send([n]).await;
        assert_eq!(tunnel.stream.read_u8().await.unwrap(), n);
    }
    let next = Origin::named("v2").await;
    client.cutover(routes(2, &[next.address])).await.unwrap();
    // Waited for across three processes, and asked to end when the drain's time is over.
    let begun = Instant::now();
    assert_eq!(client.drain(&deployment(1), Duration::from_millis(200)).await.unwrap().in_flight, 0);
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert!(tunnel.stream.read_u8().await.is_err(), "the tunnel has ended");
    until(|| async { (processes(temp.path()) == [after.pid as i32]).then_some(()) }).await;
}

/// Killed at some instant of a hand-over: the old process, or the new one. Whoever is left serves what was acknowledged,
/// and if nobody is, the next start does.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_leaves_one_that_serves() {
    let temp = tempfile::tempdir().unwrap();
    let _reaper = Reaper(temp.path().to_owned());
    let binary = binary();
    let origin = Origin::named("v1").await;
    let (mut acknowledged, mut asked, mut address) = (0, 0, None);
    let (mut old_went_on, mut new_took_over) = (0, 0);
    for round in 0..30 {
        let client = ensure(temp.path(), &binary, ANY).await.unwrap();
        let status = client.status().await.unwrap();
        assert_eq!(*address.get_or_insert(status.listen), status.listen, "round {round}: the address stays");
        assert_eq!(status.degraded, None, "round {round}");
        let found = client.table().await.unwrap().environments.get(&environment()).map_or(0, |e| e.generation);
        assert!((acknowledged..=asked).contains(&found), "round {round}: found {found}, acknowledged {acknowledged}");
        if found > 0 {
            assert_eq!(Raw::connect(status.listen).await.get("/").await.text(), "v1");
            assert!(client.prepare(&routes(found - 1, &[origin.address])).await.is_err());
        }
        let delay = Duration::from_micros(rand::rng().random_range(0..60_000));
        let victim = round % 2 == 0;
        let dir = temp.path().to_owned();
        let killer = tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let others = processes(&dir).into_iter().find(|&pid| pid != status.pid as i32);
            match (victim, others) {
                (true, _) => end(status.pid),
                (false, Some(other)) => drop(kill(Pid::from_raw(other), Signal::SIGKILL)),
                (false, None) => {}
            }
        });
        let cutovers = tokio::spawn({
            let (client, origin) = (client.clone(), origin.address);
            async move {
                let (mut acknowledged, mut asked) = (acknowledged, asked);
                for _ in 0..20 {
                    asked += 1;
                    match client.cutover(routes(asked, &[origin])).await {
                        Ok(_) => acknowledged = asked,
                        Err(CutoverError::Unavailable(_)) => break,
                        Err(other) => panic!("round {round}: {other}"),
                    }
                }
                (acknowledged, asked)
            }
        });
        let replaced = replace(temp.path(), &binary, ANY).await;
        killer.await.unwrap();
        (acknowledged, asked) = cutovers.await.unwrap();
        match (replaced.is_ok(), client.status().await) {
            (_, Ok(now)) if now.pid == status.pid => old_went_on += 1,
            (_, Ok(_)) => new_took_over += 1,
            (_, Err(_)) => {}
        }
    }
    assert!(acknowledged > 30, "only {acknowledged} cutovers were acknowledged");
    eprintln!("the old one went on {old_went_on} times, the new one took over {new_took_over} times");
    let client = ensure(temp.path(), &binary, ANY).await.unwrap();
    let last = client.status().await.unwrap().pid as i32;
    until(|| async { (processes(temp.path()) == [last]).then_some(()) }).await;
}

/// As long as somebody holds the sockets, nobody is refused: connections wait for the next process.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_refuses_nobody_while_its_sockets_are_held() {
    let temp = tempfile::tempdir().unwrap();
    let _reaper = Reaper(temp.path().to_owned());
    let holder = Holder::new(temp.path());
    let client = holder.ensure(&binary(), secure()).await.unwrap();
    let origin = Origin::named("v1").await;
    client.cutover(routes(1, &[origin.address])).await.unwrap();
    holder.attach().await.unwrap();
    for _ in 0..3 {
        let status = client.status().await.unwrap();
        assert!(holder.is_attached());
        end(status.pid);
        let mut waiting = vec![];
        for _ in 0..20 {
            let mut raw = Raw::connect(status.listen).await;
            raw.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
            waiting.push(raw);
        }
        tokio::time::timeout(Duration::from_secs(60), holder.lost()).await.unwrap();
        let begun = Instant::now();
        holder.ensure(&binary(), secure()).await.unwrap();
        holder.attach().await.unwrap();
        let next = client.status().await.unwrap();
        assert_eq!((next.listen, next.https), (status.listen, status.https));
        for mut raw in waiting {
            assert_eq!(raw.answer().await.unwrap().text(), "v1");
        }
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    // A hand-over is told as well.
    replace(temp.path(), &binary(), secure()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), holder.lost()).await.unwrap();
    holder.attach().await.unwrap();
    let Status { pid, listen, .. } = client.status().await.unwrap();
    end(pid);
    holder.lost().await;
    holder.forget();
    until(|| async { tokio::net::TcpStream::connect(listen).await.is_err().then_some(()) }).await;
    client.status().await.unwrap_err();
}

/// An upgrade: the binary is another one, or the settings are.
#[tokio::test(flavor = "multi_thread")]
async fn another_binary_or_other_settings_replace_the_process() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ingress");
    let _reaper = Reaper(dir.clone());
    let client = ensure(&dir, &binary(), ANY).await.unwrap();
    let origin = Origin::named("v1").await;
    client.cutover(routes(1, &[origin.address])).await.unwrap();
    let first = client.status().await.unwrap();
    let pid = async |binary: &Path, settings: Settings| {
        ensure(&dir, binary, settings).await.unwrap().status().await.unwrap().pid
    };
    assert_eq!(pid(&binary(), ANY.into()).await, first.pid, "the same is left alone");

    let newer = temp.path().join("newer");
    std::fs::copy(binary(), &newer).unwrap();
    let second = pid(&newer, ANY.into()).await;
    assert_ne!(second, first.pid);
    assert_eq!(pid(&newer, ANY.into()).await, second);
    let status = client.status().await.unwrap();
    assert_ne!(status.build, first.build);
    assert_eq!(status.listen, first.listen);

    let third = pid(&newer, secure()).await;
    assert_ne!(third, second);
    assert_eq!(pid(&newer, secure()).await, third);
    client.put_certificate(&id(1), certificate(&[HOST], false)).await.unwrap();
    let https = client.status().await.unwrap().https.unwrap();
    handshake(https, HOST, &[]).await.unwrap();
    // Without HTTPS again: the socket is closed.
    pid(&newer, ANY.into()).await;
    until(|| async { tokio::net::TcpStream::connect(https).await.is_err().then_some(()) }).await;

    // A binary that can't run leaves all as it is.
    let broken = temp.path().join("broken");
    std::fs::write(&broken, "#!/bin/sh\nexit 3\n").unwrap();
    std::fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert!(ensure(&dir, &broken, ANY).await.is_err());
    assert_eq!(Raw::connect(first.listen).await.get("/").await.text(), "v1");
    assert!(Client::new(&dir).status().await.is_ok());
}

/// Takes part in a hand-over up to the point at which it is the one, and then says what the old process can't understand.
const STRANGER: &str = r#"
import json, socket, struct, sys, time
link = socket.socket(socket.AF_UNIX)
link.connect(sys.argv[1])
def say(message):
    text = json.dumps({"version": 1, "message": message}).encode()
    link.sendall(struct.pack(">I", len(text)) + text)
def exactly(count):
    read = b""
    while len(read) < count:
        read += link.recv(count - len(read))
    return read
def hear():
    return json.loads(exactly(struct.unpack(">I", exactly(4))[0]))["message"]
say({"do": "take_over"})
assert hear()["is"] == "sockets"
link.recvmsg(1, 1024)
say({"word": "ready"})
assert hear() == {"word": "yours"}
say({"word": "of a later version"})
time.sleep(60)
"#;

/// Otherwise there would be two, each of which believes to be the one.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_process_that_is_not_understood_is_ended_and_the_old_one_goes_on() {
    let ingress = Ingress::start().await;
    let origin = Origin::named("v1").await;
    ingress.route(1, &[origin.address]).await;
    let mut stranger = tokio::process::Command::new("python3");
    stranger.args(["-c", STRANGER]).arg(ingress.dir.join("control.sock")).kill_on_drop(true);
    let ended = tokio::time::timeout(Duration::from_secs(20), stranger.status()).await.unwrap().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(Signal::SIGKILL as i32), "{ended}");
    ingress.route(2, &[origin.address]).await;
    assert_eq!(ingress.get("/").await.text(), "v1");
}

/// A process that was replaced waits for the one before it. If that one hangs, it alone is ended: not the one in the
/// middle for having waited.
#[tokio::test(flavor = "multi_thread")]
async fn of_three_processes_only_the_one_that_hangs_is_ended() {
    let temp = tempfile::tempdir().unwrap();
    let _reaper = Reaper(temp.path().to_owned());
    let client = ensure(temp.path(), &binary(), ANY).await.unwrap();
    let origin = Origin::upgrading().await;
    client.cutover(routes(1, &[origin.address])).await.unwrap();
    // What is open keeps each of them.
    let (mut pids, mut tunnels) = (vec![], vec![]);
    for n in 0..3 {
        if n > 0 {
            replace(temp.path(), &binary(), ANY).await.unwrap();
        }
        let status = client.status().await.unwrap();
        let mut tunnel = Raw::connect(status.listen).await;
        tunnel.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")).await;
        assert_eq!(tunnel.answer().await.unwrap().status, 101);
        pids.push(status.pid as i32);
        tunnels.push(tunnel);
    }
    kill(Pid::from_raw(pids[0]), Signal::SIGSTOP).unwrap();
    let next = Origin::named("v2").await;
    client.cutover(routes(2, &[next.address])).await.unwrap();
    until(|| async { (processes(temp.path()).len() < 3).then_some(()) }).await;
    for (n, tunnel) in tunnels.iter_mut().enumerate().skip(1) {
        tunnel.send([n as u8]).await;
        assert_eq!(tunnel.stream.read_u8().await.unwrap(), n as u8, "the process that tunnel {n} is in lives");
    }
    assert!(tunnels[0].is_closed().await);
}
