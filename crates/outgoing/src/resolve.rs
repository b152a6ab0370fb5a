//! From a name to addresses that may be called.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::future::BoxFuture;
use url::Host;

use crate::judge::{Verdict, judge, unpack};
use crate::{Outgoing, OutgoingError};

/// Resolves a name, as the system does it or a test.
pub type Lookup = Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// A name with more of them is no ordinary name.
const MOST: usize = 64;

/// The system's own resolver, with its hosts file.
pub fn system_lookup() -> Lookup {
    Arc::new(|host, port| Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }))
}

/// Addresses of a host, all of which may be called.
pub(crate) struct Target {
    pub(crate) addresses: Vec<SocketAddr>,
    /// An operator allowed each of them by name.
    pub(crate) allowed: bool,
}

impl Outgoing {
    /// Addresses of `host`, each of which may be called: public, or allowed by the operator. One that may not refuses all.
    ///
    /// Connect to these and to nothing else: resolved again, the name may lead elsewhere.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, OutgoingError> {
        Ok(self.target(host, port).await?.addresses)
    }

    pub(crate) async fn target(&self, host: &str, port: u16) -> Result<Target, OutgoingError> {
        let addresses = match literal(host)? {
            Some(ip) => vec![SocketAddr::new(ip, port)],
            None => self.look_up(host, port).await?,
        };
        let mut allowed = true;
        for address in &addresses {
            let ip = address.ip();
            if self.allows(ip) {
                continue;
            }
            allowed = false;
            if let Verdict::Special(what) = judge(ip) {
                return Err(OutgoingError::Refused { host: shown(host), address: unpack(ip), what });
            }
        }
        Ok(Target { addresses, allowed })
    }

    fn allows(&self, ip: IpAddr) -> bool {
        let inside = unpack(ip);
        self.allowed.iter().any(|network| network.contains(ip) || network.contains(inside))
    }

    async fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, OutgoingError> {
        let unresolved = |reason: String| OutgoingError::Unresolved { host: shown(host), reason };
        let found = match tokio::time::timeout(self.limits.resolve, (self.lookup)(host.to_owned(), port)).await {
            Err(_) => {
                let (limit, what) = (self.limits.resolve, "be resolved");
                return Err(OutgoingError::Slow { host: shown(host), limit, what });
            }
            Ok(Err(e)) => return Err(unresolved(e.to_string())),
            Ok(Ok(found)) => found,
        };
        match found.len() {
            0 => Err(unresolved("it has no address".to_owned())),
            1..=MOST => Ok(found),
            n => Err(unresolved(format!("it has {n} addresses, {MOST} at most are taken"))),
        }
    }
}

/// The address that `host` already is, in any form that a program on the way could read as one: `2130706433`, `0x7f.1`, `[::1]`.
fn literal(host: &str) -> Result<Option<IpAddr>, OutgoingError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(Some(ip));
    }
    match Host::parse(host) {
        Ok(Host::Ipv4(ip)) => Ok(Some(ip.into())),
        Ok(Host::Ipv6(ip)) => Ok(Some(ip.into())),
        Ok(Host::Domain(_)) => Ok(None),
        Err(e) => Err(OutgoingError::Malformed { reason: format!("`{}` is no host ({e})", shown(host)) }),
    }
}

/// As an error may show it.
pub(crate) fn shown(host: &str) -> String {
    host.chars().filter(|c| !c.is_control()).take(253).collect()
}
