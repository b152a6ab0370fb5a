//! By which names the HTTP door may be called.

/// Names that clients may have in `Host`, and web pages in `Origin`. A page that rebinds its DNS name to this machine
/// sends that name as `Host`: it is not among these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// The loopback addresses, the address that is listened at, and `more`: names without port mean any port.
    pub fn new(listen: Option<std::net::IpAddr>, more: impl IntoIterator<Item = String>) -> Self {
        let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        names.extend(listen.filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string()));
        names.extend(more.into_iter().map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()));
        names.dedup();
        Self(names)
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    /// The same names as origins of web pages, on any port unless one is given.
    pub(crate) fn origins(&self) -> Vec<String> {
        let origin = |scheme: &str, name: &String| match name.parse::<std::net::Ipv6Addr>() {
            Ok(ip) => format!("{scheme}://[{ip}]:*"),
            Err(_) if name.contains(':') => format!("{scheme}://{name}"),
            Err(_) => format!("{scheme}://{name}:*"),
        };
        self.0.iter().flat_map(|name| [origin("http", name), origin("https", name)]).collect()
    }
}

impl Default for Hosts {
    fn default() -> Self {
        Self::new(None, [])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_origins() {
        let everywhere = Hosts::new("0.0.0.0".parse().ok(), [" Deploy.Example.org ".to_owned(), String::new()]);
        assert_eq!(everywhere.names(), ["localhost", "127.0.0.1", "::1", "deploy.example.org"]);
        assert!(Hosts::new("10.0.0.5".parse().ok(), []).names().contains(&"10.0.0.5".to_owned()));
        let origins = Hosts::new(None, ["a:8443".to_owned()]).origins();
        assert!(origins.contains(&"http://localhost:*".to_owned()), "{origins:?}");
        assert!(origins.contains(&"http://[::1]:*".to_owned()), "{origins:?}");
        assert!(origins.contains(&"https://a:8443".to_owned()), "{origins:?}");
    }
}
