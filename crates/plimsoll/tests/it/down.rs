//! `plimsoll down` with a real ingress and a real app, and with a pid that means somebody else by now.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use domain::instance::InstanceKey;
use runtime::{InstanceSpec, LogLimits, ProcessRuntime, RestartPolicy, Supervisor};
use serde_json::{Value, json};

use crate::{plimsoll, text};

/// Field 22 of `/proc/PID/stat`; none once it has ended.
fn start_time(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = stat.rsplit_once(')')?.1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    (fields[0] != "Z").then(|| fields[19].to_owned())
}

fn sleeper() -> Child {
    Command::new("sleep").arg("300").stdin(Stdio::null()).spawn().unwrap()
}

fn down(home: &Path, data: &Path) -> Value {
    let output = plimsoll(home).args(["down", "--yes", "--json", "--data"]).arg(data).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn everything_of_the_folder_is_stopped_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let instances = data.join("instances");
    std::fs::create_dir_all(data.join("ingress")).unwrap();

    let mut ingress = plimsoll(home.path())
        .args(["ingress", "--listen", "127.0.0.1:0", "--dir"])
        .arg(data.join("ingress"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let binary = env!("CARGO_BIN_EXE_plimsoll").into();
    let apps = ProcessRuntime::new(instances, Supervisor { binary, args: vec!["supervise".to_owned()] }).unwrap();
    let spec = InstanceSpec {
        key: key(),
        command: "exec sleep 300".to_owned(),
        directory: home.path().to_owned(),
        port: None,
        env: BTreeMap::new(),
        secrets: BTreeSet::new(),
        stop_timeout: Duration::from_secs(5),
        restart: RestartPolicy::Never,
        log: LogLimits::default(),
        sandbox: None,
    };
    // As the server does it: an async runtime for the start alone.
    let async_runtime = tokio::runtime::Runtime::new().unwrap();
    async_runtime.block_on(apps.start(&spec)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while async_runtime.block_on(ingress::Client::new(data.join("ingress")).status()).is_err() {
        assert!(Instant::now() < deadline, "the ingress does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    // A process that once had the number of the server.
    let mut stranger = sleeper();
    let started: u64 = start_time(stranger.id()).unwrap().parse().unwrap();
    std::fs::write(data.join("server.pid"), format!("{} {}\n", stranger.id(), started - 1)).unwrap();

    let told = down(home.path(), &data);
    assert_eq!((&told["server"], &told["ingress"], &told["instances"]), (&json!(false), &json!(true), &json!(1)));
    assert!(ingress.wait().unwrap().success(), "it was asked to end, not killed");
    let left = apps.list();
    assert!(left.iter().all(|i| matches!(i.state, domain::instance::InstanceState::Stopped { .. })), "{left:?}");
    assert!(start_time(stranger.id()).is_some(), "a stranger was killed");

    std::fs::write(data.join("server.pid"), format!("{} {started}\n", stranger.id())).unwrap();
    let waiter = std::thread::spawn(move || stranger.wait().unwrap());
    let told = down(home.path(), &data);
    assert_eq!((&told["server"], &told["ingress"], &told["instances"]), (&json!(true), &json!(false), &json!(0)));
    assert!(!waiter.join().unwrap().success());
    let output = plimsoll(home.path()).args(["down", "--yes", "--data"]).arg(&data).output().unwrap();
    assert!(text(&output.stdout).starts_with("nothing runs with "));
}

fn key() -> InstanceKey {
    serde_json::from_value(json!({
        "environment": "env_01hf7yat00000000000000002a", "deployment": "dep_01hf7yat00000000000000002a",
        "release": "rel_01hf7yat00000000000000002a", "generation": 1, "component": "web", "index": 0,
    }))
    .unwrap()
}
