//! The ingress's own look at new upstreams, right before requests go there.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use domain::Name;
use domain::route::Host;
use futures::future::join_all;
use http::{Request, header};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::route::{EnvironmentRoutes, Gate, Target};

/// For all attempts of [`Gate::Tcp`] together.
pub(crate) const TCP_LIMIT: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// What could not be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GateFailed {
    pub(crate) component: Name,
    pub(crate) upstream: String,
    pub(crate) reason: String,
}

/// Looks at all upstreams of `routes` side by side, except those that `serving` has already for the same release.
pub(crate) async fn pass(routes: &EnvironmentRoutes, serving: Option<&EnvironmentRoutes>) -> Result<(), GateFailed> {
    let serving = serving.filter(|s| s.release == routes.release);
    let known = |address: &SocketAddr| {
        serving.is_some_and(|s| {
            s.routes
                .iter()
                .any(|r| matches!(&r.target, Target::Upstreams { upstreams, .. } if upstreams.contains(address)))
        })
    };
    let mut probes = Vec::new();
    for route in &routes.routes {
        let failed =
            |upstream: String, reason: String| GateFailed { component: route.component.clone(), upstream, reason };
        match &route.target {
            Target::Static { root, .. } => {
                folder(root).map_err(|e| failed(root.display().to_string(), e.to_string()))?
            }
            Target::Upstreams { upstreams, gate, .. } => {
                for address in upstreams.iter().filter(|a| !known(a)) {
                    probes.push(async move {
                        probe(gate, *address, &route.host).await.map_err(|reason| failed(address.to_string(), reason))
                    });
                }
            }
        }
    }
    join_all(probes).await.into_iter().collect()
}

fn folder(root: &Path) -> io::Result<()> {
    if root.metadata()?.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

async fn probe(gate: &Gate, address: SocketAddr, host: &Host) -> Result<(), String> {
    let limit = match gate {
        Gate::None => return Ok(()),
        Gate::Tcp => TCP_LIMIT,
        Gate::Http { timeout, .. } => *timeout,
    };
    let mut last = None;
    let attempts = async {
        for n in 1..=ATTEMPTS {
            match attempt(gate, address, host).await {
                Ok(()) => return true,
                Err(reason) => last = Some(reason),
            }
            if n < ATTEMPTS {
                tokio::time::sleep(PAUSE).await;
            }
        }
        false
    };
    match timeout(limit, attempts).await {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(last.unwrap_or_else(|| format!("no answer within {} ms", limit.as_millis()))),
    }
}

async fn attempt(gate: &Gate, address: SocketAddr, host: &Host) -> Result<(), String> {
    let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    let Gate::Http { path, .. } = gate else {
        return Ok(());
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path)
        .header(header::HOST, host.as_str())
        .header(header::USER_AGENT, "plimsoll")
        .header(header::CONNECTION, "close")
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|e| e.to_string())?;
    let response = sender.send_request(request).await;
    connection.abort();
    let status = response.map_err(|e| e.to_string())?.status();
    if (200..400).contains(&status.as_u16()) { Ok(()) } else { Err(format!("`GET {path}` answered with {status}")) }
}
