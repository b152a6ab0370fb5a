//! What each stage says about itself before it runs: for plans, and for what is left when one fails. Pure: the scene is all
//! that it sees.

use domain::deployment::DeploymentKind;
use domain::plan::{Action, Change, Touch};
use domain::release::Digest;
use domain::route::{Host, PathPrefix};
use domain::source::{Commit, Source};
use domain::spec::{AppSpec, Component, Serve};
use domain::{AppId, DeploymentId, EnvironmentId, Name};
use saga::{Saga, Stage};

use super::State;
use super::state::{Order, ReleaseRef};

/// Speaks for a stage.
pub(crate) trait Explain {
    /// What it would do, why, and what that touches.
    fn outlook(&self, scene: &Scene) -> Outlook;

    /// What becomes of it when it fails, or a later stage does.
    fn taken_back(&self, scene: &Scene) -> Undo;

    /// The state after it, as far as the end of a deployment depends on it.
    fn rehearse(&self, state: State) -> State {
        state
    }
}

/// A stage of a deployment: it can be run, and it can be explained.
pub(crate) trait Explained<G: Saga>: Stage<G> + Explain {}

impl<G: Saga, S: Stage<G> + Explain> Explained<G> for S {}

/// What a deployment is to do, and what it finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scene {
    pub kind: DeploymentKind,
    pub environment: Name,
    pub source: Option<Source>,
    pub commit: Option<Commit>,
    pub spec: AppSpec,
    /// Of the release that would serve.
    pub digest: Digest,
    /// The release of this digest, if it is there.
    pub existing: Option<u32>,
    pub routes: Vec<PlannedRoute>,
    pub before: Before,
}

/// What is there before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Before {
    /// Number of the release that serves.
    pub serving: Option<u32>,
    pub instances: Vec<(String, Name)>,
    pub routes: Vec<PlannedRoute>,
    /// Components that are files.
    pub sites: Vec<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PlannedRoute {
    pub host: Host,
    pub path: PathPrefix,
    pub component: Name,
}

/// What a stage would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outlook {
    pub action: Action,
    pub reason: String,
    pub touches: Vec<Touch>,
}

/// What a stage takes back, and what it can't.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Undo {
    /// For people; nothing if there is nothing to take back.
    pub text: Option<String>,
    /// What is there afterwards all the same.
    pub stays: Vec<String>,
}

impl Outlook {
    pub(crate) fn run(reason: impl Into<String>) -> Self {
        Self { action: Action::Run, reason: reason.into(), touches: Vec::new() }
    }

    pub(crate) fn skip(reason: impl Into<String>) -> Self {
        Self { action: Action::Skip, reason: reason.into(), touches: Vec::new() }
    }

    pub(crate) fn touching(mut self, touches: impl IntoIterator<Item = Touch>) -> Self {
        self.touches.extend(touches);
        self
    }
}

impl Undo {
    pub(crate) fn nothing() -> Self {
        Self::default()
    }

    pub(crate) fn of(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), stays: Vec::new() }
    }

    pub(crate) fn leaving(mut self, stays: impl Into<String>) -> Self {
        self.stays.push(stays.into());
        self
    }
}

impl Scene {
    /// What would serve, in short.
    pub(crate) fn brings(&self) -> String {
        self.existing.map_or_else(|| "the new release".to_owned(), |number| format!("v{number}"))
    }

    /// What serves before, in short.
    pub(crate) fn serving(&self) -> Option<String> {
        self.before.serving.map(|number| format!("v{number}"))
    }

    pub(crate) fn processes(&self) -> impl Iterator<Item = (&Component, u32)> {
        self.spec.components.iter().filter_map(|component| match component.serve {
            Serve::Process { instances, .. } => Some((component, instances)),
            Serve::Static { .. } => None,
        })
    }

    pub(crate) fn sites(&self) -> impl Iterator<Item = &Component> {
        self.spec.components.iter().filter(|component| matches!(component.serve, Serve::Static { .. }))
    }

    pub(crate) fn release_commands(&self) -> Vec<(&Component, &str)> {
        let all = self.spec.components.iter();
        all.filter_map(|component| Some((component, component.release_command.as_deref()?))).collect()
    }

    /// Instances by the names that they will have, but for the id of the deployment.
    pub(crate) fn new_instances(&self, change: Change) -> Vec<Touch> {
        let instance = |component: &Component, index: u32| Touch::Instance {
            name: format!("<deployment>-{}-{index}", component.name),
            component: component.name.clone(),
            change,
        };
        self.processes().flat_map(|(component, n)| (0..n).map(move |index| instance(component, index))).collect()
    }

    pub(crate) fn new_routes(&self, change: impl Fn(&PlannedRoute) -> Change) -> Vec<Touch> {
        self.routes.iter().map(|route| touch(route, change(route))).collect()
    }

    /// Routes that nothing answers any more.
    pub(crate) fn lost_routes(&self) -> Vec<Touch> {
        let same = |route: &PlannedRoute| self.routes.iter().any(|r| r.host == route.host && r.path == route.path);
        self.before.routes.iter().filter(|route| !same(route)).map(|r| touch(r, Change::Removes)).collect()
    }

    pub(crate) fn had_route(&self, route: &PlannedRoute) -> bool {
        self.before.routes.iter().any(|r| r.host == route.host && r.path == route.path)
    }

    /// A state of the deployment that this scene is about, for a rehearsal. The ids name nothing.
    pub(crate) fn state(&self) -> State {
        let nil = ulid::Ulid::nil();
        let order = Order {
            kind: self.kind,
            deployment: DeploymentId::from_ulid(nil),
            app: AppId::from_ulid(nil),
            app_name: self.environment.clone(),
            environment: EnvironmentId::from_ulid(nil),
            environment_name: self.environment.clone(),
            generation: 0,
            source: self.source.clone(),
            labels: Default::default(),
            promotion: None,
            plan: None,
            approval: None,
        };
        State { spec: Some(self.spec.clone()), reused: self.existing.is_some(), ..State::deploy(order) }
    }
}

fn touch(route: &PlannedRoute, change: Change) -> Touch {
    let PlannedRoute { host, path, component } = route.clone();
    Touch::Route { host, path, component, change }
}

/// A release that is only thought of, for functions that want one.
pub(crate) fn imagined(digest: &Digest) -> ReleaseRef {
    let id = domain::ReleaseId::from_ulid(ulid::Ulid::nil());
    ReleaseRef { id, number: 0, digest: digest.clone(), artifact: None, size: 0, files: 0 }
}

/// `web`, `web and worker`, `a, b and c`.
pub(crate) fn listed<T: AsRef<str>>(names: &[T]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => one.as_ref().to_owned(),
        [rest @ .., last] => {
            let rest: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", rest.join(", "), last.as_ref())
        }
    }
}
