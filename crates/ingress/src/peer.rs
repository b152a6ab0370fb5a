//! Who is at the other end of a client's connection.

use std::net::IpAddr;

use http::HeaderValue;

/// The other end of a client's connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) ip: IpAddr,
    /// Its address as apps are told it.
    pub(crate) text: HeaderValue,
    /// It speaks TLS with us.
    pub(crate) secure: bool,
}

impl Peer {
    pub(crate) fn new(ip: IpAddr, secure: bool) -> Self {
        let ip = ip.to_canonical();
        let text = HeaderValue::from_str(&ip.to_string()).unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        Self { ip, text, secure }
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}
