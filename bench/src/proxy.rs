//! The ingress beside nginx and haproxy.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use plimsoll_tests::server::free_address;
use plimsoll_tests::wait_for;

use crate::Outcome;
use crate::alone::{Alone, HOST};
use crate::figure::{Figure, Goal, quantile};

/// Each is measured this often, in turn and for a short time, so that a busy moment of the machine hits all alike.
const ROUNDS: usize = 20;
const SECONDS: u32 = 1;

/// 1 KiB from an nginx behind each proxy, over 32 keep-alive connections of wrk, and from that nginx itself.
pub(crate) async fn run() -> Outcome {
    let missing: Vec<_> = ["nginx", "haproxy", "wrk"].into_iter().filter(|name| !is_there(name)).collect();
    if !missing.is_empty() {
        return Err(format!("{} not installed (bench/peers installs them)", missing.join(", ")));
    }
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    fs::write(dir.path().join("index.html"), "x".repeat(1024)).map_err(|e| e.to_string())?;
    let upstream = free_address();
    let files = format!("location / {{ root {}; }}", dir.path().display());
    let _files = start_nginx(dir.path(), "files.conf", &nginx_conf(upstream, &files));
    is_up(upstream).await;
    let mut ingress = Alone::start().await;
    ingress.cutover(upstream).await?;
    let ours = ingress.listen;
    let (nginx_listen, haproxy_listen) = (free_address(), free_address());
    let pass = "location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
                proxy_set_header Host $host; }";
    let conf = nginx_conf(nginx_listen, pass);
    let conf = conf.replace("http {", &format!("http {{ upstream app {{ server {upstream}; keepalive 64; }}"));
    let _nginx = start_nginx(dir.path(), "proxy.conf", &conf);
    let _haproxy = start_haproxy(dir.path(), haproxy_listen, upstream);
    let all = [("direct", upstream), ("plimsoll", ours), ("nginx", nginx_listen), ("haproxy", haproxy_listen)];
    for (_, address) in all {
        is_up(address).await;
    }
    let mut runs: [Vec<(f64, f64)>; 4] = Default::default();
    for _ in 0..ROUNDS {
        for (n, (_, address)) in all.iter().enumerate() {
            runs[n].push(wrk(*address)?);
        }
    }
    let rate = |n: usize| quantile(&runs[n].iter().map(|run| run.0).collect::<Vec<_>>(), 0.5);
    let p99 = |n: usize| quantile(&runs[n].iter().map(|run| run.1).collect::<Vec<_>>(), 0.5);
    let name = "ingress, 1 KiB, 32 connections";
    Ok(vec![
        Figure::new(name, rate(1), "/s", Goal::RatioAtLeast(0.9)).against("nginx", rate(2)),
        Figure::new(name, rate(1), "/s", Goal::Shown).against("haproxy", rate(3)),
        Figure::new(name, rate(1), "/s", Goal::Shown).against("direct", rate(0)),
        Figure::new(format!("{name}: p99"), p99(1), "ms", Goal::Shown).against("nginx", p99(2)),
        Figure::new(format!("{name}: p99"), p99(1), "ms", Goal::Shown).against("haproxy", p99(3)),
    ])
}

/// A peer, ended with the value.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        // Politely: nginx's workers go with their master.
        let pid = nix::unistd::Pid::from_raw(self.0.id() as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

async fn is_up(address: SocketAddr) {
    let connect = async || tokio::net::TcpStream::connect(address).await.ok().map(drop);
    wait_for("a proxy", Duration::from_secs(10), connect).await;
}

fn start_nginx(dir: &Path, name: &str, conf: &str) -> Peer {
    let file = dir.join(name);
    fs::write(&file, conf.replace("nginx.pid", &format!("{name}.pid"))).unwrap();
    // Its workers are another user's, who must get at the page.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    peer(Command::new("/usr/sbin/nginx").arg("-c").arg(file).arg("-p").arg(dir).args(["-e", "/dev/null"]))
}

/// As Debian sets it up, but for the log: as many workers as cores.
fn nginx_conf(listen: SocketAddr, location: &str) -> String {
    format!(
        "daemon off; pid nginx.pid; worker_processes auto; error_log /dev/null;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;\n\
         client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;\n\
         server {{ listen {listen}; {location} }} }}"
    )
}

fn start_haproxy(dir: &Path, listen: SocketAddr, upstream: SocketAddr) -> Peer {
    let conf = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 50s\n timeout server 50s\n http-reuse always\n\
         frontend f\n bind {listen}\n default_backend b\nbackend b\n server s {upstream}\n"
    );
    fs::write(dir.join("haproxy.cfg"), conf).unwrap();
    peer(Command::new("/usr/sbin/haproxy").arg("-db").arg("-q").arg("-f").arg(dir.join("haproxy.cfg")))
}

fn peer(command: &mut Command) -> Peer {
    Peer(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// Requests a second, and the 99th percentile in milliseconds.
fn wrk(address: SocketAddr) -> Result<(f64, f64), String> {
    let output = Command::new("wrk")
        .args(["-t1", "-c32", &format!("-d{SECONDS}s"), "--latency", "-H", &format!("Host: {HOST}")])
        .arg(format!("http://{address}/"))
        .output()
        .map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let field = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    if let Some(bad) = field("Non-2xx").or(field("Socket errors")) {
        return Err(format!("wrk saw errors at {address}: {bad}"));
    }
    let rate = field("Requests/sec:").and_then(|n| n.parse().ok());
    let p99 = field("99%").and_then(milliseconds);
    rate.zip(p99).ok_or_else(|| format!("wrk said something else: {text}"))
}

/// `1.23ms`, `980.00us`, `1.02s`
fn milliseconds(text: &str) -> Option<f64> {
    let (number, factor) = match text {
        t if t.ends_with("us") => (t.trim_end_matches("us"), 0.001),
        t if t.ends_with("ms") => (t.trim_end_matches("ms"), 1.0),
        t => (t.trim_end_matches('s'), 1000.0),
    };
    number.parse::<f64>().ok().map(|n| n * factor)
}

fn is_there(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    path.split(':').any(|dir| Path::new(dir).join(program).is_file())
}
