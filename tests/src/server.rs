//! The real binary, running.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use operations::server::{Info, InfoRequest};
use operations::{Client, tokens};

use secrecy::SecretString;

use crate::processes;

/// From the start to the first answer; the machine may be busy with other tests.
const START_LIMIT: Duration = Duration::from_secs(60);

/// `plimsoll server` with a data folder, a home and ports of its own. When it is dropped everything is stopped with
/// `plimsoll down`, and the test fails if any process of it is left.
pub struct Server {
    /// Holds the home and the data folder.
    _dir: tempfile::TempDir,
    root: PathBuf,
    api: SocketAddr,
    ingress: SocketAddr,
    binary: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    child: Option<Child>,
    /// Of the present start.
    client: Option<Client>,
}

impl Server {
    /// With SQLite and the usual settings.
    pub async fn start() -> Self {
        Self::start_with(&[], &[]).await
    }

    /// With more arguments and environment variables.
    pub async fn start_with(args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut server = Self::stopped(args, env);
        server.restart().await;
        server
    }

    /// Not yet started: `restart` starts it.
    pub fn stopped(args: &[&str], env: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new().prefix("plimsoll-e2e-").tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir(root.join("home")).unwrap();
        fs::create_dir(root.join("shared")).unwrap();
        fs::set_permissions(root.join("shared"), fs::Permissions::from_mode(0o1777)).unwrap();
        let own = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
        Self {
            _dir: dir,
            root,
            api: free_address(),
            ingress: free_address(),
            binary: binary(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: env.iter().map(own).collect(),
            child: None,
            client: None,
        }
    }

    /// Starts it (again) with the same folder, ports and settings, and waits until it answers.
    ///
    /// # Panics
    /// When it does not; the panic shows its log.
    pub async fn restart(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = fs::File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = self.server_command();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().unwrap()) {
                panic!("plimsoll server ended with {status}:\n{}", self.log());
            }
            if let Some(client) = self.fresh_client().await {
                self.client = Some(client);
                return;
            }
            assert!(Instant::now() < deadline, "plimsoll server does not answer:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The command of this server; a second one with it must be refused.
    pub fn server_command(&self) -> Command {
        self.command_at(self.api)
    }

    /// A test is one client that does the work of many. One about the limit says which; older versions know none.
    fn rate_limit(&self) -> &'static [&'static str] {
        let said = self.args.iter().any(|arg| arg == "--rate-limit");
        if said || self.binary != binary() { &[] } else { &["--rate-limit", "100"] }
    }

    /// The command of a server that shares everything with this one but the address.
    pub fn command_at(&self, api: SocketAddr) -> Command {
        let mut command = self.command();
        command
            .args(["server", "--listen", &api.to_string(), "--ingress-listen", &self.ingress.to_string()])
            .arg("--app-path")
            .arg(self.shared())
            .args(&self.args)
            .args(self.rate_limit())
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// From the next start on, server and CLI are this program.
    pub fn use_binary(&mut self, path: PathBuf) {
        self.binary = path;
    }

    /// Ends the server at once, as a power cut would; ingress and apps are left alone.
    pub fn kill9(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        self.client = None;
    }

    /// Ends the server alone with TERM, and waits for it.
    pub fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(child.wait().unwrap().success(), "{}", self.log());
        self.client = None;
    }

    /// A token that stays good whichever server a client speaks to.
    pub async fn lasting_token(&self) -> SecretString {
        let name = "peers".parse().unwrap();
        let request = tokens::CreateRequest::named(name);
        self.client().call::<tokens::Create>(&request).await.unwrap().secret.unwrap().into()
    }

    /// Another server on the same data folder and database, with an address of its own.
    ///
    /// # Panics
    /// When it does not answer; the panic shows the log.
    pub async fn peer(&self, token: &SecretString) -> Peer {
        let api = free_address();
        let log = fs::File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = self.command_at(api);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().unwrap();
        let client = Client::new(&format!("http://{api}"), token).unwrap();
        let deadline = Instant::now() + START_LIMIT;
        while client.call::<Info>(&InfoRequest {}).await.is_err() {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("a peer ended with {status}:\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "a peer does not answer:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Peer { child, client }
    }

    /// From now on everything is asked of this peer.
    pub fn speak_to(&mut self, peer: &Peer) {
        self.client = Some(peer.client.clone());
    }

    /// The first server has ended in another way than by us.
    pub fn reap(&mut self) -> std::process::ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }

    /// Talks to the server as clients on this machine do.
    ///
    /// # Panics
    /// When it does not run.
    pub fn client(&self) -> &Client {
        self.client.as_ref().expect("the server runs")
    }

    /// The CLI, with this server's data folder and home.
    pub fn cli(&self, args: &[&str]) -> Output {
        self.command().args(args).stdin(Stdio::null()).output().unwrap()
    }

    /// What `cli` prints on its standard output as JSON.
    ///
    /// # Panics
    /// When it fails.
    pub fn cli_json(&self, args: &[&str]) -> serde_json::Value {
        let output = self.cli(args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "plimsoll {args:?}: {}\n{out}\n{err}", output.status);
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("plimsoll {args:?} printed no JSON ({e}):\n{out}"))
    }

    /// Process of the server.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> i32 {
        self.child.as_ref().unwrap().id() as i32
    }

