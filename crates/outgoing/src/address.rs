//! An address that a user named.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use crate::OutgoingError;

/// `https` or `http`, a host; no user or password, which belong into no address; no fragment.
///
/// Read by one parser alone: what is judged is what is called. It may be a secret, so `Debug` shows its beginning only.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// `https://example.org:8443`: what of it may be shown if it is a secret.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Host, without the brackets of version 6, and port.
    pub fn host(&self) -> (String, u16) {
        let host = match self.0.host() {
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            Some(Host::Domain(name)) => name.to_owned(),
            // `from_str` takes none without.
            None => String::new(),
        };
        (host, self.0.port_or_known_default().unwrap_or_default())
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for Address {
    type Err = OutgoingError;

    fn from_str(text: &str) -> Result<Self, OutgoingError> {
        let malformed = |reason: String| OutgoingError::Malformed { reason };
        let url = Url::parse(text).map_err(|e| malformed(e.to_string()))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(malformed("it begins neither with https:// nor with http://".to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(malformed("it holds a user or a password".to_owned()));
        }
        if url.fragment().is_some() {
            return Err(malformed("it ends with a fragment (#…)".to_owned()));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(malformed("it names no host".to_owned()));
        }
        Ok(Self(url))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({}/…)", self.origin())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_in_one_way() {
        for (text, host, port) in [
            ("https://example.org/hook?a=b", "example.org", 443),
            ("http://Example.ORG:8080", "example.org", 8080),
            ("https://2130706433/", "127.0.0.1", 443),
            ("https://0x7f.1/", "127.0.0.1", 443),
            ("https://0177.0.0.1/", "127.0.0.1", 443),
            ("https://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1", 443),
            ("https://1２7.0.0.1/", "127.0.0.1", 443),
            ("https://example.org\\@127.0.0.1/", "example.org", 443),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().host(), (host.to_owned(), port), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_receiver_is_refused() {
        for bad in [
            "",
            "example.org",
            "/hook",
            "ftp://example.org/",
            "file:///etc/passwd",
            "gopher://example.org/",
            "https://",
            "https://user@example.org/",
            "https://user:password@example.org/",
            "https://example.org/#fragment",
            "https://exa mple.org/",
            "https://[::1/",
            "https://1.2.3.4.5.6.7.8/",
        ] {
            assert!(matches!(bad.parse::<Address>(), Err(OutgoingError::Malformed { .. })), "{bad}");
        }
    }

    #[test]
    fn a_secret_path_is_not_shown() {
        let address: Address = "https://hooks.example.org/services/T0/B0/secret?key=secret".parse().unwrap();
        assert_eq!(format!("{address:?}"), "Address(https://hooks.example.org/…)");
        let error = "https://user:secret@example.org/".parse::<Address>().unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }
}
