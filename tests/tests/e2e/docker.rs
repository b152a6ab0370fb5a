//! The image, built and run by a real Docker engine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use plimsoll_tests::docker::Docker;
use plimsoll_tests::server::{binary, free_address};
use plimsoll_tests::{http, wait_for};

use crate::stacks::MAIN;

const IMAGE: &str = "plimsoll-test";
const DEADLINE: Duration = Duration::from_secs(60);

struct Container<'a> {
    docker: &'a Docker,
    name: String,
}

impl Container<'_> {
    fn run(&self, args: &[&str]) -> Output {
        self.docker.command().args(["exec", &self.name]).args(args).output().unwrap()
    }

    fn well(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{args:?}: {text}");
        text
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.docker.command().args(["logs", "--tail", "40", &self.name]).output().unwrap();
            eprintln!("{}{}", String::from_utf8_lossy(&log.stdout), String::from_utf8_lossy(&log.stderr));
        }
        let _ = self.docker.command().args(["rm", "--force", "--volumes", &self.name]).output();
    }
}

/// An app that is one program and nothing else, as the image brings no language along.
fn program() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("Procfile"), "web: ./server\n").unwrap();
    let source = tempfile::NamedTempFile::with_suffix(".rs").unwrap();
    fs::write(source.path(), MAIN).unwrap();
    let mut rustc = Command::new("rustc");
    rustc.env("CARGO_PKG_VERSION", "in a container").arg("-o").arg(dir.path().join("server")).arg(source.path());
    let compiled = rustc.args(["--edition", "2021", "--crate-name", "server"]).output().unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    // As `docker cp` brings it: others must be able to read it.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_serves_restarts_and_keeps_its_data() {
    let docker = Docker::start();
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("packaging/docker/build");
    let built = Command::new(build)
        .args(["--tag", IMAGE, "--binary"])
        .arg(binary())
        .env("DOCKER_HOST", docker.host())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let (api, ingress) = (free_address(), free_address());
    let volume = format!("plimsoll-test-{}", std::process::id());
    let start = |name: &str| {
        let name = format!("{name}-{}", std::process::id());
        let output = docker
            .command()
            .args(["run", "--detach", "--network", "host", "--name", &name])
            .args(["--volume", &format!("{volume}:/var/lib/plimsoll"), IMAGE])
            .args(["--listen", &api.to_string(), "--ingress-listen", &ingress.to_string()])
            .output()
            .unwrap();
        let container = Container { docker: &docker, name };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        container
    };
    let ready = async || {
        wait_for("the container to be ready", DEADLINE, async || {
            http::get(api, "x", "/readyz").await.ok().filter(|(status, _)| *status == 200).map(drop)
        })
        .await;
    };
    let page = async || http::get(ingress, "site.localhost", "/").await;
    let app = async || http::get(ingress, "app.localhost", "/").await;
    let from_app = Ok((200, "rust in a container".to_owned()));

    let first = start("first");
    ready().await;
    first.well(&["sh", "-c", "mkdir /tmp/site && echo from a container > /tmp/site/index.html"]);
    first.well(&["plimsoll", "apps", "create", "site", "--source", "/tmp/site"]);
    first.well(&["plimsoll", "deploy", "site"]);
    assert_eq!(page().await, Ok((200, "from a container".to_owned())));
    let program = program();
    let to = format!("{}:/tmp/app", first.name);
    let copied = docker.command().arg("cp").arg(program.path()).arg(&to).output().unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    first.well(&["plimsoll", "apps", "create", "app", "--source", "/tmp/app"]);
    first.well(&["plimsoll", "deploy", "app"]);
    assert_eq!(app().await, from_app);

    // The server is killed: it comes back by itself, and what serves goes on.
    let before = first.well(&["cat", "/var/lib/plimsoll/server.pid"]);
    let ingress_before = first.well(&["cat", "/var/lib/plimsoll/ingress/process.json"]);
    first.well(&["sh", "-c", &format!("kill -9 {}", before.split(' ').next().unwrap())]);
    assert_eq!(page().await, Ok((200, "from a container".to_owned())), "while the server is away");
    assert_eq!(app().await, from_app, "while the server is away");
    wait_for("another server", DEADLINE, async || {
        let now = first.run(&["cat", "/var/lib/plimsoll/server.pid"]);
        let now = String::from_utf8_lossy(&now.stdout).into_owned();
        (!now.is_empty() && now != before).then_some(())
    })
    .await;
    ready().await;
    assert_eq!(first.well(&["cat", "/var/lib/plimsoll/ingress/process.json"]), ingress_before);

    // Another container with the same volume.
    let stopped = docker.command().args(["stop", "--time", "60", &first.name]).output().unwrap();
    assert!(stopped.status.success());
    let log = docker.command().args(["logs", &first.name]).output().unwrap();
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    assert!(log.contains("stopped the server, the ingress"), "in good order: {log}");
    drop(first);
    let second = start("second");
    ready().await;
    assert_eq!(page().await, Ok((200, "from a container".to_owned())));
    wait_for("the app to be started again", DEADLINE, async || (app().await == from_app).then_some(())).await;
    let doctor = second.run(&["plimsoll", "doctor"]);
    assert_eq!(doctor.status.code(), Some(0), "{}", String::from_utf8_lossy(&doctor.stdout));
    drop(second);
    let _ = docker.command().args(["volume", "rm", &volume]).output();
}
