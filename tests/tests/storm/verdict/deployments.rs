//! Each accepted order is one deployment, with one end, which is the truth.

use std::collections::BTreeMap;

use domain::DeploymentId;
use domain::deployment::Deployment;
use domain::failure::Cause;
use domain::phase::Phase;

use crate::journal;
use crate::ledger::{Accepted, Cancel};
use crate::orders::{Fate, What};
use crate::world::World;

pub(super) fn judge(world: &World, all: &BTreeMap<DeploymentId, Deployment>) {
    let accepted = world.ledger.accepted();
    for id in accepted.keys().filter(|id| !all.contains_key(*id)) {
        world.story.wrong(format!("{id} was accepted, and no server knows it"));
    }
    for id in all.keys().filter(|id| !accepted.contains_key(*id)) {
        world.story.wrong(format!("{id} is there, and nobody has got its id"));
    }
    for (id, deployment) in all {
        let Some(order) = accepted.get(id) else { continue };
        world.story.count(&format!("ended as {}", deployment.phase));
        if let Err(why) = ended_truly(deployment, order) {
            let failure = &deployment.failure;
            let phase = deployment.phase;
            world.story.wrong(format!("{id}: {why}: {phase}, {failure:?}, ordered as {:?}", order.order));
        }
        if deployment.finished_at.is_none() || deployment.phases.iter().any(|phase| phase.finished_at.is_none()) {
            world.story.wrong(format!("{id} has ended, and not all of its phases have: {:?}", deployment.phases));
        }
        // What was ordered for later gets its generation when that has come.
        let same = deployment.generation == order.generation;
        if !same && (order.order.later.is_none() || deployment.generation < order.generation) {
            let (then, now) = (order.generation, deployment.generation);
            world.story.wrong(format!("{id} was accepted as generation {then} and is {now}"));
        }
    }
    for place in 0..world.places.len() {
        let label = world.places[place].label();
        let of_place: Vec<&Deployment> = all.values().filter(|d| is_of(world, place, d)).collect();
        let mut activated: Vec<&&Deployment> = of_place.iter().filter(|d| d.phase == Phase::Active).collect();
        activated.sort_by_key(|deployment| deployment.finished_at);
        if !activated.is_sorted_by(|a, b| a.generation < b.generation) {
            let order: Vec<_> = activated.iter().map(|d| (d.generation, &d.id)).collect();
            world.story.wrong(format!("in {label} an older one became active after a newer one: {order:?}"));
        }
        for deployment in &of_place {
            let superseded = deployment.failure.as_ref().is_some_and(|f| f.cause == Cause::Superseded);
            let overtaken = |other: &&&Deployment| {
                other.generation > deployment.generation && other.finished_at <= deployment.finished_at
            };
            if superseded && !activated.iter().any(overtaken) {
                world.story.wrong(format!("{} was superseded, and nothing newer serves", deployment.id));
            }
        }
        alone(world, place, all);
    }
}

pub(super) fn is_of(world: &World, place: usize, deployment: &Deployment) -> bool {
    let place = &world.places[place];
    deployment.app == place.app && deployment.environment == place.environment
}

fn ended_truly(deployment: &Deployment, accepted: &Accepted) -> Result<(), &'static str> {
    let cause = deployment.failure.as_ref().map(|failure| failure.cause);
    match (deployment.phase, accepted.cancel) {
        (Phase::Active, Cancel::Promised) => return Err("it was promised to be taken back, and became active"),
        (Phase::Cancelled, Cancel::Never) => return Err("nobody wanted it cancelled"),
        (Phase::Cancelled, _) => return Ok(()),
        _ if cause == Some(Cause::Superseded) => return Ok(()),
        _ => {}
    }
    let fits = match accepted.order.what {
        What::Rollback | What::Deploy(Fate::Serves) => deployment.phase == Phase::Active,
        What::Deploy(Fate::Missing) => failed(deployment, &[Cause::Source]),
        What::Deploy(Fate::BuildFails) => failed(deployment, &[Cause::Build]),
        What::Deploy(Fate::ReleaseFails) => failed(deployment, &[Cause::ReleaseCommand]),
        What::Deploy(Fate::Unhealthy) => failed(deployment, &[Cause::HealthCheck]),
        What::Deploy(Fate::Exits) => failed(deployment, &[Cause::Start, Cause::HealthCheck]),
        What::Deploy(Fate::Breaks) => {
            matches!(deployment.phase, Phase::Failed | Phase::RolledBack)
                && matches!(cause, Some(Cause::Start | Cause::Verification | Cause::HealthCheck))
        }
    };
    if fits { Ok(()) } else { Err("that is not what its commit leads to") }
}

fn failed(deployment: &Deployment, causes: &[Cause]) -> bool {
    let cause = deployment.failure.as_ref().map(|failure| failure.cause);
    deployment.phase == Phase::Failed && cause.is_some_and(|cause| causes.contains(&cause))
}

/// By what its own commands wrote: one at a time, and nothing of a deployment that has ended.
fn alone(world: &World, place: usize, all: &BTreeMap<DeploymentId, Deployment>) {
    for line in journal::read(world, place) {
        let Some(deployment) = all.get(&line.deployment) else {
            world.story.wrong(format!("somebody worked for a deployment that is not there: {line}"));
            continue;
        };
        world.story.count(&format!("{} {}", line.what, line.kind));
        if line.kind == "overlap" {
            world.story.wrong(format!("two at work at the same time: {line}"));
        }
        let late = deployment.finished_at.is_some_and(|end| line.at > end);
        if late && line.what != "run" {
            let end = deployment.finished_at;
            world.story.wrong(format!("work for a deployment that had ended at {end:?}: {line}"));
        }
    }
}
