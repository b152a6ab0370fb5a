//! Routes: which host and path go to which component.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use crate::name::Name;

/// A host name in lower case without port or final dot: `app.example.org`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Host(String);

/// The text can't be a [`Host`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host name: expected labels of a-z, 0-9 and `-` joined by dots, at most 253 characters")]
pub struct InvalidHost(String);

impl Host {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host of a `Host` header or `:authority`, its port and final dot left out.
    pub fn from_header(value: &str) -> Result<Self, InvalidHost> {
        let host = match value.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => value,
        };
        host.strip_suffix('.').unwrap_or(host).parse()
    }

    /// Where an environment answers by default: `app.domain` for production, `app-env.domain` for others.
    pub fn default_for(app: &Name, environment: &Name, domain: &str) -> Result<Self, InvalidHost> {
        if environment.as_str() == "production" {
            format!("{app}.{domain}").parse()
        } else {
            format!("{app}-{environment}.{domain}").parse()
        }
    }
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let label = |l: &str| {
            (1..=63).contains(&l.len())
                && !l.starts_with('-')
                && !l.ends_with('-')
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if (1..=253).contains(&text.len()) && text.split('.').all(label) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidHost(text.chars().take(80).collect()))
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Host {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Host".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": 253, "examples": ["www.example.org"] })
    }
}

/// A path that begins with `/` and matches whole segments: `/api` matches `/api` and `/api/x`, not `/apix`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct PathPrefix(String);

/// The text can't be a [`PathPrefix`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a path: expected `/`, or `/a/b` of letters, digits and `-._~`, without `.` or `..` segments")]
pub struct InvalidPath(String);

impl PathPrefix {
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, path: &str) -> bool {
        self.0 == "/" || path.strip_prefix(self.0.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Default for PathPrefix {
    fn default() -> Self {
        Self::root()
    }
}

impl FromStr for PathPrefix {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let invalid = || InvalidPath(text.chars().take(80).collect());
        let segment = |s: &str| {
            !s.is_empty()
                && s != "."
                && s != ".."
                && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        };
        let rest = text.strip_prefix('/').ok_or_else(invalid)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() && text.len() <= 1 {
            return Ok(Self::root());
        }
        if text.len() <= 512 && rest.split('/').all(segment) { Ok(Self(format!("/{rest}"))) } else { Err(invalid()) }
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PathPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for PathPrefix {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "PathPrefix".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": 512, "pattern": "^/", "examples": ["/", "/api"] })
    }
}

/// A route as configuration writes it. Without a host it is the environment's default host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoutePattern {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    #[serde(default)]
    pub path: PathPrefix,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hosts_come_from_headers() {
        assert_eq!(Host::from_header("App.Example.org:8080").unwrap().as_str(), "app.example.org");
        assert_eq!(Host::from_header("a.localhost.").unwrap().as_str(), "a.localhost");
        for bad in ["", "a..b", "-a.b", "a b", "a/b", "[::1]:80", "é.org"] {
            assert!(Host::from_header(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn prefixes_match_whole_segments() {
        let api: PathPrefix = "/api/".parse().unwrap();
        assert_eq!(api.as_str(), "/api");
        assert!(api.matches("/api") && api.matches("/api/x") && !api.matches("/apix") && !api.matches("/"));
        assert!(PathPrefix::root().matches("/anything"));
        for bad in ["", "api", "//", "/a//b", "/../x", "/a b", "/a?b"] {
            assert!(bad.parse::<PathPrefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn production_has_the_short_host() {
        let (app, prod, staging) =
            ("hello".parse().unwrap(), "production".parse().unwrap(), "staging".parse().unwrap());
        assert_eq!(Host::default_for(&app, &prod, "localhost").unwrap().as_str(), "hello.localhost");
        assert_eq!(Host::default_for(&app, &staging, "example.org").unwrap().as_str(), "hello-staging.example.org");
    }
}
