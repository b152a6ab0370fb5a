//! The real binary against servers that answer, refuse, hang up and come back.
#![allow(clippy::unwrap_used)]

mod down;
mod plane;
mod repository;

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use plane::{Plane, Reply, Request};
use serde_json::{Value, json};

const ID: &str = "dep_01hf7yat00000000000000002a";

/// The binary in a home of its own, with nothing of the caller's settings.
fn plimsoll(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.current_dir(home).stdin(Stdio::null());
    command
}

fn run(plane: &Plane, args: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = plimsoll(home.path());
    command.args(args).env("PLIMSOLL_SERVER", &plane.url).env("PLIMSOLL_TOKEN", "plm_secret");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn at(ms: u32) -> String {
    format!("2026-11-21T10:00:{:02}.{:03}Z", ms / 1000, ms % 1000)
}

fn app() -> Reply {
    Reply::Json(
        200,
        json!({
            "id": "app_01hf7yat00000000000000002a", "name": "hello", "created_at": at(0), "concurrency": 2,
            "source": {"kind": "git", "url": "https://example.org/hello.git"}, "environments": [],
        }),
    )
}

fn deployment(phase: &str) -> Value {
    let failure = json!({
        "phase": "building", "cause": "build", "message": "`npm ci` ended with exit status 1",
        "output": ["npm error \u{1b}[31mnope"], "hint": "Run it on your machine",
    });
    json!({
        "id": ID, "app": "hello", "environment": "production", "kind": "deploy", "generation": 3, "phase": phase,
        "progress": 0, "source": null, "release": null, "release_number": 3,
        "metadata": {"urls": ["http://hello.localhost:8080"]}, "phases": [],
        "failure": if phase == "failed" { failure } else { Value::Null }, "cancelling": false, "stuck": null,
        "requested_by": "local", "created_at": at(0), "updated_at": at(0), "finished_at": at(4200),
    })
}

fn event(cursor: u64, ms: u32, kind: Value) -> (u64, Value) {
    let mut event = json!({ "cursor": cursor, "at": at(ms), "deployment": ID });
    event.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
    (cursor, event)
}

fn line(seq: u64, text: &str) -> (u64, Value) {
    (seq, json!({ "seq": seq, "at": at(0), "source": "building", "stream": "stdout", "text": text }))
}

fn environment(release: u32) -> Reply {
    Reply::Json(
        200,
        json!({
            "id": "env_01hf7yat00000000000000002a", "app": "hello", "name": "production", "created_at": at(0), "host": "here", "supersede": "run_all",
            "active": { "deployment": ID, "release": "rel_01hf7yat00000000000000002a", "release_number": release, "since": at(0) },
            "in_progress": [], "urls": [], "instances": [], "traffic": [],
        }),
    )
}

fn problem(status: u16, code: &str, detail: &str) -> Reply {
    Reply::Json(
        status,
        json!({ "type": "about:blank", "title": "T", "status": status, "code": code, "detail": detail, "hint": "H" }),
    )
}

/// A deployment that ends in `end`; the connection breaks wherever it can.
fn rough(end: &'static str) -> impl Fn(&Request, usize) -> Reply + Send + Sync + 'static {
    move |request, before| {
        let path = request.line.as_str();
        match (path, before) {
            ("GET /api/v1/apps/hello", _) => app(),
            ("POST /api/v1/apps/hello/environments/production/deployments", 0) => Reply::HangUp,
            ("POST /api/v1/apps/hello/environments/production/deployments", _) => {
                Reply::Json(202, deployment("queued"))
            }
            (path, 0) if path.contains("/events/stream") => Reply::CutStream(vec![
                event(4, 100, json!({ "kind": "phase_changed", "phase": "pulling_source", "progress": 5 })),
                event(5, 500, json!({ "kind": "phase_changed", "phase": "building", "progress": 15 })),
            ]),
            (path, _) if path.contains("/events/stream") => Reply::Stream(vec![
                event(5, 500, json!({ "kind": "phase_changed", "phase": "building", "progress": 15 })),
                event(9, 4200, json!({ "kind": "deployment_finished", "phase": end, "failure": null })),
            ]),
            (path, 0) if path.ends_with("/output/stream") => {
                Reply::CutStream(vec![line(1, "added 3 packages"), line(2, "\u{1b}[2Jbuilt")])
            }
            (path, _) if path.ends_with("/output/stream") => {
                Reply::Stream(vec![line(2, "\u{1b}[2Jbuilt"), line(3, "done")])
            }
            ("GET /api/v1/apps/hello/environments/production", _) => environment(if end == "active" { 3 } else { 2 }),
            (path, _) if path.ends_with(ID) => Reply::Json(200, deployment(end)),
            _ => Reply::HangUp,
        }
    }
}

#[test]
fn a_deployment_is_followed_over_broken_connections_and_asked_for_once() {
    let plane = Plane::start(rough("active"));
    let output = run(&plane, &["deploy", "hello"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert_eq!(out, "✓ v3 of hello is active in production · 4.2 s\n  http://hello.localhost:8080\n");
    for told in
        ["✓ pulling source     0.4 s", "✓ building           3.7 s", "building │ added 3 packages", "building │ done"]
    {
        assert_eq!(err.matches(told).count(), 1, "{told}\n{err}");
    }
    assert!(err.contains("the server is away") && err.contains("the server is back"), "{err}");
    assert_eq!(err.matches("│ built").count(), 1, "a resumed stream repeats nothing: {err}");
    assert!(!err.contains('\u{1b}'), "no escapes without a terminal: {err:?}");

    let posts = plane.asked("POST ");
    assert_eq!(posts.len(), 2, "the answer to the first was lost");
    assert!(posts[0].header("idempotency-key").is_some_and(|key| key.len() > 20));
    assert_eq!(posts[0].header("idempotency-key"), posts[1].header("idempotency-key"));
    assert_eq!((posts[0].header("authorization"), posts[0].body.contains("hello")), (Some("Bearer plm_secret"), false));
    let streams = plane.asked("GET /api/v1/events/stream");
    assert_eq!(streams[0].header("last-event-id"), None);
    assert_eq!(streams[1].header("last-event-id"), Some("5"));
}

#[test]
fn a_failure_is_told_in_full_and_is_an_exit_code() {
    let output = run(&Plane::start(rough("failed")), &["deploy", "hello"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(6), "{out}");
    for told in [
        "failed · 4.2 s",
        "phase building",
        "`npm ci` ended with exit status 1",
        "│ npm error nope",
        "try: Run it on your machine",
        "v2 serves as before",
    ] {
        assert!(out.contains(told), "{told}\n{out}");
    }
    let output = run(&Plane::start(rough("cancelled")), &["deploy", "hello", "--json"]);
    assert_eq!(output.status.code(), Some(7));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["phase"], "cancelled");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn ctrl_c_leaves_the_deployment_alone() {
    let plane = Plane::start(|request, _| match request.line.as_str() {
        "GET /api/v1/apps/hello" => app(),
        path if path.starts_with("POST ") => Reply::Json(202, deployment("queued")),
        path if path.contains("/stream") => Reply::OpenStream(Vec::new()),
        _ => Reply::Json(200, deployment("building")),
    });
    let home = tempfile::tempdir().unwrap();
    let mut command = plimsoll(home.path());
    command.args(["deploy", "hello"]).env("PLIMSOLL_SERVER", &plane.url).env("PLIMSOLL_TOKEN", "t");
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    // It asks for the state once it follows, and so listens to Ctrl-C.
    while plane.asked(&format!("GET /api/v1/deployments/{ID}")).is_empty() {
        assert!(Instant::now() < deadline, "it never began to follow");
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let (status, err) = ended(&mut child, deadline);
    assert_eq!(status, Some(130), "{err}");
    assert!(err.contains("goes on without you") && err.contains(&format!("plimsoll cancel {ID}")), "{err}");
    assert!(plane.asked("POST /api/v1/deployments/").is_empty(), "nothing was cancelled");
}

fn ended(child: &mut Child, deadline: Instant) -> (Option<i32>, String) {
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    (child.wait().unwrap().code(), err)
}

#[test]
fn refusals_have_exit_codes_and_are_json_where_json_was_asked_for() {
    for (status, code, exit) in [
        (404, "not_found", 3),
        (409, "conflict", 4),
        (401, "unauthorized", 5),
        (503, "unavailable", 8),
        (422, "unprocessable", 9),
        (400, "invalid", 9),
        (500, "internal", 1),
    ] {
        let plane = Plane::start(move |_, _| problem(status, code, "no such thing"));
        let output = run(&plane, &["apps", "show", "hello"]);
        assert_eq!(output.status.code(), Some(exit), "{code}");
        assert_eq!(text(&output.stderr), "error: no such thing\n  try: H\n");
        let output = run(&plane, &["apps", "show", "hello", "--json"]);
        let document: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!((document["code"].as_str(), output.status.code(), output.stdout.len()), (Some(code), Some(exit), 0));
    }
}

#[test]
fn nobody_there_is_said_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let output = plimsoll(home.path()).args(["status"]).output().unwrap();
    assert_eq!(output.status.code(), Some(8));
    assert!(text(&output.stderr).contains("plimsoll server"), "{}", text(&output.stderr));
    let mut command = plimsoll(home.path());
    let output =
        command.args(["status", "--server", "http://127.0.0.1:1"]).env("PLIMSOLL_TOKEN", "t").output().unwrap();
    assert_eq!(output.status.code(), Some(8));
    let output = plimsoll(home.path()).args(["status", "--server", "http://127.0.0.1:1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "no token is not the same as nobody there");
}

#[test]
fn a_server_of_this_machine_is_found_and_found_again_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let local = data.join("local.json");
    let after_restart = local.clone();
    let plane = Plane::start(move |request, _| match request.header("authorization") {
        Some("Bearer new") => Reply::Json(200, json!({ "items": [] })),
        // The old token dies with the old server; the new one is in the file.
        _ => {
            let host = request.header("host").unwrap();
            std::fs::write(&after_restart, json!({ "url": format!("http://{host}"), "token": "new" }).to_string())
                .unwrap();
            problem(401, "unauthorized", "who are you?")
        }
    });
    std::fs::write(&local, json!({ "url": plane.url, "token": "old" }).to_string()).unwrap();
    let output = plimsoll(home.path()).args(["apps", "list", "--json", "--data"]).arg(&data).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), json!({ "items": [] }));
}

#[test]
fn what_destroys_asks_and_without_a_terminal_refuses() {
    let plane =
        Plane::start(|_, _| Reply::Json(200, json!({ "app": "hello", "environments": ["production"], "releases": 2 })));
    for args in [
        &["apps", "delete", "hello"][..],
        &["envs", "delete", "staging", "--app", "hello"],
        &["env", "unset", "A", "--app", "hello"],
    ] {
        let output = run(&plane, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains("--yes"), "{args:?}");
    }
    assert!(plane.asked("").is_empty(), "nothing was asked of the server");
    let output = run(&plane, &["apps", "delete", "hello", "--yes"]);
    assert_eq!(text(&output.stdout), "deleted hello with 1 environment and 2 releases\n");
    assert_eq!(plane.asked("DELETE /api/v1/apps/hello").len(), 1);
}

#[test]
fn logs_go_on_after_a_break_where_they_were() {
    let plane = Plane::start(|request, before| match before {
        _ if !request.line.contains("/logs/stream?limit=20&component=web") => Reply::HangUp,
        0 => Reply::CutStream(vec![line(1, "one"), line(2, "two")]),
        _ => Reply::Stream(vec![line(3, "three")]),
    });
    let output = run(&plane, &["logs", "-f", "--app", "hello", "-n", "20", "-c", "web", "--json"]);
    let lines: Vec<Value> = text(&output.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let told: Vec<&str> = lines.iter().filter_map(|l| l["text"].as_str()).collect();
    assert_eq!(told, ["one", "two", "three"], "{}", text(&output.stderr));
    assert_eq!(plane.asked("GET ")[1].header("last-event-id"), Some("2"));
}

#[test]
fn a_value_comes_from_the_input_and_never_shows() {
    use std::io::Write;
    let plane = Plane::start(|_, _| Reply::Json(200, json!([{ "name": "KEY", "updated_at": at(0) }])));
    let home = tempfile::tempdir().unwrap();
    let mut command = plimsoll(home.path());
    command.args(["env", "set", "KEY", "--app", "hello"]).env("PLIMSOLL_SERVER", &plane.url).env("PLIMSOLL_TOKEN", "t");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hunter2\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(told.contains("set KEY") && !told.contains("hunter2"), "{told}");
    let sent: Value = serde_json::from_str(&plane.asked("PUT ")[0].body).unwrap();
    assert_eq!(sent, json!({ "variables": { "KEY": "hunter2" } }));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output =
        plimsoll(home.path()).args(["completions", "bash"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn a_wrong_command_line_is_an_exit_code_and_json_if_wanted() {
    let home = tempfile::tempdir().unwrap();
    let output = plimsoll(home.path()).args(["deploy", "--json", "--no-such-thing"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((output.status.code(), document["code"].as_str()), (Some(2), Some("invalid")));
    let output = plimsoll(home.path()).args(["--token", "plm_secret", "status"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "a token in the arguments is not accepted");
}

#[test]
fn a_wrong_plimsoll_toml_is_shown_with_the_line() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("plimsoll.toml"), "[app]\nnaem = \"x\"\n").unwrap();
    let output = plimsoll(home.path()).args(["logs"]).output().unwrap();
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(9), "{err}");
    assert!(
        err.contains("plimsoll.toml:2:1") && err.contains("naem = \"x\"") && err.contains("did you mean `name`"),
        "{err}"
    );
}

#[test]
fn a_server_that_can_not_start_says_why() {
    let home = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = plimsoll(home.path()).args(["server", "--data", "data", "--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stderr).contains(&format!("the address {address} is in use")), "{}", text(&output.stderr));

    std::fs::write(home.path().join("file"), "").unwrap();
    let output = plimsoll(home.path()).args(["server", "--data", "file", "--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(9));
    assert!(text(&output.stderr).contains("data folder"), "{}", text(&output.stderr));

    let mut command = plimsoll(home.path());
    command.args(["server", "--data", "data"]).env("PLIMSOLL_DATABASE_URL", "mysql://me:hunter2@host/db");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(9));
    assert!(!text(&output.stderr).contains("hunter2"));

    let output = plimsoll(home.path()).args(["down", "--data", "nowhere", "--yes"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
}
