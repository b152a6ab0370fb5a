//! The servers, and what is done to them.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use operations::server::{Info, InfoRequest};
use operations::{Client, tokens};
use plimsoll_tests::Server;
use plimsoll_tests::server::free_address;
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::settings::{LEASE, SERVERS};
use crate::story::Story;
use crate::world::World;

/// From a start to the first answer, on a machine that is busy with everything at once.
const START_LIMIT: Duration = Duration::from_secs(90);
/// Of a server that was told to stop.
const STOP_LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Fleet {
    pub(crate) nodes: Vec<Node>,
    /// What they share: folder, home, address of the ingress. It runs no server of its own; it cleans up in the end.
    pub(crate) site: Server,
    url: String,
}

pub(crate) struct Node {
    name: String,
    api: SocketAddr,
    log: PathBuf,
    client: Client,
    /// Whoever holds it does something to this server.
    pub(crate) process: Mutex<Process>,
}

/// A server's process; ended with the value.
pub(crate) struct Process(Option<Child>);

impl Process {
    pub(crate) fn pid(&self) -> i32 {
        self.0.as_ref().map_or(0, |child| child.id().cast_signed())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // Not reaped before `ended`, so the number is its own.
        if self.0.is_some() {
            let _ = kill(Pid::from_raw(self.pid()), signal);
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.0.as_mut()?.try_wait().unwrap()?;
        self.0 = None;
        Some(status)
    }

    /// As a power cut would.
    pub(crate) async fn kill9(&mut self) {
        self.signal(Signal::SIGKILL);
        self.until_ended(STOP_LIMIT).await;
    }

    /// `None` when it does not end in time.
    pub(crate) async fn until_ended(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if self.0.is_none() || Instant::now() > deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Fleet {
    pub(crate) async fn launch(url: &str, logs: &Path) -> Self {
        let lease = format!("{LEASE}s");
        let site = Server::stopped(&["--lease", &lease, "--workers", "3"], &[("PLIMSOLL_DATABASE_URL", url)]);
        let addresses: Vec<SocketAddr> = (0..SERVERS).map(|_| free_address()).collect();
        let first = Process(Some(spawn(&site, addresses[0], &logs.join("server-0.log"))));
        let token = lasting_token(&site).await;
        let node = |(number, api): (usize, SocketAddr)| Node {
            name: format!("server {number}"),
            api,
            log: logs.join(format!("server-{number}.log")),
            client: Client::new(&format!("http://{api}"), &token).unwrap(),
            process: Mutex::new(Process(None)),
        };
        let nodes: Vec<Node> = addresses.into_iter().enumerate().map(node).collect();
        *nodes[0].process.lock().await = first;
        let fleet = Self { nodes, site, url: url.to_owned() };
        for node in &fleet.nodes[1..] {
            let mut process = node.process.lock().await;
            fleet.start(node, &mut process, None).await;
        }
        fleet
    }

    pub(crate) fn client(&self, number: usize) -> &Client {
        &self.nodes[number % self.nodes.len()].client
    }

    /// Starts it, again and again if it must be, as a service manager would.
    pub(crate) async fn start(&self, node: &Node, process: &mut Process, story: Option<&Story>) {
        let began = Instant::now();
        process.0 = Some(spawn(&self.site, node.api, &node.log));
        while node.client.call::<Info>(&InfoRequest {}).await.is_err() {
            if let Some(status) = process.ended() {
                if let Some(story) = story {
                    story.count("starts that failed");
                    story.tell(&format!("{} did not start ({status}); once more", node.name));
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
                process.0 = Some(spawn(&self.site, node.api, &node.log));
            }
            if began.elapsed() > START_LIMIT {
                if let Some(story) = story {
                    story.wrong(format!("{} does not start within {} s", node.name, START_LIMIT.as_secs()));
                }
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if let Some(story) = story {
            story.tell(&format!(
                "{} is back after {} ms, pid {}",
                node.name,
                began.elapsed().as_millis(),
                process.pid()
            ));
        }
    }

    /// With TERM. `false` when it did not end, or not well.
    pub(crate) async fn stop(&self, process: &mut Process) -> bool {
        process.signal(Signal::SIGTERM);
        let status = process.until_ended(STOP_LIMIT).await;
        status.is_some_and(|status| status.success())
    }

    /// What one would type, with the settings of the servers.
    pub(crate) fn cli(&self, args: &[&str]) -> std::process::Output {
        let mut command = self.site.command();
        command.args(args).env("PLIMSOLL_DATABASE_URL", &self.url).stdin(Stdio::null());
        command.output().unwrap()
    }

    pub(crate) async fn stop_all(&self) {
        for node in &self.nodes {
            self.stop(&mut *node.process.lock().await).await;
        }
    }
}

impl Node {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn api(&self) -> SocketAddr {
        self.api
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

fn spawn(site: &Server, api: SocketAddr, log: &Path) -> Child {
    let log = File::options().create(true).append(true).open(log).unwrap();
    let mut command = site.command_at(api);
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().unwrap()
}

/// One that is good with all servers.
async fn lasting_token(site: &Server) -> SecretString {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        if let Ok(local) = operations::local::read(&site.data())
            && let Ok(client) = Client::new(&local.url, &local.token)
        {
            let name = "storm".parse().unwrap();
            let request = tokens::CreateRequest::named(name);
            if let Ok(token) = client.call::<tokens::Create>(&request).await {
                return token.secret.unwrap().into();
            }
        }
        assert!(Instant::now() < deadline, "the first server does not answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Starts whoever has ended without our doing. A server that is starved may be ended by a peer, which takes it for dead; that
/// is as promised. One that ends by itself is not.
pub(crate) fn keep(world: &Arc<World>) -> JoinHandle<()> {
    let world = Arc::clone(world);
    tokio::spawn(async move {
        loop {
            for node in &world.fleet.nodes {
                let Ok(mut process) = node.process.try_lock() else { continue };
                let Some(status) = process.ended() else { continue };
                use std::os::unix::process::ExitStatusExt;
                match status.signal() == Some(Signal::SIGKILL as i32) {
                    true => {
                        world.story.count("servers ended by a peer");
                        world.story.tell(&format!("{} was ended by a peer", node.name));
                    }
                    false => world.story.wrong(format!("{} ended by itself: {status}", node.name)),
                }
                world.fleet.start(node, &mut process, Some(&world.story)).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
}
