//! Socket.IO, which sends each line to each watcher as a message over a WebSocket.

use std::net::SocketAddr;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::client::{Crowd, Hello};
use super::{Measured, PRINTER, gate, printer, watch};
use crate::peer::Peer;

/// `40` connects to the one namespace that there is: a text frame, masked with zeros as clients must.
const CONNECT: &[u8] = &[0x81, 0x82, 0, 0, 0, 0, b'4', b'0'];

pub(super) async fn measure() -> Result<Measured, String> {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let program = dir.path().join("printer.py");
    std::fs::write(&program, PRINTER).map_err(|e| e.to_string())?;
    let gate = gate(dir.path());
    let mut command = Command::from(Peer::SocketIo.command()?);
    // Ended with this function, whatever comes.
    command.arg(&program).args(printer(&gate)).stdout(Stdio::piped()).kill_on_drop(true);
    let mut server = command.spawn().map_err(|e| format!("node: {e}"))?;
    let pid = server.id().and_then(|pid| i32::try_from(pid).ok()).ok_or("node ended at once")?;
    let output = server.stdout.take().ok_or("node has no output")?;
    let port = BufReader::new(output).lines().next_line().await.map_err(|e| e.to_string())?;
    let port: u16 = port.and_then(|line| line.parse().ok()).ok_or("socket.io told no port")?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let head = format!(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let hello = Hello { head, status: 101, then: CONNECT.to_vec(), welcome: b"40{" };
    let crowd = Crowd::gather(address, hello).await?;
    let measured = watch(crowd, pid, || std::fs::write(&gate, "").unwrap()).await;
    // It ends its printer, too.
    _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
    _ = tokio::time::timeout(std::time::Duration::from_secs(5), server.wait()).await;
    measured
}
