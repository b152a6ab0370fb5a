//! The log of events: whoever follows it has heard each one once, in order; and each deployment's story is a legal one.

use std::collections::BTreeMap;

use domain::DeploymentId;
use domain::deployment::Deployment;
use domain::event::{Event, EventKind};
use domain::phase::Phase;
use operations::events::{List, ListRequest};

use crate::world::World;

pub(super) async fn judge(world: &World, all: &BTreeMap<DeploymentId, Deployment>) {
    let heard = world.ledger.heard();
    let written = every_event(world).await;
    let last = heard.last().map_or(0, |event| event.cursor);
    let upto: Vec<&Event> = written.iter().filter(|event| event.cursor <= last).collect();
    for _ in &heard {
        world.story.count("events heard");
    }
    if !heard.iter().eq(upto.iter().copied()) {
        let missed = upto.iter().filter(|event| !heard.iter().any(|h| h.cursor == event.cursor)).count();
        let counts = (heard.len(), upto.len());
        world.story.wrong(format!("(heard, written) events: {counts:?}; {missed} were not heard by who followed"));
    }
    let mut stories: BTreeMap<&DeploymentId, Vec<&EventKind>> = BTreeMap::new();
    for event in &written {
        if let Some(id) = &event.deployment {
            stories.entry(id).or_default().push(&event.kind);
        }
    }
    for (id, deployment) in all {
        if let Err(why) = is_legal(stories.get(id).map_or(&[], Vec::as_slice), deployment) {
            world.story.wrong(format!("the story of {id} is not a legal one: {why}: {:#?}", stories.get(id)));
        }
    }
}

async fn every_event(world: &World) -> Vec<Event> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let request = ListRequest { app: None, environment: None, deployment: None, after, limit: 500 };
        let page = world.fleet.client(2).call::<List>(&request).await.unwrap();
        if page.items.is_empty() {
            return all;
        }
        after = page.items.last().map(|event| event.cursor);
        all.extend(page.items);
    }
}

fn is_legal(story: &[&EventKind], deployment: &Deployment) -> Result<(), String> {
    let mut phase: Option<Phase> = None;
    let mut finished = false;
    for kind in story {
        match kind {
            EventKind::DeploymentQueued { .. } if phase.is_some() => return Err("it was queued twice".to_owned()),
            EventKind::DeploymentQueued { .. } => phase = Some(Phase::Queued),
            EventKind::PhaseChanged { phase: next, .. } => {
                let from = phase.ok_or("it was never queued")?;
                if finished || !from.may_become(*next) {
                    return Err(format!("from {from} to {next}"));
                }
                phase = Some(*next);
            }
            EventKind::DeploymentFinished { phase: end, .. } => {
                if finished || phase != Some(*end) {
                    return Err(format!("it ended as {end} in {phase:?}"));
                }
                finished = true;
            }
            _ => {}
        }
    }
    match finished && phase == Some(deployment.phase) {
        true => Ok(()),
        false => Err(format!("it is {} and its last event says {phase:?}", deployment.phase)),
    }
}
