//! `plimsoll.toml`: what a repository says about itself.
//!
//! [`parse`] checks everything that can be known from the text alone and says
//! where it is wrong. What depends on the files beside it is checked in `detect`.

mod check;
mod error;
mod nearest;
mod smoke;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::error::ConfigError;
pub use self::nearest::nearest;
pub use self::smoke::{ExpectConfig, Method, Retries, SmokeTestConfig, Statuses, Texts};
pub use self::values::{Command, Commands, Count, Folder, HttpPath, VariableName};
use crate::limit::Span;
use crate::limits::{Bytes, Limits};
use crate::name::Name;
use crate::route::RoutePattern;
use crate::spec::Stack;

/// The name of the file, in the root of the source.
pub const FILE_NAME: &str = "plimsoll.toml";

/// A whole `plimsoll.toml`. Everything in it may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Config {
    #[serde(default)]
    pub app: AppConfig,
    #[serde(default, skip_serializing_if = "BuildConfig::is_empty")]
    pub build: BuildConfig,
    /// By name. Without any, detection decides what there is.
    #[serde(default)]
    pub components: BTreeMap<Name, ComponentConfig>,
    /// What a new version must answer before it gets traffic, and after: run in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub smoke_tests: Vec<SmokeTestConfig>,
}

/// `[app]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct AppConfig {
    /// What the app is called when nobody says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
}

/// `[build]`: of the builds of all components.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct BuildConfig {
    /// What each command of a build, and each release command, may use.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

impl BuildConfig {
    fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }
}

/// `[components.<name>]`. What is left out is detected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct ComponentConfig {
    /// Folder of the component in the source. Default: the source itself.
    #[serde(default, skip_serializing_if = "Folder::is_root")]
    pub root: Folder,
    /// The kind of code, instead of guessing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Stack>,
    /// Commands that build it, instead of the usual ones; `[]` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Commands>,
    /// Of all build commands together. Default: 30 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_timeout: Option<Span>,
    /// Command that is kept running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Command>,
    /// Command that is run once before a deployment of the component starts, such as migrations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Command>,
    /// Folder below `root` whose files are served; instead of `start`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Folder>,
    /// With `publish`: unknown paths answer with `index.html`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single_page: Option<bool>,
    /// `false` for a worker, which gets no `PORT` and no requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listens: Option<bool>,
    /// How many processes. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<Count>,
    /// Components that must be up before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Name>,
    /// From the polite request to stop to the kill. Default: 10 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<Span>,
    /// From a request to the first byte of the answer; then the ingress answers with 504. Default: 60 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_timeout: Option<Span>,
    /// Of a request's body; a longer one is answered with 413. Default: none, the app decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body: Option<Bytes>,
    /// Settings that are no secrets. An environment's variables win over them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<VariableName, String>,
    /// When an instance counts as healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthConfig>,
    /// What each of its instances may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Where it answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RoutePattern>,
}

/// `[components.<name>.health]`. At most one of `path`, `tcp` and `command`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct HealthConfig {
    /// `GET` of this path must answer with a status from 200 to 399.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<HttpPath>,
    /// `true`: the port must accept a connection. The default of what listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<bool>,
    /// This command must exit with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// From one probe to the next. Default: 100ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// Of one probe. Default: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Successes in a row that make it healthy. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Count>,
    /// Time to become healthy in. Default: 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Span>,
}

/// Reads the text of a `plimsoll.toml`; the error is the first thing that is wrong, with its place.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    if text.len() > MAX_BYTES {
        return Err(ConfigError::at(
            text,
            0..0,
            format!("the file has {} bytes", text.len()),
            Some(format!("at most {MAX_BYTES} are read")),
        ));
    }
    let config: Config = toml::from_str(text).map_err(|error| error::from_toml(text, &error))?;
    check::check(text, &config)?;
    Ok(config)
}

/// The JSON Schema (draft 2020-12) of a `plimsoll.toml`, for editors.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Config)
}

/// Where the value at `path` stands in the text: `["components", "web", "depends_on", "0"]`.
/// The nearest value around it when it is not there.
pub fn locate(text: &str, path: &[&str]) -> Range<usize> {
    let Ok(document) = toml::de::DeTable::parse(text) else { return 0..0 };
    let Some((first, rest)) = path.split_first() else { return 0..0 };
    let Some(mut value) = document.get_ref().get(*first) else { return 0..0 };
    for key in rest {
        let inner = match key.parse::<usize>() {
            Ok(index) if value.get_ref().is_array() => value.get_ref().get(index),
            _ => value.get_ref().as_table().and_then(|table| table.get(*key)),
        };
        match inner {
            Some(inner) => value = inner,
            None => break,
        }
    }
    value.span()
}

/// More is no configuration.
const MAX_BYTES: usize = 256 * 1024;
