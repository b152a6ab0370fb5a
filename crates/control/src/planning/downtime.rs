//! For how long visitors would get no answer, and what follows from how a deployment is done.

use domain::health::Probe;
use domain::plan::{ComponentDowntime, Downtime, Interruption};
use domain::spec::{AppSpec, Component, Serve};

use crate::deployment::explain::Scene;

pub(super) fn downtime(scene: &Scene, live: Option<&AppSpec>) -> Downtime {
    let had = |component: &Component| live.is_some_and(|live| live.component(&component.name).is_some());
    let mut components: Vec<ComponentDowntime> = scene.spec.components.iter().map(|c| of(c, had(c))).collect();
    let gone = live.iter().flat_map(|live| &live.components).filter(|c| scene.spec.component(&c.name).is_none());
    components.extend(gone.map(|component| ComponentDowntime {
        component: component.name.clone(),
        expected: Interruption::Ends,
        reason: "it is not in what is planned: it is stopped, and its routes answer no more".to_owned(),
    }));
    let mut notes = Vec::new();
    let listens = |c: &Component| matches!(c.serve, Serve::Process { listens: true, .. });
    if live.is_some_and(|live| live.components.iter().any(listens)) {
        notes.push("a request or connection that lasts longer than 30 s after the cutover is cut off".to_owned());
    }
    if scene.kind != domain::deployment::DeploymentKind::Rollback && !scene.release_commands().is_empty() {
        notes.push(
            "the release command runs while the old release serves: whether it locks the database out, only it knows"
                .to_owned(),
        );
    }
    Downtime { expected_ms: 0, components, notes }
}

fn of(component: &Component, there: bool) -> ComponentDowntime {
    let (expected, reason) = match &component.serve {
        _ if !there => (Interruption::Begins, "it does not serve yet".to_owned()),
        Serve::Static { .. } => (Interruption::None, "its files change hands with the routes, at once".to_owned()),
        Serve::Process { listens: true, .. } => {
            let proof = match &component.health.probe {
                Probe::Http { path } => format!("GET {path} answers well"),
                Probe::Tcp => "its port is open, which is all that its health check asks".to_owned(),
                Probe::Command { .. } => "its health command ends well".to_owned(),
                Probe::Running => "it runs, as it has no health check,".to_owned(),
            };
            (Interruption::None, format!("the new one gets the traffic when {proof}; the old one ends after that"))
        }
        Serve::Process { listens: false, .. } => {
            let text = "it has no port, so there is no traffic to switch: old and new run side by side from `start` to `retire`";
            (Interruption::Overlap, text.to_owned())
        }
    };
    ComponentDowntime { component: component.name.clone(), expected, reason }
}
