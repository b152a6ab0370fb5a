//! What an environment serves: hosts and paths, and who answers them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::route::{Host, PathPrefix};
use domain::{DeploymentId, EnvironmentId, Name, ReleaseId};
use serde::{Deserialize, Serialize};

/// Everything that one environment serves; replaced whole, atomically.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentRoutes {
    pub environment: EnvironmentId,
    pub app: Name,
    pub environment_name: Name,
    /// Under which the deployment that decided it acts; that of an instance's key. A lower one than before is refused.
    pub generation: u64,
    pub deployment: DeploymentId,
    /// The label under which requests are counted.
    pub release: ReleaseId,
    pub routes: Vec<Route>,
}

/// One host and path, and what answers there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub host: Host,
    pub path: PathPrefix,
    pub component: Name,
    pub target: Target,
    #[serde(default, skip_serializing_if = "RouteLimits::is_default")]
    pub limits: RouteLimits,
}

/// What requests of a route may take, where it differs from the ingress's own [`crate::Limits`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteLimits {
    /// From the request to the head of the upstream's response, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "some_millis")]
    pub response_head: Option<Duration>,
    /// Bytes of a request's body. Without it the app alone decides: bodies are passed on as they come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body: Option<u64>,
}

impl RouteLimits {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Who answers the requests of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// Processes that speak HTTP/1.1, taken in turn. The path is passed on unchanged.
    Upstreams {
        upstreams: Vec<SocketAddr>,
        /// Of the previous release. Tried only when no connection to any upstream could be made, so nothing was sent.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        standby: Vec<Standby>,
        gate: Gate,
    },
    /// Files. The route's path is taken off: with the path `/docs`, `/docs/a.html` is `a.html` in `root`.
    Static {
        /// Absolute. A symlink to the release's folder, or the folder; it is resolved once, at the cutover.
        root: PathBuf,
        /// Unknown paths answer with `index.html`.
        single_page: bool,
    },
}

/// Where the previous release still listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standby {
    pub address: SocketAddr,
    /// Requests that end up here are counted for this release.
    pub release: ReleaseId,
}

/// What the ingress itself asks of each new upstream right before the switch: three attempts, 100 ms apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Gate {
    /// It accepts a connection within 2 s.
    Tcp,
    /// `GET path` answers with a status from 200 to 399. The time is for all attempts together.
    Http {
        path: String,
        #[serde(with = "millis")]
        timeout: Duration,
    },
    /// Nothing; for taking a cutover back.
    None,
}

/// Durations as whole milliseconds.
pub(crate) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// The same, or nothing.
mod some_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::ref_option)]
    pub(super) fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(|v| u64::try_from(v.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

impl EnvironmentRoutes {
    /// Why these routes can't be served by anyone, whatever else is in the table.
    pub fn validate(&self) -> Result<(), String> {
        if self.routes.len() > 1000 {
            return Err(format!("{} routes; at most 1000 are possible", self.routes.len()));
        }
        for (n, route) in self.routes.iter().enumerate() {
            let Route { host, path, component, target, limits } = route;
            if self.routes.iter().take(n).any(|r| &r.host == host && &r.path == path) {
                return Err(format!("`{host}{path}` is there twice"));
            }
            if limits.response_head.is_some_and(|t| t.is_zero()) {
                return Err(format!("`{component}` may take no time at all to answer"));
            }
            match target {
                Target::Static { root, .. } if !root.is_absolute() => {
                    return Err(format!("the folder `{}` of `{component}` is not absolute", root.display()));
                }
                Target::Static { .. } => {}
                Target::Upstreams { upstreams, standby, gate } => {
                    if upstreams.len() + standby.len() > 256 {
                        return Err(format!("`{component}` has more than 256 upstreams"));
                    }
                    if upstreams.iter().chain(standby.iter().map(|s| &s.address)).any(|a| a.port() == 0) {
                        return Err(format!("an upstream of `{component}` has the port 0"));
                    }
                    if let Gate::Http { path, .. } = gate
                        && (!path.starts_with('/') || path.parse::<http::uri::PathAndQuery>().is_err())
                    {
                        return Err(format!("the gate of `{component}` asks for `{path}`, which is not a path"));
                    }
                }
            }
        }
        Ok(())
    }
}