    /// Has the ingress replaced by a new process, and waits for it.
    ///
    /// # Panics
    /// When that fails.
    pub fn restart_ingress(&self) {
        let done = self.cli(&["ingress", "restart"]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Process of the ingress.
    ///
    /// # Panics
    /// When there is not exactly one.
    pub fn ingress_pid(&self) -> i32 {
        let found = self.ingresses();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0]
    }

    /// Processes of the ingress: one, unless it was killed.
    pub fn ingresses(&self) -> Vec<i32> {
        let dir = format!("ingress --dir {}", self.data().join("ingress").display());
        processes::with_argument(&dir).into_iter().map(|p| p.pid).collect()
    }

    /// Pids of all running [`App`](crate::App)s of this server, whatever the server itself knows of them.
    pub fn apps(&self) -> Vec<i32> {
        let mut ours = processes::marked(&self.data().display().to_string());
        // Not their supervisors, nor a shell around one.
        ours.retain(|p| p.command.trim_end().ends_with("python3 serve.py"));
        ours.into_iter().map(|p| p.pid).collect()
    }

    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// A folder that builds and apps see, too, which see nothing else of a test's: for files by which they wait for it.
    pub fn shared(&self) -> PathBuf {
        self.root.join("shared")
    }

    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// Where apps answer.
    pub fn ingress(&self) -> SocketAddr {
        self.ingress
    }

    /// All it has printed, the token of the first start included.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// `plimsoll` with this server's data folder and home.
    pub fn command(&self) -> Command {
        let home = self.root.join("home");
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PLIMSOLL_")) {
            command.env_remove(name);
        }
        command
            .arg("--data")
            .arg(self.data())
            .current_dir(&home)
            .env("HOME", &home)
            .env("XDG_STATE_HOME", home.join("state"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env_remove("XDG_CONFIG_HOME")
            .env("NO_COLOR", "1");
        command
    }

    fn log_file(&self) -> PathBuf {
        self.root.join("server.log")
    }

    /// A client whose token this start has made.
    async fn fresh_client(&self) -> Option<Client> {
        let local = operations::local::read(&self.data()).ok()?;
        let client = Client::new(&local.url, &local.token).ok()?;
        client.call::<Info>(&InfoRequest {}).await.ok()?;
        Some(client)
    }
}

/// Another server beside a [`Server`].
pub struct Peer {
    child: Child,
    client: Client,
}

impl Peer {
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// As a power cut would.
    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// With TERM, and waits for it.
    pub fn stop(&mut self) {
        signal(self.pid(), nix::sys::signal::Signal::SIGTERM);
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// # Panics
/// When the process is not there.
pub fn signal(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}

impl Drop for Server {
    fn drop(&mut self) {
        let mark = self.root.display().to_string();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- the end of the server's log:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
        let down = self.cli(&["down", "--yes"]);
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let left = processes::marked(&mark);
        processes::kill_marked(&mark);
        if !std::thread::panicking() {
            assert!(down.status.success(), "plimsoll down: {}", String::from_utf8_lossy(&down.stderr));
            assert!(left.is_empty(), "`plimsoll down` left processes behind: {left:#?}");
        }
    }
}

/// The program under test, which has to be built before.
///
/// # Panics
/// When it is not.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let found = test.ancestors().skip(1).map(|dir| dir.join("plimsoll")).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("there is no `plimsoll` beside {}: run `cargo build -p plimsoll` first", test.display())
    })
}

/// An address of this machine where nobody listens, outside of the ranges for apps and outgoing connections. No other test is given
/// it until this process ends, not even while the program that listens there is started anew.
///
/// # Panics
/// When the temporary folder can't be written to.
pub fn free_address() -> SocketAddr {
    // On the list of ports that browsers and Node's `fetch` refuse, alone in this range.
    const BLOCKED_BY_FETCH: u16 = 10_080;
    let mut bytes = [0; 2];
    loop {
        std::io::Read::read_exact(&mut fs::File::open("/dev/urandom").unwrap(), &mut bytes).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 10_000 + u16::from_le_bytes(bytes) % 10_000));
        if address.port() == BLOCKED_BY_FETCH {
            continue;
        }
        let Some(held) = hold(address.port()) else { continue };
        if TcpListener::bind(address).is_ok() {
            // Never closed: the kernel gives the lock back with the process, however that ends.
            let _ = held.into_raw_fd();
            return address;
        }
    }
}

/// The lock file of a port, unless another test has it, or another part of this one.
fn hold(port: u16) -> Option<fs::File> {
    let dir = std::env::temp_dir().join(format!("plimsoll-test-ports-{}", nix::unistd::geteuid()));
    fs::create_dir_all(&dir).unwrap();
    let file = fs::File::options().create(true).truncate(false).write(true).open(dir.join(port.to_string())).unwrap();
    match file.try_lock() {
        Ok(()) => Some(file),
        Err(fs::TryLockError::WouldBlock) => None,
        Err(fs::TryLockError::Error(error)) => panic!("can't lock port {port} in {}: {error}", dir.display()),
    }
}

/// Every regular file below a folder.
pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files_below(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_out_once() {
        let port = free_address().port();
        assert!(hold(port).is_none(), "{port} is ours");
    }
}
