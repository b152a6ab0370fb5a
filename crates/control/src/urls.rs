//! Addresses that people can click on.

use ingress::{EnvironmentRoutes, Status};

use crate::certificates::Shown;

/// Where an environment answers, each address once, in the order of the routes. Over HTTPS if the host has a certificate.
pub(crate) fn urls(routes: &EnvironmentRoutes, status: &Status, shown: &Shown) -> Vec<String> {
    let mut urls: Vec<String> = Vec::new();
    for route in &routes.routes {
        let secure = status.https.filter(|_| shown.covers(route.host.as_str()));
        let (scheme, usual, port) = match secure {
            Some(address) => ("https", 443, address.port()),
            None => ("http", 80, status.listen.port()),
        };
        let port = if port == usual { String::new() } else { format!(":{port}") };
        let url = format!("{scheme}://{}{port}{}", route.host, route.path);
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}
