//! A runtime in a folder of its own, with an app written in shell.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::instance::{InstanceKey, InstanceState};
use runtime::{InstanceSpec, LogLimits, ProcessRuntime, RestartPolicy, Supervisor};

pub(crate) struct Machine {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) runtime: ProcessRuntime,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("app")).unwrap();
        let runtime = runtime_in(dir.path());
        Self { dir, runtime }
    }

    pub(crate) fn instances(&self) -> PathBuf {
        self.dir.path().join("instances")
    }

    pub(crate) fn app(&self) -> PathBuf {
        self.dir.path().join("app")
    }

    pub(crate) fn spec(&self, command: &str) -> InstanceSpec {
        InstanceSpec {
            key: key("web", 0, 1),
            command: command.to_owned(),
            directory: self.app(),
            port: None,
            env: BTreeMap::new(),
            secrets: BTreeSet::new(),
            stop_timeout: Duration::from_secs(10),
            restart: RestartPolicy::default(),
            log: LogLimits::default(),
            sandbox: None,
        }
    }

    /// All processes that carry this machine's mark, supervisors included.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let scope = fs::canonicalize(self.instances()).unwrap_or_else(|_| self.instances());
        let mark = format!("PLIMSOLL_RUNTIME={}", scope.display());
        marked(&mark)
    }

    pub(crate) fn text(&self, name: &str) -> Vec<String> {
        self.runtime.logs().read(name, None, usize::MAX).unwrap().into_iter().map(|l| l.text).collect()
    }

    /// Waits until the app has written this line.
    pub(crate) fn wait_for_line(&self, name: &str, line: &str) {
        until(|| self.text(name).iter().any(|l| l == line), &format!("the line `{line}`"));
    }

    /// The process of the app's that wrote `pid <number>` last.
    pub(crate) fn pid_line(&self, name: &str, word: &str) -> i32 {
        let find = || self.text(name).iter().rev().find_map(|l| l.strip_prefix(word)?.trim().parse().ok());
        until(|| find().is_some(), word);
        find().unwrap()
    }

    pub(crate) fn supervisor_pid(&self, name: &str) -> i32 {
        let text = fs::read(self.instances().join(name).join("status.json")).unwrap();
        let status: serde_json::Value = serde_json::from_slice(&text).unwrap();
        i32::try_from(status["supervisor"]["pid"].as_i64().unwrap()).unwrap()
    }

    pub(crate) fn running_pid(&self, name: &str) -> Option<i32> {
        match self.runtime.status(name)?.state {
            InstanceState::Running { pid, .. } => Some(pid),
            _ => None,
        }
    }
}

impl Drop for Machine {
    /// A failed test leaves nothing running either.
    fn drop(&mut self) {
        for _ in 0..100 {
            let left = self.processes();
            if left.is_empty() {
                break;
            }
            left.into_iter().for_each(|pid| kill(pid, 9));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

pub(crate) fn runtime_in(dir: &Path) -> ProcessRuntime {
    let supervisor = Supervisor { binary: example("supervise"), args: Vec::new() };
    ProcessRuntime::new(dir.join("instances"), supervisor).unwrap()
}

pub(crate) fn key(component: &str, index: u32, generation: u64) -> InstanceKey {
    let ulid = "0".repeat(26);
    InstanceKey {
        environment: format!("env_{ulid}").parse().unwrap(),
        deployment: format!("dep_{ulid}").parse().unwrap(),
        release: format!("rel_{ulid}").parse().unwrap(),
        generation,
        component: component.parse().unwrap(),
        index,
    }
}

/// `target/<profile>/examples/<name>`, beside this test's own `target/<profile>/deps/…`.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is not built: `cargo test` builds it", path.display());
    path
}

pub(crate) fn marked(mark: &str) -> Vec<i32> {
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let has = |pid: &i32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|b| *b == 0).any(|pair| pair == mark.as_bytes())
    };
    pids.filter(has).collect()
}

/// Zombies are dead.
pub(crate) fn alive(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !stat[stat.rfind(')').unwrap()..].starts_with(") Z")
}

pub(crate) fn kill(pid: i32, signal: i32) {
    use nix::sys::signal::{Signal, kill};
    kill(nix::unistd::Pid::from_raw(pid), Signal::try_from(signal).unwrap()).ok();
}

#[track_caller]
pub(crate) fn until(mut done: impl FnMut() -> bool, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// No processes.
pub(crate) const NONE: [i32; 0] = [];
