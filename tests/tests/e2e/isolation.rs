//! Apps as users of their own: what a hostile one does ends in a clear error, and everything else keeps running.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use domain::deployment::Deployment;
use domain::failure::{Cause, Failure};
use plimsoll_tests::{App, Repo, Server, can_test, processes};

const SECRET: &str = "canary-of-the-isolation-4711";

/// The app with more in its `plimsoll.toml`.
fn files(app: &App, more: &str) -> Vec<(&'static str, String)> {
    let mut files = app.files();
    for (path, content) in &mut files {
        if *path == "plimsoll.toml" {
            content.push_str(more);
        }
    }
    files
}

async fn failure(server: &Server, app: &str) -> Failure {
    let deployment: Deployment = server.deploy_to_end(app).await;
    deployment.failure.clone().unwrap_or_else(|| panic!("it was expected to fail: {deployment:#?}"))
}

fn status(pid: i32, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().next().unwrap_or_default().to_owned()
}

/// When the processors are busy: the ingress, then apps, then the server, then builds, where the kernel lets the server put
/// others in front of itself.
#[tokio::test(flavor = "multi_thread")]
async fn requests_come_first_and_builds_last() {
    let normal = *processes::niceness(std::process::id() as i32).first().unwrap();
    let behind = |steps: i32| (normal + steps).min(19);
    let (server, repo) = (Server::start().await, Repo::new());
    repo.commit(App::new("v1").build(&format!("test \"$(nice)\" -eq {}", behind(10))).files(), "v1");
    server.create_app("hello", repo.source()).await;
    server.deploy_well("hello").await;
    assert_eq!(processes::niceness(server.apps()[0]), [normal].into());
    let ingress = processes::niceness(server.ingress_pid());
    if can_test(ingress == [-5].into(), "who comes first without the right to come before others") {
        assert_eq!(processes::niceness(server.pid()), [behind(5)].into());
    } else {
        assert_eq!((ingress, processes::niceness(server.pid())), ([normal].into(), [normal].into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_builds_end_in_clear_errors_and_what_serves_keeps_serving() {
    let root = can_test(nix::unistd::geteuid().is_root(), "limits of memory and processes without root");
    let server = Server::start().await;
    let (good, bad) = (Repo::new(), Repo::new());
    good.commit(App::new("good v1").files(), "v1");
    server.create_app("good", good.source()).await;
    server.deploy_well("good").await;
    server.create_app("bad", bad.source()).await;

    let filler = "i=0; while :; do i=$((i + 1)); printf '%08192d' $i > $TMPDIR/$i; done";
    let bomb = "b() { b | b & }; b; sleep 600";
    let hog = "x=x; head -c 900M /dev/zero | tail | wc -c";
    let mut cases = vec![(filler, "disk = \"20MiB\"", "of disk, more than its 20MiB", "disk")];
    if root {
        cases.push((bomb, "processes = 50", "started more than its 50 processes", "processes"));
        cases.push((hog, "memory = \"100MiB\"", "used more than its 100MiB of memory", "memory"));
    }
    for (command, limit, message, key) in cases {
        bad.commit(files(&App::new("bad").build(command), &format!("[build.limits]\n{limit}\n")), "bad");
        let failure = failure(&server, "bad").await;
        assert_eq!(failure.cause, Cause::Limit, "{failure:#?}");
        assert!(failure.message.contains(message), "{failure:#?}");
        assert!(failure.hint.contains(&format!("raise `{key}` in [build.limits]")), "{failure:#?}");
        server.assert_serves("good", "/", "good v1").await;
    }
    // The app itself, with a limit of its own.
    if root {
        let hungry = App::new("hungry").env("EAT", "1").grace("20s");
        let mut hungry = files(&hungry, "[components.web.limits]\nmemory = \"60MiB\"\n");
        hungry.push(("Procfile", "web: python3 -c 'x = [b\"x\" * (1 << 20) for _ in range(2000)]'\n".to_owned()));
        bad.commit(hungry, "hungry");
        let failure = failure(&server, "bad").await;
        assert_eq!(failure.cause, Cause::Start, "{failure:#?}");
        assert!(failure.message.contains("used more than its 60MiB of memory"), "{failure:#?}");
    }
    bad.commit(files(&App::new("greedy"), "[build.limits]\nmemory = \"900TiB\"\n"), "greedy");
    let failure = failure(&server, "bad").await;
    assert_eq!(failure.cause, Cause::Configuration);
    assert!(failure.message.contains("column 10: `memory` in [build.limits] asks for 900TiB"), "{failure:#?}");
    server.assert_serves("good", "/", "good v1").await;
    // Nothing of them is left, and the next deployment is as any other.
    bad.commit(App::new("good again").files(), "good again");
    server.deploy_well("bad").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_run_as_users_of_their_own_and_cannot_read_each_other() {
    if !can_test(nix::unistd::geteuid().is_root(), "users of apps without root") {
        return;
    }
    let mut server = Server::start().await;
    let (one, two) = (Repo::new(), Repo::new());
    one.commit(App::new("one").build("id -u > BUILT; touch $HOME/x $TMPDIR/y").files(), "v1");
    server.create_app("one", one.source()).await;
    let mut set = server
        .command()
        .args(["env", "set", "PARROT", "--app", "one"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    set.stdin.take().unwrap().write_all(format!("{SECRET}\n").as_bytes()).unwrap();
    assert!(set.wait().unwrap().success());
    server.deploy_well("one").await;
    let first = server.apps()[0];
    let user: u32 = status(first, "Uid:").parse().unwrap();
    assert!(user >= 1_900_000_000, "{user}");
    assert_eq!(status(first, "NoNewPrivs:"), "1");
    assert_eq!(status(first, "CapEff:"), "0".repeat(16));

    // The other's build looks for all that it should not find.
    let data = server.data();
    let data = data.display();
    let look = format!(
        "id -u; ls {data} {data}/releases/* {data}/instances/*; cat {data}/master.key {data}/local.json \
         {data}/releases/*/*/VERSION {data}/instances/*/spec.json {data}/instances/*/log/current \
         /proc/[0-9]*/environ | tr '\\0' '\\n' | cat -v; true"
    );
    two.commit(App::new("two").build(&look).files(), "v1");
    server.create_app("two", two.source()).await;
    let deployed = server.deploy_well("two").await;
    let output = server.cli(&["deployments", "output", deployed.id.as_str()]);
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.contains(&(user + 1).to_string()), "{output}");
    for secret in [SECRET, "PARROT", "\"token\"", "-web-0"] {
        assert!(!output.contains(secret), "{secret} in {output}");
    }
    assert!(!output.lines().any(|line| line.ends_with(" one")), "{output}");

    // No argument and no file of an instance holds the value; its environment does, and is closed to others.
    for process in processes::with_argument("") {
        assert!(!process.command.contains(SECRET), "{process:?}");
    }
    for path in plimsoll_tests::server::files_below(&server.data()) {
        let content = fs::read(&path).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&content).contains(SECRET), "{}", path.display());
    }
    server.assert_serves("one", "/env/PARROT", SECRET).await;

    // The same after the server was killed, and the app restarted by a new one.
    server.kill9();
    server.restart().await;
    server.assert_serves("one", "/env/PARROT", SECRET).await;
    let release = fs::read_dir(server.data().join("releases")).unwrap().flatten().next().unwrap();
    let release = fs::read_dir(release.path()).unwrap().flatten().next().unwrap().path();
    let version = fs::metadata(release.join("VERSION")).unwrap();
    assert_eq!((version.uid(), version.mode() & 0o777), (0, 0o440));
}

/// A link in place of the folder of a static site: the ingress, with the server's rights, would serve what it leads to.
#[tokio::test(flavor = "multi_thread")]
async fn neither_build_nor_release_command_points_a_static_site_out_of_its_source() {
    let server = Server::start().await;
    let away = format!("rm -rf dist && ln -s {} dist", server.data().display());
    for (command, cause) in [("build", Cause::Build), ("release", Cause::ReleaseCommand)] {
        let repo = Repo::new();
        let list = if command == "build" { format!("[{away:?}]") } else { format!("{away:?}") };
        let config = format!("[components.web]\nkind = \"static\"\n{command} = {list}\npublish = \"dist\"\n");
        let files = [("dist/index.html", "hello".to_owned()), ("plimsoll.toml", config)];
        repo.commit(files, "v1");
        let app = format!("leaky-{command}");
        server.create_app(&app, repo.source()).await;
        let failure = failure(&server, &app).await;
        assert_eq!(failure.cause, cause, "{failure:#?}");
        assert!(failure.message.contains("no folder `dist`"), "{failure:#?}");
    }
}
