//! Addresses: held by us, free, or somebody else's.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::{Finding, Surroundings};

const API: &str = "API address";
const INGRESS: &str = "apps' address";
const PORTS: &str = "ports of apps";
/// Apps get theirs from here.
const RANGE: (u16, u16) = (20_000, 29_999);

pub(super) async fn check(around: &Surroundings) -> Vec<Finding> {
    let api = match (&around.info, &around.local) {
        (Some(Ok(_)), Some(local)) => Finding::ok(API, format!("{}, held by the server", local.url)),
        _ => free(API, around.listen.api, "--listen"),
    };
    let ingress = match &around.ingress {
        Some(status) => Finding::ok(INGRESS, format!("{}, held by the ingress", status.listen)),
        None => free(INGRESS, around.listen.ingress, "--ingress-listen"),
    };
    vec![api, ingress, ports()]
}

/// Listens for a moment.
fn free(check: &'static str, address: SocketAddr, option: &str) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok(check, format!("{address} is free")),
        Err(e) if e.kind() == ErrorKind::AddrInUse => Finding::failed(
            check,
            format!("{address} is in use, and not by this folder's server"),
            format!("`ss -ltnp` shows by whom; choose another with {option}"),
        ),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => Finding::failed(
            check,
            format!("no right to listen on {address}"),
            "Ports below 1024 need root or CAP_NET_BIND_SERVICE, which the systemd unit gives",
        ),
        Err(e) => {
            Finding::failed(check, format!("can't listen on {address}: {e}"), format!("Choose another with {option}"))
        }
    }
}

/// The kernel must not give them to outgoing connections.
fn ports() -> Finding {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let reserved = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap_or_default();
    match overlap(&text) {
        None => Finding::skipped(PORTS, "can't read which ports outgoing connections take"),
        Some(false) => Finding::ok(PORTS, format!("{} to {}", RANGE.0, RANGE.1)),
        Some(true) if reserved.contains(&format!("{}-{}", RANGE.0, RANGE.1)) => {
            Finding::ok(PORTS, format!("{} to {}, reserved", RANGE.0, RANGE.1))
        }
        Some(true) => Finding::warning(
            PORTS,
            format!("outgoing connections take ports from {}, which apps may need", text.trim().replace('\t', " to ")),
            format!("sysctl net.ipv4.ip_local_reserved_ports={}-{}", RANGE.0, RANGE.1),
        ),
    }
}

/// Whether outgoing connections take ports of apps; two numbers, apart by a tab.
fn overlap(text: &str) -> Option<bool> {
    let mut numbers = text.split_whitespace().map(str::parse::<u16>);
    let (first, last) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(first <= RANGE.1 && last >= RANGE.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn ranges_overlap_or_not() {
        assert_eq!(overlap("32768\t60999\n"), Some(false));
        assert_eq!(overlap("1024\t65535\n"), Some(true));
        assert_eq!(overlap("nonsense"), None);
    }

    #[test]
    fn an_address_that_somebody_holds_is_told() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap();
        assert_eq!(free(API, address, "--listen").status, Status::Failed);
        drop(held);
        assert_eq!(free(API, address, "--listen").status, Status::Ok);
    }
}
