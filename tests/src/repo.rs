//! Real git repositories.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use domain::source::Source;

/// A repository with a working tree, gone with the value.
pub struct Repo {
    dir: tempfile::TempDir,
    path: PathBuf,
}

impl Repo {
    /// Empty, on the branch `main`.
    ///
    /// # Panics
    /// Without git.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("plimsoll-repo-").tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        let repo = Self { dir, path };
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn source(&self) -> Source {
        Source::Git { url: self.path.display().to_string(), reference: None }
    }

    /// Writes files and commits everything; returns the commit's 40 digits.
    pub fn commit<P: AsRef<Path>, C: AsRef<[u8]>>(
        &self,
        files: impl IntoIterator<Item = (P, C)>,
        message: &str,
    ) -> String {
        for (path, content) in files {
            let path = self.path.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        self.commit_all(message)
    }

    /// Copies a folder of the project into the repository and commits it.
    pub fn commit_copy(&self, from: &Path, message: &str) -> String {
        copy(from, &self.path);
        self.commit_all(message)
    }

    /// Runs git in the repository, and returns what it prints.
    ///
    /// # Panics
    /// When it fails.
    pub fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.path)
            .args(["-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "gc.auto=0"])
            .args(args)
            // Nothing of this machine's or user's settings.
            .env("HOME", self.dir.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git must be installed");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn commit_all(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }
}

impl Default for Repo {
    fn default() -> Self {
        Self::new()
    }
}

/// A folder of `examples/`.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples").join(name)
}

/// Without what a build may have left in the folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if ["node_modules", ".venv", "generated", "__pycache__", ".git"].iter().any(|left| name == *left) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}
