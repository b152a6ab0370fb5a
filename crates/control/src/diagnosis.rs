//! What a deployment that does not go on is at, and what helps it.

use chrono::{DateTime, Utc};
use domain::deployment::{Deployment, DeploymentKind};
use operations::diagnosis::{DeploymentState, Diagnosis, LastOutput, LastStep};
use saga::Saga;
use serde_json::Value;
use store::{Session, StoreError};

use crate::deployment::{Deploy, Promotion, Rollback, World};
use crate::output::last_line;

/// What is known of it beside its row.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) stalled: Option<String>,
    pub(crate) heard_of_at: Option<DateTime<Utc>>,
    pub(crate) last_step: Option<LastStep>,
    pub(crate) last_output: Option<LastOutput>,
}

/// Looks at journal and output of one that has begun.
pub(crate) async fn look(world: &World, deployment: &Deployment) -> Result<Known, StoreError> {
    let record = last_step(&world.store, deployment).await?;
    let path = world.layout.output(&deployment.id);
    let line = tokio::task::spawn_blocking(move || last_line(&path)).await.ok().flatten();
    let last_output = line.map(|line| LastOutput { at: line.at, text: line.text });
    Ok(Known { last_step: record, last_output, ..Known::default() })
}

pub(crate) fn diagnose(deployment: Deployment, known: Known) -> Diagnosis {
    let id = &deployment.id;
    let state = match (&deployment.stuck, &known.stalled) {
        (Some(_), _) => DeploymentState::Stuck,
        (None, Some(_)) => DeploymentState::Stalled,
        (None, None) if deployment.metadata.waiting_for.is_some() => DeploymentState::Waiting,
        (None, None) if deployment.phase == domain::phase::Phase::Queued => DeploymentState::Waiting,
        (None, None) => DeploymentState::Working,
    };
    let is_undoing = known.last_step.as_ref().is_some_and(|step| step.event.starts_with("undo"));
    let command = match state {
        DeploymentState::Stuck => Some(format!("plimsoll resume {id}")),
        // What is being taken back can't be taken back once more, and what is active not at all: its step is tried again.
        DeploymentState::Stalled if is_undoing || deployment.phase.is_end() => Some(format!("plimsoll resume {id}")),
        DeploymentState::Stalled => Some(format!("plimsoll cancel {id}")),
        DeploymentState::Working | DeploymentState::Waiting => None,
    };
    let queued = || (state == DeploymentState::Waiting).then(|| "its turn".to_owned());
    Diagnosis {
        since: deployment.phases.last().map_or(deployment.created_at, |times| times.started_at),
        reason: deployment.stuck.clone().or(known.stalled),
        waits_for: deployment.metadata.waiting_for.clone().or_else(queued),
        state,
        command,
        last_step: known.last_step,
        last_output: known.last_output,
        heard_of_at: known.heard_of_at,
        phase: deployment.phase,
        kind: deployment.kind,
        app: deployment.app,
        environment: deployment.environment,
        deployment: deployment.id,
    }
}

async fn last_step(session: &impl Session, deployment: &Deployment) -> Result<Option<LastStep>, StoreError> {
    let record = store::beats::last_record(session, &deployment.id).await?;
    Ok(record.and_then(|record| step(&record, deployment.kind)))
}

/// An event is its name, or an object with its name as the one key.
fn step(record: &Value, kind: DeploymentKind) -> Option<LastStep> {
    let at = record.get("at")?.as_str()?.parse().ok()?;
    let (event, body) = match record.get("event")? {
        Value::String(name) => (name.clone(), None),
        Value::Object(object) => object.iter().next().map(|(name, body)| (name.clone(), Some(body)))?,
        _ => return None,
    };
    let number = body.and_then(|body| body.get("stage")?.as_u64());
    let stage = number.and_then(|n| stages(kind).get(usize::try_from(n).ok()?).copied());
    Some(LastStep { at, event, stage: stage.map(str::to_owned) })
}

fn stages(kind: DeploymentKind) -> Vec<&'static str> {
    fn names<G: Saga>() -> Vec<&'static str> {
        G::stages().iter().map(|stage| stage.name()).collect()
    }
    match kind {
        DeploymentKind::Deploy => names::<Deploy>(),
        DeploymentKind::Rollback => names::<Rollback>(),
        DeploymentKind::Promotion => names::<Promotion>(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_are_read() {
        let at = "2026-11-21T10:00:00Z";
        let record = json!({ "seq": 3, "at": at, "event": { "stage_started": { "stage": 2, "attempt": 1 } } });
        let found = step(&record, DeploymentKind::Deploy).unwrap();
        assert_eq!((found.event.as_str(), found.stage.as_deref()), ("stage_started", Some("build")));
        let found = step(&json!({ "seq": 4, "at": at, "event": "interrupted" }), DeploymentKind::Rollback).unwrap();
        assert_eq!((found.event.as_str(), found.stage), ("interrupted", None));
        assert_eq!(step(&json!({ "at": at }), DeploymentKind::Deploy), None);
    }
}
