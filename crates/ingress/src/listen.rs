//! The listening sockets: taken from whoever has them, or opened.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::net::TcpSocket;

use crate::connection::Scheme;
use crate::files;
use crate::handover::Sockets;
use crate::options::Settings;
use crate::run::RunError;

/// Pending connections that the kernel keeps.
const BACKLOG: u32 = 4096;
/// Files that are no connections: table, log, control socket, static files being read.
const OTHER_FILES: usize = 256;

/// Where a process listens, for the next one that is asked for port 0.
#[derive(Debug, Serialize, Deserialize)]
struct Process {
    pid: u32,
    listen: SocketAddr,
    #[serde(default)]
    https: Option<SocketAddr>,
}

/// One socket for each address that `settings` name: of `given` those that fit, the others are opened.
pub(crate) fn open(dir: &Path, settings: &Settings, mut given: Sockets) -> Result<Sockets, RunError> {
    let last = fs::read(dir.join(files::PROCESS)).ok().and_then(|b| serde_json::from_slice::<Process>(&b).ok());
    let wanted = [
        Some((Scheme::Http, settings.listen, last.as_ref().map(|l| l.listen))),
        settings.https_listen.map(|address| (Scheme::Https, address, last.as_ref().and_then(|l| l.https))),
    ];
    let mut sockets = Sockets::default();
    for (scheme, address, last) in wanted.into_iter().flatten() {
        let socket = match given.take(scheme, address) {
            Some(socket) => socket,
            None => bind(address, last)?,
        };
        sockets.0.push((scheme, socket));
    }
    Ok(sockets)
}

/// Leaves a note for the next process.
pub(crate) fn remember(dir: &Path, listen: SocketAddr, https: Option<SocketAddr>) -> io::Result<()> {
    let process = Process { pid: std::process::id(), listen, https };
    files::replace(dir, files::PROCESS, &serde_json::to_vec(&process)?)
}

/// Listens. Port 0 stands for the last port, and for any if that one is taken or there was none.
fn bind(wanted: SocketAddr, last: Option<SocketAddr>) -> Result<TcpListener, RunError> {
    if wanted.port() == 0
        && let Some(last) = last.filter(|l| l.ip() == wanted.ip())
    {
        match listen(last) {
            Ok(listener) => return Ok(listener),
            Err(e) => tracing::warn!(address = %last, error = %e, "the last address is taken"),
        }
    }
    listen(wanted).map_err(|source| RunError::Listen { address: wanted, source })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted ingress gets its address back at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Raises the limit of open files as far as allowed. A connection needs one, and up to two more for its request.
pub(crate) fn connections_that_files_allow() -> usize {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    let files = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    (files.saturating_sub(OTHER_FILES) / 3).max(16)
}
