//! Repositories to fetch from, and what a checkout left.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::source::Commit;
use forge::{Git, GitError};
use tokio_util::sync::CancellationToken;

/// A temporary folder with a repository `origin` and room for checkouts.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) git: Git,
    pub(crate) output: Arc<Mutex<Vec<String>>>,
}

impl World {
    /// With one commit on `main`.
    pub(crate) fn new() -> Self {
        let world = Self::empty();
        world.commit("README", "one");
        world
    }

    /// Without a commit.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let git = Git::new(dir.path().join("cache")).with_variable("HOME", dir.path());
        fs::create_dir(dir.path().join("out")).unwrap();
        fs::create_dir(dir.path().join("origin")).unwrap();
        let world = Self { dir, git, output: Arc::default() };
        world.run(&["init", "--quiet", "-b", "main"]);
        world
    }

    pub(crate) fn origin(&self) -> PathBuf {
        self.dir.path().join("origin")
    }

    pub(crate) fn url(&self) -> String {
        self.origin().display().to_string()
    }

    pub(crate) fn run(&self, args: &[&str]) -> String {
        git_in(&self.origin(), args)
    }

    /// Writes a file and commits it; gives back the commit's id.
    pub(crate) fn commit(&self, file: &str, content: &str) -> String {
        let path = self.origin().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self.commit_all(&format!("write {file}"))
    }

    pub(crate) fn commit_all(&self, message: &str) -> String {
        self.run(&["add", "--all"]);
        self.run(&["commit", "--quiet", "-m", message]);
        self.run(&["rev-parse", "HEAD"])
    }

    pub(crate) async fn checkout(&self, name: &str, reference: Option<&str>) -> Result<Commit, GitError> {
        self.checkout_from(&self.url(), name, reference, &CancellationToken::new()).await
    }

    pub(crate) async fn checkout_from(
        &self,
        url: &str,
        name: &str,
        reference: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Commit, GitError> {
        let output = self.output.clone();
        let mut sink = move |line: &str| output.lock().unwrap().push(line.to_owned());
        let result = self.git.checkout(url, reference, &self.dest(name), &mut sink, cancel).await;
        if let Err(error) = &result {
            self.assert_nothing_left(name, error);
        }
        result
    }

    pub(crate) fn dest(&self, name: &str) -> PathBuf {
        self.dir.path().join("out").join(name)
    }

    pub(crate) fn read(&self, name: &str, file: &str) -> String {
        fs::read_to_string(self.dest(name).join(file)).unwrap()
    }

    pub(crate) fn said(&self) -> String {
        self.output.lock().unwrap().join("\n")
    }

    fn assert_nothing_left(&self, name: &str, error: &GitError) {
        assert!(!self.dest(name).exists(), "{name} exists after {error}");
        for entry in fs::read_dir(self.dir.path().join("out")).unwrap() {
            let left = entry.unwrap().file_name();
            assert!(!left.to_string_lossy().starts_with('.'), "{left:?} was left after {error}");
        }
    }
}

pub(crate) fn git_in(dir: &Path, args: &[impl AsRef<OsStr>]) -> String {
    let output = Command::new("git")
        .current_dir(dir)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "protocol.file.allow=always"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// An executable script.
pub(crate) fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Waits until `is` holds; fails after 10 seconds.
pub(crate) async fn eventually(what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is() {
        assert!(Instant::now() < end, "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A folder with a script `ssh` in it, in front of the usual `PATH`.
pub(crate) fn with_ssh(world: &mut World, text: &str) {
    let bin = world.dir.path().join("bin");
    script(&bin.join("ssh"), text);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    world.git = world.git.clone().with_variable("PATH", path);
}
