use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use forge::GitError;
use tokio_util::sync::CancellationToken;

use crate::support::{World, with_ssh};

/// `git http-backend` behind a small web server on the loopback; `dumb` serves plain files.
struct Web {
    child: Child,
    port: u16,
}

impl Web {
    fn start(root: &std::path::Path, mode: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/web.py");
        let mut child = Command::new("python3")
            .args([script, mode])
            .current_dir(root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, port: line.trim().parse().unwrap() }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn over_http() {
    let world = World::new();
    let inner = world.commit("README", "two");
    let tip = world.commit("README", "three");
    let web = Web::start(world.dir.path(), "open");
    let url = format!("http://127.0.0.1:{}/origin/.git", web.port);
    let none = CancellationToken::new();
    for (i, (reference, sha)) in
        [(None, &tip), (Some("main"), &tip), (Some(&inner[..]), &inner), (Some(&inner[..7]), &inner)]
            .into_iter()
            .enumerate()
    {
        let commit = world.checkout_from(&url, &i.to_string(), reference, &none).await.unwrap();
        assert_eq!(&commit.sha, sha);
    }
    let error = world.checkout_from(&format!("{url}/nope"), "x", None, &none).await.unwrap_err();
    assert!(matches!(error, GitError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn over_http_with_a_password() {
    let world = World::new();
    let tip = world.commit("README", "two");
    let web = Web::start(world.dir.path(), "guarded");
    let none = CancellationToken::new();
    let at = |userinfo: &str| format!("http://{userinfo}127.0.0.1:{}/origin/.git", web.port);
    let commit = world.checkout_from(&at("deploy:s3cr%40t@"), "right", None, &none).await.unwrap();
    assert_eq!(commit.sha, tip);

    for (name, userinfo) in [("none", ""), ("wrong", "deploy:wr0ngpass@"), ("token", "t0kent0ken@")] {
        let error = world.checkout_from(&at(userinfo), name, None, &none).await.unwrap_err();
        assert!(matches!(error, GitError::Authentication { .. }), "{error}");
        let told = format!("{error} {error:?} {}", world.said());
        for secret in ["s3cr", "wr0ngpass", "t0kent0ken"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
    // Neither is it kept in what the cache writes down.
    let grep = Command::new("grep").args(["-r", "s3cr", "cache"]).current_dir(world.dir.path()).output().unwrap();
    assert!(grep.stdout.is_empty(), "{}", String::from_utf8_lossy(&grep.stdout));
}

#[tokio::test]
async fn from_a_plain_web_server() {
    let world = World::new();
    let tip = world.commit("README", "two");
    world.run(&["update-server-info"]);
    let web = Web::start(world.dir.path(), "dumb");
    let url = format!("http://127.0.0.1:{}/origin/.git", web.port);
    let commit = world.checkout_from(&url, "x", Some("main"), &CancellationToken::new()).await.unwrap();
    assert_eq!((commit.sha, world.read("x", "README")), (tip, "two".to_owned()));
}

#[tokio::test]
async fn over_ssh_without_questions_or_options() {
    let mut world = World::new();
    let tip = world.commit("README", "two");
    // Runs what it is asked to on this machine, like the other side would, and notes how it was called.
    with_ssh(
        &mut world,
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >> \"$HOME/ssh.args\"\nfor last; do :; done\nexec sh -c \"$last\"\n",
    );
    let none = CancellationToken::new();
    let url = format!("git@example.invalid:{}", world.url());
    assert_eq!(world.checkout_from(&url, "scp", None, &none).await.unwrap().sha, tip);
    let url = format!("ssh://git@example.invalid:2222{}", world.url());
    assert_eq!(world.checkout_from(&url, "ssh", Some("main"), &none).await.unwrap().sha, tip);
    let args = std::fs::read_to_string(world.dir.path().join("ssh.args")).unwrap();
    for expected in ["BatchMode=yes", "ConnectTimeout=20", "git@example.invalid", "2222"] {
        assert!(args.lines().any(|l| l == expected), "{expected} in {args}");
    }

    std::fs::remove_file(world.dir.path().join("ssh.args")).unwrap();
    for url in ["ssh://-oProxyCommand=touch%20x/y", "-oProxyCommand=x:y", "ext::ssh git@h %S y"] {
        let error = world.checkout_from(url, "x", None, &none).await.unwrap_err();
        assert!(matches!(error, GitError::InvalidUrl { .. }), "{error}");
    }
    assert!(!world.dir.path().join("ssh.args").exists(), "ssh was started for an address that is none");
}

#[tokio::test]
async fn an_ssh_that_refuses() {
    for (says, expected) in
        [("git@h: Permission denied (publickey).", "ssh key"), ("Host key verification failed.", "known_hosts")]
    {
        let mut world = World::new();
        with_ssh(&mut world, &format!("#!/bin/sh\necho '{says}' >&2\nexit 255\n"));
        let error = world.checkout_from("git@h:x", "x", None, &CancellationToken::new()).await.unwrap_err();
        assert!(matches!(error, GitError::Authentication { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
