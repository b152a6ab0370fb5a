//! A Docker engine: the one of this machine, or one of our own that ends with the test.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const START_LIMIT: Duration = Duration::from_secs(180);

/// An engine that answers.
pub struct Docker {
    host: String,
    _own: Option<Own>,
}

/// An engine that was started here.
struct Own {
    dir: tempfile::TempDir,
    child: Child,
}

impl Docker {
    /// Finds the engine of this machine, or starts one in a folder of its own, which takes root.
    ///
    /// # Panics
    /// When there is none and none can be started; the panic says why.
    pub fn start() -> Self {
        let machine = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        if answers(&machine) {
            return Self { host: machine, _own: None };
        }
        let mut failures = Vec::new();
        // The second copies whole images, and works on every file system.
        for driver in ["overlay2", "vfs"] {
            match start(driver) {
                Ok((host, own)) => return Self { host, _own: Some(own) },
                Err(why) => failures.push(format!("with {driver}: {why}")),
            }
        }
        panic!("no Docker engine answers, and none can be started as root:\n{}", failures.join("\n"))
    }

    /// For `DOCKER_HOST`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The client.
    pub fn command(&self) -> Command {
        client(&self.host)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id() as i32);
        let _ = kill(pid, Signal::SIGTERM);
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        eprintln!("dockerd did not end in time; look at {}", self.dir.path().display());
    }
}

/// Neither a bridge nor rules for packets: containers use the machine's own network.
fn start(driver: &str) -> Result<(String, Own), String> {
    let dir = tempfile::Builder::new().prefix("plimsoll-docker-").tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let log = std::fs::File::create(at("log")).unwrap();
    let host = format!("unix://{}", at("socket").display());
    let child = Command::new("dockerd")
        .arg("--data-root")
        .arg(at("data"))
        .arg("--exec-root")
        .arg(at("exec"))
        .arg("--pidfile")
        .arg(at("pid"))
        .args(["--host", &host, "--storage-driver", driver])
        .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .map_err(|e| format!("can't run dockerd: {e}; scripts/test-setup installs it (Debian package docker.io)"))?;
    let mut own = Own { dir, child };
    let deadline = Instant::now() + START_LIMIT;
    while Instant::now() < deadline {
        if answers(&host) {
            return Ok((host, own));
        }
        if own.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let log = std::fs::read_to_string(own.dir.path().join("log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    Err(lines[lines.len().saturating_sub(8)..].join("\n"))
}

fn answers(host: &str) -> bool {
    client(host).arg("info").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn client(host: &str) -> Command {
    let mut command = Command::new("docker");
    command.env("DOCKER_HOST", host);
    command
}
