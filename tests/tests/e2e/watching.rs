//! What machines that watch the server see: metrics, readiness, logs, and what systemd is told.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use plimsoll_tests::server::free_address;
use plimsoll_tests::{Server, http, processes, wait_for};

use crate::{load, with_app};

async fn page(server: &Server, path: &str, more: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{more}Connection: close\r\n\r\n");
    let answer = http::raw(server.api(), &request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Value by name with labels.
fn numbers(text: &str) -> BTreeMap<&str, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name, value.parse().unwrap_or_else(|_| panic!("{name} {value}"))))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_what_happened_to_those_who_may_know() {
    let beside = free_address();
    let server = Server::start_with(&["--metrics-listen", &beside.to_string()], &[]).await;
    let (server, _repo, _) = crate::on(server, "shop").await;
    let visitors = load(&server, "shop");
    visitors.go_on(20).await;
    visitors.stop().assert_none_lost();

    let (head, _) = page(&server, "/metrics", "").await;
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    let (_, text) = http::get(beside, "x", "/metrics").await.unwrap();
    let found = numbers(&text);
    let value = |name: &str| *found.get(name).unwrap_or_else(|| panic!("{name} is missing in:\n{text}"));
    assert_eq!(value(r#"plimsoll_deployments_total{kind="deploy",outcome="active"}"#), 1.0);
    assert_eq!(value(r#"plimsoll_deployments_open{phase="queued"}"#), 0.0);
    assert_eq!(value(r#"plimsoll_instances{app="shop",environment="production",state="running"}"#), 1.0);
    let shop = r#"app="shop",environment="production",release="v1",component="web""#;
    assert!(value(&format!(r#"plimsoll_ingress_responses_total{{{shop},status="2xx"}}"#)) >= 20.0);
    assert_eq!(value(&format!(r#"plimsoll_ingress_errors_total{{{shop},kind="bad_gateway"}}"#)), 0.0);
    assert!(value(&format!(r#"plimsoll_ingress_latency_seconds{{{shop},quantile="0.99"}}"#)) > 0.0);
    let count = value("plimsoll_journal_append_seconds_count");
    assert!(count > 10.0 && value(r#"plimsoll_journal_append_seconds_bucket{le="+Inf"}"#) == count, "{text}");
    assert!(value(r#"plimsoll_deployment_phase_seconds_count{phase="health_check"}"#) >= 1.0);
    assert!(value("plimsoll_database_write_seconds_sum") > 0.0);
    for role in ["server", "ingress"] {
        assert!(value(&format!(r#"plimsoll_process_resident_bytes{{role="{role}"}}"#)) > 1e6);
        assert!(value(&format!(r#"plimsoll_process_open_files{{role="{role}"}}"#)) > 3.0);
    }
    assert!(value("plimsoll_data_free_bytes") > 0.0);
    assert!(text.ends_with("# EOF"), "{text}");
    // What anybody could make up becomes no label.
    for n in 0..50 {
        page(&server, &format!("/made-up-{n}"), "").await;
    }
    let (_, later) = http::get(beside, "x", "/metrics").await.unwrap();
    assert!(!later.contains("made-up") && later.lines().count() < 600, "{} lines", later.lines().count());
    assert_eq!(http::get(beside, "x", "/healthz").await.unwrap().0, 200);
    assert_eq!(http::get(beside, "x", "/api/v1/apps").await.unwrap().0, 404, "nothing else is open there");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_says_what_is_in_the_way() {
    let server = Server::start().await;
    let ready = async || {
        let (head, body) = page(&server, "/readyz", "").await;
        (head, serde_json::from_str::<serde_json::Value>(&body).unwrap())
    };
    let (head, body) = ready().await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let names: Vec<_> = body["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["database", "ingress", "reconciler"]);

    // The server brings an ingress back within a second, so this one is only held.
    let ingress = nix::unistd::Pid::from_raw(server.ingress_pid());
    nix::sys::signal::kill(ingress, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let (head, body) = ready().await;
    nix::sys::signal::kill(ingress, nix::sys::signal::Signal::SIGCONT).unwrap();
    assert!(head.starts_with("HTTP/1.1 503"), "{head} {body}");
    assert_eq!((body["code"].as_str(), body["checks"][1]["ok"].as_bool()), (Some("unavailable"), Some(false)));
    assert!(!body.to_string().contains(&server.data().display().to_string()), "everybody may ask: {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_json_where_that_is_asked_for() {
    let server = Server::start_with(&["--log-format", "json", "--log", "debug,hyper=info,sqlx=info"], &[]).await;
    let (server, _repo, first) = crate::on(server, "shop").await;
    page(&server, "/api/v1/apps", "X-Request-Id: find-me-7\r\n").await;
    // The last word about a deployment comes after its end was told.
    wait_for("the end of the deployment in the log", Duration::from_secs(30), async || {
        server.log().contains("deployment ended").then_some(())
    })
    .await;
    let log = server.log();
    let lines: Vec<serde_json::Value> = log
        .lines()
        // What the start says to people is no log.
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    assert!(lines.len() > 10, "{log}");
    for line in &lines {
        for field in ["timestamp", "level", "target"] {
            assert!(line[field].is_string(), "no {field}: {line}");
        }
    }
    let about = |id: &str| lines.iter().any(|line| line["span"]["id"] == id || line["span"]["deployment"] == id);
    assert!(about("find-me-7"), "{log}");
    assert!(about(first.id.as_str()), "{log}");
    let ingress = std::fs::read_to_string(server.data().join("ingress/ingress.log")).unwrap();
    assert!(ingress.lines().count() > 0, "the ingress says nothing");
    for line in ingress.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
}

/// What systemd would hear of a service of the type `notify`.
#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_of_ready_alive_and_stopping() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let hear = || {
        let mut buffer = [0; 500];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let env = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "300000")];
    let mut server = Server::start_with(&[], &env).await;
    let ready = std::iter::repeat_with(hear).take(50).find(|word| word.starts_with("READY=1\n")).unwrap();
    assert!(ready.contains(&server.api().to_string()), "{ready}");
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1");
    }
    server.stop();
    assert!(std::iter::repeat_with(hear).take(20).any(|word| word.starts_with("STOPPING=1")));
    server.restart().await;
}

/// The unit that is shipped, by systemd's own eyes; it runs the binary under test.
#[test]
fn the_systemd_unit_is_one() {
    let unit =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("packaging/systemd/plimsoll.service");
    let text = std::fs::read_to_string(unit).unwrap();
    let binary = plimsoll_tests::server::binary();
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("plimsoll.service");
    std::fs::write(&copy, text.replace("/usr/local/bin/plimsoll", &binary.display().to_string())).unwrap();
    let verified = Command::new("systemd-analyze").arg("verify").arg(&copy).output();
    let verified =
        verified.expect("systemd-analyze must be installed (Debian package systemd): run scripts/test-setup");
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains("plimsoll.service")).collect();
    assert!(verified.status.success() && complaints.is_empty(), "{said}");
    for needed in ["KillMode=process", "OOMPolicy=continue", "Type=notify"] {
        assert!(text.lines().any(|line| line == needed), "{needed} is missing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_tells_what_is_wrong_and_changes_nothing() {
    let (mut server, _repo, _) = with_app("shop").await;
    let examine = |server: &Server| -> (Option<i32>, BTreeMap<String, (String, String)>) {
        let output = server.cli(&["doctor", "--json"]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let found = report["findings"].as_array().unwrap().iter();
        let found = found.map(|f| (text(&f["check"]), (text(&f["status"]), text(&f["found"])))).collect();
        (output.status.code(), found)
    };
    let (code, well) = examine(&server);
    assert_eq!(code, Some(0), "{well:#?}");
    for check in [
        "data folder",
        "key file",
        "database",
        "database tables",
        "server",
        "readiness",
        "ingress",
        "git",
        "API address",
    ] {
        assert_eq!(well[check].0, "ok", "{check}: {:?}", well[check]);
    }
    let token = operations::local::read(&server.data()).unwrap().token;
    let token = secrecy::ExposeSecret::expose_secret(&token).to_owned();
    let human = String::from_utf8(server.cli(&["doctor"]).stdout).unwrap();
    assert!(human.contains("put right") || human.contains("all is well"), "{human}");
    assert!(!human.contains(&token) && !format!("{well:?}").contains(&token));

    // The server dies; ingress and app go on.
    server.kill9();
    let (code, dead) = examine(&server);
    assert_eq!((code, dead["server"].0.as_str(), dead["ingress"].0.as_str()), (Some(10), "failed", "ok"), "{dead:#?}");
    // Others may read the key.
    use std::os::unix::fs::PermissionsExt;
    let key = server.data().join("master.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (_, exposed) = examine(&server);
    assert!(exposed["key file"].0 == "failed" && exposed["key file"].1.contains("644"), "{exposed:#?}");
    let mode = std::fs::metadata(&key).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o644, "it only looks");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    // Somebody else has the address.
    let held = std::net::TcpListener::bind(server.api()).unwrap();
    let output = server.cli(&["doctor", "--json", "--listen", &server.api().to_string()]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("is in use"), "{output:?}");
    drop(held);
    // The database is damaged in the middle, and its log of newer pages lost.
    server.restart().await;
    server.stop();
    let (path, wal) = (server.data().join("plimsoll.db"), server.data().join("plimsoll.db-wal"));
    let whole = std::fs::read(&path).unwrap();
    let newer = std::fs::read(&wal).unwrap_or_default();
    let mut damaged = whole.clone();
    let length = damaged.len();
    damaged[100..length.min(40_960)].fill(0x5a);
    std::fs::write(&path, &damaged).unwrap();
    std::fs::write(&wal, "").unwrap();
    let (code, broken) = examine(&server);
    assert_eq!((code, broken["database"].0.as_str()), (Some(10), "failed"), "{broken:#?}");
    assert_eq!(std::fs::read(&path).unwrap(), damaged, "it only looks");
    std::fs::write(&path, &whole).unwrap();
    std::fs::write(&wal, &newer).unwrap();
    let _ = std::fs::remove_file(server.data().join("plimsoll.db-shm"));

    server.restart().await;
    wait_for("all to be well", Duration::from_secs(30), async || (examine(&server).0 == Some(0)).then_some(())).await;
    // Without any folder at all.
    let nowhere = server.data().join("not/there");
    let output = Command::new(plimsoll_tests::server::binary())
        .args(["doctor", "--json", "--listen", "127.0.0.1:0", "--ingress-listen", "127.0.0.1:0", "--data"])
        .arg(&nowhere)
        .output()
        .unwrap();
    assert!(!nowhere.exists() && String::from_utf8_lossy(&output.stdout).contains("not there yet"), "{output:?}");
    assert!(processes::is_alive(server.ingress_pid()));
}
