//! Addresses that people can click on.

use std::net::SocketAddr;

use ingress::EnvironmentRoutes;

/// Where an environment answers, each address once, in the order of the routes.
pub(crate) fn urls(routes: &EnvironmentRoutes, listen: SocketAddr) -> Vec<String> {
    let mut urls: Vec<String> = Vec::new();
    for route in &routes.routes {
        let port = if listen.port() == 80 { String::new() } else { format!(":{}", listen.port()) };
        let url = format!("http://{}{port}{}", route.host, route.path);
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}
