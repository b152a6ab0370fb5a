//! `init` and `deploy` in a real git repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::plane::{Plane, Reply};
use crate::{ID, at, deployment, plimsoll, problem, text};

/// A repository with a commit, in a home of its own.
fn repository() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let shop = home.path().canonicalize().unwrap().join("My Shop");
    std::fs::create_dir_all(shop.join("src")).unwrap();
    std::fs::write(shop.join("index.html"), "hello").unwrap();
    for args in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "--all"],
        &["-c", "user.name=t", "-c", "user.email=t@t.invalid", "commit", "--quiet", "--message", "first"],
    ] {
        assert!(
            Command::new("git").arg("-C").arg(&shop).args(args).env("HOME", home.path()).status().unwrap().success()
        );
    }
    (home, shop)
}

/// A server of this machine: it is found by its data folder, and can read this machine's disk.
fn announce(home: &Path, plane: &Plane) -> PathBuf {
    let data = home.join("data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("local.json"), json!({ "url": plane.url, "token": "t" }).to_string()).unwrap();
    data
}

fn app(source: &Value) -> Value {
    json!({ "id": "app_01hf7yat00000000000000002a", "name": "my-shop", "source": source, "created_at": at(0), "concurrency": 2, "environments": [] })
}

fn detected() -> Value {
    let health =
        json!({ "probe": { "kind": "tcp" }, "interval": "100ms", "timeout": "5s", "threshold": 1, "grace": "1m" });
    json!({
        "spec": {
            "builds": [{ "root": "", "stack": "node", "commands": ["npm ci", "npm run build"], "timeout": "30m", "discard": [] }],
            "components": [{
                "name": "web", "root": "", "health": health, "depends_on": [], "env": {},
                "serve": { "kind": "process", "command": "npm start", "instances": 1, "listens": true, "stop_timeout": "10s" },
                "routes": [{ "path": "/shop" }],
            }],
        },
        "notes": ["Node 22 is asked for"],
    })
}

#[test]
fn init_makes_an_app_of_the_repository_once() {
    let (home, shop) = repository();
    let source = json!({ "kind": "git", "url": shop });
    let theirs = source.clone();
    let plane = Plane::start(move |request, before| match (request.line.as_str(), before) {
        ("POST /api/v1/sources/detect", _) => Reply::Json(200, detected()),
        ("POST /api/v1/apps", 0) => Reply::Json(201, app(&theirs)),
        ("POST /api/v1/apps", _) => problem(409, "conflict", "there is an app `my-shop` already"),
        _ => Reply::Json(200, app(&theirs)),
    });
    let data = announce(home.path(), &plane);
    let init =
        || plimsoll(home.path()).current_dir(shop.join("src")).args(["init", "--data"]).arg(&data).output().unwrap();

    let first = init();
    let (out, err) = (text(&first.stdout), text(&first.stderr));
    assert_eq!(first.status.code(), Some(0), "{err}");
    assert!(out.contains("created my-shop") && out.contains("wrote "), "{out}");
    for told in ["npm run build", "1 × web process", "npm start", "/shop", "Node 22 is asked for"] {
        assert!(err.contains(told), "{told}\n{err}");
    }
    let sent: Value = serde_json::from_str(&plane.asked("POST /api/v1/apps")[0].body).unwrap();
    assert_eq!(sent, json!({ "name": "my-shop", "source": source }));
    let config = std::fs::read_to_string(shop.join("plimsoll.toml")).unwrap();
    assert!(config.contains("name = \"my-shop\""), "{config}");

    std::fs::write(shop.join("plimsoll.toml"), "[app]\nname = \"my-shop\" # mine\n").unwrap();
    let second = init();
    assert_eq!(second.status.code(), Some(0), "{}", text(&second.stderr));
    assert!(text(&second.stdout).contains("is there already"));
    assert!(std::fs::read_to_string(shop.join("plimsoll.toml")).unwrap().contains("# mine"), "it was overwritten");
}

#[test]
fn a_deployment_says_what_it_leaves_out_and_a_new_app_is_made() {
    let (home, shop) = repository();
    let source = json!({ "kind": "git", "url": shop });
    let theirs = source.clone();
    let plane = Plane::start(move |request, _| match request.line.as_str() {
        "GET /api/v1/apps/my-shop" => problem(404, "not_found", "there is no app `my-shop`"),
        "POST /api/v1/apps" => Reply::Json(201, app(&theirs)),
        _ => Reply::Json(202, deployment("queued")),
    });
    let data = announce(home.path(), &plane);
    std::fs::write(shop.join("index.html"), "changed").unwrap();
    std::fs::write(shop.join("new.html"), "new").unwrap();
    let output =
        plimsoll(home.path()).current_dir(&shop).args(["deploy", "--detach", "--data"]).arg(&data).output().unwrap();
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert_eq!(text(&output.stdout), format!("{ID} is under way\n"));
    assert!(err.contains("my-shop is new") && err.contains("2 files with uncommitted changes"), "{err}");
    assert_eq!(plane.asked("POST /api/v1/apps/my-shop/environments/production/deployments").len(), 1);

    let output = plimsoll(home.path())
        .current_dir(&shop)
        .args(["deploy", "--detach", "--dir", ".", "--data"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(!text(&output.stderr).contains("uncommitted"), "the folder is taken as it is");
    let sent: Value = serde_json::from_str(&plane.asked("POST /api/v1/apps/my-shop/env")[1].body).unwrap();
    assert_eq!(sent["source"], json!({ "kind": "directory", "path": shop }));
}

#[test]
fn a_server_elsewhere_can_not_read_this_disk() {
    let (home, shop) = repository();
    let plane = Plane::start(|_, _| problem(404, "not_found", "there is no app `my-shop`"));
    let mut command = plimsoll(home.path());
    command.current_dir(&shop).env("PLIMSOLL_SERVER", &plane.url).env("PLIMSOLL_TOKEN", "t");
    let output = command.args(["deploy"]).output().unwrap();
    assert_eq!(output.status.code(), Some(9), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("give its URL"), "{}", text(&output.stderr));
    assert!(plane.asked("POST ").is_empty());
}
