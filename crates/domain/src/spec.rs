//! What an app consists of once detection and `plimsoll.toml` have spoken: the
//! builds to run and the components to serve.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::health::HealthCheck;
use crate::limit::Span;
use crate::limits::{Bytes, Limits};
use crate::name::Name;
use crate::route::RoutePattern;
use crate::smoke::SmokeTest;

/// The kind of code in one folder, which decides how it is built and started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stack {
    Static,
    Node,
    Python,
    Rust,
    Go,
    /// Nothing to build: a Procfile says how to start what is already there.
    Procfile,
}

impl Stack {
    pub const ALL: [Stack; 6] = [Stack::Static, Stack::Node, Stack::Python, Stack::Rust, Stack::Go, Stack::Procfile];

    pub fn as_str(self) -> &'static str {
        match self {
            Stack::Static => "static",
            Stack::Node => "node",
            Stack::Python => "python",
            Stack::Rust => "rust",
            Stack::Go => "go",
            Stack::Procfile => "procfile",
        }
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The whole app. Components stand in the order in which they are started:
/// each one after everything it depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppSpec {
    /// One for each folder that needs building; components of one folder share it.
    pub builds: Vec<Build>,
    /// Of each command of a build, and each release command.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub build_limits: Limits,
    pub components: Vec<Component>,
    /// In the order in which they are run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub smoke_tests: Vec<SmokeTest>,
}

/// How to build one folder of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// Folder relative to the source's root; empty for the root itself.
    pub root: PathBuf,
    pub stack: Stack,
    /// Shell commands, run in order in the folder.
    pub commands: Vec<String>,
    /// For all commands together.
    pub timeout: Span,
    /// Folders in `root` that the app does not need at run time; they are not copied into the release.
    pub discard: Vec<PathBuf>,
}

/// One thing that is served or kept running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Component {
    pub name: Name,
    /// Folder relative to the source's root; empty for the root itself.
    pub root: PathBuf,
    pub serve: Serve,
    /// Run once before a deployment of this component starts, such as migrations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_command: Option<String>,
    pub health: HealthCheck,
    /// From a request to the first byte of its answer; the ingress's own limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_timeout: Option<Span>,
    /// Of a request's body; none for the app to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body: Option<Bytes>,
    /// Where it answers; empty for the default route of a component with a port.
    pub routes: Vec<RoutePattern>,
    pub depends_on: Vec<Name>,
    /// Of each instance.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// Settings that are no secrets; the environment's variables win over them.
    pub env: BTreeMap<String, String>,
}

/// How a component answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Serve {
    /// A command that is kept running, `instances` times.
    Process {
        command: String,
        instances: u32,
        /// It listens on `PORT`, and gets requests.
        listens: bool,
        /// From TERM to KILL.
        stop_timeout: Span,
    },
    /// Files of the folder `publish`, relative to the component's root.
    Static {
        publish: PathBuf,
        /// Unknown paths answer with `index.html`.
        single_page: bool,
    },
}

impl Component {
    /// Requests can reach it.
    pub fn is_routed(&self) -> bool {
        match &self.serve {
            Serve::Process { listens, .. } => *listens,
            Serve::Static { .. } => true,
        }
    }
}

impl AppSpec {
    /// The kinds of code in it, for people: `node`, or `node+python`.
    pub fn stacks(&self) -> String {
        let mut stacks: Vec<_> = self.builds.iter().map(|b| b.stack).collect();
        stacks.sort();
        stacks.dedup();
        stacks.iter().map(|s| s.as_str()).collect::<Vec<_>>().join("+")
    }

    pub fn component(&self, name: &Name) -> Option<&Component> {
        self.components.iter().find(|c| &c.name == name)
    }

    /// The route of `component` that a request for `path` would take: on its host no other component has a longer one.
    pub fn route_to(&self, component: &Name, path: &str) -> Option<&RoutePattern> {
        let path = path.split('?').next().unwrap_or_default();
        let all = || self.components.iter().flat_map(|c| c.routes.iter().map(move |r| (&c.name, r)));
        let own = all().filter(|(name, route)| *name == component && route.path.matches(path));
        own.map(|(_, route)| route).find(|route| {
            let mut rivals = all().filter(|(_, r)| r.host == route.host && r.path.matches(path));
            rivals.all(|(name, r)| name == component || r.path.as_str().len() < route.path.as_str().len())
        })
    }
}
