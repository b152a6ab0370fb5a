//! A plan run against a model: the saga's own decisions over the deployment's own stages, none of which is run. What is
//! written down is what a journal would hold, and the phase is made from it as the deployment's row is.

use chrono::{DateTime, Utc};
use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use domain::plan::{Action, Change, Simulated, SimulatedStep, StepEnd, Touch};
use saga::{Decision, Event, History, Kind, Record, StageStatus};

use super::explain::{Explained, Scene};
use super::project::project;
use super::{Along, Deploying, Path, State, fail};

type DeploymentHistory = History<State, Failure>;

/// One run to the end, and one for each stage that has something to do and could fail at it.
pub(crate) fn rehearse<P: Path>(scene: &Scene) -> Result<Vec<Simulated>, Impossible> {
    let stages = P::stages::<Along<P>>();
    let mut runs = vec![run(&stages, scene, None)?];
    for (index, stage) in stages.iter().enumerate() {
        if stage.outlook(scene).action == Action::Run {
            runs.push(run(&stages, scene, Some(index))?);
        }
    }
    Ok(runs)
}

/// The engine's core would not go on: a fault in it or in this model.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Impossible {
    #[error(transparent)]
    Plan(#[from] saga::PlanError),
    #[error(transparent)]
    Transition(#[from] saga::IllegalTransition),
    #[error("the rehearsal does not come to an end")]
    Endless,
}

/// More than any saga of ours could take: each stage is begun, ended, undone.
const MOST_RECORDS: u64 = 1000;

fn run<G: Deploying>(
    stages: &[Box<dyn Explained<G>>],
    scene: &Scene,
    failing: Option<usize>,
) -> Result<Simulated, Impossible> {
    let mut now = DateTime::<Utc>::UNIX_EPOCH;
    let first = saga::opening::<G>(scene.state(), now)?;
    let mut history = DeploymentHistory::open(&first).ok_or(Impossible::Endless)?;
    let plan = saga::Plan::of(&G::stages())?;
    while history.next_seq() < MOST_RECORDS {
        let decision = saga::decide(&history, &plan, now);
        let event = match (saga::entry(&history, &decision), decision) {
            (Some(event), _) => event,
            (None, Decision::Run { stage, .. }) if Some(stage) == failing => {
                let error = fail::failure(Phase::Queued, Cause::Internal, "it failed", "");
                let failed = saga::failed(&history, &plan, saga::Failure::permanent(error), now, 0);
                failed.ok_or(Impossible::Endless)?
            }
            (None, Decision::Run { stage, .. }) => {
                let after = stages.get(stage).map(|explained| explained.rehearse(history.state().clone()));
                Event::StageFinished { stage, state: after.ok_or(Impossible::Endless)? }
            }
            (None, Decision::Undo { stage, .. }) => Event::UndoFinished { stage },
            (None, Decision::Wait { until }) => {
                now = until;
                continue;
            }
            (None, Decision::Finished | Decision::Undone { .. } | Decision::Stuck { .. }) => {
                return Ok(told(stages, scene, &history, failing));
            }
            (None, Decision::Abandon { .. }) => return Err(Impossible::Endless),
        };
        history = history.apply(&Record { seq: history.next_seq(), at: now, event })?;
    }
    Err(Impossible::Endless)
}

/// What the history means for people.
fn told<G: Deploying>(
    stages: &[Box<dyn Explained<G>>],
    scene: &Scene,
    history: &DeploymentHistory,
    failing: Option<usize>,
) -> Simulated {
    let projection = project(history);
    let stuck = projection.stuck.is_some();
    let both = || stages.iter().zip(history.stages()).enumerate();
    let mut steps: Vec<SimulatedStep> = both()
        .filter(|(_, (_, record))| record.attempts > 0)
        .map(|(index, (stage, record))| {
            let end = match stage.outlook(scene).action {
                _ if Some(index) == failing && record.kind == Kind::ForwardOnly => StepEnd::Stuck,
                _ if Some(index) == failing => StepEnd::Failed,
                Action::Skip => StepEnd::Skipped,
                Action::Run => StepEnd::Finished,
            };
            let text = if end == StepEnd::Stuck { stage.taken_back(scene).text } else { None };
            SimulatedStep { stage: record.name.clone(), end, text }
        })
        .collect();
    let mut left = remains(
        both()
            .filter(|(_, (_, record))| record.status == StageStatus::Finished)
            .flat_map(|(_, (stage, _))| stage.outlook(scene).touches),
    );
    for (_, (stage, record)) in both().rev() {
        if stage.outlook(scene).action == Action::Skip {
            continue;
        }
        let undo = stage.taken_back(scene);
        match record.status {
            StageStatus::Undone => {
                steps.extend(undo.text.map(|text| SimulatedStep {
                    stage: record.name.clone(),
                    end: StepEnd::Undone,
                    text: Some(text),
                }));
                left.extend(undo.stays);
            }
            // Nobody takes it back.
            StageStatus::Failed => left.extend(undo.stays),
            _ => {}
        }
    }
    Simulated {
        fails_at: failing.and_then(|index| history.stages().get(index)).map(|record| record.name.clone()),
        ends: projection.phase,
        stuck,
        serves: serves(scene, projection.phase),
        steps,
        left,
    }
}

/// What is there after all these touches that was not there before, then what is gone.
fn remains(touches: impl Iterator<Item = Touch>) -> Vec<String> {
    let (mut there, mut gone) = (Vec::new(), Vec::new());
    for touch in touches {
        let thing = touch.to_string();
        match touch.change() {
            Some(Change::Makes | Change::Switches) if !there.contains(&thing) => there.push(thing),
            Some(Change::Removes) => match there.iter().position(|known| *known == thing) {
                Some(made) => _ = there.remove(made),
                None => gone.push(format!("{thing} is gone")),
            },
            _ => {}
        }
    }
    there.extend(gone);
    there
}

fn serves(scene: &Scene, ends: Phase) -> String {
    let new = scene.brings();
    match (ends, scene.serving()) {
        (Phase::Active, _) => format!("{new} serves"),
        (Phase::RolledBack, Some(old)) => {
            format!("{old} serves again; {new} had the traffic between the cutover and its taking back")
        }
        (Phase::RolledBack, None) => {
            format!("nothing serves; {new} had the traffic between the cutover and its taking back")
        }
        (_, Some(old)) => format!("{old} keeps serving"),
        (_, None) => "nothing serves, as before".to_owned(),
    }
}
