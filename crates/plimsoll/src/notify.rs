//! What systemd is told: that the server is ready, lives, and stops (`sd_notify(3)`, `Type=notify`).
//!
//! A few lines in place of a library: a datagram to the socket that the environment names.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Where systemd listens; nothing is told when this was not started by it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notify {
    address: Option<SocketAddr>,
    watchdog: Option<Duration>,
}

impl Notify {
    pub(crate) fn from_environment() -> Self {
        let address = std::env::var_os("NOTIFY_SOCKET").and_then(address);
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        // Meant for us, and not for whoever started us.
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|_| ours).filter(|micros| *micros > 0).map(Duration::from_micros);
        Self { address, watchdog }
    }

    /// How often to say that we live: well before systemd's patience ends.
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.address.as_ref().and(self.watchdog).map(|patience| patience / 3)
    }

    pub(crate) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    pub(crate) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=Stopping; apps keep serving");
    }

    fn send(&self, text: &str) {
        let Some(address) = &self.address else { return };
        let sent = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.send_to_addr(text.as_bytes(), address)
        });
        match sent {
            Ok(_) => {}
            // Its queue is full; the next word comes soon.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => tracing::warn!("can't tell systemd: {e}"),
        }
    }
}

/// A path, or with `@` a name that is in no folder.
fn address(socket: OsString) -> Option<SocketAddr> {
    match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
        [b'/', ..] => SocketAddr::from_pathname(&socket).ok(),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn heard(name: &str, socket: &UnixDatagram) {
        let notify = Notify { address: address(name.into()), watchdog: Some(Duration::from_secs(30)) };
        assert_eq!(notify.interval(), Some(Duration::from_secs(10)));
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut buffer = [0; 200];
        for (say, expected) in [
            (Box::new(|| notify.ready("at work")) as Box<dyn Fn()>, "READY=1\nSTATUS=at work"),
            (Box::new(|| notify.alive()), "WATCHDOG=1"),
        ] {
            say();
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), expected);
        }
    }

    #[test]
    fn it_is_heard_on_a_path_and_on_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        heard(path.to_str().unwrap(), &UnixDatagram::bind(&path).unwrap());
        let name = format!("plimsoll-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name.as_bytes()).unwrap()).unwrap();
        heard(&format!("@{name}"), &socket);
    }

    #[test]
    fn without_systemd_nothing_is_told() {
        assert!(address("relative".into()).is_none() && address("".into()).is_none());
        let alone = Notify { address: None, watchdog: Some(Duration::from_secs(3)) };
        assert_eq!(alone.interval(), None);
        alone.ready("nobody hears");
    }
}
